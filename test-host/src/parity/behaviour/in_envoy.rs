//! Behaviours in the real Envoy: many in one process, one after the other.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    case::{Behaviour, Callout, Level, Request, Response},
    document::{self, Case, MANAGER, Surroundings, UPSTREAM},
    encrypted::{DownstreamTls, UpstreamTls},
    seen::{Ended, FLAGS, Seen, SeenByClient, SeenExchange},
    traffic,
};
use crate::message::Message;
use crate::parity::{
    live::{
        BARRIER,
        client::{self, Barrier, Got, Sending},
        grpc_server::GrpcServer,
        process::{Envoy, Launch, Line, NotStarted, lines},
        server::{Answer, Answers, Server},
        tcp::{self, Played},
    },
    log::{self, Speaker},
};

/// How long the access log may take to show a request.
const LOG_LIMIT: Duration = Duration::from_secs(10);
/// How long Envoy may take to die.
const DYING: Duration = Duration::from_secs(5);
/// A flush that does not come in this time never will.
const FLUSHED: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(5);
/// As many behaviours share a process.
const BATCH: usize = 60;
const STATS: &str = "/stats?format=json&histogram_buckets=detailed&usedonly";
const HISTOGRAMS: &str = "/stats?format=json&histogram_buckets=detailed&filter=^wasmcustom";

/// Where Envoy is, and what it loads.
#[derive(Clone, Debug)]
pub(super) struct Runner<'a> {
    pub(super) binary: &'a Path,
    pub(super) guests: &'a BTreeMap<String, PathBuf>,
}

/// Which behaviours can share a process: those that ask the same of it.
pub(super) fn batches(cases: &[Case]) -> Vec<Vec<&Case>> {
    let mut batches: Vec<Vec<&Case>> = Vec::new();
    for case in cases {
        let fits = |batch: &&mut Vec<&Case>| {
            batch.len() < BATCH
                && !case.behaviour.is_alone()
                && batch.iter().all(|other| can_share(&case.behaviour, &other.behaviour))
        };
        match batches.iter_mut().find(fits) {
            Some(batch) => batch.push(case),
            None => batches.push(vec![case]),
        }
    }
    batches
}

fn can_share(one: &Behaviour, other: &Behaviour) -> bool {
    let agrees = |(name, callout): (&String, &Callout)| {
        let other = other.callouts.get(name);
        other.is_none_or(|other| {
            std::mem::discriminant(&reached(callout)) == std::mem::discriminant(&reached(other))
        })
    };
    let further = one.envoy.clusters.iter().all(|cluster| !other.envoy.clusters.contains(cluster));
    !other.is_alone() && one.log_level == other.log_level && further && one.callouts.iter().all(agrees)
}

/// What of a callout is Envoy's configuration.
#[derive(PartialEq, Eq)]
enum Reached {
    Server,
    Service,
    Nobody,
    NoHost,
}

fn reached(callout: &Callout) -> Reached {
    match callout {
        Callout::Grpc(_) => Reached::Service,
        Callout::Refused => Reached::Nobody,
        Callout::Hostless => Reached::NoHost,
        Callout::Answer(_) | Callout::Answers(_) | Callout::Never | Callout::BreaksOff => Reached::Server,
    }
}

