//! `cargo xtask record`: the bookshop behind real Envoys, driven by the client mix, both sides of every sidecar tapped.

mod case;
mod client;
mod config;
#[rustfmt::skip] // a line a case
mod mix;
mod provenance;
mod sidecar;
mod tap_proto;
mod taps;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use bookshop::Service;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use case::Case;
use client::Client;
use config::Ports;
use sidecar::Sidecar;
use taps::{Direction, Stream, Written};

/// What the order of the mix is drawn with.
const SEED: u64 = 1;
/// Clients that work through the mix at the same time, each with connections of its own.
const CLIENTS: usize = 3;

/// Records anew and replaces what is committed.
///
/// # Errors
/// When Envoy, a service or a client fails, or the taps do not hold what they must; nothing is replaced then.
pub(crate) fn run() -> anyhow::Result<()> {
    let envoy = crate::envoy::envoy_binary()?;
    let version = crate::envoy::version(&envoy)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        tokio::select! {
            recorded = record(&envoy, &version) => recorded,
            stopped = stop_signal() => stopped.and_then(|()| anyhow::bail!("stopped: nothing is replaced")),
        }
    })
}

/// Ends when someone wants this program to end. Returning then, rather than dying of the signal, ends the Envoys too.
async fn stop_signal() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

async fn record(envoy: &Path, version: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mesh = Mesh::start(envoy, folder.path()).await?;
    drive(mesh.entry()?).await?;
    let recorded = mesh.finish(folder.path()).await?;
    let summary = must_hold(&recorded)?;
    let written = save(&recorded)?;
    provenance::write(&recordings(), version, &written, &summary)?;
    let mut out = std::io::stdout();
    for line in &written {
        writeln!(
            out,
            "{:>4} streams  {:>8} B streamed  {:>7} B buffered  {}.{}",
            line.streams, line.streamed_bytes, line.buffered_bytes, line.service, line.direction
        )?;
    }
    writeln!(
        out,
        "{:>4} streams in all, recorded with {version}",
        written.iter().map(|w| w.streams).sum::<usize>()
    )?;
    Ok(())
}

/// Where the bundled recordings lie.
fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../test-host/recordings")
}

/// The services, in this process, and a sidecar for each.
#[derive(Debug)]
struct Mesh {
    /// Leaves first, as they were started.
    sidecars: Vec<Sidecar>,
    services: JoinSet<std::io::Result<()>>,
}

impl Mesh {
    /// A sidecar must know its service's port and a service its sidecar's, so each service's socket is bound first and served
    /// last; and a sidecar must know those of the services called, so the leaves come first.
    async fn start(envoy: &Path, folder: &Path) -> anyhow::Result<Self> {
        let mut mesh = Mesh { sidecars: Vec::new(), services: JoinSet::new() };
        let mut inbound = BTreeMap::new();
        for service in Service::LEAVES_FIRST {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let ports = Ports { service: listener.local_addr()?.port(), inbound: inbound.clone() };
            let sidecar = Sidecar::start(envoy, service, &ports, folder).await?;
            inbound.insert(service, sidecar.inbound.port());
            mesh.services.spawn(bookshop::serve(service, listener, sidecar.outbound));
            mesh.sidecars.push(sidecar);
        }
        Ok(mesh)
    }

    /// Where clients knock.
    fn entry(&self) -> anyhow::Result<SocketAddr> {
        let storefront = self.sidecars.iter().find(|sidecar| sidecar.service == Service::Storefront);
        Ok(storefront.context("no storefront")?.inbound)
    }

    /// Ends the Envoys, callers first, and reads what they wrote.
    async fn finish(mut self, folder: &Path) -> anyhow::Result<Vec<Recorded>> {
        let mut recorded = Vec::new();
        while let Some(sidecar) = self.sidecars.pop() {
            let service = sidecar.service;
            for (direction, expected) in sidecar.finish().await? {
                let streams = taps::read(folder, service, direction, expected)?;
                recorded.push(Recorded { service, direction, streams });
            }
        }
        Ok(recorded)
    }
}

