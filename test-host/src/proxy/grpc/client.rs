//! Envoy's gRPC client for one call: what comes from the service, and what the filter is told of it.
//!
//! Envoy `source/common/grpc/async_client_impl.cc` (`AsyncStreamImpl`, `AsyncRequestImpl`); every message text was seen on
//! 1.40.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::message::HeaderMap;

/// Of gRPC's status codes those that Envoy makes itself.
pub(super) mod code {
    pub(crate) const OK: u32 = 0;
    pub(crate) const UNKNOWN: u32 = 2;
    pub(crate) const PERMISSION_DENIED: u32 = 7;
    pub(crate) const UNIMPLEMENTED: u32 = 12;
    pub(crate) const INTERNAL: u32 = 13;
    pub(crate) const UNAVAILABLE: u32 = 14;
    pub(crate) const UNAUTHENTICATED: u32 = 16;
    /// A status that is no number, or none that gRPC knows.
    pub(crate) const INVALID: u32 = u32::MAX;
}

/// What the filter is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Initial(HeaderMap),
    Message(Bytes),
    Trailing(HeaderMap),
    Closed { status: u32, message: Bytes },
}

/// What comes from the service, or from Envoy in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Headers { fields: HeaderMap, ends: bool },
    Data { bytes: Bytes, ends: bool },
    Trailers(HeaderMap),
    Reset { details: &'static str },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One message each way: the filter is told of it at the end.
    Call,
    Stream,
}

#[derive(Debug)]
pub(super) struct Client {
    kind: Kind,
    /// `response_code_details`: what Envoy puts behind, or in the place of, the service's message.
    details: &'static str,
    undecoded: BytesMut,
    /// Of a call: the last message.
    last: Option<Bytes>,
    pub(super) closed: bool,
}

impl Client {
    pub(super) fn new(kind: Kind) -> Self {
        Client { kind, details: "via_upstream", undecoded: BytesMut::new(), last: None, closed: false }
    }

    /// Says what the filter is told, in order.
    pub(super) fn take(&mut self, part: Part) -> Vec<Told> {
        let mut told = Vec::new();
        if self.closed {
            return told;
        }
        match part {
            Part::Headers { fields, ends } => self.headers(fields, ends, &mut told),
            Part::Data { bytes, ends } => self.data(&bytes, ends, &mut told),
            Part::Trailers(fields) => self.trailers(fields, &mut told),
            Part::Reset { details } => {
                self.details = details;
                self.fail(code::INTERNAL, &mut told);
            }
        }
        match self.kind {
            Kind::Stream => told,
            Kind::Call => self.summed_up(told),
        }
    }

    /// Envoy answers in the service's place, in the form of a gRPC response of trailers only.
    pub(super) fn take_reply_of_envoy(&mut self, message: &str, details: &'static str) -> Vec<Told> {
        self.details = details;
        let fields = HeaderMap::from_iter([
            (":status", "200".to_owned()),
            ("content-type", "application/grpc".to_owned()),
            ("grpc-status", code::UNAVAILABLE.to_string()),
            ("grpc-message", message.to_owned()),
        ]);
        self.take(Part::Headers { fields, ends: true })
    }

    fn headers(&mut self, fields: HeaderMap, ends: bool, told: &mut Vec<Told>) {
        let http = fields.first(b":status").and_then(|status| number(status)).unwrap_or(0);
        if http != 200 {
            told.push(Told::Initial(HeaderMap::new()));
            return match grpc_status(&fields) {
                Some(_) if ends => self.trailers(fields, told),
                _ => self.fail(of_http(http), told),
            };
        }
        if ends {
            told.push(Told::Initial(HeaderMap::new()));
            return self.trailers(fields, told);
        }
        told.push(Told::Initial(fields));
    }

    fn data(&mut self, bytes: &[u8], ends: bool, told: &mut Vec<Told>) {
        self.undecoded.extend_from_slice(bytes);
        let mut messages = Vec::new();
        loop {
            match next_frame(&mut self.undecoded) {
                Frame::Message(message) => messages.push(message),
                Frame::Unfinished => break,
                Frame::Wrong => return self.fail(code::INTERNAL, told),
            }
        }
        told.extend(messages.into_iter().map(Told::Message));
        if ends {
            self.fail(code::UNKNOWN, told);
        }
    }

