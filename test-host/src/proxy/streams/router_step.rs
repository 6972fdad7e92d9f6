//! The router's part in a stream: choosing a route, the request's headers, timeouts, and the replies a router makes.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::proxy::{
    Proxy,
    core::{Core, Due},
    header_rules,
    streams::route_state::{Choice, Chosen},
    streams::router_timeouts::{RouteTimeout, Timeouts},
    streams::state::{End, StreamId, StreamState},
};
use crate::{
    message::HeaderMap,
    router::{
        Forward, PathMatch, Redirect, ResetReason, ResponseFlag, RetryState, RouteAction, RouterReply,
        SelectedRoute,
    },
    stream::{Part, Path, Reply, Step, respond},
    trace::What,
};

/// Headers that the router reads and does not pass on (`envoy-abi` 9.2).
const CONSUMED: [&[u8]; 10] = [
    b"x-envoy-retry-on",
    b"x-envoy-retry-grpc-on",
    b"x-envoy-max-retries",
    b"x-envoy-retriable-status-codes",
    b"x-envoy-retriable-header-names",
    b"x-envoy-upstream-rq-timeout-ms",
    b"x-envoy-upstream-rq-per-try-timeout-ms",
    b"x-envoy-hedge-on-per-try-timeout",
    b"x-envoy-upstream-rq-timeout-alt-response",
    b"x-envoy-upstream-stream-duration-ms",
];

impl Core {
    /// Chooses the stream's route, unless one stands.
    pub(in crate::proxy) fn choose_route(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if !matches!(stream.route.choice, Choice::Open) {
            return;
        }
        let (Some(headers), Some(listener)) =
            (stream.request_headers(), self.spec.listeners.get(stream.listener))
        else {
            return;
        };
        // The connection manager puts it on every request, and without it Envoy looks for no route. A recording may lack it.
        let forwarded_proto = b"x-forwarded-proto";
        let taken_away =
            !headers.contains(forwarded_proto) && stream.exchange.request.headers.contains(forwarded_proto);
        let virtual_host = listener.http.routes.virtual_host_of(headers);
        let selected = virtual_host
            .filter(|_| !taken_away)
            .and_then(|host| host.matching(headers).map(|route| (host, route)));
        // Most edits of headers make no difference to it.
        if selected.is_some_and(|(_, route)| stream.route.is_of(route)) {
            stream.route.choice = stream.route.shown.clone();
            return;
        }
        let virtual_host = virtual_host.cloned();
        let choice = match selected {
            Some((virtual_host, route)) => {
                let (virtual_host, route) = (Arc::clone(virtual_host), Arc::clone(route));
                let route = SelectedRoute { virtual_host, route };
                let random = stream.exchange.id.number.into();
                let picked = match route.named_cluster() {
                    Some(_) => None,
                    None => route.cluster(headers, random).map(str::to_owned),
                };
                Choice::Chosen(Arc::new(Chosen { route, picked }))
            }
            None => Choice::NoMatch,
        };
        stream.route.virtual_host = virtual_host;
        stream.route.choose(choice);
        if let Some(limit) = stream.route.chosen().and_then(SelectedRoute::buffer_limit)
            && stream.manager.buffer_limit().is_some_and(|current| current < limit)
        {
            stream.manager.set_buffer_limit(Some(limit));
        }
        self.set_timers(id);
    }
}

impl Proxy {
    /// A part of the request has passed all filters.
    pub(in crate::proxy) fn send_upstream(&mut self, id: StreamId, part: Part, data: Bytes) {
        let end_of_stream = match part {
            Part::Headers { end_of_stream } => {
                if let Err(reply) = self.prepare_headers(id) {
                    return self.own_reply(id, reply);
                }
                self.begin_attempt(id, end_of_stream);
                end_of_stream
            }
            Part::Data { end_of_stream } => {
                if let Some(stream) = self.core_mut().streams.get_mut(&id)
                    && stream.route.retry.is_some()
                    && !data.is_empty()
                {
                    stream.route.kept.push(data.clone());
                }
                self.pass_on(id, part, data);
                end_of_stream
            }
            Part::Trailers => {
                self.pass_on(id, part, data);
                true
            }
        };
        if end_of_stream {
            self.request_completed(id);
        }
    }

