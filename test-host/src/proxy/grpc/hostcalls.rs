//! The gRPC hostcalls, as the guest's context answers them.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Flight, GrpcEvent, GrpcId, Told,
    client::{Client, Kind},
    service::{self, Target},
};
use crate::{
    abi::{CallResult, CallStatus, CalloutToken, GrpcMethod, GrpcRequest, MapType},
    message::HeaderMap,
    proxy::{
        ActiveContext,
        callouts::{add_envoys_headers, failure_text},
        core::{Due, Effect},
        header_rules,
        nested::Nested,
    },
    trace::FindingKind,
    upstream::{CalloutAnswer, GrpcAnswer, GrpcCallout, GrpcHeard},
};

/// Calls and streams have ids of their own kind: a call's end in the bits 01, a stream's in 10.
fn kind_of(token: u32) -> CallResult<Kind> {
    match token & 3 {
        1 => Ok(Kind::Call),
        2 => Ok(Kind::Stream),
        _ => Err(CallStatus::BadArgument),
    }
}

/// Why a call is over before it has begun.
enum Refused {
    /// The cluster that the protobuf names is none.
    NoCluster,
    NoHost,
}

impl Refused {
    fn told(&self, kind: Kind) -> Vec<Told> {
        match self {
            Refused::NoCluster => {
                vec![Told::Closed { status: 14, message: "Cluster not available".into() }]
            }
            Refused::NoHost => {
                Client::new(kind).take_reply_of_envoy("no healthy upstream", "no_healthy_upstream")
            }
        }
    }
}

impl ActiveContext {
    pub(in crate::proxy) fn grpc_call_here(&mut self, call: GrpcRequest) -> CallResult<CalloutToken> {
        let GrpcRequest { method, message, timeout } = call;
        let id = self.begin_grpc(&method, Kind::Call, Some(timeout))?;
        self.core.grpc_heard(id, GrpcHeard::Message(message));
        self.core.grpc_heard(id, GrpcHeard::End);
        if !timeout.is_zero() {
            self.core.due.push((timeout, Due::Grpc { id, event: GrpcEvent::Timeout }));
        }
        Ok(CalloutToken(id.token))
    }

    pub(in crate::proxy) fn grpc_stream_here(&mut self, method: &GrpcMethod) -> CallResult<CalloutToken> {
        Ok(CalloutToken(self.begin_grpc(method, Kind::Stream, None)?.token))
    }

    fn begin_grpc(
        &mut self,
        method: &GrpcMethod,
        kind: Kind,
        timeout: Option<Duration>,
    ) -> CallResult<GrpcId> {
        let target = self.target(method)?;
        let id = self.next_grpc_id(kind);
        let Target::Cluster { name, .. } = &target else {
            return self.begin_elsewhere(id, kind, &target);
        };
        let name = name.clone();
        if !self.core.spec.clusters.contains_key(&name) {
            return self.refuse(id, kind, &Refused::NoCluster);
        }
        let headers = as_sent(&target, method, timeout);
        self.note_unanswered(&name);
        self.note_callout(&name, &headers, id.token);
        let timeout = timeout.filter(|timeout| !timeout.is_zero());
        let callout = GrpcCallout { cluster: name, headers, timeout };
        if self.is_canary() {
            return Ok(id);
        }
        let refusing = GrpcAnswer::Http(CalloutAnswer::ConnectFailure { after: Duration::ZERO });
        let (service, answer) = match self.core.services.answer_grpc(&callout) {
            Some((service, answer)) => (Some(service), answer),
            None => (None, refusing),
        };
        match answer {
            GrpcAnswer::Http(CalloutAnswer::NoHealthyHost) => self.refuse(id, kind, &Refused::NoHost),
            answer => {
                self.fly(id, kind, service, answer);
                Ok(id)
            }
        }
    }

    fn target(&mut self, method: &GrpcMethod) -> CallResult<Target> {
        if let Some(target) = service::parse(&method.target) {
            return Ok(target);
        }
        let name = std::str::from_utf8(&method.target).map_err(|_| CallStatus::ParseFailure)?;
        if self.core.spec.clusters.contains_key(name) {
            Ok(Target::cluster(name))
        } else {
            Err(CallStatus::ParseFailure)
        }
    }

    fn next_grpc_id(&mut self, kind: Kind) -> GrpcId {
        let contexts = &mut self.core.vms[self.vm.0];
        let (next, bits) = match kind {
            Kind::Call => (&mut contexts.next_grpc_call, 1),
            Kind::Stream => (&mut contexts.next_grpc_stream, 2),
        };
        *next = next.wrapping_add(4);
        GrpcId { vm: self.vm, generation: contexts.generation, token: *next | bits }
    }

    /// Google's client, or no client at all.
    fn begin_elsewhere(&mut self, id: GrpcId, kind: Kind, target: &Target) -> CallResult<GrpcId> {
        if *target == Target::Google {
            let text = "google_grpc: this host does not carry it out; the call counts as refused";
            self.finding(FindingKind::Unimplemented, text);
            if self.is_canary() {
                return Ok(id);
            }
            let refusing = GrpcAnswer::Http(CalloutAnswer::ConnectFailure { after: Duration::ZERO });
            self.fly(id, kind, None, refusing);
            return Ok(id);
        }
        let text = "the service's name parses as a GrpcService without a target: this crashes Envoy";
        self.finding(FindingKind::WouldCrashEnvoy, text);
        Err(CallStatus::InternalFailure)
    }

