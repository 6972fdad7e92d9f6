//! The Envoy process of one sidecar, from its start to the moment its tap files are complete.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use bookshop::Service;
use tokio::time::timeout;

use super::{
    config::{Ports, config},
    taps::Direction,
};
use crate::envoy::{Process, ticks};

/// Longer than any request of the mix may last.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
/// A running Envoy. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Sidecar {
    pub(super) service: Service,
    pub(super) inbound: SocketAddr,
    pub(super) outbound: SocketAddr,
    process: Process,
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
        fs::write(folder.join(format!("{service}.yaml")), config(service, ports))?;
        let process = Process::start(&[envoy], folder, &service.to_string()).await?;
        let port = async |direction: Direction| -> anyhow::Result<SocketAddr> {
            let port = process.admin.listener_port(direction.name()).await;
            let port = port.with_context(|| process.failed())?;
            Ok(([127, 0, 0, 1], port).into())
        };
        let (inbound, outbound) = (port(Direction::Inbound).await?, port(Direction::Outbound).await?);
        Ok(Sidecar { service, inbound, outbound, process })
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
            let both = self.process.admin.stat(&format!("http.{direction}.tap.rq_tapped")).await?;
            ensure!(both % 2 == 0, "{}: {direction}: one tap saw more than the other ({both})", self.service);
            tapped.push((direction, usize::try_from(both / 2)?));
        }
        self.process.admin.quit().await?;
        let status = timeout(DRAIN_LIMIT, self.process.ended()).await.context("Envoy does not end")??;
        if !status.success() {
            bail!("{}", self.process.failed());
        }
        Ok([tapped[0], tapped[1]])
    }

    async fn idle(&self, direction: Direction) -> anyhow::Result<()> {
        let gauge = format!("http.{direction}.downstream_rq_active");
        let mut tick = ticks();
        while self.process.admin.stat(&gauge).await? > 0 {
            tick.tick().await;
        }
        Ok(())
    }
}
