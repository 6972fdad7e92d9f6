//! `connection.*`, `source.*` and `destination.*`: the downstream connection, as the recording knows it.

use std::net::SocketAddr;

use super::{
    View,
    catalogue::{AttributeType as Type, Availability as When, Entry, entry},
    value::Value,
};
use crate::message::{Certificate, Connection, Security, Tls};

pub(super) static CONNECTION: [Entry; 15] = [
    entry("id", Type::Uint, When::Stream, id),
    entry("mtls", Type::Bool, When::Stream, |view| {
        view.connection()?;
        Some(Value::Bool(view.tls().is_some_and(|tls| tls.peer.is_some())))
    }),
    entry("peer_certificate_valid", Type::Bool, When::Stream, |view| {
        view.connection()?;
        Some(Value::Bool(view.tls().is_some_and(|tls| tls.peer.is_some() && tls.peer_valid)))
    }),
    entry("requested_server_name", Type::Text, When::Stream, |view| {
        view.connection()?;
        Some(Value::text(view.tls().map_or("", |tls| tls.server_name.as_str())))
    }),
    entry("termination_details", Type::Text, When::Failed, |view| {
        view.connection()?.termination_details.as_ref().map(Value::text)
    }),
    entry("transport_failure_reason", Type::Text, When::Failed, |view| {
        view.connection()?.transport_failure_reason.as_ref().map(Value::text)
    }),
    entry("tls_version", Type::Text, When::Tls, |view| tls_version(view.tls()?)),
    entry("subject_local_certificate", Type::Text, When::Tls, |view| subject(view.tls()?, Side::Local)),
    entry("subject_peer_certificate", Type::Text, When::Tls, |view| subject(view.tls()?, Side::Peer)),
    entry("uri_san_local_certificate", Type::Text, When::Tls, |view| uri_san(view.tls()?, Side::Local)),
    entry("uri_san_peer_certificate", Type::Text, When::PeerCertificate, |view| {
        uri_san(view.tls()?, Side::Peer)
    }),
    entry("dns_san_local_certificate", Type::Text, When::Tls, |view| dns_san(view.tls()?, Side::Local)),
    entry("dns_san_peer_certificate", Type::Text, When::PeerCertificate, |view| {
        dns_san(view.tls()?, Side::Peer)
    }),
    entry("sha256_peer_certificate_digest", Type::Text, When::PeerCertificate, |view| sha256(view.tls()?)),
    entry("peer_certificate", Type::Text, When::PeerCertificate, |view| pem(view.tls()?)),
];

pub(super) static SOURCE: [Entry; 2] = [
    entry("address", Type::Text, When::Stream, |view| Some(Value::owned(source(view)?.to_string()))),
    entry("port", Type::Int, When::Stream, |view| Some(Value::Int(source(view)?.port().into()))),
];

pub(super) static DESTINATION: [Entry; 2] = [
    entry("address", Type::Text, When::Stream, |view| Some(Value::owned(destination(view)?.to_string()))),
    entry("port", Type::Int, When::Stream, |view| Some(Value::Int(destination(view)?.port().into()))),
];

/// Whose certificate.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Local,
    Peer,
}

impl<'v> View<'v> {
    fn tls(&self) -> Option<&'v Tls> {
        tls(self, &self.connection()?.security, "whether the client's connection was TLS")
    }
}

pub(super) fn tls<'v>(view: &View<'v>, security: &'v Security, fact: &'static str) -> Option<&'v Tls> {
    match security {
        Security::Tls(tls) => Some(tls),
        Security::Plain => None,
        Security::Unknown => view.recorded(None, fact),
    }
}

pub(super) fn id<'v>(view: &View<'v>) -> Option<Value<'v>> {
    let of_stream = view.stream.map(|(stream, _)| stream.exchange.id.number);
    of_stream.or_else(|| view.tcp.map(|tcp| tcp.recorded.number)).map(|number| Value::Uint(number.into()))
}

/// The client, as far as the proxy trusts what it is told: where the peer's own address does not count, the last of
/// `x-forwarded-for`, whose port nobody knows.
fn source(view: &View<'_>) -> Option<SocketAddr> {
    let told = || {
        let (stream, _) = view.stream?;
        let headers = Some(&stream.exchange.request.headers).filter(|_| !view.trusts_peer())?;
        let last = headers.first(b"x-forwarded-for")?.rsplit(|byte| *byte == b',').next()?;
        let ip = std::str::from_utf8(last.trim_ascii()).ok()?.parse().ok()?;
        Some(SocketAddr::new(ip, 0))
    };
    told().or_else(|| recorded(view, |connection| connection.remote, "the client's address"))
}

fn destination(view: &View<'_>) -> Option<SocketAddr> {
    recorded(view, |connection| connection.local, "the address that the client connected to")
}

fn recorded(
    view: &View<'_>,
    address: fn(&Connection) -> Option<SocketAddr>,
    name: &'static str,
) -> Option<SocketAddr> {
    view.recorded(address(view.connection()?), name)
}

pub(super) fn tls_version(tls: &Tls) -> Option<Value<'_>> {
    Some(Value::text(&tls.version))
}

fn shown(tls: &Tls, side: Side) -> Option<&Certificate> {
    match side {
        Side::Local => tls.local.as_ref(),
        Side::Peer => tls.peer.as_ref(),
    }
}

/// Empty without a certificate; the other attributes are absent then.
pub(super) fn subject(tls: &Tls, side: Side) -> Option<Value<'_>> {
    Some(Value::text(shown(tls, side).map_or("", |certificate| certificate.subject.as_str())))
}

/// The first of several.
pub(super) fn uri_san(tls: &Tls, side: Side) -> Option<Value<'_>> {
    shown(tls, side)?.uri_sans.first().map(Value::text)
}

pub(super) fn dns_san(tls: &Tls, side: Side) -> Option<Value<'_>> {
    shown(tls, side)?.dns_sans.first().map(Value::text)
}

pub(super) fn sha256(tls: &Tls) -> Option<Value<'_>> {
    Some(&tls.peer.as_ref()?.sha256).filter(|hex| !hex.is_empty()).map(Value::text)
}

pub(super) fn pem(tls: &Tls) -> Option<Value<'_>> {
    Some(Value::text(&tls.peer.as_ref()?.pem))
}
