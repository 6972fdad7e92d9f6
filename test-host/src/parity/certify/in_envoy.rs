//! The exchanges in the real Envoy, one after the other.

use std::{collections::BTreeMap, fs, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use super::{
    CannotCompare, Difference, Subject,
    compare::Seen,
    document::Document,
    exchanges::Case,
    in_host::InHost,
    metrics::{self, EnvoyStats},
    rules::Rules,
    services,
};
use crate::{
    message::Message,
    parity::{
        live::{
            BARRIER,
            client::{self, Barrier, Got, Sending},
            process::{Envoy, Launch, Line},
            server::{Answer, Answers, Server},
        },
        log,
    },
    upstream::Script,
};

/// Longer than any answer takes on a busy machine: what waits for it is stuck.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long Envoy may take to add up its histograms.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);
const STATS: &str = "/stats?format=json&histogram_buckets=detailed&usedonly";

/// All that Envoy made of them.
pub(super) struct InEnvoy {
    /// In the order of the cases.
    pub(super) seen: Vec<Seen>,
    /// Of the metrics that guests define.
    pub(super) metrics: Vec<Difference>,
    /// Why it, or a guest in it, did not survive.
    pub(super) died: Option<String>,
}

/// What stands behind Envoy.
pub(super) struct Servers {
    upstream: Server,
    /// By cluster.
    callouts: BTreeMap<String, Server>,
}

impl Servers {
    pub(super) async fn start(script: &Script) -> io::Result<Self> {
        let mut callouts = BTreeMap::new();
        for cluster in script.clusters() {
            let server = Server::start().await?;
            let (script, name) = (script.clone(), cluster.to_owned());
            server.answer_with(Answers::By(Arc::new(move |request: &Message| {
                services::in_envoy(&script, &name, request)
            })));
            callouts.insert(cluster.to_owned(), server);
        }
        Ok(Servers { upstream: Server::start().await?, callouts })
    }

    pub(super) fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        self.callouts.iter().map(|(name, server)| (name.clone(), server.address)).collect()
    }

    pub(super) fn upstream(&self) -> SocketAddr {
        self.upstream.address
    }
}

pub(super) async fn run(
    binary: &Path,
    document: &Document,
    subject: &Subject,
    servers: &Servers,
    host: &InHost,
    rules: &Rules,
) -> Result<InEnvoy, CannotCompare> {
    let folder = tempfile::tempdir().map_err(CannotCompare::of)?;
    let config = folder.path().join("envoy.json");
    fs::write(&config, document.for_envoy()).map_err(CannotCompare::of)?;
    let launch = Launch {
        command: &[binary],
        config: &config,
        folder: folder.path(),
        name: "envoy",
        workers: 1,
        wasm_level: "info",
    };
    let mut envoy = Envoy::start(&launch).await.map_err(CannotCompare::of)?;
    let barrier = Barrier::new(address(&envoy, BARRIER)?);
    servers.upstream.keep_pace_with(barrier.clone());
    let mut run = Run { servers, host, barrier, log_read: 0 };
    let mut seen = Vec::new();
    let mut died = None;
    for case in &subject.cases.cases {
        if died.is_none() {
            match run.exchange(case, &envoy).await {
                Ok(one) => seen.push(one),
                Err(error) => died = Some(format!("{}: {error}", case.name)),
            }
        }
    }
    // What came after its end was seen by nobody.
    seen.resize(subject.cases.cases.len(), Seen::default());
    if died.is_none() && !envoy.is_running() {
        died = Some("Envoy ended".to_owned());
    }
    let metrics = if died.is_none() { metric_differences(&envoy, host, rules).await } else { Vec::new() };
    envoy.end().await;
    Ok(InEnvoy { seen, metrics, died })
}

fn address(envoy: &Envoy, listener: &str) -> Result<SocketAddr, CannotCompare> {
    let address = envoy.listeners.get(listener).copied();
    address.ok_or_else(|| CannotCompare(format!("Envoy has no listener {listener:?} that takes connections")))
}

struct Run<'a> {
    servers: &'a Servers,
    host: &'a InHost,
    barrier: Barrier,
    log_read: u64,
}

impl Run<'_> {
    async fn exchange(&mut self, case: &Case, envoy: &Envoy) -> Result<Seen, String> {
        let exchange = &case.exchange;
        let listener = self.host.listener(exchange.id.direction).map(|listener| &listener.name[..]);
        let to = address(envoy, listener.unwrap_or_default()).map_err(|error| error.to_string())?;
        let answer = exchange.response.clone().map(|mut message| {
            // The recorded router's, which an upstream filter does not see: Envoy's own router puts its own there.
            if self.host.has_upstream_filters() {
                message.headers.remove(b"x-envoy-upstream-service-time");
            }
            Answer { message, after: case.after, breaks_off: false, never: false }
        });
        self.servers.upstream.answer_with(Answers::InOrder(answer.into_iter().collect()));
        let sending = Sending {
            tls: None,
            request: case.on_the_wire(),
            in_capitals: case.in_capitals,
            stalls: false,
            patience: PATIENCE,
        };
        let (got, _) = client::send(to, &sending, &self.barrier).await.map_err(|error| error.to_string())?;
        self.barrier.pass().await.map_err(|error| error.to_string())?;
        let callouts = self.servers.callouts.iter().flat_map(|(name, server)| {
            server.take_received().into_iter().map(|request| (name.clone(), request))
        });
        let callouts = callouts.collect();
        Ok(Seen {
            upstream: self.servers.upstream.take_received(),
            client: match got {
                Got::Answer(answer) | Got::Part(answer) => Some(answer),
                Got::Reset | Got::Nothing => None,
            },
            callouts,
            log: self.log(envoy).map_err(|error| error.to_string())?,
        })
    }

    /// What guests on the worker said since the last time, and their faults.
    fn log(&mut self, envoy: &Envoy) -> io::Result<Vec<String>> {
        let (lines, read) = envoy.log_from(self.log_read)?;
        self.log_read = read;
        let speakers = self.host.speakers();
        let of_guest = |line: &Line| log::in_envoy(line, &speakers).or_else(|| log::fault_in_envoy(line));
        let worker = lines.iter().filter(|line| !envoy.is_main_thread(line.thread));
        Ok(worker.filter_map(of_guest).collect())
    }
}

/// Asks until everything is the same, or for as long as Envoy may need to add it up.
async fn metric_differences(envoy: &Envoy, host: &InHost, rules: &Rules) -> Vec<Difference> {
    let of_run = |field: &str, envoy: String, host: &str| Difference {
        exchange: None,
        field: field.to_owned(),
        envoy,
        host: host.to_owned(),
    };
    let mut last = vec![of_run("statistics", "none are told".to_owned(), "")];
    let trapped = host.seen.iter().flat_map(|seen| &seen.log).any(|line| line.starts_with("FAULT"));
    let asking = async {
        loop {
            let stats = envoy.ask(STATS).await.ok().and_then(|text| EnvoyStats::parse(&text));
            if let Some(stats) = stats {
                last = metrics::compare(rules, &stats, &host.metrics);
                if stats.reloads > 0 && !trapped {
                    last.push(of_run("VMs reloaded or failed", stats.reloads.to_string(), "0"));
                }
            }
            if last.is_empty() {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    drop(tokio::time::timeout(FLUSH_LIMIT, asking).await);
    last
}
