//! Envoy's attributes with their types: a path that is joined at compile time and a value that is decoded once.

use crate::hostcalls::{self, Host};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;

/// An attribute of the stream (Envoy's "Attributes" chapter). Reading costs one hostcall: 1.0-1.5 µs.
pub struct Prop<T> {
    /// Path parts separated by NUL.
    path: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Prop<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prop({})", self.path.replace('\0', "."))
    }
}

/// How Envoy encodes a value of this type (numbers in 8 bytes little-endian, text as it is).
pub trait PropValue: Sized + sealed::Sealed {
    #[doc(hidden)]
    fn decode(bytes: Vec<u8>) -> Option<Self>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for Vec<u8> {}
    impl Sealed for u64 {}
    impl Sealed for bool {}
    impl Sealed for std::time::Duration {}
    impl Sealed for std::net::SocketAddr {}
}

impl PropValue for Vec<u8> {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        Some(bytes)
    }
}

impl PropValue for u64 {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl PropValue for bool {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        bytes.first().map(|byte| *byte != 0)
    }
}

impl PropValue for Duration {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        u64::decode(bytes).map(Duration::from_nanos)
    }
}

/// Envoy writes addresses as `10.0.0.1:80` and `[::1]:80`; a pipe has no address.
impl PropValue for SocketAddr {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        std::str::from_utf8(&bytes).ok()?.parse().ok()
    }
}

impl<T: PropValue> Prop<T> {
    const fn new(path: &'static str) -> Prop<T> {
        Prop { path, value: PhantomData }
    }

    pub(crate) fn get(&self) -> Host<Option<T>> {
        match hostcalls::property(self.path.as_bytes())? {
            None => Ok(None),
            Some(bytes) => T::decode(bytes).map(Some).ok_or_else(hostcalls::malformed_property),
        }
    }
}

pub const REQUEST_ID: Prop<Vec<u8>> = Prop::new("request\0id");
pub const REQUEST_PROTOCOL: Prop<Vec<u8>> = Prop::new("request\0protocol");
/// From the first byte of the request to the last of the response; only when the stream is over.
pub const REQUEST_DURATION: Prop<Duration> = Prop::new("request\0duration");
pub const REQUEST_SIZE: Prop<u64> = Prop::new("request\0size");
pub const REQUEST_TOTAL_SIZE: Prop<u64> = Prop::new("request\0total_size");
pub const RESPONSE_CODE: Prop<u64> = Prop::new("response\0code");
pub const RESPONSE_CODE_DETAILS: Prop<Vec<u8>> = Prop::new("response\0code_details");
/// Envoy's response flags as a bit set.
pub const RESPONSE_FLAGS: Prop<u64> = Prop::new("response\0flags");
pub const RESPONSE_GRPC_STATUS: Prop<u64> = Prop::new("response\0grpc_status");
pub const RESPONSE_SIZE: Prop<u64> = Prop::new("response\0size");
pub const RESPONSE_TOTAL_SIZE: Prop<u64> = Prop::new("response\0total_size");
/// Tries made at the upstream: 0 when the request never reached the router's upstream.
pub const UPSTREAM_ATTEMPTS: Prop<u64> = Prop::new("upstream\0request_attempt_count");
pub const UPSTREAM_ADDRESS: Prop<SocketAddr> = Prop::new("upstream\0address");
pub const UPSTREAM_TRANSPORT_FAILURE: Prop<Vec<u8>> = Prop::new("upstream\0transport_failure_reason");
pub const ROUTE_NAME: Prop<Vec<u8>> = Prop::new("xds\0route_name");
pub const CLUSTER_NAME: Prop<Vec<u8>> = Prop::new("xds\0cluster_name");
pub const VIRTUAL_HOST_NAME: Prop<Vec<u8>> = Prop::new("xds\0virtual_host_name");
/// 1 inbound, 2 outbound, 0 unspecified.
pub const LISTENER_DIRECTION: Prop<u64> = Prop::new("xds\0listener_direction");
pub const CONNECTION_ID: Prop<u64> = Prop::new("connection\0id");
pub const CONNECTION_MTLS: Prop<bool> = Prop::new("connection\0mtls");
pub const CONNECTION_TLS_VERSION: Prop<Vec<u8>> = Prop::new("connection\0tls_version");
pub const CONNECTION_URI_SAN_PEER: Prop<Vec<u8>> = Prop::new("connection\0uri_san_peer_certificate");
/// The downstream peer, after `use_remote_address` and trusted hops.
pub const SOURCE_ADDRESS: Prop<SocketAddr> = Prop::new("source\0address");
pub const DESTINATION_ADDRESS: Prop<SocketAddr> = Prop::new("destination\0address");

/// An attribute that is not listed here: path parts separated by NUL, the bytes as Envoy encodes them.
#[must_use]
pub const fn custom(path: &'static str) -> Prop<Vec<u8>> {
    Prop::new(path)
}