/// Runs behaviours in one process; what was seen of each, in their order.
///
/// # Errors
/// Envoy does not start with several behaviours, dies of one that shares its process, or is no Envoy at all.
pub(super) async fn run(runner: &Runner<'_>, cases: &[&Case]) -> Result<Vec<Seen>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let servers = Servers::start(cases).await.map_err(|error| error.to_string())?;
    let upstreams = super::raw::upstreams(cases).await.map_err(|error| error.to_string())?;
    let mut addresses = servers.addresses();
    for (listener, upstream) in &upstreams {
        addresses.insert(listener.clone(), upstream.local_addr().map_err(|error| error.to_string())?);
    }
    let around = Surroundings {
        servers: addresses,
        access_log: folder.path().join("access.log"),
        guests: runner.guests.clone(),
    };
    let config = folder.path().join("parity.json");
    let document = document::document(cases, &around)?;
    fs::write(&config, document.to_string()).map_err(|error| error.to_string())?;
    let (workers, level) =
        cases.first().map_or((1, Level::Info), |case| (case.behaviour.workers, case.behaviour.log_level));
    let launch = Launch {
        command: &[runner.binary],
        config: &config,
        folder: folder.path(),
        name: "envoy",
        workers,
        wasm_level: level.name(),
    };
    let started = Envoy::start(&launch).await;
    let mut envoy = match (started, cases) {
        (Ok(envoy), _) => envoy,
        (Err(error), [case]) => return not_started(case, &error).map(|seen| vec![seen]),
        (Err(error), _) => return Err(format!("{}\n{}", error.reason, error.log)),
    };
    let mut run = Run {
        servers: &servers,
        log_read: 0,
        access_log: around.access_log.clone(),
        upstreams,
        played: Vec::new(),
    };
    let mut all = Vec::new();
    for case in cases {
        let mut seen =
            run.behaviour(case, &mut envoy).await.map_err(|error| format!("{}: {error}", case.title()))?;
        let ended = seen.ended.is_some();
        if case.behaviour.shuts_down && !ended {
            envoy.shut_down().await.map_err(|error| format!("{}: {error}", case.title()))?;
            let (main, worker) = run.log(case, &envoy);
            (seen.main, seen.worker) = (main, worker);
        }
        all.push(seen);
        if ended && cases.len() > 1 {
            let log: Vec<String> = envoy.log().into_iter().map(|line| line.text).collect();
            return Err(format!(
                "{}: Envoy did not survive it: give it own_process\n{}",
                case.title(),
                log.join("\n")
            ));
        }
    }
    envoy.end().await;
    Ok(all)
}

/// A configuration that is refused is something to see; a start that fails otherwise is not.
fn not_started(case: &Case, error: &NotStarted) -> Result<Seen, String> {
    let log = lines(&error.log);
    if error.log.contains("Caught Segmentation fault") || error.log.contains("Caught Aborted") {
        return Ok(Seen { ended: Some(Ended::Crashed), ..Seen::default() });
    }
    if !log.iter().any(|line| line.logger == "wasm" || line.text.contains("Unable to create Wasm")) {
        return Err(format!("{}: {}\n{}", case.title(), error.reason, error.log));
    }
    // Only the main thread has run.
    let main = log.iter().filter_map(|line| told(case, line).or_else(|| log::fault_in_envoy(line))).collect();
    Ok(Seen { ended: Some(Ended::Refused), main, ..Seen::default() })
}

/// The upstream, and one server for each cluster that guests call.
struct Servers(BTreeMap<String, Server>, BTreeMap<String, GrpcServer>);

impl Servers {
    async fn start(cases: &[&Case]) -> io::Result<Self> {
        let mut encrypted = cases.iter().filter_map(|case| case.behaviour.upstream_tls.as_ref());
        let acceptor = encrypted.next().map(UpstreamTls::acceptor).transpose()?;
        let upstream = Server::start_with(acceptor).await?;
        let mut servers = BTreeMap::from([(UPSTREAM.to_owned(), upstream)]);
        let mut services = BTreeMap::new();
        for (name, callout) in cases.iter().flat_map(|case| &case.behaviour.callouts) {
            if reached(callout) == Reached::Server && !servers.contains_key(name) {
                servers.insert(name.clone(), Server::start().await?);
            }
            if reached(callout) == Reached::Service && !services.contains_key(name) {
                services.insert(name.clone(), GrpcServer::start().await?);
            }
        }
        Ok(Servers(servers, services))
    }

    fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        let servers = self.0.iter().map(|(name, server)| (name.clone(), server.address));
        servers.chain(self.1.iter().map(|(name, service)| (name.clone(), service.address))).collect()
    }

    /// From now on they answer as the behaviour says.
    fn prepare(&self, behaviour: &Behaviour, barrier: &Barrier) {
        for (name, service) in &self.1 {
            if let Some(Callout::Grpc(moves)) = behaviour.callouts.get(name) {
                service.answer_with(moves);
            }
        }
        for (name, server) in &self.0 {
            server.keep_pace_with(barrier.clone());
            server.answer_with(match behaviour.callouts.get(name) {
                _ if name == UPSTREAM => Answers::ById(upstream_answers(&behaviour.requests)),
                Some(Callout::Answer(response)) => Answers::InOrder(vec![answer(response, false)]),
                Some(Callout::Answers(responses)) => {
                    Answers::InOrder(responses.iter().map(|response| answer(response, false)).collect())
                }
                Some(Callout::Never) => {
                    Answers::InOrder(vec![answer(&Response { never: true, ..Response::default() }, false)])
                }
                Some(Callout::BreaksOff | Callout::Refused | Callout::Hostless | Callout::Grpc(_)) | None => {
                    Answers::None
                }
            });
        }
    }
}

