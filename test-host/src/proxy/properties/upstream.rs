//! `upstream.*`: the endpoint that the router has, and the connection to it.

use std::net::SocketAddr;

use super::{
    View,
    catalogue::{AttributeType as Type, Availability as When, Entry, entry},
    messages::Message,
    peers::{self, Side},
    value::Value,
};
use crate::proxy::spec::EndpointSpec;

pub(super) static ATTRIBUTES: [Entry; 18] = [
    entry("address", Type::Text, When::Upstream, |view| {
        let (text, _) = address(view)?;
        Some(Value::owned(text))
    }),
    entry("port", Type::Int, When::Upstream, |view| Some(Value::Int(address(view)?.1.into()))),
    entry("local_address", Type::Text, When::Upstream, |view| {
        connected(view)?;
        let local =
            view.recorded(view.connection()?.upstream_local, "the proxy's address towards the upstream")?;
        Some(Value::owned(local.to_string()))
    }),
    entry("locality", Type::Message, When::Upstream, |view| {
        Some(Value::Message(Message::Locality(Some(&endpoint(view)?.locality))))
    }),
    entry("transport_failure_reason", Type::Text, When::Upstream, |view| {
        // Of TCP, Envoy has a place for it from the beginning.
        if view.tcp.is_none() {
            endpoint(view)?;
        }
        Some(Value::text(&view.connection()?.upstream_transport_failure_reason))
    }),
    // Connections take no time here.
    entry("cx_pool_ready_duration", Type::Duration, When::Upstream, |view| {
        connected(view).map(|()| Value::Int(0))
    }),
    entry("request_attempt_count", Type::Uint, When::Stream, |view| {
        let of_stream = view.stream.map(|(stream, _)| u64::from(stream.route.attempts));
        of_stream.or_else(|| view.tcp.map(|tcp| tcp.connected.into())).map(Value::Uint)
    }),
    entry("num_endpoints", Type::Uint, When::Routed, |view| {
        Some(Value::Uint(view.cluster()?.endpoints.len() as u64))
    }),
    certificate("tls_version", |view| peers::tls_version(view.upstream_tls()?)),
    certificate("server_name", |view| {
        let tls = view.upstream_tls()?;
        Some(&tls.server_name).filter(|name| !name.is_empty()).map(Value::text)
    }),
    certificate("subject_local_certificate", |view| peers::subject(view.upstream_tls()?, Side::Local)),
    certificate("subject_peer_certificate", |view| peers::subject(view.upstream_tls()?, Side::Peer)),
    certificate("uri_san_local_certificate", |view| peers::uri_san(view.upstream_tls()?, Side::Local)),
    certificate("uri_san_peer_certificate", |view| peers::uri_san(view.upstream_tls()?, Side::Peer)),
    certificate("dns_san_local_certificate", |view| peers::dns_san(view.upstream_tls()?, Side::Local)),
    certificate("dns_san_peer_certificate", |view| peers::dns_san(view.upstream_tls()?, Side::Peer)),
    certificate("sha256_peer_certificate_digest", |view| peers::sha256(view.upstream_tls()?)),
    certificate("peer_certificate", |view| peers::pem(view.upstream_tls()?)),
];

const fn certificate(name: &'static str, read: for<'v> fn(&View<'v>) -> Option<Value<'v>>) -> Entry {
    entry(name, Type::Text, When::UpstreamTls, read)
}

impl<'v> View<'v> {
    fn upstream_tls(&self) -> Option<&'v crate::message::Tls> {
        endpoint(self)?;
        peers::tls(self, &self.connection()?.upstream_security, "whether the upstream connection was TLS")
    }
}

/// Whether the router has an endpoint for the stream, or the tcp_proxy a connection.
pub(super) fn is_known(view: &View<'_>) -> bool {
    view.stream.is_some_and(|(stream, _)| stream.route.sent.is_some())
        || view.tcp.is_some_and(|tcp| tcp.connected)
}

/// Whether the connection to the endpoint is there.
fn connected(view: &View<'_>) -> Option<()> {
    endpoint(view)?;
    view.stream.is_none_or(|(stream, _)| stream.route.connected).then_some(())
}

/// The endpoint that was recorded, where the cluster has it; else the first that is healthy.
pub(super) fn endpoint<'v>(view: &View<'v>) -> Option<&'v EndpointSpec> {
    if !is_known(view) {
        return None;
    }
    let endpoints = &view.cluster()?.endpoints;
    let recorded = view.connection()?.upstream_remote;
    let is_recorded = |endpoint: &&EndpointSpec| {
        recorded.is_some_and(|address| {
            endpoint.port == address.port() && endpoint.host == address.ip().to_string()
        })
    };
    endpoints.iter().find(is_recorded).or_else(|| endpoints.iter().find(|endpoint| endpoint.healthy))
}

/// As recorded, else as configured; a host name is not an address.
fn address(view: &View<'_>) -> Option<(String, u16)> {
    let endpoint = endpoint(view)?;
    if let Some(recorded) = view.connection()?.upstream_remote {
        return Some((recorded.to_string(), recorded.port()));
    }
    let ip = view.recorded(endpoint.host.parse().ok(), "the upstream's IP address")?;
    let address = SocketAddr::new(ip, endpoint.port);
    Some((address.to_string(), address.port()))
}
