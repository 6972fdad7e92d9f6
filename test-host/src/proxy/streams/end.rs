//! How a stream leaves: what the client gets, then the log, then the end of every context.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;

use crate::proxy::{
    Proxy, asked,
    core::Effect,
    outcome::{OF_THE_CONNECTION, Outcome},
    spec::ServerHeader,
    streams::state::{End, StreamId, StreamState},
    wasm_filter::Standing,
};
use crate::{
    abi::Callback,
    message::{HeaderMap, Message},
    stream::{Action, FilterIndex, Part, Path, respond},
    trace::FindingKind,
};

impl StreamState {
    /// A filter took the response's status away, or made it something else than a number.
    pub(in crate::proxy) fn lacks_status(&self) -> bool {
        let status = self.manager.response.headers.as_ref().and_then(|headers| headers.first(b":status"));
        !status.is_some_and(|status| !status.is_empty() && status.iter().all(u8::is_ascii_digit))
    }

    /// Sends a part of the response. `true`: it was the last.
    pub(in crate::proxy) fn send_to_client(&mut self, part: Part, data: Bytes) -> bool {
        let response = &self.manager.response;
        match part {
            Part::Headers { end_of_stream } => {
                let headers = response.headers.clone().unwrap_or_default();
                self.note_code(&headers);
                self.downstream_response = Some(Message { headers, ..Message::default() });
                end_of_stream
            }
            Part::Data { end_of_stream } => {
                if let Some(sent) = &mut self.downstream_response
                    && !data.is_empty()
                {
                    sent.body.push(data);
                }
                end_of_stream
            }
            Part::Trailers => {
                let trailers = response.trailers.clone();
                if let Some(sent) = &mut self.downstream_response {
                    sent.trailers = trailers;
                }
                true
            }
        }
    }
}

/// The last date that HTTP can write is in the year 9999.
fn date_of(wall: Duration) -> String {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    httpdate::fmt_http_date(UNIX_EPOCH + wall.min(LAST))
}

/// What a callback asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Cause {
    Resume,
    Reply,
    Close,
}

impl Cause {
    pub(in crate::proxy) fn of(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::Resume { .. } => Some(Cause::Resume),
            Effect::Reply { .. } => Some(Cause::Reply),
            Effect::Close { .. } => Some(Cause::Close),
            Effect::DeleteRoot { .. }
            | Effect::TellGrpc { .. }
            | Effect::ContinueConnection { .. }
            | Effect::CloseConnection { .. } => None,
        }
    }
}

/// A stream that what a callback asked for has ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Gone {
    pub(in crate::proxy) stream: StreamId,
    pub(in crate::proxy) by: Option<Cause>,
}

impl Proxy {
    /// Sends a response past all filters.
    pub(in crate::proxy) fn send_directly(&mut self, id: StreamId, headers: HeaderMap, body: Bytes) {
        if let Some(stream) = self.core_mut().streams.get_mut(&id) {
            let body = if body.is_empty() { Vec::new() } else { vec![body] };
            stream.note_code(&headers);
            stream.manager.response.headers = Some(headers.clone());
            stream.downstream_response = Some(Message { headers, body, trailers: None });
        }
        self.finish_headers(id);
    }

    /// A callback asks for something on a stream that something else it asked for has ended.
    pub(in crate::proxy) fn effect_on_the_dead(&mut self, effect: &Effect, gone: Gone) {
        let (kind, text) = match (effect, gone.by == Some(Cause::Close)) {
            (
                Effect::Resume { .. }
                | Effect::DeleteRoot { .. }
                | Effect::TellGrpc { .. }
                | Effect::ContinueConnection { .. }
                | Effect::CloseConnection { .. },
                _,
            ) => return,
            (Effect::Close { .. }, _) => (
                FindingKind::WouldCrashEnvoy,
                "close_stream on a stream that has just ended: Envoy ends it twice, and crashes",
            ),
            (Effect::Reply { .. }, false) => (
                FindingKind::WouldCrashEnvoy,
                "send_local_response to a response that has just been answered: Envoy ends it twice, and crashes",
            ),
            (Effect::Reply { .. }, true) => (
                FindingKind::LostReply,
                "send_local_response after close_stream: the stream is gone, and Envoy sends its filters a response all the same",
            ),
        };
        self.core_mut().found(None, kind, text);
    }