fn upstream_answers(requests: &[Request]) -> Vec<(String, Vec<Answer>)> {
    let answers = requests.iter().zip(1..).map(|(request, number)| {
        let to_head = request.method == "HEAD";
        let answers = request.answers().iter().map(|response| answer(response, to_head));
        (traffic::request_id(number), answers.collect())
    });
    answers.collect()
}

fn answer(response: &Response, to_head: bool) -> Answer {
    let message = if response.resets { Message::default() } else { traffic::response(response, to_head) };
    Answer {
        message,
        after: Duration::from_millis(response.after_ms),
        breaks_off: response.breaks_off,
        never: response.never,
    }
}

/// One process's run, behaviour by behaviour.
struct Run<'a> {
    servers: &'a Servers,
    /// Lines of Envoy's log that belong to what came before.
    log_read: usize,
    access_log: PathBuf,
    /// Of behaviours of network filters, by listener.
    upstreams: BTreeMap<String, TcpListener>,
    /// Connections that are kept open: their end belongs to no behaviour.
    played: Vec<Played>,
}

/// Whether the process has died of a behaviour, or answers no more; `None`: neither. A process that dies writes its trace
/// first, and does not answer meanwhile.
async fn ended(envoy: &mut Envoy, answers: bool) -> Option<Ended> {
    let patience = tokio::time::Instant::now() + DYING;
    while !answers && envoy.is_running() && tokio::time::Instant::now() < patience {
        tokio::time::sleep(POLL).await;
    }
    if !envoy.is_running() || envoy.log().iter().any(|line| line.text.starts_with("Caught ")) {
        return Some(Ended::Crashed);
    }
    (!answers).then_some(Ended::Hung)
}

