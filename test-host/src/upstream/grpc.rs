//! What a gRPC service does when a filter calls it: moves, one after the other.
//!
//! ```yaml
//! - { headers: ["x-first: 1"], status: 200, after: 5ms }   # the response's head; comes by itself where it is not written
//! - { awaits: message }                                      # until the filter has sent one more; or `end`
//! - { message: "hello" }                                     # framed; `data: "..."` goes as it stands
//! - { trailers: ["grpc-status: 0", "x-last: 1"] }            # alone, or first of all: an answer of trailers only
//! - { ends: true }                                           # without trailers, as no gRPC service should
//! - { fails: reset }
//! ```
//!
//! A list that just ends leaves the call open.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Deserialize;

use super::CalloutAnswer;
use crate::{
    abi::HttpCallout,
    message::HeaderMap,
    message::written::{DurationText, HeaderLine, header_map},
};

/// A gRPC call as its service sees it begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcCallout {
    pub cluster: String,
    /// All that Envoy sends, pseudo headers included.
    pub headers: HeaderMap,
    /// `None` waits for ever.
    pub timeout: Option<Duration>,
}

impl GrpcCallout {
    /// The same as an HTTP request whose body is yet to come.
    pub(crate) fn as_http(&self) -> HttpCallout {
        HttpCallout {
            cluster: self.cluster.clone().into(),
            headers: self.headers.clone(),
            body: Bytes::new(),
            timeout: self.timeout,
        }
    }
}

/// What a filter sent after the call began, as its service hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcHeard {
    Message(Bytes),
    /// Nothing more will come.
    End,
    /// The filter, or its timeout, has given the call up.
    Reset,
}

/// What becomes of a gRPC call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcAnswer {
    Moves(Vec<GrpcMove>),
    /// From something that knows no gRPC, or from nobody.
    Http(CalloutAnswer),
}

/// One thing that a service does, so long after the one before.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenMove")]
pub struct GrpcMove {
    pub after: Duration,
    pub does: GrpcDoes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcDoes {
    /// The head of the response, and nothing else if it `ends`.
    Headers {
        status: u16,
        fields: HeaderMap,
        ends: bool,
    },
    /// A message, framed.
    Message(Bytes),
    /// Bytes of the body as they are.
    Data(Bytes),
    AwaitMessage,
    AwaitEnd,
    Trailers(HeaderMap),
    End,
    Reset,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenMove {
    after: Option<DurationText>,
    headers: Option<Vec<HeaderLine>>,
    status: Option<u16>,
    ends: Option<bool>,
    message: Option<String>,
    data: Option<String>,
    awaits: Option<Awaited>,
    trailers: Option<Vec<HeaderLine>>,
    fails: Option<Failure>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Awaited {
    Message,
    End,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Failure {
    Reset,
}

impl TryFrom<WrittenMove> for GrpcMove {
    type Error = String;

    fn try_from(written: WrittenMove) -> Result<Self, String> {
        let WrittenMove { after, headers, status, ends, message, data, awaits, trailers, fails } = written;
        let ends = ends == Some(true);
        let head = headers.is_some() || status.is_some();
        let mut moves = Vec::new();
        if head {
            let fields = header_map(&headers.unwrap_or_default());
            moves.push(GrpcDoes::Headers { status: status.unwrap_or(200), fields, ends });
        }
        moves.extend(message.map(|text| GrpcDoes::Message(text.into())));
        moves.extend(data.map(|text| GrpcDoes::Data(text.into())));
        moves.extend(awaits.map(|what| match what {
            Awaited::Message => GrpcDoes::AwaitMessage,
            Awaited::End => GrpcDoes::AwaitEnd,
        }));
        moves.extend(trailers.map(|lines| GrpcDoes::Trailers(header_map(&lines))));
        moves.extend(fails.map(|Failure::Reset| GrpcDoes::Reset));
        if ends && !head {
            moves.push(GrpcDoes::End);
        }
        let after = after.map_or(Duration::ZERO, |after| after.0);
        match <[GrpcDoes; 1]>::try_from(moves) {
            Ok([does]) => Ok(GrpcMove { after, does }),
            Err(moves) => Err(format!(
                "found {} things to do in one move, expected one of headers (or status), message, data, awaits, trailers, ends, fails",
                moves.len()
            )),
        }
    }
}

/// A message with its five bytes in front: not compressed, and its length.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(message);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<GrpcMove>, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_move_has_a_form() {
        let moves = read(
            "- { headers: [\"x: 1\"], after: 5ms }\n- { awaits: message }\n- { message: hi }\n- { data: raw }\n- { awaits: end }\n- { trailers: [\"grpc-status: 0\"] }\n- { ends: true }\n- { fails: reset }\n- { status: 503, ends: true }\n",
        );
        let does: Vec<_> = moves.unwrap().into_iter().map(|one| one.does).collect();
        assert_eq!(does.len(), 9);
        assert_eq!(does[2], GrpcDoes::Message("hi".into()));
        assert_eq!(does[8], GrpcDoes::Headers { status: 503, fields: HeaderMap::new(), ends: true });
    }

    #[test]
    fn a_move_does_exactly_one_thing() {
        for text in ["- { message: a, trailers: [] }\n", "- { after: 5ms }\n"] {
            let error = read(text).unwrap_err();
            assert!(error.contains("expected one of headers"), "{error}");
        }
        let error = read("- { mesage: a }\n").unwrap_err();
        assert!(error.contains("mesage"), "{error}");
    }

    #[test]
    fn a_frame_has_a_flag_and_a_length() {
        assert_eq!(framed(b"abc"), Bytes::from_static(b"\0\0\0\0\x03abc"));
    }
}