    fn trailers(&mut self, fields: HeaderMap, told: &mut Vec<Told>) {
        let status = grpc_status(&fields).unwrap_or(code::UNKNOWN);
        let message = fields.first(b"grpc-message").cloned().unwrap_or_default();
        told.push(Told::Trailing(fields));
        self.close(status, &message, told);
    }

    fn fail(&mut self, status: u32, told: &mut Vec<Told>) {
        told.push(Told::Trailing(HeaderMap::new()));
        self.close(status, b"", told);
    }

    fn close(&mut self, status: u32, message: &[u8], told: &mut Vec<Told>) {
        self.closed = true;
        let message = match message {
            b"" => self.details.into(),
            text => [text, b"{", self.details.as_bytes(), b"}"].concat().into(),
        };
        told.push(Told::Closed { status, message });
    }

    /// A call keeps its message until its status is known, and tells nothing else.
    fn summed_up(&mut self, told: Vec<Told>) -> Vec<Told> {
        let mut out = Vec::new();
        for one in told {
            match one {
                Told::Message(message) => self.last = Some(message),
                Told::Closed { status: code::OK, .. } => out.push(match self.last.take() {
                    Some(message) => Told::Message(message),
                    None => Told::Closed { status: code::INTERNAL, message: Bytes::new() },
                }),
                Told::Closed { .. } => out.push(one),
                Told::Initial(_) | Told::Trailing(_) => {}
            }
        }
        out
    }
}

enum Frame {
    Message(Bytes),
    Unfinished,
    /// A flag that means nothing, or compression that was never offered.
    Wrong,
}

fn next_frame(from: &mut BytesMut) -> Frame {
    match from.first() {
        None => return Frame::Unfinished,
        Some(0) => {}
        Some(_) => return Frame::Wrong,
    }
    let Some(length) = from.get(1..5).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()) else {
        return Frame::Unfinished;
    };
    let length = u32::from_be_bytes(length) as usize;
    if from.len() - 5 < length {
        return Frame::Unfinished;
    }
    from.advance(5);
    Frame::Message(from.split_to(length).freeze())
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn grpc_status(fields: &HeaderMap) -> Option<u32> {
    let text = fields.first(b"grpc-status").filter(|text| !text.is_empty())?;
    Some(number(text).filter(|status| *status <= code::UNAUTHENTICATED).unwrap_or(code::INVALID))
}

/// Envoy `source/common/grpc/status.cc`.
fn of_http(status: u32) -> u32 {
    match status {
        400 => code::INTERNAL,
        401 => code::UNAUTHENTICATED,
        403 => code::PERMISSION_DENIED,
        404 => code::UNIMPLEMENTED,
        429 | 502 | 503 | 504 => code::UNAVAILABLE,
        _ => code::UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::framed;

    fn head() -> Part {
        Part::Headers { fields: HeaderMap::from_iter([(":status", "200")]), ends: false }
    }

    #[test]
    fn a_message_in_pieces_is_told_once_it_is_whole() {
        let mut client = Client::new(Kind::Stream);
        client.take(head());
        let frame = framed(b"hello");
        assert_eq!(client.take(Part::Data { bytes: frame.slice(..3), ends: false }), []);
        assert_eq!(
            client.take(Part::Data { bytes: frame.slice(3..), ends: false }),
            [Told::Message("hello".into())]
        );
    }

    #[test]
    fn a_call_without_a_message_has_failed_whatever_its_status() {
        let mut client = Client::new(Kind::Call);
        client.take(head());
        let end = client.take(Part::Trailers(HeaderMap::from_iter([("grpc-status", "0")])));
        assert_eq!(end, [Told::Closed { status: 13, message: Bytes::new() }]);
    }

    #[test]
    fn nothing_is_told_after_the_end() {
        let mut client = Client::new(Kind::Stream);
        assert_eq!(client.take(Part::Reset { details: "d" }).len(), 2);
        assert_eq!(client.take(head()), []);
    }
}
