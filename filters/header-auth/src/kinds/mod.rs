//! The kinds of credentials: where each looks for its own, what it makes of it, and what it asks for when that is not enough.
//!
//! A kind is a file here that can [`Examine`], a [`Kind`], its fields in `config/raw.rs` and their check in `config/providers.rs`, and its
//! reasons in `denial.rs`.

mod api_key;
mod basic;
mod http_signature;
mod jwt;
mod mtls;
mod shared;
mod webhooks;

use std::fmt;
use std::rc::Rc;

use wayside_credentials::jose::Claims;
use wayside_credentials::passwords::Rejection;
use wayside_sdk::Checks;

pub use self::api_key::{ApiKeys, StoredKeys};
pub use self::basic::Basic;
pub use self::http_signature::{Entitled, HttpSignature, Replay, Signing};
pub use self::jwt::{Keys, Seen, SharedKeys, Tokens};
pub use self::mtls::{Client, Mtls, Named, Pattern, Validation};
pub use self::shared::{Encoding, Kept, Shared};
pub use self::webhooks::Webhooks;
use crate::denial::Reason;
use crate::jwks::Remote;
use crate::means::{Means, Vm};
use crate::source::{Flaw, Header, Source};
use crate::store::Holder;
use crate::timestamp::Timestamp;

/// What a kind sees of a request.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// In their order, pseudo headers included
    pub headers: &'a [Header<'a>],
    /// Once it is there as a whole: see [`Awaited::Body`]
    pub body: Option<&'a [u8]>,
    /// Of each credential
    pub max_credential_bytes: usize,
    pub now: Timestamp,
}

/// Names alone: any value may be a credential.
impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.headers.iter().map(|(name, _)| name.escape_ascii().to_string());
        f.debug_list().entries(names).finish()
    }
}

/// One way of proving who is calling.
#[derive(Debug)]
pub enum Kind {
    ApiKeys(ApiKeys),
    Basic(Basic),
    HttpSignature(Box<HttpSignature>),
    Tokens(Box<Tokens>),
    Mtls(Mtls),
    Webhooks(Box<Webhooks>),
    #[cfg(test)]
    Told(Finding),
}

impl Kind {
    /// Not a trait object in itself, which would have to know how to show itself in a module where nobody looks.
    pub fn examiner(&self) -> &dyn Examine {
        match self {
            Self::ApiKeys(kind) => kind,
            Self::Basic(kind) => kind,
            Self::HttpSignature(kind) => &**kind,
            Self::Tokens(kind) => &**kind,
            Self::Mtls(kind) => kind,
            Self::Webhooks(kind) => &**kind,
            #[cfg(test)]
            Self::Told(finding) => finding,
        }
    }
}

/// What a kind can be asked.
///
/// A kind may remember what it has verified (one VM is one thread), but what may happen once only is not for it to do: see
/// [`Proof::once`].
pub trait Examine {
    /// Takes what it needs of the VM before the first request: secrets that no configuration holds, chance. What is missing is
    /// refused.
    fn arm(&self, _vm: &dyn Vm, _at: &mut Checks<'_>) {}

    /// Looks for this kind's credential and judges it.
    fn examine(&self, request: &View<'_>, means: &dyn Means) -> Finding;

    /// Where its credential may stand: what the upstream must not see.
    fn sources(&self) -> &[Source];

    /// What a client is told that it could have sent (RFC 9110, 11.6.1), `refused` being what was wrong with what it did send.
    /// `None` where no header would help.
    fn challenge(&self, realm: &str, refused: Option<Reason>) -> Option<String>;

    /// Its keys, where they are fetched.
    fn remote(&self) -> Option<&Rc<Remote>> {
        None
    }
}

/// What a kind says about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// No credential for it
    Absent,
    Valid(Proof),
    /// With 401 for the reason's status, other credentials may still do; anything else is final
    Refused(Reason),
    /// Cannot be said yet. Once it has come, the request is decided about from the start
    Awaits(Awaited),
}

/// A credential that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub holder: Rc<Holder>,
    /// What must not have been used before, of credentials that are good for one request
    pub once: Option<Once>,
    /// What its issuer says of the holder
    pub claims: Option<Rc<Claims>>,
}

/// What is good for one request: it is spent last, when nothing else stands against the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// A digest of it and of whom it belongs to
    pub tag: [u8; 32],
    /// When it would no longer be accepted anyway
    pub until: Timestamp,
}

/// What a decision may have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Keys that are being fetched
    Keys,
    /// The request's body, of at most so many bytes
    Body { up_to: usize },
}

impl From<Rc<Holder>> for Finding {
    fn from(holder: Rc<Holder>) -> Self {
        Self::Valid(Proof { holder, once: None, claims: None })
    }
}

impl From<Reason> for Finding {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

impl From<Flaw> for Finding {
    fn from(flaw: Flaw) -> Self {
        Self::Refused(flaw.into())
    }
}

/// What a store found of a secret.
fn found(verdict: Result<&Rc<Holder>, Rejection>) -> Finding {
    match verdict {
        Ok(holder) => Rc::clone(holder).into(),
        Err(rejection) => Reason::from(rejection).into(),
    }
}
