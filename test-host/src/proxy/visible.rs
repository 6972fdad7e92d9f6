//! What a guest sees of its stream's messages during a callback, and may change of them.

use bytes::Bytes;

use super::{
    active_context::ActiveContext,
    streams::state::{StreamId, StreamState},
};
use crate::{
    abi::{CallResult, CallStatus, MapType},
    message::HeaderMap,
    stream::Path,
    trace::{BodyEdit, FindingKind, HeaderEdit, What},
};

impl ActiveContext {
    pub(super) fn map(&self, map: MapType) -> Option<&HeaderMap> {
        match map {
            MapType::CalloutHeaders => return self.callout.as_ref()?.message.as_ref().map(|m| &m.headers),
            MapType::CalloutTrailers => return self.callout.as_ref()?.message.as_ref()?.trailers.as_ref(),
            MapType::GrpcInitialMetadata | MapType::GrpcTrailingMetadata => return self.shown.map(map),
            _ => {}
        }
        let (stream, filter) = self.stream()?;
        let client = stream.attempt_of.and_then(|id| self.core.streams.get(&id)).unwrap_or(stream);
        let (request, response) = (&client.manager.request, &stream.manager.response);
        match map {
            MapType::RequestHeaders if filter.request.headers || filter.logging => request.headers.as_ref(),
            MapType::RequestTrailers if filter.request.trailers => {
                request.trailers.as_ref().or(stream.manager.request.trailers.as_ref())
            }
            MapType::ResponseHeaders if filter.response.headers || filter.logging => {
                response.headers.as_ref()
            }
            MapType::ResponseTrailers if filter.response.trailers || filter.logging => {
                response.trailers.as_ref()
            }
            _ => None,
        }
    }

    /// A map to write to. Trailers may be created in the last body callback.
    pub(super) fn map_mut(&mut self, map: MapType) -> CallResult<&mut HeaderMap> {
        if let Some(id) = self.client_of_attempt(map) {
            let client = self.core.streams.get_mut(&id).ok_or(CallStatus::BadArgument)?;
            let request = &mut client.manager.request;
            let found =
                if map == MapType::RequestHeaders { &mut request.headers } else { &mut request.trailers };
            return found.as_mut().ok_or(CallStatus::BadArgument);
        }
        let (stream, filter) = self.stream_mut().ok_or(CallStatus::BadArgument)?;
        let StreamState { manager, filters, .. } = stream;
        let filter = filters.get_mut(filter).ok_or(CallStatus::BadArgument)?;
        // What a log shows cannot be written; headers at which the filter stopped for good still can.
        let last_body = |body: bool| body && filter.end_of_stream && !filter.logging;
        let found = match map {
            MapType::RequestHeaders if filter.request.headers => manager.request.headers.as_mut(),
            MapType::ResponseHeaders if filter.response.headers => manager.response.headers.as_mut(),
            MapType::RequestTrailers if filter.request.trailers => manager.request.trailers.as_mut(),
            MapType::ResponseTrailers if filter.response.trailers => manager.response.trailers.as_mut(),
            MapType::RequestTrailers if last_body(filter.request.body) => {
                filter.request.trailers = true;
                Some(manager.request.trailers.get_or_insert_default())
            }
            MapType::ResponseTrailers if last_body(filter.response.body) => {
                filter.response.trailers = true;
                Some(manager.response.trailers.get_or_insert_default())
            }
            _ => None,
        };
        found.ok_or(CallStatus::BadArgument)
    }

    /// The client's stream, where an upstream filter sees that stream's own map.
    fn client_of_attempt(&self, map: MapType) -> Option<StreamId> {
        let (stream, filter) = self.stream()?;
        let id = stream.attempt_of?;
        let client = &self.core.streams.get(&id)?.manager.request;
        let sees = match map {
            MapType::RequestHeaders => filter.request.headers,
            MapType::RequestTrailers => filter.request.trailers && client.trailers.is_some(),
            _ => false,
        };
        sees.then_some(id)
    }

    /// Notes a header edit; one of the request's makes the route be chosen again (Envoy, ABI up to 0.2.1).
    pub(super) fn edited(&mut self, map: MapType, edit: Option<HeaderEdit>) {
        if let Some(edit) = edit {
            self.note(What::Header { map, edit });
        }
        if map == MapType::RequestHeaders
            && let Some((stream, _)) = self.stream_mut()
        {
            stream.route.clear();
        }
    }

    /// There is none where the call was reset, as there is none outside the callback.
    pub(super) fn callout_body(&self) -> CallResult<Bytes> {
        let message = self.callout.as_ref().and_then(|answer| answer.message.as_ref());
        message.map(crate::message::Message::whole_body).ok_or(CallStatus::NotFound)
    }

    pub(super) fn body(&self, path: Path) -> Bytes {
        let Some((stream, filter)) = self.stream() else {
            return Bytes::new();
        };
        let (message, view) = (stream.manager.message(path), filter.view(path));
        let shown = if view.buffering {
            message.waiting()
        } else if view.body {
            message.chunk()
        } else {
            None
        };
        shown.cloned().unwrap_or_default()
    }

    /// What the last body callback was shown is gone once it has stopped without buffering.
    pub(super) fn checked_body(&mut self, path: Path) -> Bytes {
        let view = self.stream().map(|(_, filter)| *filter.view(path));
        if view.is_some_and(|view| view.body && view.dangling && !view.buffering) {
            let text = "get_buffer_bytes of a body whose last callback has stopped without buffering: Envoy reads freed \
                        memory, and crashes";
            self.finding(FindingKind::WouldCrashEnvoy, text);
        }
        self.body(path)
    }

    /// Envoy can replace the head (from 0), or append (from the end on); nothing in the middle.
    pub(super) fn set_body(&mut self, path: Path, start: usize, len: usize, data: &Bytes) -> CallResult {
        let current = self.body(path);
        let (stream, filter) = self.stream_mut().ok_or(CallStatus::BadArgument)?;
        let view = *stream.filters[filter].view(path);
        if !view.buffering && !view.body {
            return Err(CallStatus::BadArgument);
        }
        let (edit, body) = if start == 0 {
            let edit = if len == 0 { BodyEdit::Prepended } else { BodyEdit::Replaced };
            (edit, [&data[..], &current[len.min(current.len())..]].concat())
        } else if start >= current.len() {
            (BodyEdit::Appended, [&current[..], data].concat())
        } else {
            return Err(CallStatus::BadArgument);
        };
        let message = stream.manager.message_mut(path);
        if view.buffering {
            message.set_waiting(body.into())
        } else {
            message.set_chunk(body.into())
        }
        self.note(What::Body { path, edit, bytes: data.len() });
        Ok(())
    }
}
