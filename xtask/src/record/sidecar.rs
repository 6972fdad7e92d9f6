//! The Envoy process of one sidecar, from its start to the moment its tap files are complete.

use std::{fs, io, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use bookshop::Service;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    config::{Ports, config},
    taps::Direction,
};
use wayside::parity::{Envoy, Launch};

/// Longer than any request of the mix may last.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
/// Between two questions whether it is idle.
const POLL: Duration = Duration::from_millis(25);

/// A running Envoy. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Sidecar {
    pub(super) service: Service,
    pub(super) inbound: SocketAddr,
    pub(super) outbound: SocketAddr,
    envoy: Envoy,
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
        let file = folder.join(format!("{service}.yaml"));
        fs::write(&file, config(service, ports))?;
        let launch = Launch {
            command: &[envoy],
            config: &file,
            folder,
            name: &service.to_string(),
            workers: 1,
            wasm_level: "warning",
        };
        let envoy = Envoy::start(&launch).await?;
        let address = |direction: Direction| {
            let found = envoy.listeners.get(direction.name()).copied();
            found.with_context(|| format!("{service}: found no listener {direction}"))
        };
        let (inbound, outbound) = (address(Direction::Inbound)?, address(Direction::Outbound)?);
        Ok(Sidecar { service, inbound, outbound, envoy })
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
            let both = self.stat(&format!("http.{direction}.tap.rq_tapped")).await?;
            ensure!(both % 2 == 0, "{}: {direction}: one tap saw more than the other ({both})", self.service);
            tapped.push((direction, usize::try_from(both / 2)?));
        }
        let status = self.envoy.shut_down().await?;
        if !status.success() {
            bail!("{}: Envoy ended with {status}; its log: {:?}", self.service, self.envoy.log());
        }
        Ok([tapped[0], tapped[1]])
    }

    async fn idle(&self, direction: Direction) -> anyhow::Result<()> {
        let gauge = format!("http.{direction}.downstream_rq_active");
        let mut tick = interval(POLL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.stat(&gauge).await? > 0 {
            tick.tick().await;
        }
        Ok(())
    }

    async fn stat(&self, name: &str) -> io::Result<u64> {
        let stats = self.envoy.stats(&format!("^{}$", name.replace('.', "\\."))).await?;
        let value = stats.get(name).copied();
        value.ok_or_else(|| io::Error::other(format!("Envoy has no statistic {name}")))
    }
}