    /// Makes the headers ready for the chosen cluster, or says what the proxy answers instead.
    fn prepare_headers(&mut self, id: StreamId) -> Result<(), OwnReply> {
        let core = self.core_mut();
        core.choose_route(id);
        let spec = Arc::clone(&core.spec);
        let Some(stream) = core.streams.get(&id) else {
            return Ok(());
        };
        let Choice::Chosen(chosen) = stream.route.choice.clone() else {
            return Err(RouterReply::ROUTE_NOT_FOUND.into());
        };
        let route = &chosen.route;
        let forward = forward(route, stream.request_headers())?;
        let cluster = chosen.cluster().and_then(|name| spec.clusters.get(name));
        let cluster = cluster.ok_or(RouterReply::CLUSTER_NOT_FOUND)?;
        let has_chain = core.upstream_chain(&cluster.name, stream.listener, stream.thread).is_some();
        let Some(stream) = core.streams.get_mut(&id) else {
            return Ok(());
        };
        stream.route.attempts = stream.recorded_attempts();
        if !cluster.endpoints.iter().any(|endpoint| endpoint.healthy) {
            return Err(RouterReply::NO_HEALTHY_UPSTREAM.into());
        }
        // Upstream filters are shown them all the same.
        if !has_chain && let Some(reply) = stream.request_headers().and_then(refused_headers) {
            return Err(reply);
        }
        stream.route_headers(route, forward);
        if core.traces() {
            let (route, cluster) = (route.route.name.clone(), cluster.name.clone());
            core.note_proxy(id, What::Routed { route, cluster });
        }
        Ok(())
    }

    /// The end of the request has passed all filters: the route's timeouts run.
    fn request_completed(&mut self, id: StreamId) {
        let core = self.core_mut();
        let now = core.now;
        let Some(stream) = core.streams.get_mut(&id).filter(|stream| stream.route.sent.is_some()) else {
            return;
        };
        stream.route.request_complete = Some(now);
        let global = stream.route.timeouts.global;
        let open: SmallVec<[u32; 2]> = stream.route.open.iter().map(|attempt| attempt.number).collect();
        for attempt in open {
            self.start_per_try(id.attempt(attempt));
        }
        if let Some(after) = global {
            self.core_mut().due.push((after, Due::RouteTimeout { stream: id, of: RouteTimeout::Global }));
        }
    }

    /// The time of an attempt begins, once there is a connection for it.
    pub(in crate::proxy) fn start_per_try(&mut self, attempt: StreamId) {
        let core = self.core_mut();
        let Some(stream) = core.streams.get(&attempt.downstream()) else { return };
        if let Some(after) = stream.route.timeouts.per_try {
            core.due.push((after, Due::RouteTimeout { stream: attempt, of: RouteTimeout::PerTry }));
        }
    }

    pub(in crate::proxy) fn route_timed_out(&mut self, stream_or_attempt: StreamId, of: RouteTimeout) {
        let id = stream_or_attempt.downstream();
        let core = self.core_mut();
        let Some(stream) = core.streams.get_mut(&id).filter(|stream| stream.end.is_none()) else { return };
        if stream.manager.response.headers.is_some() {
            return;
        }
        if stream_or_attempt.is_attempt() && stream.route.attempt(stream_or_attempt.attempt).is_none() {
            return;
        }
        let mut reply = OwnReply::from(match of {
            RouteTimeout::Global => RouterReply::TIMEOUT,
            RouteTimeout::PerTry => RouterReply::PER_TRY_TIMEOUT,
            RouteTimeout::StreamDuration => RouterReply::STREAM_DURATION,
        });
        if of == RouteTimeout::StreamDuration && !stream.manager.has_arrived(Path::Decode) {
            reply.status = 408;
        } else if of != RouteTimeout::StreamDuration && stream.route.timeouts.alternative_response {
            (reply.status, reply.body) = (204, Bytes::new());
        }
        stream.tell_attempts(&mut reply);
        match of {
            RouteTimeout::Global => self.own_reply(id, reply),
            RouteTimeout::PerTry => self.attempt_timed_out(stream_or_attempt, reply),
            RouteTimeout::StreamDuration => {
                self.give_up_or_retry(stream_or_attempt, ResetReason::LocalReset, reply);
            }
        }
    }

