//! What a decision may ask of the proxy while it is made. Whoever has no proxy says so, and nobody gets in on it.

use std::rc::Rc;

use crate::jwks::{More, Remote};
use wayside_credentials::jose::{Pure, Verifier};
use wayside_sdk::Redacted;

/// A part of the certificate by which the client proved itself to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificatePart {
    /// The first URI among its subject alternative names
    UriSan,
    /// The first DNS name among them
    DnsSan,
    /// The distinguished name, as of RFC 2253
    Subject,
    /// Of the whole certificate, in hexadecimal digits
    Sha256,
}

/// The proxy could not be asked, which is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// What happened in a kind that the operator counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A verdict was still known
    CacheHit,
    CacheMiss,
    /// What follows may be work, and how long it takes is measured
    Verifies,
}

/// The VM, as far as a configuration needs it.
pub trait Vm {
    /// The value of an environment variable.
    fn secret(&self, name: &str) -> Option<Redacted<Vec<u8>>>;

    /// This VM's own, the same for all who ask.
    fn random(&self) -> Option<[u8; 32]>;
}

/// The proxy, as far as a decision needs it.
pub trait Means {
    /// Once a request at most for each event of a kind.
    fn noticed(&self, _: Event) {}

    /// Whether a kept verdict was used, where one could have been.
    fn noticed_kept(&self, kept: Option<bool>) {
        match kept {
            Some(true) => self.noticed(Event::CacheHit),
            Some(false) => self.noticed(Event::CacheMiss),
            None => {}
        }
    }

    /// Whether the client has shown a certificate when it connected, good or bad.
    ///
    /// # Errors
    /// The proxy could not be asked.
    fn shows_certificate(&self) -> Result<bool, Unavailable> {
        Err(Unavailable)
    }

    /// Whether the proxy has found it good in the handshake of this connection.
    ///
    /// # Errors
    /// The proxy could not be asked, or does not tell.
    fn certificate_is_valid(&self) -> Result<bool, Unavailable> {
        Err(Unavailable)
    }

    /// `None` where the client has shown no certificate, or its certificate has no such part.
    ///
    /// # Errors
    /// The proxy could not be asked.
    fn certificate(&self, part: CertificatePart) -> Result<Option<Vec<u8>>, Unavailable>;

    /// Has a provider's keys fetched anew, if they may be.
    fn more_keys(&self, _: &Rc<Remote>) -> More {
        More::No
    }

    /// Who verifies public-key signatures.
    fn verifier(&self) -> &dyn Verifier {
        &Pure
    }
}

/// Where there is no proxy: in tests, fuzzers and tools.
#[derive(Clone, Copy, Debug)]
pub struct NoProxy;

impl Means for NoProxy {
    fn certificate(&self, _: CertificatePart) -> Result<Option<Vec<u8>>, Unavailable> {
        Err(Unavailable)
    }
}
