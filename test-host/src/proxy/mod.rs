//! One emulated Envoy: its VMs, its streams, and the path of a request through them.
//!
//! [`Proxy::run`] is where a request can be followed from top to bottom: the filter manager says what comes next, and each
//! step is carried out here: a filter is called, or a part goes on to the router or to the client.

mod active_context;
mod calls;
mod core;
mod filter_state;
mod foreign;
mod gaps;
mod grpc;
mod header_rules;
mod metrics;
mod numbered;
mod outcome;
mod properties;
mod shared_data;
pub mod spec;
mod streams;
mod tcp;
mod threads;
mod visible;
mod wasm_filter;

use std::{collections::VecDeque, sync::Arc, time::Duration};

pub use self::properties::catalogue::{Attribute, AttributeType, Availability, attributes};
use self::{
    active_context::ActiveContext,
    calls::{callouts, nested, queues},
    core::{Core, Effect, Owner},
    streams::state::{StreamId, StreamState},
};
pub(crate) use self::{core::Due, threads::One};
pub use self::{
    gaps::Gap,
    metrics::{Metric, Metrics},
    outcome::{FilterInfo, Outcome, ProxyOutcome},
    streams::state::End,
    tcp::{TcpEnd, TcpOutcome},
    threads::{ProxyOptions, StartError},
};
use crate::{
    abi::{LocalReply, MapType},
    message::{Direction, Exchange},
    stream::{Action, Answered, FilterIndex, Part, Path, Reply, Step, respond},
    trace::{FindingKind, TraceLevel},
    vm::{Limits, Modules, Vm},
};

/// A running proxy. Time is told to it; what it wants to be woken for, the event loop collects.
#[derive(Debug)]
pub struct Proxy {
    modules: Arc<Modules>,
    limits: Limits,
    /// What VMs are made from.
    bases: Vec<threads::BaseVm>,
    /// The main thread, then the workers.
    threads: Vec<threads::ThreadVms>,
    vms: Vec<threads::LoadedVm>,
    /// All that guests can see: lent to a VM for the length of a callback, and here at all other times.
    lent: Option<Box<ActiveContext>>,
    /// Streams that something outside of them has set going.
    ready: VecDeque<StreamId>,
    /// The stream that the effects under way have ended.
    gone: Option<streams::end::Gone>,
    /// What is being carried out.
    cause: Option<streams::end::Cause>,
    finished: Vec<Outcome>,
    finished_connections: Vec<TcpOutcome>,
    /// What came of the proxies that were made for one exchange each, besides what is counted here already.
    of_ones: threads::OfOnes,
}

impl Proxy {
    /// Brings in a recorded request. `number` tells it apart from the others of this proxy.
    pub(crate) fn begin(&mut self, number: usize, exchange: Box<Exchange>, now: Duration, wall: Duration) {
        self.tell_time(now, wall);
        let core = self.core_mut();
        let id = StreamId::of(number);
        if core.current_listeners.http.is_empty() {
            let text = format!("{}: no listener speaks HTTP", exchange.id);
            return core.found(None, FindingKind::NotRecorded, text);
        }
        let listener = listener_for(core, exchange.id.direction);
        core.running = core.worker_for(&exchange);
        let (thread, chain, first_filter) = core.chain_of(listener);
        let spec = core.spec.listeners.get(listener);
        let buffer_limit = spec.and_then(|listener| listener.buffer_limit);
        let loggers = spec.map_or(0, |listener| listener.http.access_loggers.len());
        let chain = (chain, loggers);
        let mut stream =
            Box::new(StreamState::new(exchange, listener, chain, first_filter, thread, now, buffer_limit));
        let request = stream.exchange.request.clone();
        if stream.exchange.timing.request_stalls {
            stream.manager.receive_without_end(Path::Decode, request);
        } else {
            stream.manager.receive(Path::Decode, request);
        }
        self.enter_chain(id, &mut stream);
        let core = self.core_mut();
        if let Some(after) = stream.client_stays() {
            core.due.push((after, Due::ClientLeaves { stream: id }));
        }
        core.streams.insert(id, stream);
        core.choose_route(id);
        self.start_request_timer(id);
        self.ready.push_back(id);
        self.run_ready();
    }

