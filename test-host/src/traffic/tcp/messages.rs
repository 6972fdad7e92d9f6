//! Envoy's messages of taps of sockets (`envoy.data.tap.v3`, `transport.proto`), as [`crate::traffic::proto`] has those of HTTP.

use prost_types::Timestamp;
use serde::Deserialize;

use super::super::{
    json,
    proto::{Address, Body},
};

/// Most events in one record; one with more is left out.
pub(in crate::traffic) const MAX_EVENTS: usize = 1 << 18;

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(in crate::traffic) struct SocketBufferedTrace {
    #[prost(uint64, tag = "1")]
    #[serde(alias = "traceId", deserialize_with = "json::uint")]
    pub(super) trace_id: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) connection: Option<SocketConnection>,
    #[prost(message, repeated, tag = "3")]
    #[serde(deserialize_with = "json::events")]
    pub(super) events: Vec<SocketEvent>,
    #[prost(bool, tag = "4")]
    #[serde(alias = "readTruncated")]
    pub(super) read_truncated: bool,
    #[prost(bool, tag = "5")]
    #[serde(alias = "writeTruncated")]
    pub(super) write_truncated: bool,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(in crate::traffic) struct SocketStreamedTraceSegment {
    #[prost(uint64, tag = "1")]
    #[serde(alias = "traceId", deserialize_with = "json::uint")]
    pub(super) trace_id: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) connection: Option<SocketConnection>,
    #[prost(message, optional, tag = "3")]
    pub(super) event: Option<SocketEvent>,
    #[prost(message, optional, tag = "4")]
    pub(super) events: Option<SocketEvents>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(in crate::traffic) struct SocketEvents {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "json::events")]
    pub(super) events: Vec<SocketEvent>,
}

/// The connection of a socket has other field numbers than that of an exchange.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(in crate::traffic) struct SocketConnection {
    #[prost(message, optional, tag = "2")]
    #[serde(alias = "localAddress")]
    pub(super) local_address: Option<Address>,
    #[prost(message, optional, tag = "3")]
    #[serde(alias = "remoteAddress")]
    pub(super) remote_address: Option<Address>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(in crate::traffic) struct SocketEvent {
    #[prost(message, optional, tag = "1")]
    #[serde(deserialize_with = "json::timestamp")]
    pub(super) timestamp: Option<Timestamp>,
    #[prost(message, optional, tag = "2")]
    pub(super) read: Option<SocketRead>,
    #[prost(message, optional, tag = "3")]
    pub(super) write: Option<SocketWrite>,
    #[prost(message, optional, tag = "4")]
    pub(super) closed: Option<SocketClosed>,
    /// Once more, where the tap has `set_connection_per_event`.
    #[prost(message, optional, tag = "5")]
    pub(super) connection: Option<SocketConnection>,
    #[prost(uint64, tag = "6")]
    #[serde(alias = "seqNum", deserialize_with = "json::uint")]
    pub(super) seq_num: u64,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(in crate::traffic) struct SocketRead {
    #[prost(message, optional, tag = "1")]
    pub(super) data: Option<Body>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(in crate::traffic) struct SocketWrite {
    #[prost(message, optional, tag = "1")]
    pub(super) data: Option<Body>,
    #[prost(bool, tag = "2")]
    #[serde(alias = "endStream")]
    pub(super) end_stream: bool,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(in crate::traffic) struct SocketClosed {}
