//! A behaviour in the host: the same document, the same messages, on virtual time.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use super::{
    as_read::{as_read, part_as_read},
    case::{Callout, Level, Request, Response},
    document::{self, Case, Surroundings},
    encrypted::{self, DownstreamTls, UpstreamTls},
    seen::{Ended, FLAGS, Seen, SeenByClient, SeenExchange},
    traffic,
};
use crate::{
    abi::{GuestFault, HttpCallout, LogLevel},
    envoy_config,
    message::{
        Answer, AnswerKind, Connection, Direction, Exchange, ExchangeId, HeaderMap, Message, Origin,
        Protocol, Recording, Timing,
    },
    parity::log::{self, Stopped},
    proxy::{End, Metric, Outcome, ProxyOutcome, StartError},
    replay::{self, Options, Specs},
    trace::{Entry, FindingKind, Ledger, What},
    upstream::{CalloutAnswer, GrpcAnswer, GrpcCallout, GrpcHeard, Service, Services, framed},
    vm::Modules,
};

/// Wall time at which behaviours begin in the host: 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);
/// Between the latest possible end of a request and the next one.
const PAUSE: Duration = Duration::from_millis(10);

type Called = Rc<RefCell<Vec<(String, Message)>>>;

/// Runs a behaviour.
///
/// # Errors
/// The behaviour makes no configuration that the host can read.
pub(super) fn run(
    case: &Case,
    modules: &Arc<Modules>,
    guests: &BTreeMap<String, PathBuf>,
) -> Result<(Seen, Ledger), String> {
    let around = Surroundings {
        servers: BTreeMap::new(),
        access_log: PathBuf::from("access.log"),
        guests: guests.clone(),
    };
    let document = document::document(&[case], &around)?.to_string();
    let loaded = envoy_config::from_text(&document, Path::new("parity.json"), &Default::default())
        .map_err(|errors| errors.to_string())?;
    let options = Options {
        log_level: level(case.behaviour.log_level),
        ledger: true,
        workers: NonZeroU32::new(case.behaviour.workers).unwrap_or(NonZeroU32::MIN),
        lasts: case.behaviour.lasts_ms.map(Duration::from_millis),
        ..Options::default()
    };
    let called = Called::default();
    let direction =
        loaded.spec.listeners.first().map_or(Direction::Unspecified, |listener| listener.direction);
    let specs = Specs::Everywhere(Arc::new(loaded.spec));
    let replayed =
        replay::replay(modules, &specs, recording(case, direction)?, &options, |_| services(case, &called));
    let mut replayed = match replayed {
        Ok(replayed) => replayed,
        Err(error) => return Ok((refused(case, &error), Ledger::default())),
    };
    let Some(proxy) = replayed.proxies.pop() else {
        return Err("requests: found none, expected at least one".to_owned());
    };
    let mut callouts = called.borrow().clone();
    callouts.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok((seen(case, &proxy.outcome, callouts), proxy.outcome.ledger))
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
        Level::Critical => LogLevel::Critical,
    }
}

fn recording(case: &Case, direction: Direction) -> Result<Recording, String> {
    let mut free = Duration::ZERO;
    let (tls, upstream_tls) = (&case.behaviour.tls, &case.behaviour.upstream_tls);
    let security = encrypted::known(tls.as_ref().map(DownstreamTls::known))?;
    let upstream_security = encrypted::known(upstream_tls.as_ref().map(UpstreamTls::known))?;
    let exchanges = case.behaviour.requests.iter().zip(1_u32..).map(|(request, number)| {
        let at = request.at_ms.map_or(free, Duration::from_millis);
        free = at + Duration::from_millis(request.gives_up_after_ms.max(request.response.after_ms)) + PAUSE;
        let mut exchange = exchange(case, request, number, EPOCH + at, direction);
        exchange.connection.security.clone_from(&security);
        exchange.connection.upstream_security.clone_from(&upstream_security);
        exchange
    });
    let exchanges = exchanges.collect();
    let connections = case.connection()?.into_iter().collect();
    Ok(Recording { exchanges, connections, notes: Vec::new() })
}

fn exchange(case: &Case, request: &Request, number: u32, at: Duration, direction: Direction) -> Exchange {
    let to_head = request.method == "HEAD";
    let Response { after_ms, never, .. } = request.response;
    let response = traffic::response(&request.response, to_head);
    let answers = request.answers().iter().map(|response| meets(case, response, to_head)).collect();
    let peer = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
    let (after, patience) =
        (Duration::from_millis(after_ms), Duration::from_millis(request.gives_up_after_ms));
    Exchange {
        id: ExchangeId { proxy: Arc::from("parity"), direction, number },
        origin: Origin { file: Path::new("behaviours").into(), offset: 0, trace_id: number.into() },
        request: traffic::request(request, number as usize, case.scheme()),
        response: (!never).then_some(response),
        answers,
        timing: Timing {
            request_headers: Some(at),
            response_headers: Some(at + if never { patience } else { after }),
            request_stalls: request.stalls,
            response_breaks_off: request.response.breaks_off,
            client_patience: Some(patience),
        },
        connection: Connection {
            local: peer(10_000),
            remote: peer(40_000),
            upstream_local: peer(40_001),
            upstream_remote: None,
            protocol: Some(Protocol::Http11),
            ..Connection::default()
        },
        notes: Vec::new(),
    }
}