    /// Something this proxy waited for has come.
    pub(crate) fn wake(&mut self, due: Due, now: Duration, wall: Duration) {
        self.tell_time(now, wall);
        match due {
            Due::Tick { plugin, arming } => self.tick(plugin, arming),
            Due::CalloutAnswer { plugin, generation, token, answer } => {
                self.callout_answered(plugin, generation, token, *answer);
            }
            Due::Grpc { id, event } => self.grpc_event(id, event),
            Due::QueueReady { consumer, queue } => self.queue_ready(consumer, queue),
            Due::Resolved { plugin, generation, token, result } => {
                self.resolved(plugin, generation, token, result);
            }
            Due::ClientLeaves { stream } => self.client_left(stream),
            Due::UpstreamAnswer { stream } => self.upstream_answered(stream),
            Due::Drained { listeners } => self.drained(&listeners),
            Due::TcpStep { connection, step } => self.tcp_step(connection, step),
            Due::NextAttempt { stream } => self.next_attempt(stream),
            Due::UpstreamBreaks { stream } => self.upstream_broke_off(stream),
            Due::RouteTimeout { stream, of } => self.route_timed_out(stream, of),
            Due::StreamTimer { stream, timer } => self.stream_timer(stream, timer),
        }
        self.apply_effects();
        self.gone = None;
        self.run_ready();
    }

    fn run_ready(&mut self) {
        while let Some(id) = self.ready.pop_front() {
            self.run(id);
        }
    }

    /// Takes a stream as far as it goes without anything from outside.
    fn run(&mut self, id: StreamId) {
        while let Some(step) =
            self.core_mut().streams.get_mut(&id).and_then(|stream| stream.manager.next_step())
        {
            self.note_activity(id, &step);
            match step {
                Step::Call { filter, path, part } => {
                    let action = self.call_filter(id, filter, path, part);
                    self.apply_effects();
                    self.answered(id, filter, path, part, action);
                    self.gone = None;
                }
                Step::Forward { path: Path::Decode, part, data } if id.is_attempt() => {
                    self.send_to_upstream(id, part, data);
                }
                Step::Forward { path: Path::Encode, part, data } if id.is_attempt() => {
                    self.router_receives(id, part, data);
                }
                Step::Forward { path: Path::Decode, part, data } => self.route(id, part, data),
                Step::Forward { path: Path::Encode, part, data } => self.send_downstream(id, part, data),
                Step::TooLarge { path } => self.refuse_body(id, path),
            }
        }
    }

    fn answered(&mut self, id: StreamId, filter: FilterIndex, path: Path, part: Part, action: Action) {
        let core = self.core_mut();
        let Some(stream) = core.streams.get_mut(&id) else {
            return self.answered_to_nobody(path, part, action);
        };
        if path == Path::Decode {
            stream.reply_prepared = false;
        }
        let owner = Some(Owner::Stream(id, filter));
        match stream.manager.answered(action) {
            Answered::Once => {}
            Answered::Twice {
                path: Path::Encode,
                part: Part::Headers { end_of_stream: true } | Part::Trailers,
            } => {
                let text = "continue_stream(response), and then answered to continue: Envoy ends the response twice, and \
                            crashes";
                core.found(owner, FindingKind::WouldCrashEnvoy, text);
            }
            Answered::Twice { .. } => {
                let text =
                    "continue_stream, and then answered to continue: Envoy runs the rest of the chain twice";
                core.found(owner, FindingKind::RunsChainTwice, text);
            }
        }
    }

