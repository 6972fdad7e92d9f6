//! One attempt of the router: its upstream filters, which are a stream of their own, and the upstream behind them
//! (`source/common/router/upstream_request.cc`, `upstream_codec_filter.cc`).

use bytes::Bytes;

use crate::proxy::{
    Proxy,
    core::{Core, Due},
    streams::{
        retries::ROUTERS_OWN,
        route_state::Attempt,
        router_step::{lacking_status, refused_headers},
        router_timeouts::RouteTimeout,
        state::{End, StreamId, StreamState},
    },
};
use crate::{
    message::{AnswerKind, Connection, Exchange, HeaderMap, Message, Origin, Timing},
    stream::{FilterIndex, Part, Path},
    trace::{FilterNumber, FindingKind, What},
};

impl Exchange {
    /// What an attempt meets; `None`: what was recorded.
    fn answer_to(&self, attempt: u32) -> Option<&crate::message::Answer> {
        let nth = usize::try_from(attempt).unwrap_or(usize::MAX).saturating_sub(1);
        self.answers.get(nth).or(self.answers.last())
    }

    /// What a stream of upstream filters has of it.
    fn of_attempt(&self) -> Self {
        Exchange {
            id: self.id.clone(),
            origin: Origin { file: self.origin.file.clone(), ..self.origin },
            request: Message::default(),
            response: None,
            answers: Vec::new(),
            timing: Timing::default(),
            connection: Connection::default(),
            notes: Vec::new(),
        }
    }
}

impl Proxy {
    /// Begins an attempt with the request's headers; what follows of the request comes through [`Self::pass_on`].
    pub(in crate::proxy) fn begin_attempt(&mut self, id: StreamId, end_of_stream: bool) {
        let core = self.core_mut();
        let now = core.now;
        let Some(stream) = core.streams.get(&id) else { return };
        let cluster = stream.route.cluster().unwrap_or_default();
        let chain = core.upstream_chain(cluster, stream.listener, stream.thread);
        let idle =
            chain.as_ref().and_then(|_| core.idle_upstream.get_mut(&(stream.thread, cluster.to_owned())));
        let is_open = idle.is_some_and(|idle| idle.checked_sub(1).inspect(|less| *idle = *less).is_some());
        let Some(stream) = core.streams.get_mut(&id) else { return };
        let number = stream.route.attempts;
        let attempt = id.attempt(number);
        let has_chain = chain.is_some();
        stream.route.open.push(Attempt { number, awaits_headers: true, hedged: false, has_chain });
        stream.route.sent = Some(now);
        stream.route.connected = !has_chain || is_open;
        let answer = stream.exchange.answer_to(number);
        let refused = answer.filter(|answer| answer.kind == AnswerKind::Refuses).map(|answer| answer.after);
        let recorded = stream.exchange.answers.is_empty().then(|| stream.recorded_latency());
        if let Some(after) = refused {
            core.due.push((after, Due::UpstreamAnswer { stream: attempt }));
        } else if let Some(duration) = stream.route.timeouts.stream_duration {
            core.due
                .push((duration, Due::RouteTimeout { stream: attempt, of: RouteTimeout::StreamDuration }));
        }
        let stalls = core.streams.get(&id).is_some_and(|stream| stream.exchange.timing.request_stalls);
        if let Some(latency) = recorded.filter(|_| stalls) {
            // The request has no end that an answer could wait for: what was recorded came before it.
            core.due.push((latency, Due::UpstreamAnswer { stream: attempt }));
        }
        let Some((plugins, first_filter)) = chain else {
            return self.send_to_upstream(attempt, Part::Headers { end_of_stream }, Bytes::new());
        };
        let Some(stream) = core.streams.get(&id) else { return };
        let (exchange, limit) = (Box::new(stream.exchange.of_attempt()), stream.manager.buffer_limit());
        let (listener, thread) = (stream.listener, stream.thread);
        let mut filtered =
            Box::new(StreamState::new(exchange, listener, (plugins, 0), first_filter, thread, now, limit));
        filtered.attempt_of = Some(id);
        filtered.manager.receive_headers(Path::Decode, end_of_stream);
        self.enter_chain(attempt, &mut filtered);
        self.core_mut().streams.insert(attempt, filtered);
        self.run(attempt);
        // A connection takes longer than filters that do not wait.
        if let Some(stream) = self.core_mut().streams.get_mut(&id) {
            stream.route.connected = refused.is_none();
        }
    }

    /// More of the request, behind its headers.
    pub(in crate::proxy) fn pass_on(&mut self, id: StreamId, part: Part, data: Bytes) {
        let Some(stream) = self.core_mut().streams.get_mut(&id) else { return };
        let Some(attempt) = stream.route.open.last().cloned() else { return };
        let trailers = stream.manager.request.trailers.clone();
        let to = id.attempt(attempt.number);
        if !attempt.has_chain {
            return self.send_to_upstream(to, part, data);
        }
        let Some(filtered) = self.core_mut().streams.get_mut(&to) else { return };
        match part {
            Part::Data { end_of_stream } => filtered.manager.receive_data(Path::Decode, data, end_of_stream),
            Part::Trailers => filtered.manager.receive_trailers(Path::Decode, trailers.unwrap_or_default()),
            Part::Headers { .. } => {}
        }
        self.run(to);
    }

