//! What is known of a TLS connection, as people write it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::message::{Certificate, Security, Tls};

/// ```yaml
/// version: TLSv1.3              # TLSv1.2; without: TLSv1.3
/// server_name: shop.example     # what the end that connected asked for (SNI); without: nothing
/// local: proxy.pem              # the proxy's certificate: a file beside this one, or what it says:
/// peer: { subject: "CN=client,O=shop", uri_sans: ["spiffe://shop/client"], dns_sans: [], sha256: "", pem: "" }
/// peer_valid: false             # the proxy has not found the peer's certificate good in this handshake: any is taken, or the session resumed
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenTls {
    #[serde(default)]
    version: Version,
    #[serde(default)]
    server_name: String,
    local: Option<WrittenCertificate>,
    peer: Option<WrittenCertificate>,
    #[serde(default = "yes")]
    peer_valid: bool,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
enum Version {
    #[serde(rename = "TLSv1.2")]
    V12,
    #[default]
    #[serde(rename = "TLSv1.3")]
    V13,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a file's name, or what a certificate says: subject, uri_sans, dns_sans, sha256, pem"
)]
enum WrittenCertificate {
    File(PathBuf),
    Said(Said),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Said {
    subject: String,
    uri_sans: Vec<String>,
    dns_sans: Vec<String>,
    sha256: String,
    pem: String,
}

impl WrittenTls {
    /// What it says; files are read below `folder`.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no certificate.
    pub(crate) fn known(&self, folder: &Path) -> Result<Security, String> {
        let read = |certificate: &Option<WrittenCertificate>| {
            certificate.as_ref().map(|certificate| certificate.known(folder)).transpose()
        };
        let version = match self.version {
            Version::V12 => "TLSv1.2",
            Version::V13 => "TLSv1.3",
        };
        Ok(Security::Tls(Box::new(Tls {
            version: version.to_owned(),
            server_name: self.server_name.clone(),
            local: read(&self.local).map_err(|what| format!("local: {what}"))?,
            peer: read(&self.peer).map_err(|what| format!("peer: {what}"))?,
            peer_valid: self.peer_valid && self.peer.is_some(),
        })))
    }
}

/// A connection of which nothing is written is plain.
///
/// # Errors
/// As [`WrittenTls::known`].
pub(crate) fn security(tls: Option<&WrittenTls>, folder: &Path) -> Result<Security, String> {
    tls.map_or(Ok(Security::Plain), |tls| tls.known(folder))
}

impl WrittenCertificate {
    fn known(&self, folder: &Path) -> Result<Certificate, String> {
        match self {
            WrittenCertificate::File(name) => {
                let path = folder.join(name);
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
                Certificate::from_pem(&text).map_err(|what| format!("{}: {what}", path.display()))
            }
            WrittenCertificate::Said(said) => {
                let Said { subject, uri_sans, dns_sans, sha256, pem } = said.clone();
                Ok(Certificate { subject, uri_sans, dns_sans, sha256, pem })
            }
        }
    }
}