/// What an attempt meets.
fn meets(case: &Case, response: &Response, to_head: bool) -> Answer {
    let after = Duration::from_millis(response.after_ms);
    let kind = match response {
        _ if case.behaviour.upstream_refuses => AnswerKind::Refuses,
        Response { never: true, .. } => AnswerKind::Never,
        Response { resets: true, .. } => AnswerKind::Resets,
        response => AnswerKind::Response {
            message: traffic::response(response, to_head),
            breaks_off: response.breaks_off,
        },
    };
    Answer { after, kind }
}

fn services(case: &Case, called: &Called) -> Services {
    case.behaviour.callouts.iter().fold(Services::default(), |services, (name, callout)| {
        let (name, callout, called) = (name.clone(), callout.clone(), Rc::clone(called));
        services.with(name.clone(), Cluster { name, callout, called, calls: 0, grpc: Vec::new() })
    })
}

/// What a callout to a cluster meets, and where it is kept that it came.
struct Cluster {
    name: String,
    callout: Callout,
    called: Called,
    calls: usize,
    /// Where among all calls each gRPC call stands.
    grpc: Vec<usize>,
}

impl Cluster {
    fn keep(&self, message: Message) -> usize {
        let mut called = self.called.borrow_mut();
        called.push((self.name.clone(), message));
        called.len() - 1
    }
}

impl Service for Cluster {
    fn answer(&mut self, request: &HttpCallout) -> CalloutAnswer {
        self.calls += 1;
        if !matches!(self.callout, Callout::Refused | Callout::Hostless) {
            let body = if request.body.is_empty() { Vec::new() } else { vec![request.body.clone()] };
            self.keep(Message { headers: request.headers.clone(), body, trailers: None });
        }
        answer(&self.callout, self.calls)
    }

    fn answer_grpc(&mut self, call: &GrpcCallout) -> GrpcAnswer {
        self.calls += 1;
        let refused = matches!(self.callout, Callout::Refused | Callout::Hostless);
        let headers = if refused { HeaderMap::new() } else { call.headers.clone() };
        let kept = if refused { usize::MAX } else { self.keep(Message { headers, ..Message::default() }) };
        self.grpc.push(kept);
        match &self.callout {
            Callout::Grpc(moves) => GrpcAnswer::Moves(moves.clone()),
            callout => GrpcAnswer::Http(answer(callout, self.calls)),
        }
    }

    fn hear(&mut self, call: usize, heard: GrpcHeard) {
        let is_grpc = matches!(self.callout, Callout::Grpc(_));
        let mut called = self.called.borrow_mut();
        let kept = self.grpc.get(call).and_then(|kept| called.get_mut(*kept));
        let Some((_, message)) = kept else { return };
        match heard {
            GrpcHeard::Message(bytes) if is_grpc => message.body.push(bytes),
            GrpcHeard::Message(bytes) => message.body.push(framed(&bytes)),
            GrpcHeard::End if is_grpc => message.trailers = Some(HeaderMap::from_iter([("call", "end")])),
            GrpcHeard::Reset if is_grpc && message.trailers.is_none() => {
                message.trailers = Some(HeaderMap::from_iter([("call", "reset")]));
            }
            GrpcHeard::End | GrpcHeard::Reset => {}
        }
    }
}

fn answer(callout: &Callout, calls: usize) -> CalloutAnswer {
    let after = Duration::ZERO;
    match callout {
        Callout::Refused => CalloutAnswer::ConnectFailure { after },
        Callout::Hostless => CalloutAnswer::NoHealthyHost,
        Callout::Never => CalloutAnswer::Silence,
        // What an HTTP call to a gRPC service meets is nothing that a behaviour shows.
        Callout::BreaksOff | Callout::Grpc(_) => CalloutAnswer::Disconnect { after },
        Callout::Answer(response) => answered(response),
        Callout::Answers(responses) => {
            responses.get(calls - 1).or(responses.last()).map_or(CalloutAnswer::Silence, answered)
        }
    }
}