    /// Carries out what callbacks asked for, now that no guest is running. What a nested callback asks for comes first in
    /// Envoy too.
    fn apply_effects(&mut self) {
        while let Some(effect) = self.core_mut().effects.pop_front() {
            let ended = self.gone.filter(|gone| Some(gone.stream) == effect.stream());
            if let Some(gone) = ended {
                self.effect_on_the_dead(&effect, gone);
            }
            let before = std::mem::replace(&mut self.cause, streams::end::Cause::of(&effect));
            match effect {
                Effect::Resume { stream, filter, path } => self.resume(stream, filter, path),
                Effect::ContinueConnection { connection, filter } => {
                    self.continue_reading(connection, filter)
                }
                Effect::CloseConnection { connection } => {
                    self.close_connection(connection, TcpEnd::Local);
                }
                Effect::Reply { stream, filter, reply } => self.reply_of_filter(stream, filter, reply),
                Effect::TellGrpc { plugin, id, told } => self.tell_grpc_late(plugin, id, told),
                Effect::Close { stream, filter: _ } => {
                    if stream.is_attempt() {
                        self.reply_behind_closing(stream);
                    } else {
                        self.reply_before_closing(stream);
                    }
                    self.close(stream.downstream());
                }
                Effect::DeleteRoot { plugin } => self.delete_root(plugin),
            }
            self.cause = before;
        }
    }

    /// Shows the router a part of the request. A reply that comes of it, be it an upstream filter's, goes out behind that, the
    /// last of several.
    fn route(&mut self, id: StreamId, part: Part, data: bytes::Bytes) {
        if let Some(stream) = self.core_mut().streams.get_mut(&id) {
            stream.route.in_router = true;
        }
        self.send_upstream(id, part, data);
        let Some(stream) = self.core_mut().streams.get_mut(&id) else { return };
        stream.route.in_router = false;
        if let Some(reply) = stream.route.prepared.take() {
            self.reply(id, reply);
        }
    }

    fn resume(&mut self, id: StreamId, filter: FilterIndex, path: Path) {
        let Some(stream) = self.core_mut().streams.get_mut(&id) else {
            return;
        };
        if stream.manager.resume(filter, path) {
            return self.run(id);
        }
        if path == Path::Encode && stream.manager.response.headers.is_none() {
            let text = "continue_stream(response) before there is a response: this crashes Envoy";
            self.core_mut().found(Some(Owner::Stream(id, filter)), FindingKind::WouldCrashEnvoy, text);
        }
    }

    pub(super) fn reply_of_filter(&mut self, id: StreamId, _filter: FilterIndex, reply: LocalReply) {
        self.set_details(id, &reply.details);
        self.reply(id, asked(reply));
    }

    /// Answers a stream from inside the proxy: through the filters if no response has begun, straight to the client if
    /// one was about to, by a reset if one is under way.
    fn reply(&mut self, id: StreamId, reply: Reply) {
        let id = id.downstream();
        let Some(stream) = self.core_mut().streams.get_mut(&id) else {
            return;
        };
        if stream.manager.is_closed() {
            return;
        }
        if stream.route.in_router {
            stream.route.prepared = Some(reply);
            return self.end_attempts(id);
        }
        let in_callback = stream.manager.is_decoding();
        if in_callback && std::mem::replace(&mut stream.reply_prepared, true) {
            return;
        }
        let status = reply.status;
        let (headers, body) = respond(stream.reply_form(), reply);
        stream.manager.abort_decoding();
        self.end_attempts(id);
        let Some(stream) = self.core_mut().streams.get_mut(&id) else {
            return;
        };
        if stream.manager.response.headers.is_none() {
            self.core_mut().choose_route(id);
        }
        let Some(stream) = self.core_mut().streams.get_mut(&id) else {
            return;
        };
        stream.response_code = Some(status);
        stream.route.frozen = true;
        if stream.manager.response_headers_sent() {
            return self.end_stream(id, End::Reset);
        }
        if stream.manager.response.headers.is_some() {
            self.send_directly(id, headers, body);
            return self.end_stream(id, End::Complete);
        }
        stream.manager.response.headers = Some(headers);
        stream.manager.receive_headers(Path::Encode, body.is_empty());
        if !body.is_empty() {
            stream.manager.receive_data(Path::Encode, body, true);
        }
        // While a filter is shown the request, Envoy only prepares the reply, and keeps the first; else it goes out at once.
        if !in_callback {
            self.run(id);
        }
    }

