//! gRPC calls and streams that filters make. As Envoy 1.40 carries them out (`Context::grpcCall` and what follows it in
//! `source/extensions/common/wasm/context.cc`).
//!
//! [`client`] is Envoy's own gRPC client; here the service makes its moves at their times, and what the client makes of each
//! is told to the plugin's root.

mod client;
mod hostcalls;
mod service;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;

pub(crate) use self::client::Told;
use self::client::{Client, Kind, Part};
use crate::proxy::{
    ActiveContext, Proxy,
    callouts::failure_text,
    core::{Due, Owner, PluginIndex, VmIndex},
    nested::Shown,
};
use crate::{
    abi::Callback,
    message::HeaderMap,
    trace::What,
    upstream::{CalloutAnswer, GrpcAnswer, GrpcCallNumber, GrpcDoes, GrpcHeard, GrpcMove, framed},
};

/// A call or stream of a VM, by the number its guest knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GrpcId {
    pub(crate) vm: VmIndex,
    /// Of the VM that asked. A new one in its place is told nothing.
    pub(crate) generation: u32,
    pub(crate) token: u32,
}

/// What will happen to a call by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrpcEvent {
    /// The service makes its next move.
    Move,
    Timeout,
    /// The connection did not come about, or broke before an answer.
    Failed {
        reason: &'static str,
        details: &'static str,
    },
}

#[derive(Debug, Default)]
pub(crate) struct GrpcCalls(BTreeMap<GrpcId, Flight>);

/// One call or stream that the guest has not lost sight of.
#[derive(Debug)]
struct Flight {
    plugin: PluginIndex,
    client: Client,
    kind: Kind,
    service: Option<GrpcCallNumber>,
    moves: VecDeque<GrpcMove>,
    /// The service knows no gRPC: its head is sent as it stands.
    plain: bool,
    began: Duration,
    head_sent: bool,
    /// Messages that have come in and that no move has waited for yet.
    unread: usize,
    ended: bool,
    /// The next move waits for the guest.
    waiting: bool,
    /// The guest has closed its half.
    local_closed: bool,
    /// The service has ended the stream.
    remote_closed: bool,
    /// The guest has been told so.
    over: bool,
}

impl Told {
    pub(in crate::proxy) fn callback(&self, token: u32) -> Callback {
        let count = |map: &HeaderMap| u32::try_from(map.len()).unwrap_or(u32::MAX);
        match self {
            Told::Initial(map) => Callback::GrpcReceiveInitialMetadata { token, count: count(map) },
            Told::Trailing(map) => Callback::GrpcReceiveTrailingMetadata { token, count: count(map) },
            Told::Message(bytes) => {
                Callback::GrpcReceive { token, size: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }
            }
            Told::Closed { status, .. } => Callback::GrpcClose { token, status: *status },
        }
    }

    /// For the report.
    fn text(&self) -> Option<String> {
        match self {
            Told::Initial(_) | Told::Trailing(_) => None,
            Told::Message(bytes) => Some(format!("a message of {} bytes", bytes.len())),
            Told::Closed { status, message } => {
                // A status that is none is -1 to Envoy.
                Some(format!("closed with status {}, {}", status.cast_signed(), message.escape_ascii()))
            }
        }
    }
}

impl Flight {
    fn new(plugin: PluginIndex, kind: Kind, service: Option<GrpcCallNumber>, answer: GrpcAnswer) -> Self {
        let plain = matches!(answer, GrpcAnswer::Http(_));
        let moves = match answer {
            GrpcAnswer::Moves(moves) => moves.into(),
            GrpcAnswer::Http(answer) => moves_of(answer),
        };
        Flight {
            plugin,
            client: Client::new(kind),
            kind,
            service,
            moves,
            plain,
            began: Duration::ZERO,
            head_sent: false,
            unread: 0,
            ended: false,
            waiting: false,
            local_closed: false,
            remote_closed: false,
            over: false,
        }
    }

    /// Whether the next move has what it waits for; takes it.
    fn may_go_on(&mut self) -> bool {
        match self.moves.front().map(|next| &next.does) {
            Some(GrpcDoes::AwaitMessage) if self.unread > 0 => {
                self.unread -= 1;
                true
            }
            Some(GrpcDoes::AwaitMessage) => self.ended,
            Some(GrpcDoes::AwaitEnd) => self.ended,
            _ => true,
        }
    }