    /// The reply that the same callback asked for is prepared first, whichever it asked for first.
    pub(in crate::proxy) fn reply_before_closing(&mut self, id: StreamId) {
        let core = self.core_mut();
        let decoding = core.streams.get(&id).is_some_and(|stream| stream.manager.is_decoding());
        let is_reply = |effect: &Effect| matches!(effect, Effect::Reply { stream, .. } if *stream == id);
        let Some(at) = core.effects.iter().position(is_reply).filter(|_| decoding) else { return };
        if let Some(Effect::Reply { stream, filter, reply }) = core.effects.remove(at) {
            self.reply_of_filter(stream, filter, reply);
        }
    }

    /// The reply that an upstream filter asks for behind the end of its stream is shown to the filters of the client's.
    pub(in crate::proxy) fn reply_behind_closing(&mut self, attempt: StreamId) {
        let core = self.core_mut();
        let is_reply = |effect: &Effect| matches!(effect, Effect::Reply { stream, .. } if *stream == attempt);
        let Some(at) = core.effects.iter().position(is_reply) else { return };
        let Some(Effect::Reply { reply, .. }) = core.effects.remove(at) else { return };
        self.set_details(attempt, &reply.details);
        let core = self.core_mut();
        let Some(stream) = core.streams.get_mut(&attempt.downstream()) else { return };
        let (headers, _) = respond(stream.reply_form(), asked(reply));
        stream.manager.response.headers.get_or_insert(headers);
        stream.reply_prepared = true;
    }

    /// A filter resets a stream. Where the same callback asked for a reply, Envoy shows that to the filters all the same,
    /// after their end; nothing of it goes out.
    pub(in crate::proxy) fn close(&mut self, id: StreamId) {
        let Some(stream) = self.core_mut().streams.get_mut(&id) else { return };
        if stream.details.is_none() {
            stream.details = Some("wasm_close_stream".into());
        }
        self.end_stream(id, End::Reset);
    }

    /// A filter asked for a reply and closed the stream in one callback: Envoy shows the reply's headers to the filters
    /// after their end, and sends nothing.
    fn show_reply_to_the_dead(&mut self, id: StreamId, filters: usize) {
        let text = "send_local_response and close_stream in one callback: Envoy calls on_response_headers of contexts that it \
                    has deleted";
        self.core_mut().found(None, FindingKind::LostReply, text);
        for filter in (0..filters).rev().map(FilterIndex) {
            let Some(Standing { plugin, context: Some(context), lost: false, .. }) =
                self.core_mut().standing(id, filter)
            else {
                continue;
            };
            let Some(stream) = self.core_mut().streams.get_mut(&id) else { return };
            let headers = stream.manager.response.headers.as_ref().map_or(0, HeaderMap::len);
            let Some(seen) = stream.filters.get_mut(filter.0) else { return };
            seen.response.headers = true;
            let count = u32::try_from(headers).unwrap_or(u32::MAX);
            let callback = Callback::ResponseHeaders { count, end_of_stream: false };
            self.call_guest(plugin, context, callback);
        }
        self.apply_effects();
    }

    /// A filter let a part of a response go although its callback had ended the stream.
    pub(in crate::proxy) fn answered_to_nobody(&mut self, path: Path, part: Part, action: Action) {
        let by = self.gone.and_then(|gone| gone.by);
        if (path, action) != (Path::Encode, Action::Continue) {
            return;
        }
        let text = match part {
            Part::Trailers if by == Some(Cause::Close) => {
                "the stream was closed in on_response_trailers, and the answer was to continue: this crashes Envoy"
            }
            Part::Headers { .. } | Part::Trailers if by == Some(Cause::Resume) => {
                "continue_stream(response), and then answered to continue: Envoy ends the response twice, and crashes"
            }
            _ => return,
        };
        self.core_mut().found(None, FindingKind::WouldCrashEnvoy, text);
    }

