//! What has reached the proxy, from the client or from upstream, and waits for its turn before the first filter.

use bytes::Bytes;

use super::filter_manager::{FilterManager, Path, Work};
use crate::message::{HeaderMap, Message};

/// A part that has reached the proxy and not yet the first filter.
#[derive(Clone, Debug)]
pub(super) enum Arrival {
    Headers { end_of_stream: bool },
    Data { data: Bytes, end_of_stream: bool },
    Trailers(HeaderMap),
}

impl Arrival {
    fn is_end(&self) -> bool {
        match self {
            Arrival::Headers { end_of_stream } | Arrival::Data { end_of_stream, .. } => *end_of_stream,
            Arrival::Trailers(_) => true,
        }
    }
}

impl FilterManager {
    /// A whole message arrives at once, chunk by chunk: a body ends with an empty last piece, as HTTP/1 delivers it.
    pub fn receive(&mut self, path: Path, message: Message) {
        let Message { headers, body, trailers } = message;
        let has_body = !body.is_empty();
        self.message_mut(path).headers = Some(headers);
        self.receive_headers(path, !has_body && trailers.is_none());
        for chunk in body {
            self.receive_data(path, chunk, false);
        }
        match trailers {
            Some(trailers) => self.receive_trailers(path, trailers),
            None if has_body => self.receive_data(path, Bytes::new(), true),
            None => {}
        }
    }

    /// A message whose end does not come: headers and the chunks there are.
    pub fn receive_without_end(&mut self, path: Path, message: Message) {
        self.message_mut(path).headers = Some(message.headers);
        self.receive_headers(path, false);
        for chunk in message.body {
            self.receive_data(path, chunk, false);
        }
    }

    /// Headers arrive, from the client (decode) or from upstream (encode); they stand in the message already.
    pub fn receive_headers(&mut self, path: Path, end_of_stream: bool) {
        self.arrive(path, Arrival::Headers { end_of_stream });
    }

    pub fn receive_data(&mut self, path: Path, data: Bytes, end_of_stream: bool) {
        self.arrive(path, Arrival::Data { data, end_of_stream });
    }

    /// Trailers arrive, and with them the end.
    pub fn receive_trailers(&mut self, path: Path, trailers: HeaderMap) {
        self.arrive(path, Arrival::Trailers(trailers));
    }

    fn arrive(&mut self, path: Path, arrival: Arrival) {
        if !self.is_over(path) {
            self.arrivals.push_back((path, arrival));
        }
    }

    /// Only now does the message have this part: filters that looked before it did not see it. Where too much waits, the
    /// sender is not read from.
    pub(super) fn take_arrival(&mut self) -> Option<Work> {
        let at = self.arrivals.iter().position(|(path, _)| !self.buffers[*path as usize].blocks())?;
        let (path, arrival) = self.arrivals.remove(at)?;
        let message = self.message_mut(path);
        message.complete |= arrival.is_end();
        Some(match arrival {
            Arrival::Headers { end_of_stream } => Work::Headers { path, at: 0, end_of_stream },
            Arrival::Data { data, end_of_stream } => {
                message.bytes_received += data.len() as u64;
                Work::Data { path, at: 0, data, end_of_stream }
            }
            Arrival::Trailers(trailers) => {
                message.trailers = Some(trailers);
                Work::Trailers { path, at: 0 }
            }
        })
    }

    /// Whether all of a message has come from its sender.
    pub fn has_arrived(&self, path: Path) -> bool {
        self.message(path).complete
    }
}
