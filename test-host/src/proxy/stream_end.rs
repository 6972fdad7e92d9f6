//! How a stream leaves: what the client gets, then the log, then the end of every context.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;

use super::{
    ActiveContext, Proxy,
    core::Effect,
    outcome::Outcome,
    spec::ServerHeader,
    stream_state::{End, StreamId, StreamState},
};
use crate::{
    abi::Callback,
    message::{HeaderMap, Message},
    stream::{Action, FilterIndex, Part, Path},
    trace::FindingKind,
};

impl StreamState {
    /// A filter took the response's status away, or made it something else than a number.
    pub(super) fn lacks_status(&self) -> bool {
        let status = self.manager.response.headers.as_ref().and_then(|headers| headers.first(b":status"));
        !status.is_some_and(|status| !status.is_empty() && status.iter().all(u8::is_ascii_digit))
    }

    /// Sends a part of the response. `true`: it was the last.
    pub(super) fn send_to_client(&mut self, part: Part, data: Bytes) -> bool {
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

/// A stream that what a callback asked for has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone {
    pub(super) stream: StreamId,
    /// By `close_stream`; else by an answer.
    pub(super) closed: bool,
}

impl Proxy {
    /// Sends a response past all filters.
    pub(super) fn send_directly(&mut self, id: StreamId, headers: HeaderMap, body: Bytes) {
        if let Some(stream) = self.core_mut().streams.get_mut(&id) {
            let body = if body.is_empty() { Vec::new() } else { vec![body] };
            stream.note_code(&headers);
            stream.manager.response.headers = Some(headers.clone());
            stream.downstream_response = Some(Message { headers, body, trailers: None });
        }
        self.finish_headers(id);
    }

    /// A callback asks for something on a stream that something else it asked for has ended.
    pub(super) fn effect_on_the_dead(&mut self, effect: &Effect, gone: Gone) {
        let (kind, text) = match (effect, gone.closed) {
            (Effect::Resume { .. }, _) => return,
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

    /// A filter resets a stream. Where the same callback asked for a reply, Envoy shows that to the filters all the same,
    /// after their end; nothing of it goes out.
    pub(super) fn close(&mut self, id: StreamId) {
        let Some(stream) = self.core_mut().streams.get_mut(&id) else { return };
        if stream.details.is_none() {
            stream.details = Some("wasm_close_stream".into());
        }
        self.end_stream(id, End::Reset);
    }

    /// A filter let response trailers go although its callback had ended the stream.
    pub(super) fn answered_to_nobody(&mut self, path: Path, part: Part, action: Action) {
        if (path, part, action) == (Path::Encode, Part::Trailers, Action::Continue) {
            let text = "the stream was closed in on_response_trailers, and the answer was to continue: this crashes Envoy";
            self.core_mut().found(None, FindingKind::WouldCrashEnvoy, text);
        }
    }

    /// What the connection manager does to a response's headers behind the filters (`mutateResponseHeaders`). The recorder
    /// stood before it, and so does what a report compares: only those see it that look back, as logs do.
    pub(super) fn finish_headers(&mut self, id: StreamId) {
        let core = self.core_mut();
        let wall = core.wall;
        let Some(stream) = core.streams.get_mut(&id) else { return };
        let Some(listener) = core.spec.listeners.get(stream.listener) else { return };
        let Some(headers) = stream.manager.response.headers.as_mut() else { return };
        for name in [&b"connection"[..], b"proxy-connection", b"transfer-encoding", b"upgrade"] {
            headers.remove(name);
        }
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
    pub(super) fn end_stream(&mut self, id: StreamId, end: End) {
        let Some(stream) = self.core_mut().streams.get_mut(&id) else {
            return;
        };
        if stream.end.is_some() {
            return;
        }
        stream.end = Some(end);
        stream.manager.close();
        self.gone = Some(Gone { stream: id, closed: end == End::Reset });
        let filters = self.core_mut().streams.get(&id).map_or(0, |stream| stream.chain.len());
        for filter in (0..filters).map(FilterIndex) {
            self.log_filter(id, filter);
        }
        for filter in (0..filters).map(FilterIndex) {
            self.delete_filter(id, filter);
        }
        let core = self.core_mut();
        let now = core.now;
        if let Some(mut stream) = core.streams.remove(&id) {
            stream.ended = Some(now);
            self.finished.push(Outcome::of(id, stream));
        }
    }

    /// A filter that never saw the request is made known to it only now, as Envoy does.
    fn log_filter(&mut self, id: StreamId, filter: FilterIndex) {
        if !self.create_context(id, filter) {
            return;
        }
        let (Some(plugin), Some(context)) = (self.plugin_of(id, filter), self.context_of(id, filter)) else {
            return;
        };
        self.set_logging(id, filter, true);
        self.call_guest(ActiveContext::new, plugin, context, Callback::Log);
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

    fn delete_filter(&mut self, id: StreamId, filter: FilterIndex) {
        let (Some(plugin), Some(context)) = (self.plugin_of(id, filter), self.context_of(id, filter)) else {
            return;
        };
        for callback in [Callback::Done, Callback::Delete] {
            if !self.has_lost_vm(id, filter) {
                self.call_guest(ActiveContext::new, plugin, context, callback);
            }
        }
        if self.has_lost_vm(id, filter) {
            return;
        }
        let core = self.core_mut();
        let vm = core.plugins[plugin.0].vm;
        core.vms[vm.0].contexts.remove(&context);
    }
}