    /// A part of an attempt's request has passed all upstream filters.
    pub(in crate::proxy) fn send_to_upstream(&mut self, attempt: StreamId, part: Part, data: Bytes) {
        let id = attempt.downstream();
        let Some(stream) = self.core_mut().streams.get_mut(&id) else { return };
        let refuses = |answer: &crate::message::Answer| answer.kind == AnswerKind::Refuses;
        if stream.exchange.answer_to(attempt.attempt).is_some_and(refuses) {
            return;
        }
        let end_of_stream = match part {
            Part::Headers { end_of_stream } => {
                // Where there are none, the router has looked at them before it began.
                let filtered = stream.route.attempt(attempt.attempt).is_some_and(|open| open.has_chain);
                if filtered && let Some(reply) = stream.request_headers().and_then(refused_headers) {
                    return self.own_reply(id, reply);
                }
                let headers = stream.request_headers().cloned().unwrap_or_default();
                stream.sent.push((attempt.attempt, Message { headers, ..Message::default() }));
                end_of_stream
            }
            Part::Data { end_of_stream } => {
                if let Some(sent) = stream.sent_in(attempt.attempt)
                    && !data.is_empty()
                {
                    sent.body.push(data);
                }
                end_of_stream
            }
            Part::Trailers => {
                let own = self
                    .core_mut()
                    .streams
                    .get(&attempt)
                    .and_then(|own| own.manager.request.trailers.clone());
                let Some(stream) = self.core_mut().streams.get_mut(&id) else { return };
                // Where the client sent none, a filter may have.
                let trailers = stream.manager.request.trailers.clone().or(own);
                if let Some(sent) = stream.sent_in(attempt.attempt) {
                    sent.trailers = trailers;
                }
                true
            }
        };
        if end_of_stream {
            self.await_upstream(attempt);
        }
    }

    /// The upstream answers from the end of the request on: a filter may have held it back.
    fn await_upstream(&mut self, attempt: StreamId) {
        let id = attempt.downstream();
        let core = self.core_mut();
        let Some(stream) = core.streams.get(&id) else { return };
        let latency = match stream.exchange.answer_to(attempt.attempt) {
            Some(answer) => answer.after,
            None => stream.recorded_latency(),
        };
        let due = (latency, Due::UpstreamAnswer { stream: attempt });
        let Some((sent, told)) = stream.length_mismatch(attempt.attempt) else { return core.due.push(due) };
        let text = format!(
            "filters left a body of {sent} bytes under content-length: {told}: an HTTP/1 upstream {}",
            if sent < told { "waits for the rest" } else { "takes the rest for another request" }
        );
        core.note_proxy(id, What::Finding { kind: FindingKind::LengthMismatch, text });
        // It has what it was told to expect, and answers.
        if sent > told {
            core.due.push(due);
        }
    }

    /// What an attempt meets arrives; or, where no answer was recorded, the stream breaks off as it did then.
    pub(in crate::proxy) fn upstream_answered(&mut self, attempt: StreamId) {
        use crate::router::ResetReason;
        let id = attempt.downstream();
        let core = self.core_mut();
        let now = core.now;
        let Some(stream) = core.streams.get_mut(&id).filter(|stream| stream.end.is_none()) else { return };
        let is_open = stream.route.attempt(attempt.attempt).is_some_and(|attempt| attempt.awaits_headers);
        if !is_open {
            return;
        }
        let (message, breaks_off) = match stream.exchange.answer_to(attempt.attempt) {
            Some(answer) => match &answer.kind {
                AnswerKind::Response { message, breaks_off } => (message.clone(), *breaks_off),
                AnswerKind::Resets => return self.attempt_reset(attempt, ResetReason::ConnectionTermination),
                AnswerKind::Refuses => {
                    return self.attempt_reset(attempt, ResetReason::RemoteConnectionFailure);
                }
                AnswerKind::Never => return,
            },
            None => match stream.exchange.response.clone() {
                Some(response) => (response, stream.exchange.breaks_off()),
                None => return self.client_left(id),
            },
        };
        stream.route.answered = Some(now);
        stream.touch(now);
        if core.traces() {
            let status = message.headers.first(b":status").cloned().unwrap_or_default();
            core.note_proxy(id, What::UpstreamAnswered { status: status.escape_ascii().to_string() });
        }
        self.respond_to_attempt(attempt, message, breaks_off);
    }