    /// The service's next move, as the client takes it.
    fn make_move(&mut self, now: Duration) -> Vec<Told> {
        let Some(next) = self.moves.pop_front() else {
            return Vec::new();
        };
        let mut told = Vec::new();
        let needs_head = matches!(next.does, GrpcDoes::Message(_) | GrpcDoes::Data(_) | GrpcDoes::End);
        if needs_head && !self.head_sent {
            told.extend(self.head(200, HeaderMap::new(), false, now));
        }
        told.extend(match next.does {
            GrpcDoes::AwaitMessage | GrpcDoes::AwaitEnd => Vec::new(),
            GrpcDoes::Headers { status, fields, ends } => self.head(status, fields, ends, now),
            GrpcDoes::Message(message) => {
                self.client.take(Part::Data { bytes: framed(&message), ends: false })
            }
            GrpcDoes::Data(bytes) => self.client.take(Part::Data { bytes, ends: false }),
            GrpcDoes::End => self.client.take(Part::Data { bytes: Bytes::new(), ends: true }),
            GrpcDoes::Trailers(fields) if self.head_sent => self.client.take(Part::Trailers(fields)),
            GrpcDoes::Trailers(fields) => self.head(200, fields, true, now),
            GrpcDoes::Reset if self.head_sent => self
                .client
                .take(Part::Reset { details: "upstream_reset_after_response_started{remote_reset}" }),
            GrpcDoes::Reset => self.client.take_reply_of_envoy(
                &failure_text("remote reset"),
                "upstream_reset_before_response_started{remote_reset}",
            ),
        });
        told
    }

    fn head(&mut self, status: u16, fields: HeaderMap, ends: bool, now: Duration) -> Vec<Told> {
        self.head_sent = true;
        let mut head = HeaderMap::from_iter([(":status", status.to_string())]);
        if !self.plain && !fields.contains(b"content-type") {
            head.push("content-type", "application/grpc");
        }
        for field in fields.iter().filter(|field| &field.name[..] != b":status") {
            head.push(field.name.clone(), field.value.clone());
        }
        // Told only of a call that has been sent to its end.
        if !self.ended {
            return self.client.take(Part::Headers { fields: head, ends });
        }
        let took = now.saturating_sub(self.began).as_millis().to_string();
        head.set(b"x-envoy-upstream-service-time", took);
        self.client.take(Part::Headers { fields: head, ends })
    }

    fn time_out(&mut self) -> Vec<Told> {
        if self.head_sent {
            self.client.take(Part::Reset { details: "response_timeout" })
        } else {
            self.client.take_reply_of_envoy("upstream request timeout", "response_timeout")
        }
    }
}

/// What something that answers HTTP amounts to, in moves.
fn moves_of(answer: CalloutAnswer) -> VecDeque<GrpcMove> {
    let at = |after, does| GrpcMove { after, does };
    match answer {
        CalloutAnswer::Response { after, message } => {
            let status = message
                .headers
                .first(b":status")
                .and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
            let ends = message.body.is_empty() && message.trailers.is_none();
            let head = GrpcDoes::Headers { status: status.unwrap_or(200), fields: message.headers, ends };
            let mut moves = VecDeque::from([at(after, head)]);
            moves.extend(message.body.into_iter().map(|chunk| at(Duration::ZERO, GrpcDoes::Data(chunk))));
            if !ends {
                let end = message.trailers.map_or(GrpcDoes::End, GrpcDoes::Trailers);
                moves.push_back(at(Duration::ZERO, end));
            }
            moves
        }
        CalloutAnswer::Reset { after } => {
            let head = GrpcDoes::Headers { status: 200, fields: HeaderMap::new(), ends: false };
            [at(after, head), at(Duration::ZERO, GrpcDoes::Reset)].into()
        }
        // Told by Envoy itself: the flight ends before its first move.
        CalloutAnswer::ConnectFailure { .. }
        | CalloutAnswer::Disconnect { .. }
        | CalloutAnswer::NoHealthyHost
        | CalloutAnswer::Silence => VecDeque::new(),
    }
}

