//! An Envoy with doors.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;
use wayside::parity::{Envoy, Launch, Line};

use crate::bootstrap::{self, Door};

const LISTENERS: &str = "listeners.json";

/// An Envoy that runs, with as many workers as it was started with. It ends with this value.
#[derive(Debug)]
pub struct Proxy {
    envoy: Envoy,
    folder: TempDir,
    /// How often listeners were replaced.
    version: u32,
}

impl Proxy {
    /// # Errors
    /// Envoy does not start; the message holds its log.
    pub async fn start(binary: &Path, workers: u32, doors: &[Door]) -> anyhow::Result<Proxy> {
        Proxy::with(&[binary], workers, tempfile::tempdir()?, &bootstrap::document(doors)).await
    }

    /// One whose listeners may be replaced, which [`start`](Self::start)'s cannot.
    ///
    /// # Errors
    /// Envoy does not start; the message holds its log.
    pub async fn start_reloadable(binary: &Path, workers: u32, doors: &[Door]) -> anyhow::Result<Proxy> {
        let folder = tempfile::tempdir()?;
        let listeners = folder.path().join(LISTENERS);
        std::fs::write(&listeners, bootstrap::listeners(doors, 0).to_string())?;
        let document = bootstrap::reloadable(doors, &listeners);
        // What is replaced goes after a second, not after ten minutes: an option that comes last.
        let hasty = ["sh", "-c", "exec \"$0\" \"$@\" --drain-time-s 1"].map(Path::new);
        Proxy::with(&[&hasty[..], &[binary]].concat(), workers, folder, &document).await
    }

    /// Puts the listeners of these doors in the place of those there are, and waits until the old ones have gone.
    ///
    /// # Errors
    /// Envoy does not take them.
    pub async fn reload(&mut self, doors: &[Door]) -> anyhow::Result<()> {
        self.version += 1;
        let (next, listeners) = (self.folder.path().join("next.json"), self.folder.path().join(LISTENERS));
        std::fs::write(&next, bootstrap::listeners(doors, self.version).to_string())?;
        // Envoy looks when a file is moved there.
        std::fs::rename(&next, &listeners)?;
        for _ in 0..400 {
            let updates = self.stat("listener_manager.lds.update_success").await?;
            let draining = self.stat("listener_manager.total_listeners_draining").await?
                + self.stat("listener_manager.total_filter_chains_draining").await?;
            if updates > u64::from(self.version) && draining == 0 {
                return Ok(());
            }
            ensure!(self.stat("listener_manager.lds.update_rejected").await? == 0, "{:?}", self.envoy.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("20 s later: {:?}", self.envoy.stats("listener_manager").await?)
    }

    async fn with(
        command: &[&Path],
        workers: u32,
        folder: TempDir,
        document: &Value,
    ) -> anyhow::Result<Proxy> {
        let config = folder.path().join("envoy.json");
        std::fs::write(&config, document.to_string())?;
        let launch = Launch {
            command,
            config: &config,
            folder: folder.path(),
            name: "envoy",
            workers,
            wasm_level: "warning",
        };
        Ok(Proxy { envoy: Envoy::start(&launch).await?, folder, version: 0 })
    }

    /// Where a door is.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn address(&self, door: &str) -> anyhow::Result<SocketAddr> {
        self.envoy.listeners.get(door).copied().with_context(|| format!("found no listener {door}"))
    }

    /// A counter or gauge; 0 if nothing has counted there yet.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn stat(&self, name: &str) -> anyhow::Result<u64> {
        let pattern = name.replace('.', "\\.");
        Ok(self.envoy.stats(&format!("^{pattern}$")).await?.get(name).copied().unwrap_or(0))
    }

    /// How many VMs were ever made: more than at the start if one has died.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn vms(&self) -> anyhow::Result<u64> {
        self.stat("wasm.envoy.wasm.runtime.v8.created").await
    }

    /// The process's number.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.envoy.id()
    }

    /// Counters and gauges that a regular expression finds and that have counted something.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn stats(&self, pattern: &str) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut stats = self.envoy.stats(pattern).await?;
        stats.retain(|_, value| *value > 0);
        Ok(stats)
    }

    /// What a filter counts under a metric's name, over all its labels. Filters of several doors that share a VM share that too.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn counted(&self, metric: &str) -> anyhow::Result<u64> {
        Ok(self.envoy.stats(&format!("{metric}$")).await?.values().sum())
    }

    /// How many series a metric of a filter has, whatever their values.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn series(&self, metric: &str) -> anyhow::Result<usize> {
        Ok(self.envoy.stats(&format!("{metric}$")).await?.len())
    }

    /// # Errors
    /// Envoy has ended, or has logged that a filter died.
    pub fn must_be_well(&mut self) -> anyhow::Result<()> {
        let log = self.envoy.log();
        ensure!(self.envoy.is_running(), "Envoy has ended; its log: {log:?}");
        let bad = |line: &&Line| line.level == "critical" || line.text.contains("Caught ");
        let bad = log.iter().find(bad);
        ensure!(bad.is_none(), "Envoy's log: {bad:?}");
        Ok(())
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> Vec<Line> {
        self.envoy.log()
    }
}