    /// A response comes from the upstream: through the upstream filters, or to the router at once.
    fn respond_to_attempt(&mut self, attempt: StreamId, mut message: Message, breaks_off: bool) {
        let id = attempt.downstream();
        let core = self.core_mut();
        let receives = if let Some(filtered) = core.streams.get_mut(&attempt) {
            for name in ROUTERS_OWN {
                message.headers.remove(name);
            }
            // Its own filters have it from there already.
            let details = Some(Bytes::from_static(b"via_upstream"));
            if breaks_off {
                filtered.manager.receive_without_end(Path::Encode, message);
            } else {
                filtered.manager.receive(Path::Encode, message);
            }
            if let Some(stream) = core.streams.get_mut(&id) {
                stream.details = details;
            }
            attempt
        } else {
            if !self.accepts(attempt, &mut message.headers) {
                return;
            }
            let Some(stream) = self.core_mut().streams.get_mut(&id) else { return };
            if breaks_off {
                stream.manager.receive_without_end(Path::Encode, message);
            } else {
                stream.manager.receive(Path::Encode, message);
                stream.route.open.clear();
            }
            id
        };
        if breaks_off {
            self.core_mut().due.push((std::time::Duration::ZERO, Due::UpstreamBreaks { stream: attempt }));
        }
        self.ready.push_back(receives);
    }

    /// A part of a response has passed all upstream filters.
    pub(in crate::proxy) fn router_receives(&mut self, attempt: StreamId, part: Part, data: Bytes) {
        let id = attempt.downstream();
        let Some(filtered) = self.core_mut().streams.get(&attempt) else { return };
        if matches!(part, Part::Headers { .. }) && filtered.lacks_status() {
            return self.own_reply(id, lacking_status());
        }
        let trailers = filtered.manager.response.trailers.clone();
        let mut headers = filtered.manager.response.headers.clone().unwrap_or_default();
        let ends = match part {
            Part::Headers { end_of_stream } | Part::Data { end_of_stream } => end_of_stream,
            Part::Trailers => true,
        };
        if ends {
            self.keep_connection(id);
        }
        if matches!(part, Part::Headers { .. }) && !self.accepts(attempt, &mut headers) {
            return;
        }
        if ends {
            self.end_attempt(attempt);
        }
        let Some(stream) = self.core_mut().streams.get_mut(&id) else { return };
        match part {
            Part::Headers { end_of_stream } => {
                stream.manager.response.headers = Some(headers);
                stream.manager.receive_headers(Path::Encode, end_of_stream);
            }
            Part::Data { end_of_stream } => stream.manager.receive_data(Path::Encode, data, end_of_stream),
            Part::Trailers => {
                stream.manager.receive_trailers(Path::Encode, trailers.unwrap_or_default());
            }
        }
        self.run(id);
    }

    /// The upstream has answered: the connection is there for another attempt.
    fn keep_connection(&mut self, id: StreamId) {
        let core = self.core_mut();
        let Some(stream) = core.streams.get(&id) else { return };
        if let (Some(cluster), Some(_)) = (stream.route.cluster(), stream.route.request_complete) {
            *core.idle_upstream.entry((stream.thread, cluster.to_owned())).or_default() += 1;
        }
    }

    /// An attempt is over: its filters are done and deleted. Nothing logs them.
    pub(in crate::proxy) fn end_attempt(&mut self, attempt: StreamId) {
        let core = self.core_mut();
        if let Some(stream) = core.streams.get_mut(&attempt.downstream()) {
            stream.route.open.retain(|open| open.number != attempt.attempt);
        }
        let Some(filtered) = core.streams.get_mut(&attempt).filter(|filtered| filtered.end.is_none()) else {
            return;
        };
        filtered.end = Some(End::Complete);
        filtered.manager.close();
        let filters = filtered.filters.len();
        for filter in (0..filters).map(FilterIndex) {
            self.delete_filter(attempt, filter);
        }
        self.forget_contexts(attempt);
        let core = self.core_mut();
        let Some(filtered) = core.streams.remove(&attempt) else { return };
        let Some(stream) = core.streams.get_mut(&attempt.downstream()) else { return };
        let numbers = (filtered.first_filter..).map(FilterNumber);
        for (number, filter) in numbers.zip(&filtered.filters) {
            stream.usage_upstream.entry(number).or_default().add(&filter.usage);
        }
    }

    /// All attempts that are under way are given up, the oldest first.
    pub(in crate::proxy) fn end_attempts(&mut self, id: StreamId) {
        self.core_mut().no_more_attempts(id);
        while let Some(stream) = self.core_mut().streams.get_mut(&id) {
            let Some(attempt) = stream.route.open.first().map(|attempt| attempt.number) else { return };
            stream.route.open.remove(0);
            self.end_attempt(id.attempt(attempt));
        }
    }
}

impl Core {
    /// The request's headers as a stream shows them: an attempt has those of its client's stream.
    pub(in crate::proxy) fn request_headers<'c>(&'c self, stream: &'c StreamState) -> Option<&'c HeaderMap> {
        let of = stream.attempt_of.and_then(|id| self.streams.get(&id)).unwrap_or(stream);
        of.request_headers()
    }
}