    /// What the connection manager does to a response's headers behind the filters (`mutateResponseHeaders`). The recorder
    /// stood before it, and so does what a report compares: only those see it that look back, as logs do.
    pub(in crate::proxy) fn finish_headers(&mut self, id: StreamId) {
        let core = self.core_mut();
        let wall = core.wall;
        let Some(stream) = core.streams.get_mut(&id) else { return };
        let Some(listener) = core.spec.listeners.get(stream.listener) else { return };
        let Some(headers) = stream.manager.response.headers.as_mut() else { return };
        headers.remove_all(|name| OF_THE_CONNECTION.contains(&name));
        if !headers.contains(b"date") {
            headers.push("date", date_of(wall));
        }
        match &listener.http.server_header {
            ServerHeader::Overwrite(name) => headers.set(b"server", name.clone()),
            ServerHeader::AppendIfAbsent(name) if !headers.contains(b"server") => {
                headers.push("server", name.clone());
            }
            ServerHeader::AppendIfAbsent(_) | ServerHeader::PassThrough => {}
        }
    }

    /// Ends a stream: `on_log` for every filter in the order of the chain, then `on_done` and `on_delete` for each.
    pub(in crate::proxy) fn end_stream(&mut self, id: StreamId, end: End) {
        let Some(stream) = self.core_mut().streams.get_mut(&id) else {
            return;
        };
        if stream.end.is_some() {
            return;
        }
        let replied_and_closed = stream.reply_prepared && end == End::Reset;
        stream.end = Some(end);
        stream.manager.close();
        self.gone = Some(Gone { stream: id, by: self.cause });
        let filters = self.core_mut().streams.get(&id).map_or(0, |stream| stream.filters.len());
        for filter in (0..filters).map(FilterIndex) {
            self.log_filter(id, filter);
        }
        self.tell_loggers(id);
        for filter in (0..filters).map(FilterIndex) {
            self.delete_filter(id, filter);
        }
        // The router is the last filter.
        self.end_attempts(id);
        if replied_and_closed {
            self.show_reply_to_the_dead(id, filters);
        }
        self.forget_contexts(id);
        let core = self.core_mut();
        let now = core.now;
        if let Some(mut stream) = core.streams.remove(&id) {
            stream.ended = Some(now);
            self.finished.push(Outcome::of(id, stream));
        }
    }

    /// A filter that never saw the request is made known to it only now, as Envoy does.
    fn log_filter(&mut self, id: StreamId, filter: FilterIndex) {
        let Some(standing) = self.core_mut().standing(id, filter) else { return };
        let Some(context) = self.create_context(id, filter, &standing) else { return };
        self.set_logging(id, filter, true);
        self.call_guest(standing.plugin, context, Callback::Log);
        self.set_logging(id, filter, false);
        // Nothing a log callback asks of its stream can be carried out.
        self.apply_effects();
    }

    fn set_logging(&mut self, id: StreamId, filter: FilterIndex, logging: bool) {
        if let Some(stream) = self.core_mut().streams.get_mut(&id) {
            let context = &mut stream.filters[filter.0];
            context.logging = logging;
            if !logging {
                (context.request, context.response) = Default::default();
            }
        }
    }

    pub(in crate::proxy) fn delete_filter(&mut self, id: StreamId, filter: FilterIndex) {
        for callback in [Callback::Done, Callback::Delete] {
            if let Some(Standing { plugin, context: Some(context), lost: false, .. }) =
                self.core_mut().standing(id, filter)
            {
                self.call_guest(plugin, context, callback);
            }
        }
    }

    /// The ids that the stream had in its VMs, which may have died meanwhile.
    pub(in crate::proxy) fn forget_contexts(&mut self, id: StreamId) {
        let core = self.core_mut();
        let Some(stream) = core.streams.get(&id) else {
            return;
        };
        for (vm, context) in stream.filters.iter().filter_map(|filter| filter.reserved) {
            core.vms[vm.0].contexts.remove(&context);
        }
    }
}