    pub(in crate::proxy) fn own_reply(&mut self, id: StreamId, reply: OwnReply) {
        let id = id.downstream();
        let told =
            What::RouterReplied { status: reply.status.into(), details: reply.details.clone().into_owned() };
        self.core_mut().note_proxy(id, told);
        self.set_details(id, reply.details.as_bytes());
        if let Some(stream) = self.core_mut().streams.get_mut(&id) {
            stream.response_flags |= reply.flags;
        }
        let OwnReply { status, headers, body, .. } = reply;
        self.reply(id, Reply { status: status.into(), headers, body, grpc_status: None });
    }

    /// A filter buffers more than it may.
    pub(in crate::proxy) fn refuse_body(&mut self, id: StreamId, path: Path) {
        let (status, body, details) = match path {
            Path::Decode => (413, "Payload Too Large", "request_payload_too_large"),
            Path::Encode => (500, "Internal Server Error", "response_payload_too_large"),
        };
        let (headers, body) = (HeaderMap::new(), Bytes::from(body));
        self.own_reply(id, OwnReply { status, headers, body, details: details.into(), flags: 0 });
    }

    /// A response without a status cannot go out: another goes in its place, past all filters.
    pub(in crate::proxy) fn replace_statusless_response(&mut self, id: StreamId) {
        let OwnReply { status, headers, body, details, .. } = lacking_status();
        self.core_mut().note_proxy(
            id,
            What::RouterReplied { status: status.into(), details: details.clone().into_owned() },
        );
        self.set_details(id, details.as_bytes());
        if let Some(stream) = self.core_mut().streams.get_mut(&id) {
            let reply = Reply { status: status.into(), headers, body, grpc_status: None };
            let (headers, body) = respond(stream.reply_form(), reply);
            self.send_directly(id, headers, body);
        }
        self.end_stream(id, End::Complete);
    }

    /// The client is gone, as it was in the recording: nothing more can be told to it.
    pub(in crate::proxy) fn client_left(&mut self, id: StreamId) {
        let core = self.core_mut();
        let Some(stream) = core.streams.get_mut(&id) else { return };
        if stream.end.is_some() {
            return;
        }
        stream.route.frozen = true;
        stream.details = Some("downstream_remote_disconnect".into());
        stream.response_flags |= 1 << 14;
        core.note_proxy(id, What::ClientLeft);
        self.end_stream(id, End::Disconnected);
    }
}

impl Proxy {
    /// The upstream is gone in the middle of its answer: the client cannot be told anything else.
    pub(in crate::proxy) fn upstream_broke_off(&mut self, attempt: StreamId) {
        let id = attempt.downstream();
        let core = self.core_mut();
        let Some(stream) = core.streams.get_mut(&id).filter(|stream| stream.end.is_none()) else {
            return;
        };
        match stream.route.attempt(attempt.attempt) {
            Some(open) if open.awaits_headers => {
                return self.attempt_reset(attempt, ResetReason::ProtocolError);
            }
            Some(_) => {}
            None => return,
        }
        self.end_attempt(attempt);
        let core = self.core_mut();
        let Some(stream) = core.streams.get_mut(&id) else { return };
        stream.route.frozen = true;
        core.note_proxy(id, What::UpstreamBroke);
        // It goes out only where a filter still holds the response's headers.
        let text = "upstream connect error or disconnect/reset before headers. reset reason: protocol error";
        let reply = OwnReply {
            status: 502,
            headers: HeaderMap::new(),
            body: Bytes::from(text),
            details: "upstream_reset_after_response_started{protocol_error}".into(),
            flags: ResponseFlag::UpstreamProtocolError.bit(),
        };
        self.own_reply(id, reply);
    }