    /// Fails within the hostcall. The close is told all the same, and of a stream what comes before it even at once.
    fn refuse<T>(&mut self, id: GrpcId, kind: Kind, why: &Refused) -> CallResult<T> {
        let plugin = self.effective_plugin();
        for told in why.told(kind) {
            if matches!(told, Told::Closed { .. }) {
                self.core.effects.push_back(Effect::TellGrpc { plugin, id, told });
            } else {
                self.nested.push_back(Nested::Grpc { token: id.token, told });
            }
        }
        Err(CallStatus::InternalFailure)
    }

    fn fly(
        &mut self,
        id: GrpcId,
        kind: Kind,
        service: Option<crate::upstream::GrpcCallNumber>,
        answer: GrpcAnswer,
    ) {
        let mut flight = Flight::new(self.effective_plugin(), kind, service, answer.clone());
        flight.began = self.core.now;
        let failure = match answer {
            GrpcAnswer::Http(CalloutAnswer::ConnectFailure { after }) => {
                Some((after, "remote connection failure", CONNECTION_FAILURE))
            }
            GrpcAnswer::Http(CalloutAnswer::Disconnect { after }) => {
                Some((after, "connection termination", CONNECTION_TERMINATION))
            }
            _ => None,
        };
        self.core.grpc.0.insert(id, flight);
        match failure {
            Some((after, reason, details)) => {
                self.core.due.push((after, Due::Grpc { id, event: GrpcEvent::Failed { reason, details } }));
            }
            None => self.core.schedule_grpc(id),
        }
    }

    pub(in crate::proxy) fn grpc_send_here(
        &mut self,
        token: CalloutToken,
        message: Bytes,
        end: bool,
    ) -> CallResult {
        if kind_of(token.0)? != Kind::Stream {
            return Err(CallStatus::BadArgument);
        }
        let id = self.flight(token)?;
        if self.is_freed(id, "grpc_send") {
            return Ok(());
        }
        let Some(flight) = self.core.grpc.0.get(&id) else {
            return Err(CallStatus::NotFound);
        };
        if flight.ended || flight.client.closed {
            return Ok(());
        }
        self.core.grpc_heard(id, GrpcHeard::Message(message));
        if end {
            self.core.grpc_heard(id, GrpcHeard::End);
        }
        Ok(())
    }

    pub(in crate::proxy) fn grpc_cancel_here(&mut self, token: CalloutToken) -> CallResult {
        kind_of(token.0)?;
        let id = self.flight(token)?;
        if !self.is_freed(id, "grpc_cancel") {
            self.core.grpc_heard(id, GrpcHeard::Reset);
        }
        self.core.grpc.0.remove(&id);
        Ok(())
    }

    pub(in crate::proxy) fn grpc_close_here(&mut self, token: CalloutToken) -> CallResult {
        if kind_of(token.0)? == Kind::Call {
            return self.grpc_cancel_here(token);
        }
        let id = self.flight(token)?;
        let freed = self.is_freed(id, "grpc_close");
        let Some(flight) = self.core.grpc.0.get_mut(&id) else {
            return Err(CallStatus::NotFound);
        };
        if flight.remote_closed {
            self.core.grpc.0.remove(&id);
            return Ok(());
        }
        let was_open = !flight.ended && !freed;
        flight.local_closed = true;
        if was_open {
            self.core.grpc_heard(id, GrpcHeard::End);
        }
        Ok(())
    }

    fn flight(&self, token: CalloutToken) -> CallResult<GrpcId> {
        let generation = self.core.vms[self.vm.0].generation;
        let id = GrpcId { vm: self.vm, generation, token: token.0 };
        let plugin = self.effective_plugin();
        let is_own = self.core.grpc.0.get(&id).is_some_and(|flight| flight.plugin == plugin);
        if is_own { Ok(id) } else { Err(CallStatus::NotFound) }
    }

    /// The stream is over and its guest knows: Envoy keeps the number and has freed what it stands for.
    fn is_freed(&mut self, id: GrpcId, hostcall: &str) -> bool {
        let over = self.core.grpc.0.get(&id).is_some_and(|flight| flight.over);
        if over {
            let text = format!("{hostcall} on a stream that has ended: Envoy uses memory it has freed");
            self.finding(FindingKind::WouldCrashEnvoy, text);
        }
        over
    }
}

const CONNECTION_FAILURE: &str = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}";
const CONNECTION_TERMINATION: &str = "upstream_reset_before_response_started{connection_termination}";

/// The request's head as the service sees it.
fn as_sent(target: &Target, method: &GrpcMethod, timeout: Option<Duration>) -> HeaderMap {
    let Target::Cluster { name, authority, metadata, without_envoys_headers } = target else {
        return HeaderMap::new();
    };
    let path = [b"/", &method.service[..], b"/", &method.method[..]].concat();
    let mut headers = HeaderMap::from_iter([(":method", "POST")]);
    headers.push(":path", path);
    headers.push(":authority", authority.as_ref().unwrap_or(name).clone());
    headers.push(":scheme", "http");
    headers.push("te", "trailers");
    if let Some(timeout) = timeout {
        headers.push("grpc-timeout", format!("{}m", timeout.as_millis()));
    }
    headers.push("content-type", "application/grpc");
    let given = method.metadata.iter().map(|field| (field.name.clone(), field.value.clone()));
    for (name, value) in metadata.iter().cloned().chain(given) {
        header_rules::add(MapType::RequestHeaders, &mut headers, name, value);
    }
    if !without_envoys_headers {
        add_envoys_headers(&mut headers, timeout.filter(|timeout| !timeout.is_zero()));
    }
    headers
}

/// So that the failure's words stand in one place.
pub(super) fn failure(client: &mut Client, reason: &str, details: &'static str) -> Vec<Told> {
    client.take_reply_of_envoy(&failure_text(reason), details)
}