impl Run<'_> {
    async fn behaviour(&mut self, case: &Case, envoy: &mut Envoy) -> Result<Seen, String> {
        let missing = || "Envoy does not show the listener".to_owned();
        let to = *envoy.listeners.get(&case.listener).ok_or_else(missing)?;
        let barrier = Barrier::new(*envoy.listeners.get(BARRIER).ok_or_else(missing)?);
        self.servers.prepare(&case.behaviour, &barrier);
        let start = tokio::time::Instant::now();
        let exchanged = exchange_all(case, to, &barrier).await;
        let played = match case.connection()? {
            Some(recorded) => {
                let upstream = self.upstreams.get(&case.listener);
                Some(tcp::play(to, upstream, &recorded.steps, &barrier).await)
            }
            None => None,
        };
        if let Some(lasts) = case.behaviour.lasts_ms {
            tokio::time::sleep_until(start + Duration::from_millis(lasts)).await;
        }
        let answers = barrier.pass().await.is_ok();
        if let Some(ended) = ended(envoy, answers).await {
            return Ok(Seen { ended: Some(ended), ..Seen::default() });
        }
        let exchanged = exchanged.map_err(|error| error.to_string())?;
        let connection = match played {
            Some(played) => {
                let mut played = played.map_err(|error| error.to_string())?;
                let seen = super::raw::seen_in_envoy(&mut played);
                self.played.push(played);
                Some(seen)
            }
            None => None,
        };
        let logged = self.access_log(&case.listener, &exchanged).await?;
        let (main, worker) = self.log(case, envoy);
        let exchanges = self.exchanges(case, exchanged, &logged);
        let metrics = metrics(case, envoy).await?;
        Ok(Seen { ended: None, main, worker, exchanges, connection, callouts: self.callouts(), metrics })
    }

    /// What each client got, with what the upstream received for it.
    fn exchanges(
        &self,
        case: &Case,
        exchanged: Vec<(Got, u16)>,
        logged: &BTreeMap<u16, (String, String)>,
    ) -> Vec<SeenExchange> {
        let exchanges = exchanged.into_iter().zip(1..).map(|((got, port), number)| {
            let (details, flags) = logged.get(&port).cloned().unwrap_or_default();
            SeenExchange {
                request: super::request_title(&case.behaviour, number - 1),
                upstream: Vec::new(),
                client: match got {
                    Got::Answer(answer) => SeenByClient::Answer(answer),
                    Got::Part(answer) => SeenByClient::Part(answer),
                    Got::Reset => SeenByClient::Reset,
                    Got::Nothing => SeenByClient::GaveUp,
                },
                details,
                flags,
            }
        });
        let mut exchanges: Vec<SeenExchange> = exchanges.collect();
        for request in self.servers.0.get(UPSTREAM).map(Server::take_received).unwrap_or_default() {
            let id = request.headers.first(b"x-request-id");
            let sent =
                |number: &usize| id.is_some_and(|id| traffic::request_id(number + 1).as_bytes() == &id[..]);
            let number = (0..exchanges.len()).find(sent).unwrap_or(0);
            if let Some(exchange) = exchanges.get_mut(number) {
                exchange.upstream.push(request);
            }
        }
        exchanges
    }

    /// What the clusters received that guests call, by cluster.
    fn callouts(&self) -> Vec<(String, Message)> {
        let callouts = self.servers.0.iter().filter(|(name, _)| *name != UPSTREAM);
        let callouts = callouts.flat_map(|(name, server)| {
            server.take_received().into_iter().map(|request| (name.clone(), request))
        });
        let to_services = self.servers.1.iter().flat_map(|(name, service)| {
            service.take_received().into_iter().map(|request| (name.clone(), request))
        });
        let mut callouts: Vec<(String, Message)> = callouts.chain(to_services).collect();
        callouts.sort_by(|(one, _), (other, _)| one.cmp(other));
        callouts
    }

    /// What the behaviour's filters logged since the start, and what Envoy said meanwhile about guests that trapped.
    fn log(&mut self, case: &Case, envoy: &Envoy) -> (Vec<String>, Vec<String>) {
        let all = envoy.log();
        let (mut main, mut worker) = (Vec::new(), Vec::new());
        for (number, line) in all.iter().enumerate() {
            let is_own = number >= self.log_read || case.behaviour.own_process || case.behaviour.shuts_down;
            let text = told(case, line).or_else(|| log::fault_in_envoy(line).filter(|_| is_own));
            let Some(text) = text else { continue };
            if envoy.is_main_thread(line.thread) { main.push(text) } else { worker.push(text) }
        }
        self.log_read = all.len();
        (main, worker)
    }

    /// Details and flags by the client's port, which another listener's client may have had before.
    async fn access_log(
        &self,
        listener: &str,
        exchanged: &[(Got, u16)],
    ) -> Result<BTreeMap<u16, (String, String)>, String> {
        let complete = async {
            loop {
                let text = fs::read_to_string(&self.access_log).unwrap_or_default();
                let logged: BTreeMap<_, _> = text.lines().filter_map(|line| logged(line, listener)).collect();
                if exchanged.iter().all(|(_, port)| logged.contains_key(port)) {
                    return logged;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(LOG_LIMIT, complete)
            .await
            .map_err(|_| "a request does not show in the access log".to_owned())
    }
}

/// All requests of a behaviour, in their order.
async fn exchange_all(case: &Case, to: SocketAddr, barrier: &Barrier) -> io::Result<Vec<(Got, u16)>> {
    let start = tokio::time::Instant::now();
    let tls = case.behaviour.tls.as_ref().map(DownstreamTls::client).transpose()?;
    let mut done: BTreeMap<usize, (Got, u16)> = BTreeMap::new();
    let mut running = JoinSet::new();
    for (request, number) in case.behaviour.requests.iter().zip(1..) {
        let sending = Sending {
            request: traffic::framed(traffic::request(request, number, case.scheme()), request.stalls),
            in_capitals: false,
            tls: tls.clone(),
            stalls: request.stalls,
            patience: Duration::from_millis(request.gives_up_after_ms),
        };
        match request.at_ms {
            Some(at) => tokio::time::sleep_until(start + Duration::from_millis(at)).await,
            None => collect(&mut running, &mut done).await?,
        }
        let barrier = barrier.clone();
        running.spawn(async move { (number, client::send(to, &sending, &barrier).await) });
    }
    collect(&mut running, &mut done).await?;
    Ok(done.into_values().collect())
}

async fn collect(
    running: &mut JoinSet<(usize, io::Result<(Got, u16)>)>,
    done: &mut BTreeMap<usize, (Got, u16)>,
) -> io::Result<()> {
    while let Some(ended) = running.join_next().await {
        let (number, got) = ended.map_err(io::Error::other)?;
        done.insert(number, got?);
    }
    Ok(())
}

fn logged(line: &str, listener: &str) -> Option<(u16, (String, String))> {
    let entry: Value = serde_json::from_str(line).ok()?;
    if entry["listener"] != listener {
        return None;
    }
    let port = entry["client"].as_str()?.rsplit(':').next()?.parse().ok()?;
    let text = |field: &str| entry[field].as_str().unwrap_or("-").to_owned();
    // Envoy writes them as they came.
    let flags = text("flags");
    let mut flags: Vec<&str> = flags.split(',').collect();
    flags.sort_by_key(|flag| FLAGS.iter().position(|known| known == flag));
    Some((port, (text("details"), flags.join(","))))
}

/// A line of one of the behaviour's filters.
fn told(case: &Case, line: &Line) -> Option<String> {
    let speakers = case.behaviour.guests().enumerate().map(|(number, filter)| Speaker {
        shown: case.filter_name(number),
        name: format!("{}{}", case.prefix, case.filter_name(number)),
        root_id: filter.root_id.clone(),
        vm_id: format!("{}{}", case.prefix, filter.vm_id),
    });
    let line = log::in_envoy(line, &speakers.collect::<Vec<_>>())?;
    Some(case.stripped(&line))
}

/// Whether guests of this behaviour have histograms.
async fn has_histograms(case: &Case, envoy: &Envoy) -> Result<bool, String> {
    let document = asked(envoy, HISTOGRAMS).await?;
    Ok(recorded(&document).any(|(name, _)| name.contains(&case.prefix)))
}

async fn asked(envoy: &Envoy, path: &str) -> Result<Value, String> {
    let text = envoy.ask(path).await.map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))
}