    /// Whether this step counts as activity for the idle timeout.
    pub(in crate::proxy) fn note_activity(&mut self, id: StreamId, step: &Step) {
        let active = match step {
            Step::Call { path, part, .. } | Step::Forward { path, part, .. } => {
                *path == Path::Encode || matches!(part, Part::Data { .. })
            }
            Step::TooLarge { .. } => false,
        };
        let core = self.core_mut();
        let now = core.now;
        if let Some(stream) = core.streams.get_mut(&id).filter(|_| active) {
            stream.touch(now);
        }
    }
}

/// What the proxy answers where it asks no upstream.
pub(in crate::proxy) struct OwnReply {
    pub(in crate::proxy) status: u16,
    pub(in crate::proxy) headers: HeaderMap,
    pub(in crate::proxy) body: Bytes,
    pub(in crate::proxy) details: Cow<'static, str>,
    /// Bits of `response.flags`.
    pub(in crate::proxy) flags: u64,
}

/// What the proxy answers where a filter took a response's status away.
pub(in crate::proxy) fn lacking_status() -> OwnReply {
    lacking_header("response", ":status", 502, 0)
}

/// What the proxy answers where a filter took away a header that there must be. `flags`: `response.flags`.
fn lacking_header(message: &str, header: &str, status: u16, flags: u64) -> OwnReply {
    OwnReply {
        status,
        headers: HeaderMap::new(),
        body: format!("missing required header: {header}").into(),
        details: format!("filter_removed_required_{message}_headers{{missing_required_header:_{header}}}")
            .into(),
        flags,
    }
}

/// What the proxy answers where the upstream's codec does not take these headers.
pub(in crate::proxy) fn refused_headers(headers: &HeaderMap) -> Option<OwnReply> {
    if !headers.contains(b":method") {
        let flags = ResponseFlag::DownstreamProtocolError.bit();
        return Some(lacking_header("request", ":method", 503, flags));
    }
    header_rules::refusal(headers).map(invalid_header)
}

/// What the proxy answers where a filter wrote a header that must not go out.
fn invalid_header(refusal: Vec<u8>) -> OwnReply {
    let why = String::from_utf8_lossy(&refusal).replace(' ', "_");
    OwnReply {
        status: 503,
        headers: HeaderMap::new(),
        details: format!("filter_removed_required_request_headers{{{why}}}").into(),
        body: refusal.into(),
        flags: ResponseFlag::DownstreamProtocolError.bit(),
    }
}

impl From<RouterReply> for OwnReply {
    fn from(reply: RouterReply) -> Self {
        let mut headers = HeaderMap::new();
        if reply.overloaded {
            headers.push("x-envoy-overloaded", "true");
        }
        OwnReply {
            status: reply.status,
            headers,
            body: Bytes::from(reply.body.into_owned()),
            details: reply.details,
            flags: reply.flag.map_or(0, ResponseFlag::bit),
        }
    }
}

/// Where the route goes to a cluster; its own answer otherwise.
fn forward<'a>(route: &'a SelectedRoute, headers: Option<&HeaderMap>) -> Result<&'a Forward, OwnReply> {
    match &route.route.action {
        RouteAction::Forward(forward) => Ok(forward),
        RouteAction::DirectResponse(direct) => Err(OwnReply {
            status: direct.status,
            headers: HeaderMap::new(),
            body: direct.body.clone(),
            details: "direct_response".into(),
            flags: 0,
        }),
        RouteAction::Redirect(redirect) => Err(redirected(route, redirect, headers)),
    }
}

fn redirected(route: &SelectedRoute, redirect: &Redirect, headers: Option<&HeaderMap>) -> OwnReply {
    let first = |name: &[u8]| headers.and_then(|map| map.first(name)).cloned().unwrap_or_default();
    let path = first(b":path");
    let matched = matched_len(&route.route.matches.path, &path);
    let location = redirect.location(&first(b":scheme"), &first(b":authority"), &path, matched);
    OwnReply {
        status: redirect.status,
        headers: HeaderMap::from_iter([("location", location)]),
        body: Bytes::new(),
        details: "direct_response".into(),
        flags: 0,
    }
}

