//! The router's part in a stream: choosing a route, one attempt upstream, its timeout, and the replies a router makes.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::proxy::{
    Proxy,
    core::{Core, Due},
    header_rules,
    streams::route_state::{Choice, Chosen},
    streams::router_timeouts::{RouteTimeout, Timeouts},
    streams::state::{End, StreamId, StreamState},
};
use crate::{
    message::{HeaderMap, Message},
    router::{Forward, PathMatch, Redirect, ResponseFlag, RouteAction, RouterReply, SelectedRoute},
    stream::{Part, Path, Reply, Step, respond},
    trace::{FindingKind, What},
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
        let virtual_host = listener.http.routes.virtual_host_of(headers).cloned();
        let selected = virtual_host.as_ref().filter(|_| !taken_away).and_then(|host| host.select(headers));
        let choice = match selected {
            Some(route) => {
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
                if let Err(reply) = self.send_headers(id) {
                    return self.own_reply(id, reply);
                }
                end_of_stream
            }
            Part::Data { end_of_stream } => {
                if let Some(sent) =
                    self.core_mut().streams.get_mut(&id).and_then(|s| s.upstream_request.as_mut())
                    && !data.is_empty()
                {
                    sent.body.push(data);
                }
                end_of_stream
            }
            Part::Trailers => {
                if let Some(stream) = self.core_mut().streams.get_mut(&id) {
                    let trailers = stream.manager.request.trailers.clone();
                    if let Some(sent) = &mut stream.upstream_request {
                        sent.trailers = trailers;
                    }
                }
                true
            }
        };
        if end_of_stream {
            self.await_upstream(id);
        }
    }

    /// Sends the headers to the chosen cluster, or says what the proxy answers instead.
    fn send_headers(&mut self, id: StreamId) -> Result<(), OwnReply> {
        let core = self.core_mut();
        core.choose_route(id);
        let spec = Arc::clone(&core.spec);
        let now = core.now;
        let Some(stream) = core.streams.get_mut(&id) else {
            return Ok(());
        };
        let Choice::Chosen(chosen) = stream.route.choice.clone() else {
            return Err(RouterReply::ROUTE_NOT_FOUND.into());
        };
        let route = &chosen.route;
        let forward = forward(route, stream.request_headers())?;
        let cluster = chosen.cluster().and_then(|name| spec.clusters.get(name));
        let cluster = cluster.ok_or(RouterReply::CLUSTER_NOT_FOUND)?;
        stream.route.attempts = stream.recorded_attempts();
        if !cluster.endpoints.iter().any(|endpoint| endpoint.healthy) {
            return Err(RouterReply::NO_HEALTHY_UPSTREAM.into());
        }
        if !stream.request_headers().is_some_and(|headers| headers.contains(b":method")) {
            return Err(lacking_header(
                "request",
                ":method",
                503,
                ResponseFlag::DownstreamProtocolError.bit(),
            ));
        }
        if let Some(refusal) = stream.request_headers().and_then(header_rules::refusal) {
            return Err(invalid_header(refusal));
        }
        stream.send_headers_upstream(route, forward, now);
        if let Some(duration) = stream.route.stream_duration {
            core.due.push((duration, Due::RouteTimeout { stream: id, of: RouteTimeout::StreamDuration }));
        }
        if stream.exchange.timing.request_stalls {
            // The request has no end that an answer could wait for: what was recorded came before it.
            let latency = stream.recorded_latency();
            core.due.push((latency, Due::UpstreamAnswer { stream: id }));
        }
        if core.traces() {
            let (route, cluster) = (route.route.name.clone(), cluster.name.clone());
            core.note_proxy(id, What::Routed { route, cluster });
        }
        Ok(())
    }

    /// The upstream answers, and the route's timeout runs, from the end of the request: a filter may have held it back.
    fn await_upstream(&mut self, id: StreamId) {
        let core = self.core_mut();
        let Some(stream) = core.streams.get(&id).filter(|stream| stream.route.sent.is_some()) else {
            return;
        };
        let (latency, timeouts) = (stream.recorded_latency(), stream.route.timeouts);
        match stream.length_mismatch() {
            None => core.due.push((latency, Due::UpstreamAnswer { stream: id })),
            Some((sent, told)) => {
                let text = format!(
                    "filters left a body of {sent} bytes under content-length: {told}: an HTTP/1 upstream {}",
                    if sent < told { "waits for the rest" } else { "takes the rest for another request" }
                );
                core.note_proxy(id, What::Finding { kind: FindingKind::LengthMismatch, text });
                // It has what it was told to expect, and answers.
                if sent > told {
                    core.due.push((latency, Due::UpstreamAnswer { stream: id }));
                }
            }
        }
        for (after, of) in timeouts.into_iter().flatten() {
            core.due.push((after, Due::RouteTimeout { stream: id, of }));
        }
    }

    pub(in crate::proxy) fn route_timed_out(&mut self, id: StreamId, of: RouteTimeout) {
        let core = self.core_mut();
        let Some(stream) = core.streams.get(&id).filter(|stream| stream.end.is_none()) else { return };
        if stream.manager.response.headers.is_some() {
            return;
        }
        let mut reply = OwnReply::from(match of {
            RouteTimeout::Global => RouterReply::TIMEOUT,
            RouteTimeout::PerTry => RouterReply::PER_TRY_TIMEOUT,
            RouteTimeout::StreamDuration => RouterReply::STREAM_DURATION,
        });
        if of == RouteTimeout::StreamDuration && !stream.manager.has_arrived(Path::Decode) {
            reply.status = 408;
        } else if of != RouteTimeout::StreamDuration && stream.route.alternative_response {
            (reply.status, reply.body) = (204, Bytes::new());
        }
        self.own_reply(id, reply);
    }

    pub(in crate::proxy) fn own_reply(&mut self, id: StreamId, reply: OwnReply) {
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
        let OwnReply { status, headers, body, details, .. } = lacking_header("response", ":status", 502, 0);
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

    /// The recorded response arrives; or, where none was recorded, the stream breaks off as it did then.
    pub(in crate::proxy) fn upstream_answered(&mut self, id: StreamId) {
        let core = self.core_mut();
        let now = core.now;
        let Some(stream) = core.streams.get_mut(&id) else {
            return;
        };
        if stream.end.is_some() || stream.manager.response.headers.is_some() {
            return;
        }
        let Some(response) = stream.exchange.response.clone() else { return self.client_left(id) };
        stream.route.answered = Some(now);
        stream.route.frozen = true;
        let status = response.headers.first(b":status").cloned().unwrap_or_default();
        stream.details = Some("via_upstream".into());
        stream.note_code(&response.headers);
        stream.touch(now);
        if stream.exchange.breaks_off() {
            stream.manager.receive_without_end(Path::Encode, response);
            core.due.push((Duration::ZERO, Due::UpstreamBreaks { stream: id }));
        } else {
            stream.manager.receive(Path::Encode, response);
        }
        if core.traces() {
            core.note_proxy(id, What::UpstreamAnswered { status: status.escape_ascii().to_string() });
        }
        self.ready.push_back(id);
    }
}

