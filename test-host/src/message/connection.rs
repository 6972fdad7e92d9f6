//! What is known of the connections that an exchange went over: addresses, protocol, TLS.

use std::net::SocketAddr;

/// The version of HTTP that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    Http10,
    Http11,
    Http2,
    Http3,
}

impl Protocol {
    /// As Envoy names it (`request.protocol`).
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Http10 => "HTTP/1.0",
            Protocol::Http11 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
            Protocol::Http3 => "HTTP/3",
        }
    }
}

/// Whether a connection is encrypted, and what its ends have shown each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// The recording does not tell. Read as without, and noted where a filter asks.
    #[default]
    Unknown,
    Plain,
    Tls(Box<Tls>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1.2`, `TLSv1.3`
    pub version: String,
    /// SNI. Of the client, what the `tls_inspector` made of it: without one, Envoy does not know it. Empty without.
    pub server_name: String,
    /// The proxy's own.
    pub local: Option<Certificate>,
    /// The other end's, where it has shown one.
    pub peer: Option<Certificate>,
    /// Whether the proxy has found that one good in this very handshake: not where it takes any
    /// (`trust_chain_verification: ACCEPT_UNTRUSTED`), and not where a session of before was taken up again.
    pub peer_valid: bool,
}

/// A certificate, as Envoy tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// As of RFC 2253: `CN=client,O=shop`.
    pub subject: String,
    /// In the order of the certificate.
    pub uri_sans: Vec<String>,
    pub dns_sans: Vec<String>,
    /// Of the whole certificate, in hexadecimal digits; empty where it is not known.
    pub sha256: String,
    /// As it stands in a file.
    pub pem: String,
}

/// The connections of the exchange, where the recording has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Of the downstream connection.
    pub protocol: Option<Protocol>,
    pub security: Security,
    /// Of the upstream connection.
    pub upstream_security: Security,
    /// Why the proxy ended the downstream connection, where it says so.
    pub termination_details: Option<String>,
    /// Why the downstream connection's transport failed, where it did.
    pub transport_failure_reason: Option<String>,
    /// Why the upstream connection's transport failed; empty where it did not.
    pub upstream_transport_failure_reason: String,
    /// The proxy's end of the downstream connection.
    pub local: Option<SocketAddr>,
    /// The client's end of it.
    pub remote: Option<SocketAddr>,
    /// The proxy's end of the upstream connection.
    pub upstream_local: Option<SocketAddr>,
    /// The endpoint's end of it.
    pub upstream_remote: Option<SocketAddr>,
}
