//! An Envoy with doors.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;
use wayside::parity::{Envoy, Launch, Line};

use crate::bootstrap::{self, Door};

const LISTENERS: &str = "listeners.json";

/// Of the mappings of a process, the bytes of those that can be written and have a reservation of gigabytes right behind them.
fn before_reservations(maps: &str) -> u64 {
    let mapping = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some((number(from)?, number(to)?, rest.starts_with("rw-p"), rest.starts_with("---p")))
    };
    let mappings: Vec<_> = maps.lines().filter_map(mapping).collect();
    let memories = mappings.windows(2).filter_map(|two| match two {
        [(from, to, true, _), (behind, end, _, true)] if to == behind && end - behind > 1 << 32 => {
            Some(to - from)
        }
        _ => None,
    });
    memories.sum()
}

#[test]
fn a_linear_memory_is_what_can_be_written_before_gigabytes_that_cannot() {
    let maps = "10000-30000 rw-p 00000000 00:00 0\n30000-280030000 ---p 00000000 00:00 0\n\
                280030000-280040000 rw-p 00000000 00:00 0 [heap]\n280040000-280050000 ---p 00000000 00:00 0\n";
    assert_eq!(before_reservations(maps), 0x20000);
}

/// An Envoy that runs, with as many workers as it was started with. It ends with this value.
#[derive(Debug)]
pub struct Proxy {
    envoy: Envoy,
    folder: TempDir,
}

/// How long streams and filters of a configuration that was replaced are left.
const DRAIN_S: u32 = 2;

impl Proxy {
    /// # Errors
    /// Envoy does not start; the message holds its log.
    pub async fn start(binary: &Path, workers: u32, doors: &[Door]) -> anyhow::Result<Proxy> {
        Proxy::with(&[binary], workers, tempfile::tempdir()?, &bootstrap::document(doors)).await
    }

    /// One whose doors may be [replaced](Self::replace), which [`start`](Self::start)'s cannot.
    ///
    /// # Errors
    /// Envoy does not start; the message holds its log.
    pub async fn start_reloadable(binary: &Path, workers: u32, doors: &[Door]) -> anyhow::Result<Proxy> {
        let folder = tempfile::tempdir()?;
        let listeners = folder.path().join(LISTENERS);
        fs::write(&listeners, bootstrap::listeners(doors).to_string())?;
        let document = bootstrap::reloadable(doors, &listeners);
        // Of options that come twice the last one counts.
        let drain = format!("exec \"$0\" \"$@\" --drain-time-s {DRAIN_S}");
        let command = [Path::new("sh"), Path::new("-c"), Path::new(&drain), binary];
        Proxy::with(&command, workers, folder, &document).await
    }

    /// Offers it other doors in the place of those it has, of the same names and upstreams. Envoy takes its time; whether it took
    /// them at all, `listener_manager.lds.update_success` and `update_rejected` tell.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn offer(&self, doors: &[Door]) -> anyhow::Result<()> {
        let next = self.folder.path().join("next.json");
        fs::write(&next, bootstrap::listeners(doors).to_string())?;
        // Envoy looks when another file takes the name.
        Ok(fs::rename(next, self.folder.path().join(LISTENERS))?)
    }

    /// As [`offer`](Self::offer), and waits until Envoy has taken them.
    ///
    /// # Errors
    /// Envoy refuses them, or does not answer.
    pub async fn replace(&self, doors: &[Door]) -> anyhow::Result<()> {
        let taken = self.stat("listener_manager.lds.update_success").await?;
        self.offer(doors)?;
        for _ in 0..500 {
            if self.stat("listener_manager.lds.update_success").await? > taken {
                return Ok(());
            }
            let refused = self.stat("listener_manager.lds.update_rejected").await?;
            ensure!(refused == 0, "refused: {:?}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("not taken: {:?}", self.log())
    }

    /// As [`replace`](Self::replace), and waits until the old ones have gone.
    ///
    /// # Errors
    /// As there.
    pub async fn replace_and_drain(&self, doors: &[Door]) -> anyhow::Result<()> {
        self.replace(doors).await?;
        for _ in 0..400 {
            if self.stat("listener_manager.total_listeners_draining").await? == 0 {
                return Ok(());
            }
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
        fs::write(&config, document.to_string())?;
        let launch = Launch {
            command,
            config: &config,
            folder: folder.path(),
            name: "envoy",
            workers,
            wasm_level: "warning",
        };
        Ok(Proxy { envoy: Envoy::start(&launch).await?, folder })
    }

    /// Bytes of linear memory of all VMs. V8 reserves gigabytes behind what a VM may use, which nobody may touch; a page more that a
    /// VM asks for is taken from those.
    ///
    /// # Errors
    /// The process has ended.
    pub fn linear_memory(&self) -> anyhow::Result<u64> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.id().context("no process")?))?;
        Ok(before_reservations(&maps))
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
