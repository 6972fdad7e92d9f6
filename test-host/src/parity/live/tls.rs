//! TLS as the runner speaks it, in front of Envoy and behind it, with certificates of its own.

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
        server::WebPkiClientVerifier,
        version,
    },
};

/// Whom both ends trust.
pub(in crate::parity) const AUTHORITY: &str = include_str!("../certificates/authority.pem");

/// A connection's directions, encrypted or not.
pub(in crate::parity) type Directions =
    (Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::parity) enum Version {
    Tls12,
    Tls13,
}

/// A client's side.
#[derive(Clone)]
pub(in crate::parity) struct Client {
    connector: TlsConnector,
    to: ServerName<'static>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("to", &self.to).finish_non_exhaustive()
    }
}

impl Client {
    /// Shows the certificate of a PEM file, if it has one, and takes any server that the authority knows as `to`; it tells
    /// whom it wants only where `tells`.
    ///
    /// # Errors
    /// What is no certificate or no name.
    pub(in crate::parity) fn new(
        shown: Option<&str>,
        to: &str,
        tells: bool,
        version: Version,
    ) -> io::Result<Self> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version.protocol()])
            .map_err(io::Error::other)?
            .with_root_certificates(authority()?);
        let mut config = match shown {
            Some(pem) => {
                let (chain, key) = pair(pem)?;
                builder.with_client_auth_cert(chain, key).map_err(io::Error::other)?
            }
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = tells;
        let to = ServerName::try_from(to.to_owned()).map_err(io::Error::other)?;
        Ok(Client { connector: TlsConnector::from(Arc::new(config)), to })
    }
}

/// A server that shows the certificate of a PEM file, and takes a client's where the authority knows it.
///
/// # Errors
/// What is no certificate.
pub(in crate::parity) fn acceptor(shown: &str, version: Version) -> io::Result<TlsAcceptor> {
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(authority()?), provider())
        .allow_unauthenticated()
        .build()
        .map_err(io::Error::other)?;
    let (chain, key) = pair(shown)?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version.protocol()])
        .map_err(io::Error::other)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A connection's directions, after the handshake that it takes.
///
/// # Errors
/// The handshake fails.
pub(in crate::parity) async fn connected(
    stream: TcpStream,
    client: Option<&Client>,
) -> io::Result<Directions> {
    Ok(match client {
        Some(Client { connector, to }) => {
            let (read, write) = tokio::io::split(connector.connect(to.clone(), stream).await?);
            (Box::new(read), Box::new(write))
        }
        None => plain(stream),
    })
}

/// As [`connected`], where the runner is the server.
///
/// # Errors
/// The handshake fails.
pub(in crate::parity) async fn accepted(
    stream: TcpStream,
    acceptor: Option<&TlsAcceptor>,
) -> io::Result<Directions> {
    Ok(match acceptor {
        Some(acceptor) => {
            let (read, write) = tokio::io::split(acceptor.accept(stream).await?);
            (Box::new(read), Box::new(write))
        }
        None => plain(stream),
    })
}

fn plain(stream: TcpStream) -> Directions {
    let (read, write) = stream.into_split();
    (Box::new(read), Box::new(write))
}

impl Version {
    fn protocol(self) -> &'static SupportedProtocolVersion {
        match self {
            Version::Tls12 => &version::TLS12,
            Version::Tls13 => &version::TLS13,
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn authority() -> io::Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(AUTHORITY.as_bytes()).map_err(io::Error::other)?;
    store.add(authority).map_err(io::Error::other)?;
    Ok(store)
}

fn pair(pem: &str) -> io::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(io::Error::other)?;
    Ok((vec![certificate], key))
}