/// All streams of one listener.
#[derive(Debug)]
struct Recorded {
    service: Service,
    direction: Direction,
    streams: Vec<Stream>,
}

/// Sends the whole mix, shuffled with the seed and dealt out to the clients. An error names every case with another
/// answer than it expects.
async fn drive(entry: SocketAddr) -> anyhow::Result<()> {
    let mut hands: Vec<Vec<Case>> = vec![Vec::new(); CLIENTS];
    for (n, case) in shuffled(mix::mix(), SEED).into_iter().enumerate() {
        hands[n % CLIENTS].push(case);
    }
    let mut clients = JoinSet::new();
    for hand in hands {
        clients.spawn(async move {
            let mut client = Client::of(entry);
            let mut wrong = Vec::new();
            for case in &hand {
                if let Err(error) = client.run(case).await {
                    wrong.push(format!("{error:#}"));
                }
            }
            wrong
        });
    }
    let wrong: Vec<String> = clients.join_all().await.into_iter().flatten().collect();
    ensure!(
        wrong.is_empty(),
        "{} cases went otherwise than the mix says:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// Fisher and Yates' shuffle.
fn shuffled<T>(mut items: Vec<T>, seed: u64) -> Vec<T> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for last in (1..items.len()).rev() {
        let other = random.next_u64() % (last as u64 + 1);
        items.swap(last, usize::try_from(other).unwrap_or(last));
    }
    items
}

/// A recording is kept only if it holds what it is made for; gives how often each thing is in it.
fn must_hold(recorded: &[Recorded]) -> anyhow::Result<BTreeMap<&'static str, usize>> {
    let mut counts = BTreeMap::new();
    for Recorded { direction, streams, .. } in recorded {
        for stream in streams {
            for (what, holds) in provenance::features(*direction, stream) {
                *counts.entry(what).or_insert(0) += usize::from(holds);
            }
        }
    }
    for (what, count) in &counts {
        ensure!(*count > 0, "the recording holds no {what}");
    }
    hops_join(recorded)?;
    Ok(counts)
}

/// Every request that a service behind the storefront got must have been seen leaving another one under the same id.
fn hops_join(recorded: &[Recorded]) -> anyhow::Result<()> {
    let of = |direction: Direction| recorded.iter().filter(move |listener| listener.direction == direction);
    let id = |stream: &Stream| taps::request_header(stream, "x-request-id").map(str::to_owned);
    let sent: BTreeSet<_> = of(Direction::Outbound).flat_map(|listener| &listener.streams).map(id).collect();
    for listener in of(Direction::Inbound).filter(|listener| listener.service != Service::Storefront) {
        for stream in &listener.streams {
            ensure!(sent.contains(&id(stream)), "{}: nobody sent request {:?}", listener.service, id(stream));
        }
    }
    Ok(())
}

fn save(recorded: &[Recorded]) -> anyhow::Result<Vec<Written>> {
    let (data, configs) = (recordings().join("bookshop"), recordings().join("envoy"));
    std::fs::create_dir_all(&data)?;
    std::fs::create_dir_all(&configs)?;
    let mut written = Vec::new();
    for Recorded { service, direction, streams } in recorded {
        written.push(taps::write(&data, *service, *direction, streams)?);
        std::fs::write(configs.join(format!("{service}.yaml")), config::config(*service, &Ports::default()))?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_order_and_loses_no_case() {
        let (once, again) = (shuffled((0..50).collect::<Vec<_>>(), 1), shuffled((0..50).collect(), 1));
        assert_eq!(once, again);
        assert_ne!(once, shuffled((0..50).collect(), 2));
        let mut sorted = once;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let mut names: Vec<_> = mix::mix().into_iter().map(|case| case.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn the_committed_configurations_are_those_that_would_be_run() {
        for service in Service::LEAVES_FIRST {
            let path = recordings().join(format!("envoy/{service}.yaml"));
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(
                committed,
                config::config(service, &Ports::default()),
                "{}: record anew",
                path.display()
            );
        }
    }
}
