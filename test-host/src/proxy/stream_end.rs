//! How a stream leaves: what the client gets, then the log, then the end of every context.

use bytes::Bytes;

use super::{
    ActiveContext, Proxy,
    outcome::Outcome,
    stream_state::{End, StreamId, StreamState},
};
use crate::{
    abi::Callback,
    message::{HeaderMap, Message},
    stream::{FilterIndex, Part},
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

    /// Sends a response past all filters.
    pub(super) fn send_directly(&mut self, headers: HeaderMap, body: Bytes) {
        let body = if body.is_empty() { Vec::new() } else { vec![body] };
        self.note_code(&headers);
        self.manager.response.headers = Some(headers.clone());
        self.downstream_response = Some(Message { headers, body, trailers: None });
    }
}

impl Proxy {
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
        let filters = stream.chain.len();
        for filter in (0..filters).map(FilterIndex) {
            self.log_filter(id, filter);
        }
        for filter in (0..filters).map(FilterIndex) {
            self.delete_filter(id, filter);
        }
        self.forget_contexts(id);
        let core = self.core_mut();
        let now = core.now;
        if let Some(mut stream) = core.streams.remove(&id) {
            stream.ended = Some(now);
            self.finished.push(Outcome::of(id, *stream));
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
    }

    /// The ids that the stream had in its VMs, which may have died meanwhile.
    fn forget_contexts(&mut self, id: StreamId) {
        let core = self.core_mut();
        let Some(stream) = core.streams.get(&id) else {
            return;
        };
        for (vm, context) in stream.filters.iter().filter_map(|filter| filter.reserved) {
            core.vms[vm.0].contexts.remove(&context);
        }
    }
}