/// Envoy's statistics once its histograms hold what this behaviour recorded: workers hand that over with a flush, which a busy
/// machine has later than the counters. The connection manager's own histogram tells.
async fn flushed(envoy: &Envoy) -> Result<Value, String> {
    let patience = tokio::time::Instant::now() + FLUSHED;
    loop {
        let document = asked(envoy, STATS).await?;
        let of_manager = |what: &str| format!("http.{MANAGER}.{what}");
        let (completed, timed) = (of_manager("downstream_rq_completed"), of_manager("downstream_rq_time"));
        let recorded = recorded(&document).find(|(name, _)| *name == timed).map_or(0, |(_, count)| count);
        if recorded >= counted(&document, &completed) || tokio::time::Instant::now() > patience {
            return Ok(document);
        }
        tokio::time::sleep(POLL).await;
    }
}

fn counted(document: &Value, name: &str) -> u64 {
    let mut entries = document["stats"].as_array().into_iter().flatten();
    entries.find(|entry| entry["name"] == name).and_then(|entry| entry["value"].as_u64()).unwrap_or(0)
}

/// How often each histogram was recorded to.
fn recorded(document: &Value) -> impl Iterator<Item = (&str, u64)> {
    let entries = document["stats"].as_array().into_iter().flatten();
    let histograms =
        entries.flat_map(|entry| entry["histograms"]["details"].as_array().into_iter().flatten());
    histograms.filter_map(|histogram| {
        let counts = histogram["totals"].as_array().into_iter().flatten();
        let count = counts.filter_map(|bucket| bucket["count"].as_u64()).sum();
        Some((histogram["name"].as_str()?, count))
    })
}

async fn metrics(case: &Case, envoy: &Envoy) -> Result<BTreeMap<String, String>, String> {
    let document = match has_histograms(case, envoy).await? {
        true => flushed(envoy).await?,
        false => asked(envoy, STATS).await?,
    };
    let mut metrics = BTreeMap::new();
    let own = |name: &str| {
        let of_plugin =
            || Some(name).filter(|name| name.starts_with("wasm.") && name.contains(".vm_reload_"));
        let name = name.strip_prefix("wasmcustom.").or_else(of_plugin)?;
        name.contains(&case.prefix).then(|| case.stripped(name))
    };
    for entry in document["stats"].as_array().into_iter().flatten() {
        if let (Some(name), Some(value)) = (entry["name"].as_str().and_then(own), entry["value"].as_u64()) {
            metrics.insert(name, format!("value {value}"));
        }
    }
    let histograms = recorded(&document).filter_map(|(name, count)| Some((own(name)?, count)));
    metrics.extend(histograms.map(|(name, count)| (name, format!("recorded {count}"))));
    metrics.retain(|_, value| !value.ends_with(" 0"));
    Ok(metrics)
}
