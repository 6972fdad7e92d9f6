//! TLS of a behaviour's connections: as written, for Envoy, for the runner's ends, and for the host.

use std::io;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use crate::{
    message::{Certificate, Security, Tls},
    parity::live::tls::{self, Client, Version},
};

/// One of the runner's certificates, `parity/certificates`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// `CN=shop.example`, two URIs, two DNS names.
    Shop,
    /// `CN=books.example`
    Books,
    /// A subject with all that is written otherwise than it is.
    Client,
    /// No alternative names.
    Bare,
    /// No subject, and one URI.
    Nameless,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum TlsVersion {
    #[serde(rename = "TLSv1.2")]
    V12,
    #[default]
    #[serde(rename = "TLSv1.3")]
    V13,
}

/// The client's connection is TLS.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DownstreamTls {
    /// What the client shows.
    pub certificate: Option<Shown>,
    /// What the client asks for (SNI): a name of `shop`'s.
    pub server_name: Option<String>,
    pub version: TlsVersion,
    /// The listener has no `tls_inspector`, and so Envoy does not know the server name.
    pub not_inspected: bool,
    /// Envoy does not know who has signed what the client shows, and takes it (`ACCEPT_UNTRUSTED`).
    pub untrusted: bool,
}

/// Envoy's connection to `upstream` is TLS; needs a process of its own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTls {
    /// What the upstream shows; without: `books`.
    pub certificate: Option<Shown>,
    /// What Envoy shows.
    pub of_envoy: Option<Shown>,
    /// What Envoy asks for (SNI).
    pub server_name: Option<String>,
    pub version: TlsVersion,
}

const DOWNSTREAM: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
const UPSTREAM: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
const INSPECTOR: &str = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";

impl DownstreamTls {
    pub(super) fn client(&self) -> io::Result<Client> {
        let name = self.server_name.as_deref();
        let shown = self.certificate.map(Shown::pem);
        Client::new(shown, name.unwrap_or("shop.example"), name.is_some(), self.version.spoken())
    }

    /// Makes a listener's connections TLS.
    pub(super) fn configure(&self, listener: &mut Value) {
        if !self.not_inspected {
            listener["listener_filters"] =
                json!([{ "name": "tls_inspector", "typed_config": { "@type": INSPECTOR } }]);
        }
        let mut common = context(Some(Shown::Shop));
        if self.untrusted {
            common["validation_context"] = json!({
                "trusted_ca": { "inline_string": Shown::Books.parts().0 },
                "trust_chain_verification": "ACCEPT_UNTRUSTED",
            });
        }
        listener["filter_chains"][0]["transport_socket"] = json!({ "name": "tls", "typed_config": {
            "@type": DOWNSTREAM,
            "common_tls_context": common,
            "require_client_certificate": self.certificate.is_some(),
        } });
    }

    pub(super) fn known(&self) -> Result<Security, String> {
        let server_name = self.server_name.clone().filter(|_| !self.not_inspected);
        self.version.known(server_name, Some(Shown::Shop), self.certificate, !self.untrusted)
    }
}

impl UpstreamTls {
    fn shown(&self) -> Shown {
        self.certificate.unwrap_or(Shown::Books)
    }

    pub(super) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        tls::acceptor(self.shown().pem(), self.version.spoken())
    }

    /// Makes connections to a cluster TLS.
    pub(super) fn configure(&self, cluster: &mut Value) {
        let mut common = context(self.of_envoy);
        // Envoy's own limit is 1.2 there.
        common["tls_params"] = json!({ "tls_maximum_protocol_version": "TLSv1_3" });
        cluster["transport_socket"] = json!({ "name": "tls", "typed_config": {
            "@type": UPSTREAM,
            "common_tls_context": common,
            "sni": self.server_name.as_deref().unwrap_or_default(),
        } });
    }

    pub(super) fn known(&self) -> Result<Security, String> {
        self.version.known(self.server_name.clone(), self.of_envoy, Some(self.shown()), true)
    }
}

/// What a host is told of a connection that may not be TLS.
pub(super) fn known(tls: Option<Result<Security, String>>) -> Result<Security, String> {
    tls.unwrap_or(Ok(Security::Plain))
}

fn context(shown: Option<Shown>) -> Value {
    let certificates = shown.map(|shown| {
        let (chain, key) = shown.parts();
        json!({ "certificate_chain": { "inline_string": chain }, "private_key": { "inline_string": key } })
    });
    json!({
        "tls_certificates": Vec::from_iter(certificates),
        "validation_context": { "trusted_ca": { "inline_string": tls::AUTHORITY } },
    })
}

impl Shown {
    fn pem(self) -> &'static str {
        match self {
            Shown::Shop => include_str!("../certificates/shop.pem"),
            Shown::Books => include_str!("../certificates/books.pem"),
            Shown::Client => include_str!("../certificates/client.pem"),
            Shown::Bare => include_str!("../certificates/bare.pem"),
            Shown::Nameless => include_str!("../certificates/nameless.pem"),
        }
    }

    /// The certificate, and its key behind it.
    fn parts(self) -> (&'static str, &'static str) {
        let pem = self.pem();
        pem.split_at(pem.find("-----BEGIN PRIVATE KEY-----").unwrap_or(pem.len()))
    }
}

impl TlsVersion {
    fn spoken(self) -> Version {
        match self {
            TlsVersion::V12 => Version::Tls12,
            TlsVersion::V13 => Version::Tls13,
        }
    }

    fn known(
        self,
        server_name: Option<String>,
        local: Option<Shown>,
        peer: Option<Shown>,
        valid: bool,
    ) -> Result<Security, String> {
        let read = |shown: Option<Shown>| shown.map(|shown| Certificate::from_pem(shown.pem())).transpose();
        let version = match self {
            TlsVersion::V12 => "TLSv1.2",
            TlsVersion::V13 => "TLSv1.3",
        };
        Ok(Security::Tls(Box::new(Tls {
            version: version.to_owned(),
            server_name: server_name.unwrap_or_default(),
            local: read(local)?,
            peer: read(peer)?,
            peer_valid: valid && peer.is_some(),
        })))
    }
}
