//! As much of `envoy.data.tap.v3` as checking a recording takes (field numbers: Envoy's `api/envoy/data/tap/v3`).

use anyhow::Context as _;
use prost::{Message as _, Oneof};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TraceWrapper {
    #[prost(oneof = "Trace", tags = "1, 2")]
    trace: Option<Trace>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Trace {
    #[prost(message, tag = "1")]
    HttpBufferedTrace(HttpBufferedTrace),
    #[prost(message, tag = "2")]
    HttpStreamedTraceSegment(HttpStreamedTraceSegment),
}

impl TraceWrapper {
    #[cfg(test)]
    pub(super) fn of(trace: Trace) -> Self {
        TraceWrapper { trace: Some(trace) }
    }

    /// Every message of a length-delimited file.
    pub(super) fn decode_all(mut bytes: &[u8]) -> anyhow::Result<Vec<Trace>> {
        let mut traces = Vec::new();
        while !bytes.is_empty() {
            let wrapper = TraceWrapper::decode_length_delimited(&mut bytes)?;
            traces.push(wrapper.trace.context("an empty TraceWrapper")?);
        }
        Ok(traces)
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HttpStreamedTraceSegment {
    #[prost(uint64, tag = "1")]
    pub(super) trace_id: u64,
    #[prost(oneof = "Piece", tags = "2, 3, 4, 5, 6, 7")]
    pub(super) piece: Option<Piece>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Piece {
    #[prost(message, tag = "2")]
    RequestHeaders(Headers),
    #[prost(message, tag = "3")]
    RequestBodyChunk(Body),
    #[prost(message, tag = "4")]
    RequestTrailers(Headers),
    #[prost(message, tag = "5")]
    ResponseHeaders(Headers),
    #[prost(message, tag = "6")]
    ResponseBodyChunk(Body),
    #[prost(message, tag = "7")]
    ResponseTrailers(Headers),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Headers {
    #[prost(message, repeated, tag = "1")]
    pub(super) headers: Vec<HeaderValue>,
}

/// Envoy writes `value` as UTF-8 with every byte that is not replaced by `!`, and leaves `raw_value` (3) empty.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeaderValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Body {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) as_bytes: Vec<u8>,
    #[prost(bool, tag = "3")]
    pub(super) truncated: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HttpBufferedTrace {
    #[prost(message, optional, tag = "1")]
    pub(super) request: Option<Message>,
    #[prost(message, optional, tag = "2")]
    pub(super) response: Option<Message>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Message {
    #[prost(message, repeated, tag = "1")]
    pub(super) headers: Vec<HeaderValue>,
    #[prost(message, optional, tag = "4")]
    pub(super) headers_received_time: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}
