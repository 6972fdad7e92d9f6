//! An Envoy as a process: started with a configuration, ready when it says so, ended when it is dropped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    process::{Child, Command},
    time::{MissedTickBehavior, interval, timeout},
};

use super::Admin;

/// Envoy needs a second or two on an idle machine, and as long again for every megabyte of wasm.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Between two questions to a process that gives no sign of its own.
const POLL: Duration = Duration::from_millis(25);

/// A running Envoy with one worker. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) admin: Admin,
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Runs `launcher`, which ends with the path of an Envoy, on `folder/NAME.yaml` (JSON is YAML too), and waits until it listens.
    ///
    /// # Errors
    /// When it does not become ready; the message holds Envoy's log.
    pub(crate) async fn start(launcher: &[&Path], folder: &Path, name: &str) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let (program, arguments) = launcher.split_first().context("no program to run")?;
        let mut child = Command::new(program)
            .current_dir(folder)
            .args(arguments)
            .args(["--config-path", &format!("{name}.yaml")])
            .args(["--admin-address-path", &format!("{name}.admin")])
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let ready = tokio::select! {
            admin = timeout(START_LIMIT, ready(folder.join(format!("{name}.admin")))) => admin.context("not ready in time"),
            ended = child.wait() => Err(anyhow::anyhow!("ended at once: {}", ended?)),
        };
        let admin = ready.with_context(|| failed(name, &log))?;
        Ok(Process { admin, name: name.to_owned(), child, log })
    }

    /// Its id, while it runs.
    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.child.id().with_context(|| self.failed())
    }

    pub(crate) async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// That it failed, with its log.
    pub(crate) fn failed(&self) -> String {
        failed(&self.name, &self.log)
    }
}

/// The admin address, once Envoy has written it and says it is ready.
async fn ready(file: PathBuf) -> Admin {
    let mut tick = ticks();
    loop {
        tick.tick().await;
        let address = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
        if let Some(admin) = address.map(Admin)
            && admin.is_ready().await
        {
            return admin;
        }
    }
}

/// When to ask again.
pub(crate) fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn failed(name: &str, log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_else(|error| error.to_string());
    format!("the Envoy of {name} failed; its log:\n{text}")
}