impl Proxy {
    /// The upstream is gone in the middle of its answer: the client cannot be told anything else.
    pub(in crate::proxy) fn upstream_broke_off(&mut self, id: StreamId) {
        let core = self.core_mut();
        let Some(stream) = core.streams.get_mut(&id).filter(|stream| stream.end.is_none()) else {
            return;
        };
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
    /// How long the client waits that left without an answer; `None` where it got one, or where the times are unknown.
    pub(in crate::proxy) fn client_stays(&self) -> Option<Duration> {
        if self.exchange.timing.client_patience.is_some() {
            return self.exchange.timing.client_patience;
        }
        let known = self.exchange.timing.request_headers.and(self.exchange.timing.response_headers);
        (self.exchange.response.is_none() && known.is_some()).then(|| self.recorded_latency())
    }

    /// Between the request's headers and the response's, as recorded; at once where times are missing.
    fn recorded_latency(&self) -> Duration {
        let timing = self.exchange.timing;
        match (timing.request_headers, timing.response_headers) {
            (Some(request), Some(response)) => response.saturating_sub(request),
            _ => Duration::ZERO,
        }
    }

    /// What the router does to the headers on their way: reads its own, removes them, and tells the upstream how long
    /// it has.
    fn send_headers_upstream(&mut self, route: &SelectedRoute, forward: &Forward, now: Duration) {
        let attempts = self.route.attempts;
        let Some(headers) = self.manager.request.headers.as_mut() else {
            return;
        };
        self.filtered_headers = Some(headers.clone());
        let per_try = route.retry_policy().and_then(|policy| policy.per_try_timeout);
        let plain = forward.timeout.filter(|_| forward.max_stream_duration.is_none());
        let timeouts = Timeouts::of(headers, plain, per_try);
        headers.remove_all(|name| name.starts_with(b"x-envoy-") && CONSUMED.contains(&name));
        // Both stand where the caller's own stood, if it sent any.
        if let Some(timeout) = timeouts.told {
            headers.set(b"x-envoy-expected-rq-timeout-ms", timeout.as_millis().to_string());
        }
        if route.virtual_host.include_request_attempt_count {
            headers.set(b"x-envoy-attempt-count", attempts.to_string());
        }
        self.upstream_request = Some(Message { headers: headers.clone(), ..Message::default() });
        self.route.timeouts = timeouts.of_answer();
        self.route.stream_duration = timeouts.stream_duration;
        self.route.alternative_response = timeouts.alternative_response;
        self.route.sent = Some(now);
    }

    /// How many bytes of body filters let go, and how many the headers tell of, where that is not the same any more.
    fn length_mismatch(&self) -> Option<(u64, u64)> {
        let sent = self.upstream_request.as_ref()?;
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
        count.unwrap_or(1)
    }
}
