//! Envoy's tap messages (`envoy.data.tap.v3`, API of January 2026), written by hand from the field numbers, for both
//! encodings. Members of a `oneof` are plain optional fields: the bytes are the same, and a record that sets two can
//! be refused. Text is bytes: Envoy's `string` is not always UTF-8.

use bytes::Bytes;
use prost_types::Timestamp;
use serde::Deserialize;

use super::{
    json,
    tcp::messages::{SocketBufferedTrace, SocketStreamedTraceSegment},
};

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct TraceWrapper {
    #[prost(message, optional, tag = "1")]
    #[serde(alias = "httpBufferedTrace")]
    pub(super) http_buffered_trace: Option<HttpBufferedTrace>,
    #[prost(message, optional, tag = "2")]
    #[serde(alias = "httpStreamedTraceSegment")]
    pub(super) http_streamed_trace_segment: Option<HttpStreamedTraceSegment>,
    #[prost(message, optional, tag = "3")]
    #[serde(alias = "socketBufferedTrace")]
    pub(super) socket_buffered_trace: Option<SocketBufferedTrace>,
    #[prost(message, optional, tag = "4")]
    #[serde(alias = "socketStreamedTraceSegment")]
    pub(super) socket_streamed_trace_segment: Option<SocketStreamedTraceSegment>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct HttpBufferedTrace {
    #[prost(message, optional, tag = "1")]
    pub(super) request: Option<BufferedMessage>,
    #[prost(message, optional, tag = "2")]
    pub(super) response: Option<BufferedMessage>,
    #[prost(message, optional, tag = "3")]
    #[serde(alias = "downstreamConnection")]
    pub(super) downstream_connection: Option<Connection>,
    #[prost(message, optional, tag = "4")]
    #[serde(alias = "upstreamConnection")]
    pub(super) upstream_connection: Option<Connection>,
}

/// `HttpBufferedTrace.Message`.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct BufferedMessage {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "json::headers")]
    pub(super) headers: Vec<HeaderValue>,
    #[prost(message, optional, tag = "2")]
    pub(super) body: Option<Body>,
    #[prost(message, repeated, tag = "3")]
    #[serde(deserialize_with = "json::headers")]
    pub(super) trailers: Vec<HeaderValue>,
    #[prost(message, optional, tag = "4")]
    #[serde(alias = "headersReceivedTime", deserialize_with = "json::timestamp")]
    pub(super) headers_received_time: Option<Timestamp>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct HttpStreamedTraceSegment {
    #[prost(uint64, tag = "1")]
    #[serde(alias = "traceId", deserialize_with = "json::uint")]
    pub(super) trace_id: u64,
    #[prost(message, optional, tag = "2")]
    #[serde(alias = "requestHeaders")]
    pub(super) request_headers: Option<HeaderMap>,
    #[prost(message, optional, tag = "3")]
    #[serde(alias = "requestBodyChunk")]
    pub(super) request_body_chunk: Option<Body>,
    #[prost(message, optional, tag = "4")]
    #[serde(alias = "requestTrailers")]
    pub(super) request_trailers: Option<HeaderMap>,
    #[prost(message, optional, tag = "5")]
    #[serde(alias = "responseHeaders")]
    pub(super) response_headers: Option<HeaderMap>,
    #[prost(message, optional, tag = "6")]
    #[serde(alias = "responseBodyChunk")]
    pub(super) response_body_chunk: Option<Body>,
    #[prost(message, optional, tag = "7")]
    #[serde(alias = "responseTrailers")]
    pub(super) response_trailers: Option<HeaderMap>,
}

/// `envoy.config.core.v3.HeaderMap`.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct HeaderMap {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "json::headers")]
    pub(super) headers: Vec<HeaderValue>,
}

/// `envoy.config.core.v3.HeaderValue`.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct HeaderValue {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(deserialize_with = "json::text")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(deserialize_with = "json::text")]
    pub(super) value: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    #[serde(alias = "rawValue", deserialize_with = "json::base64")]
    pub(super) raw_value: Bytes,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct Body {
    #[prost(bytes = "bytes", optional, tag = "1")]
    #[serde(alias = "asBytes", deserialize_with = "json::some_base64")]
    pub(super) as_bytes: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    #[serde(alias = "asString", deserialize_with = "json::some_text")]
    pub(super) as_string: Option<Bytes>,
    #[prost(bool, tag = "3")]
    pub(super) truncated: bool,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct Connection {
    #[prost(message, optional, tag = "1")]
    #[serde(alias = "localAddress")]
    pub(super) local_address: Option<Address>,
    #[prost(message, optional, tag = "2")]
    #[serde(alias = "remoteAddress")]
    pub(super) remote_address: Option<Address>,
}

/// `envoy.config.core.v3.Address`; of its kinds only the one that a socket has is read.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct Address {
    #[prost(message, optional, tag = "1")]
    #[serde(alias = "socketAddress")]
    pub(super) socket_address: Option<SocketAddress>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct SocketAddress {
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(deserialize_with = "json::text")]
    pub(super) address: Bytes,
    #[prost(uint32, tag = "3")]
    #[serde(alias = "portValue", deserialize_with = "json::uint")]
    pub(super) port_value: u32,
}
