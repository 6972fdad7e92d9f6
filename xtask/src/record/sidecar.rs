//! The Envoy process of one sidecar, from its start to the moment its tap files are complete.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use bookshop::Service;
use tokio::{
    process::{Child, Command},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    admin::Admin,
    config::{Ports, config},
    taps::Direction,
};

/// Envoy needs a second or two on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Longer than any request of the mix may last.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
/// Between two questions to a process that gives no sign of its own.
const POLL: Duration = Duration::from_millis(25);

/// A running Envoy. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Sidecar {
    pub(super) service: Service,
    pub(super) inbound: SocketAddr,
    pub(super) outbound: SocketAddr,
    admin: Admin,
    process: Child,
    log: PathBuf,
}

impl Sidecar {
    /// Starts Envoy in `folder`, where its tap files will lie, and waits until it listens.
    ///
    /// # Errors
    /// When it does not become ready; the message holds Envoy's log.
    pub(super) async fn start(
        envoy: &Path,
        service: Service,
        ports: &Ports,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let path = |what: &str| folder.join(format!("{service}.{what}"));
        let log = path("log");
        fs::write(path("yaml"), config(service, ports))?;
        let mut process = Command::new(envoy)
            .current_dir(folder)
            .args(["--config-path", &format!("{service}.yaml")])
            .args(["--admin-address-path", &format!("{service}.admin")])
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", envoy.display()))?;
        let ready = tokio::select! {
            admin = timeout(START_LIMIT, ready(path("admin"))) => admin.context("not ready in time"),
            ended = process.wait() => Err(anyhow::anyhow!("ended at once: {}", ended?)),
        };
        let admin = ready.with_context(|| failed(service, &log))?;
        let port = async |direction: Direction| -> anyhow::Result<SocketAddr> {
            let port = admin.listener_port(direction.name()).await.with_context(|| failed(service, &log))?;
            Ok(([127, 0, 0, 1], port).into())
        };
        let (inbound, outbound) = (port(Direction::Inbound).await?, port(Direction::Outbound).await?);
        Ok(Sidecar { service, inbound, outbound, admin, process, log })
    }

    /// Waits until no stream is open, lets Envoy exit, which closes every file, and gives how many streams each tap of
    /// a direction must have seen.
    pub(super) async fn finish(mut self) -> anyhow::Result<[(Direction, usize); 2]> {
        let mut tapped = Vec::new();
        for direction in Direction::BOTH {
            timeout(DRAIN_LIMIT, self.idle(direction))
                .await
                .with_context(|| format!("{}: streams still open on {direction}", self.service))??;
            // Both taps of a listener add to the one counter.
            let both = self.admin.stat(&format!("http.{direction}.tap.rq_tapped")).await?;
            ensure!(both % 2 == 0, "{}: {direction}: one tap saw more than the other ({both})", self.service);
            tapped.push((direction, usize::try_from(both / 2)?));
        }
        self.admin.quit().await?;
        let status = timeout(DRAIN_LIMIT, self.process.wait()).await.context("Envoy does not end")??;
        if !status.success() {
            bail!("{}", failed(self.service, &self.log));
        }
        Ok([tapped[0], tapped[1]])
    }

    async fn idle(&self, direction: Direction) -> anyhow::Result<()> {
        let gauge = format!("http.{direction}.downstream_rq_active");
        let mut tick = ticks();
        while self.admin.stat(&gauge).await? > 0 {
            tick.tick().await;
        }
        Ok(())
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

fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn failed(service: Service, log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_else(|error| error.to_string());
    format!("the Envoy of {service} failed; its log:\n{text}")
}