    fn send_downstream(&mut self, id: StreamId, part: Part, data: bytes::Bytes) {
        let Some(stream) = self.core_mut().streams.get_mut(&id) else {
            return;
        };
        if matches!(part, Part::Headers { .. }) && stream.lacks_status() {
            return self.replace_statusless_response(id);
        }
        let is_last = stream.send_to_client(part, data);
        if matches!(part, Part::Headers { .. }) {
            self.finish_headers(id);
        }
        if is_last {
            self.end_stream(id, End::Complete);
        }
    }

    fn set_details(&mut self, id: StreamId, details: &[u8]) {
        if let Some(stream) = self.core_mut().streams.get_mut(&id.downstream()) {
            let spaced: Vec<u8> =
                details.iter().map(|b| if b.is_ascii_whitespace() { b'_' } else { *b }).collect();
            stream.details = Some(spaced.into());
        }
    }

    pub(crate) fn tell_time(&mut self, now: Duration, wall: Duration) {
        let core = self.core_mut();
        (core.now, core.wall) = (now, wall);
    }

    /// Of what happens from now on.
    pub(crate) fn trace_at(&mut self, level: TraceLevel) {
        self.core_mut().trace_level = level;
    }

    /// What this proxy wants to be woken for, as delays from now.
    pub(crate) fn hand_over_due(&mut self, to: &mut Vec<(Duration, Due)>) {
        to.append(&mut self.core_mut().due);
    }

    /// Whether this is to happen to a stream that has ended.
    pub(crate) fn is_void(&self, due: &Due) -> bool {
        let has_ended = |stream: StreamId| {
            self.core().is_some_and(|core| core.streams.get(&stream.downstream()).is_none())
        };
        due.stream().is_some_and(has_ended)
    }

    /// The simulation has stopped in the middle of things.
    pub(crate) fn note_endless(&mut self, events: u64) {
        let text = format!(
            "{events} events without a request: guests keep each other busy, and nothing more is carried out"
        );
        self.core_mut().found(None, FindingKind::BoundReached, text);
    }

    pub(crate) fn has_live_streams(&self) -> bool {
        self.core().is_some_and(|core| !core.streams.is_empty() || !core.connections.is_empty())
    }

    #[expect(
        clippy::expect_used,
        reason = "the core leaves this field only inside call_guest, which puts it back"
    )]
    fn core_mut(&mut self) -> &mut Core {
        &mut self.lent.as_mut().expect("no guest is running").core
    }

    /// `None` while a guest is running.
    fn core(&self) -> Option<&Core> {
        self.lent.as_ref().map(|lent| &lent.core)
    }
}

/// The reply that a filter asks for.
fn asked(reply: LocalReply) -> Reply {
    let LocalReply { status, headers, body, grpc_status, details: _ } = reply;
    let fields = headers.iter().map(|header| (header.name.clone(), header.value.clone()));
    let headers = header_rules::add_all(MapType::ResponseHeaders, fields);
    Reply { status, headers, body, grpc_status }
}

/// The listener of the exchange's direction, else the first one.
fn listener_for(core: &Core, direction: Direction) -> usize {
    let current = &core.current_listeners.http;
    let is_of = |place: &&usize| {
        core.spec.listeners.get(**place).is_some_and(|listener| listener.direction == direction)
    };
    current.iter().find(is_of).or(current.first()).copied().unwrap_or(0)
}

pub(crate) type ProxyVm = Vm<ActiveContext>;