fn answered(response: &Response) -> CalloutAnswer {
    let after = Duration::from_millis(response.after_ms);
    match response {
        Response { never: true, .. } => CalloutAnswer::Silence,
        Response { breaks_off: true, .. } => CalloutAnswer::Reset { after },
        response => {
            let message = traffic::with_service_time(traffic::response(response, false));
            CalloutAnswer::Response { after, message }
        }
    }
}

fn refused(case: &Case, error: &StartError) -> Seen {
    if let StartError::Refused { fault: GuestFault::EnvoyCrash { .. }, .. } = error {
        return Seen { ended: Some(Ended::Crashed), ..Seen::default() };
    }
    let entries: &[Entry] = match error {
        StartError::Refused { entries, .. } => entries,
        StartError::Load { .. } => &[],
    };
    let lines = log::at_start(entries);
    let of_thread = |main: bool| {
        let lines = lines.iter().filter(|line| line.thread.is_main() == main);
        lines.map(|line| case.stripped(&line.text)).collect()
    };
    let ended = entries.iter().find_map(|entry| ended(&entry.what)).unwrap_or(Ended::Refused);
    let mut main: Vec<String> = of_thread(true);
    if let StartError::Refused { fault, .. } = error {
        let function = log::callback_of(&fault.to_string());
        // No callback, and so no entry of the trace.
        if ["_initialize", "_start", "main", "__main_void"].contains(&&function[..]) {
            main.push(format!("FAULT in {function}"));
        }
    }
    Seen { ended: Some(ended), main, worker: of_thread(false), ..Seen::default() }
}

fn seen(case: &Case, outcome: &ProxyOutcome, callouts: Vec<(String, Message)>) -> Seen {
    let stopped = if case.behaviour.shuts_down { Stopped::Asked } else { Stopped::ByForce };
    let lines = log::in_host(outcome, stopped, |filter| case.filter_name(filter.0));
    let of_thread = |main: bool| {
        let lines = lines.iter().filter(|line| line.thread.is_main() == main);
        lines.map(|line| case.stripped(&line.text)).collect()
    };
    let streams = outcome.outcomes.iter().flat_map(|outcome| &outcome.trace.entries);
    let of_connections = outcome.connections.iter().flat_map(|outcome| &outcome.trace.entries);
    let mut entries = streams.chain(of_connections).chain(&outcome.trace.entries);
    let metrics = outcome.metrics.iter().filter_map(|(name, value)| {
        let name = name.escape_ascii().to_string();
        name.contains(&case.prefix).then(|| (case.stripped(&name), metric(value)))
    });
    let stats = outcome.stats.iter().map(|(name, value)| (case.stripped(name), format!("value {value}")));
    Seen {
        ended: entries.find_map(|entry| ended(&entry.what)),
        main: of_thread(true),
        worker: of_thread(false),
        exchanges: outcome.outcomes.iter().map(|outcome| exchanged(case, outcome)).collect(),
        connection: outcome.connections.first().map(super::raw::seen_in_host),
        callouts,
        metrics: metrics.filter(|(_, value)| !value.ends_with(" 0")).chain(stats).collect(),
    }
}

/// What Envoy does not survive is a finding here.
fn ended(what: &What) -> Option<Ended> {
    match what {
        What::Finding { kind: FindingKind::WouldCrashEnvoy, .. } => Some(Ended::Crashed),
        What::Finding { kind: FindingKind::WouldHangEnvoy, .. } => Some(Ended::Hung),
        _ => None,
    }
}

fn metric(metric: &Metric) -> String {
    match metric {
        Metric::Counter(value) | Metric::Gauge(value) => format!("value {value}"),
        Metric::Histogram(values) => format!("recorded {}", values.values().sum::<u64>()),
    }
}

fn exchanged(case: &Case, outcome: &Outcome) -> SeenExchange {
    let gave_up = matches!(outcome.end, End::Hung | End::Disconnected);
    let client = match (&outcome.downstream_response, outcome.end) {
        _ if gave_up => SeenByClient::GaveUp,
        (Some(answer), End::Complete) => as_read(outcome.finished(answer)),
        (Some(answer), _) => part_as_read(outcome.finished(answer)),
        (None, _) => SeenByClient::Reset,
    };
    let details = outcome.details.as_ref().map(|details| String::from_utf8_lossy(details).into_owned());
    SeenExchange {
        request: super::request_title(&case.behaviour, outcome.number),
        upstream: outcome.earlier_attempts.iter().chain(&outcome.upstream_request).cloned().collect(),
        client,
        details: details.unwrap_or_else(|| "-".to_owned()),
        flags: flags(outcome.response_flags),
    }
}

/// As `%RESPONSE_FLAGS%` writes them (Envoy, `stream_info/utility.h`).
fn flags(bits: u64) -> String {
    let set = FLAGS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name);
    let set: Vec<&str> = set.collect();
    if set.is_empty() { "-".to_owned() } else { set.join(",") }
}