/// How much of the path the route's matcher covered.
fn matched_len(matcher: &PathMatch, path: &[u8]) -> usize {
    let whole = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
    match matcher {
        PathMatch::Prefix(prefix) | PathMatch::SeparatedPrefix(prefix) => prefix.len(),
        _ => whole,
    }
}

impl StreamState {
    /// A reply of the router that comes in the place of an attempt's answer.
    pub(in crate::proxy) fn tell_attempts(&self, reply: &mut OwnReply) {
        let told = self.route.chosen();
        if told.is_some_and(|route| route.virtual_host.include_attempt_count_in_response) {
            reply.headers.push("x-envoy-attempt-count", self.route.attempts.to_string());
        }
    }

    /// How long the client waits that left without an answer; `None` where it got one, or where the times are unknown.
    pub(in crate::proxy) fn client_stays(&self) -> Option<Duration> {
        if self.exchange.timing.client_patience.is_some() {
            return self.exchange.timing.client_patience;
        }
        let known = self.exchange.timing.request_headers.and(self.exchange.timing.response_headers);
        let is_recorded = self.exchange.answers.is_empty();
        (is_recorded && self.exchange.response.is_none() && known.is_some()).then(|| self.recorded_latency())
    }

    /// Between the request's headers and the response's, as recorded; at once where times are missing.
    pub(in crate::proxy) fn recorded_latency(&self) -> Duration {
        let timing = self.exchange.timing;
        match (timing.request_headers, timing.response_headers) {
            (Some(request), Some(response)) => response.saturating_sub(request),
            _ => Duration::ZERO,
        }
    }

    /// What the router does to the headers on their way: reads its own, removes them, and tells the upstream how long
    /// it has.
    fn route_headers(&mut self, route: &SelectedRoute, forward: &Forward) {
        let attempts = self.route.attempts;
        let Some(headers) = self.manager.request.headers.as_mut() else {
            return;
        };
        self.filtered_headers = Some(headers.clone());
        let policy = route.retry_policy();
        let per_try = policy.and_then(|policy| policy.per_try_timeout);
        let plain = forward.timeout.filter(|_| forward.max_stream_duration.is_none());
        let timeouts = Timeouts::of(headers, plain, per_try, forward.hedge_on_per_try_timeout);
        if !self.exchange.answers.is_empty() {
            self.route.retry = RetryState::new(policy, headers);
        }
        headers.remove_all(|name| name.starts_with(b"x-envoy-") && CONSUMED.contains(&name));
        // Both stand where the caller's own stood, if it sent any.
        if let Some(timeout) = timeouts.told {
            headers.set(b"x-envoy-expected-rq-timeout-ms", timeout.as_millis().to_string());
        }
        if route.virtual_host.include_request_attempt_count {
            headers.set(b"x-envoy-attempt-count", attempts.to_string());
        }
        self.route.timeouts = timeouts;
    }

    /// How many bytes of body filters let go, and how many the headers tell of, where that is not the same any more.
    pub(in crate::proxy) fn length_mismatch(&self, attempt: u32) -> Option<(u64, u64)> {
        let (_, sent) = self.sent.iter().find(|(number, _)| *number == attempt)?;
        let length = sent.body_len() as u64;
        if length == self.manager.request.bytes_received {
            return None;
        }
        let told = std::str::from_utf8(sent.headers.first(b"content-length")?).ok()?.parse().ok()?;
        (length != told).then_some((length, told))
    }

    /// What the recording's own Envoy counted, where it told the client.
    fn recorded_attempts(&self) -> u32 {
        let count = self.exchange.response.as_ref().and_then(|response| {
            std::str::from_utf8(response.headers.first(b"x-envoy-attempt-count")?).ok()?.parse().ok()
        });
        // Of what is written by hand, this is the first.
        count.filter(|count| *count > 0 && self.exchange.answers.is_empty()).unwrap_or(1)
    }
}
