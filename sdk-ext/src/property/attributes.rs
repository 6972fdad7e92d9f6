//! Every attribute of Envoy's, with its type.

use super::{Prop, PropValue};
use crate::headers::HeaderBlock;
use crate::time::Wall;
use std::net::SocketAddr;
use std::time::Duration;

/// Is shown every attribute in turn: see [`visit`].
pub trait Visitor {
    /// `name` is the constant's.
    fn attribute<T: PropValue>(&mut self, name: &'static str, property: &'static Prop<T>);
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident: $value:ty = $path:literal;)*) => {
        $(
            $(#[$doc])*
            pub const $name: Prop<$value> = Prop::new($path);
        )*

        /// Shows every attribute, in the order of Envoy's roots. For tests and for diagnosis: reading them all costs a call each.
        pub fn visit(visitor: &mut impl Visitor) {
            $(visitor.attribute(stringify!($name), &$name);)*
        }
    };
}

attributes! {
    /// `x-request-id`.
    REQUEST_ID: Vec<u8> = "request\0id";
    REQUEST_METHOD: Vec<u8> = "request\0method";
    REQUEST_SCHEME: Vec<u8> = "request\0scheme";
    REQUEST_HOST: Vec<u8> = "request\0host";
    /// With the query.
    REQUEST_PATH: Vec<u8> = "request\0path";
    /// Without the query.
    REQUEST_URL_PATH: Vec<u8> = "request\0url_path";
    REQUEST_QUERY: Vec<u8> = "request\0query";
    REQUEST_REFERER: Vec<u8> = "request\0referer";
    REQUEST_USER_AGENT: Vec<u8> = "request\0useragent";
    /// Values of one name are joined by commas here: prefer [`Headers::block`](crate::Headers::block).
    REQUEST_HEADERS: HeaderBlock = "request\0headers";
    REQUEST_HEADERS_BYTES: u64 = "request\0headers_bytes";
    /// `HTTP/1.1`, `HTTP/2`.
    REQUEST_PROTOCOL: Vec<u8> = "request\0protocol";
    /// When its first byte came.
    REQUEST_TIME: Wall = "request\0time";
    /// From the first byte of the request to the last of the response; only when the stream is over.
    REQUEST_DURATION: Duration = "request\0duration";
    /// Of the body: its declared length, then the bytes that have come.
    REQUEST_SIZE: u64 = "request\0size";
    REQUEST_TOTAL_SIZE: u64 = "request\0total_size";
    RESPONSE_CODE: u64 = "response\0code";
    RESPONSE_CODE_DETAILS: Vec<u8> = "response\0code_details";
    /// Envoy's response flags as a bit set.
    RESPONSE_FLAGS: u64 = "response\0flags";
    /// Made from the HTTP status where there is none.
    RESPONSE_GRPC_STATUS: u64 = "response\0grpc_status";
    /// As [`REQUEST_HEADERS`].
    RESPONSE_HEADERS: HeaderBlock = "response\0headers";
    /// As [`REQUEST_HEADERS`].
    RESPONSE_TRAILERS: HeaderBlock = "response\0trailers";
    RESPONSE_HEADERS_BYTES: u64 = "response\0headers_bytes";
    RESPONSE_SIZE: u64 = "response\0size";
    RESPONSE_TOTAL_SIZE: u64 = "response\0total_size";
    /// From the request's first byte to the upstream to the last one back.
    RESPONSE_BACKEND_LATENCY: Duration = "response\0backend_latency";
    /// The downstream peer, after `use_remote_address` and trusted hops.
    SOURCE_ADDRESS: SocketAddr = "source\0address";
    SOURCE_PORT: u64 = "source\0port";
    DESTINATION_ADDRESS: SocketAddr = "destination\0address";
    DESTINATION_PORT: u64 = "destination\0port";
    CONNECTION_ID: u64 = "connection\0id";
    /// Whether the client has shown a certificate, which need not be a good one.
    CONNECTION_MTLS: bool = "connection\0mtls";
    /// Whether Envoy has found the client's certificate good in this connection's handshake; from 1.40 on. False on a session that was
    /// taken up again, where nothing is checked anew.
    CONNECTION_PEER_VALID: bool = "connection\0peer_certificate_valid";
    /// Empty without SNI.
    CONNECTION_REQUESTED_SERVER_NAME: Vec<u8> = "connection\0requested_server_name";
    CONNECTION_TLS_VERSION: Vec<u8> = "connection\0tls_version";
    CONNECTION_SUBJECT_LOCAL: Vec<u8> = "connection\0subject_local_certificate";
    CONNECTION_SUBJECT_PEER: Vec<u8> = "connection\0subject_peer_certificate";
    /// The first of them.
    CONNECTION_URI_SAN_LOCAL: Vec<u8> = "connection\0uri_san_local_certificate";
    /// The first of them.
    CONNECTION_URI_SAN_PEER: Vec<u8> = "connection\0uri_san_peer_certificate";
    /// The first of them.
    CONNECTION_DNS_SAN_LOCAL: Vec<u8> = "connection\0dns_san_local_certificate";
    /// The first of them.
    CONNECTION_DNS_SAN_PEER: Vec<u8> = "connection\0dns_san_peer_certificate";
    /// In hexadecimal digits.
    CONNECTION_SHA256_PEER: Vec<u8> = "connection\0sha256_peer_certificate_digest";
    /// PEM.
    CONNECTION_PEER_CERTIFICATE: Vec<u8> = "connection\0peer_certificate";
    /// Where Envoy ended the connection.
    CONNECTION_TERMINATION_DETAILS: Vec<u8> = "connection\0termination_details";
    CONNECTION_TRANSPORT_FAILURE: Vec<u8> = "connection\0transport_failure_reason";
    UPSTREAM_ADDRESS: SocketAddr = "upstream\0address";
    UPSTREAM_PORT: u64 = "upstream\0port";
    UPSTREAM_LOCAL_ADDRESS: SocketAddr = "upstream\0local_address";
    /// A protobuf `Locality`.
    UPSTREAM_LOCALITY: Vec<u8> = "upstream\0locality";
    UPSTREAM_TRANSPORT_FAILURE: Vec<u8> = "upstream\0transport_failure_reason";
    /// How long the request waited for a connection.
    UPSTREAM_POOL_READY: Duration = "upstream\0cx_pool_ready_duration";
    /// Tries made at the upstream: 0 when the request never reached the router's upstream.
    UPSTREAM_ATTEMPTS: u64 = "upstream\0request_attempt_count";
    UPSTREAM_ENDPOINTS: u64 = "upstream\0num_endpoints";
    UPSTREAM_SERVER_NAME: Vec<u8> = "upstream\0server_name";
    UPSTREAM_TLS_VERSION: Vec<u8> = "upstream\0tls_version";
    UPSTREAM_SUBJECT_LOCAL: Vec<u8> = "upstream\0subject_local_certificate";
    UPSTREAM_SUBJECT_PEER: Vec<u8> = "upstream\0subject_peer_certificate";
    /// The first of them.
    UPSTREAM_URI_SAN_LOCAL: Vec<u8> = "upstream\0uri_san_local_certificate";
    /// The first of them.
    UPSTREAM_URI_SAN_PEER: Vec<u8> = "upstream\0uri_san_peer_certificate";
    /// The first of them.
    UPSTREAM_DNS_SAN_LOCAL: Vec<u8> = "upstream\0dns_san_local_certificate";
    /// The first of them.
    UPSTREAM_DNS_SAN_PEER: Vec<u8> = "upstream\0dns_san_peer_certificate";
    UPSTREAM_SHA256_PEER: Vec<u8> = "upstream\0sha256_peer_certificate_digest";
    /// PEM.
    UPSTREAM_PEER_CERTIFICATE: Vec<u8> = "upstream\0peer_certificate";
    /// The stream's dynamic metadata: a protobuf `Metadata`.
    METADATA: Vec<u8> = "metadata";
    /// A protobuf `Node`; its fields by [`attribute`](crate::property::attribute) with `xds\0node\0id`, `cluster` …
    NODE: Vec<u8> = "xds\0node";
    CLUSTER_NAME: Vec<u8> = "xds\0cluster_name";
    /// A protobuf `Metadata`.
    CLUSTER_METADATA: Vec<u8> = "xds\0cluster_metadata";
    ROUTE_NAME: Vec<u8> = "xds\0route_name";
    /// A protobuf `Metadata`; for one text in it see [`PerRoute`](crate::PerRoute).
    ROUTE_METADATA: Vec<u8> = "xds\0route_metadata";
    VIRTUAL_HOST_NAME: Vec<u8> = "xds\0virtual_host_name";
    /// A protobuf `Metadata`.
    VIRTUAL_HOST_METADATA: Vec<u8> = "xds\0virtual_host_metadata";
    /// A protobuf `Metadata`.
    UPSTREAM_HOST_METADATA: Vec<u8> = "xds\0upstream_host_metadata";
    /// A protobuf `Metadata`.
    UPSTREAM_HOST_LOCALITY_METADATA: Vec<u8> = "xds\0upstream_host_locality_metadata";
    FILTER_CHAIN_NAME: Vec<u8> = "xds\0filter_chain_name";
    /// A protobuf `Metadata`.
    LISTENER_METADATA: Vec<u8> = "xds\0listener_metadata";
    /// 1 inbound, 2 outbound, 0 unspecified.
    LISTENER_DIRECTION: u64 = "xds\0listener_direction";
    PLUGIN_NAME: Vec<u8> = "plugin_name";
    PLUGIN_ROOT_ID: Vec<u8> = "plugin_root_id";
    PLUGIN_VM_ID: Vec<u8> = "plugin_vm_id";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::type_name;
    use std::collections::BTreeMap;
    use wayside::proxy::{AttributeType, attributes};

    #[derive(Default)]
    struct Types(BTreeMap<String, &'static str>);

    impl Visitor for Types {
        fn attribute<T: PropValue>(&mut self, name: &'static str, property: &'static Prop<T>) {
            let path = property.path.replace('\0', ".");
            assert!(self.0.insert(path, type_name::<T>()).is_none(), "{name} is another's path");
        }
    }

    #[test]
    fn there_is_a_constant_of_the_right_type_for_each_attribute_that_was_seen_in_envoy() {
        let mut ours = Types::default();
        visit(&mut ours);
        for attribute in attributes() {
            // The same number under another name.
            if attribute.path == "connection_id" {
                continue;
            }
            let path = &attribute.path;
            let value = ours.0.remove(path).unwrap_or_else(|| panic!("no constant for {path}"));
            let fits = match attribute.kind {
                AttributeType::Text => [type_name::<Vec<u8>>(), type_name::<SocketAddr>()].contains(&value),
                AttributeType::Message => value == type_name::<Vec<u8>>(),
                AttributeType::Bool => value == type_name::<bool>(),
                AttributeType::Int | AttributeType::Uint => value == type_name::<u64>(),
                AttributeType::Duration => value == type_name::<Duration>(),
                AttributeType::Timestamp => value == type_name::<Wall>(),
                AttributeType::Map => value == type_name::<HeaderBlock>(),
            };
            assert!(fits, "{path} is {:?}, not {value}", attribute.kind);
        }
        assert!(ours.0.is_empty(), "Envoy has no {:?}", ours.0);
    }
}