impl crate::proxy::Core {
    /// Has the service make its next move when that is due; a move that waits for the guest is due when the guest has sent.
    fn schedule_grpc(&mut self, id: GrpcId) {
        let Some(flight) = self.grpc.0.get_mut(&id) else {
            return;
        };
        if flight.client.closed || flight.moves.is_empty() {
            return;
        }
        flight.waiting = !flight.may_go_on();
        if !flight.waiting {
            let after = flight.moves.front().map_or(Duration::ZERO, |next| next.after);
            self.due.push((after, Due::Grpc { id, event: GrpcEvent::Move }));
        }
    }

    /// Tells the service what has come in, and lets it go on if it has waited for that.
    fn grpc_heard(&mut self, id: GrpcId, heard: GrpcHeard) {
        let Some(flight) = self.grpc.0.get_mut(&id) else {
            return;
        };
        match heard {
            GrpcHeard::Message(_) => flight.unread += 1,
            GrpcHeard::End => flight.ended = true,
            GrpcHeard::Reset => {}
        }
        let waiting = flight.waiting;
        if let Some(service) = flight.service.clone() {
            self.services.tell(&service, heard);
        }
        if waiting {
            self.schedule_grpc(id);
        }
    }
}

impl Proxy {
    pub(in crate::proxy) fn grpc_event(&mut self, id: GrpcId, event: GrpcEvent) {
        let core = self.core_mut();
        let now = core.now;
        let Some(flight) = core.grpc.0.get_mut(&id) else {
            return;
        };
        let told = match event {
            GrpcEvent::Move => flight.make_move(now),
            GrpcEvent::Timeout if flight.client.closed => return,
            GrpcEvent::Timeout => flight.time_out(),
            GrpcEvent::Failed { reason, details } => hostcalls::failure(&mut flight.client, reason, details),
        };
        if event == GrpcEvent::Timeout
            && let Some(service) = flight.service.clone()
        {
            core.services.tell(&service, GrpcHeard::Reset);
        }
        for one in told {
            self.tell_grpc(id, one);
        }
        self.core_mut().schedule_grpc(id);
    }

    /// Calls the plugin's root, unless the guest has given the call up meanwhile, or its VM has died.
    pub(in crate::proxy) fn tell_grpc(&mut self, id: GrpcId, told: Told) {
        let Some(flight) = self.core_mut().grpc.0.get_mut(&id) else {
            return;
        };
        let (plugin, kind) = (flight.plugin, flight.kind);
        let closes = matches!(told, Told::Closed { .. });
        if closes {
            flight.remote_closed = true;
        }
        self.tell_grpc_root(plugin, id, told);
        let calls = &mut self.core_mut().grpc.0;
        let is_done = calls.get_mut(&id).is_some_and(|flight| {
            flight.over |= closes;
            match kind {
                Kind::Call => true,
                Kind::Stream => closes && flight.local_closed,
            }
        });
        if is_done {
            calls.remove(&id);
        }
    }

    fn tell_grpc_root(&mut self, plugin: PluginIndex, id: GrpcId, told: Told) {
        if self.fault_of(plugin).is_some() || self.generation_of(plugin) != id.generation {
            return;
        }
        let callback = told.callback(id.token);
        if let Some(answer) = told.text() {
            self.core_mut()
                .note(Some(Owner::Root(plugin)), What::CalloutAnswered { token: id.token, answer });
        }
        let mut status = Bytes::new();
        if let Told::Closed { status: code, message } = &told {
            self.core_mut().plugins[plugin.0].callout_code = *code;
            status = message.clone();
        }
        let root = self.core_mut().plugins[plugin.0].root;
        let shown = Shown::of(told);
        let show = |active: &mut ActiveContext| (active.shown, active.status) = (shown, status);
        self.call_guest_showing(show, plugin, root, callback);
        self.apply_effects();
    }

    /// What became of a call within the hostcall that began it: told once the guest has returned.
    pub(in crate::proxy) fn tell_grpc_late(&mut self, plugin: PluginIndex, id: GrpcId, told: Told) {
        self.tell_grpc_root(plugin, id, told);
    }
}
