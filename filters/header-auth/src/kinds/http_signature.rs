//! Signatures of whole messages (RFC 9421), with the digest of their content (RFC 9530).

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use wayside_credentials::jose::{Algorithm, Hash, Key, Verifier};
use wayside_credentials::messages::signature::{Policy, Refused, Signer};
use wayside_credentials::messages::{Message, digest, replay};
use wayside_sdk::Checks;

use super::{Awaited, Examine, Finding, Once, Proof, Shared, View};
use crate::denial::Reason;
use crate::means::{Means, Vm};
use crate::source::{Flaw, Source};
use crate::store::Holder;
use crate::timestamp::Timestamp;

#[derive(Debug)]
pub struct HttpSignature {
    /// Tells what was used once apart from that of other providers
    provider: String,
    sources: [Source; 2],
    /// The field of the configuration that has the signers
    field: &'static str,
    /// Until they are armed
    signings: RefCell<Vec<Signing>>,
    signers: OnceCell<Vec<Signer>>,
    /// In the order of the signers
    holders: Vec<Entitled>,
    policy: Policy,
    replay: Replay,
    /// Of a body whose digest is signed
    max_body: usize,
}

/// Whether a signature counts once only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    Refused,
    Allowed,
}

/// What a signer's signatures are verified with.
#[derive(Clone, Debug)]
pub enum Signing {
    Public(Signer),
    /// HMAC with SHA-256, by this `keyid`
    Shared(String, Shared),
}

impl Signing {
    /// The `keyid` of its signatures.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Public(signer) => signer.id(),
            Self::Shared(id, _) => Some(id),
        }
    }

    fn armed(self, vm: &dyn Vm, at: &mut Checks<'_>) -> Option<Signer> {
        match self {
            Self::Public(signer) => Some(signer),
            Self::Shared(id, shared) => {
                let signer = |secret: &[u8]| {
                    Signer::new(Key::secret(secret).ok()?.named(&id), Algorithm::Hs(Hash::Sha256))
                };
                shared.read(vm, "a secret of at least 32 bytes", signer, at)
            }
        }
    }
}

/// Who signs with a key, and when the key counts.
#[derive(Clone, Debug)]
pub struct Entitled {
    pub holder: Rc<Holder>,
    pub not_before: Option<Timestamp>,
    /// The first moment at which the key no longer counts
    pub not_after: Option<Timestamp>,
}

impl Entitled {
    pub(super) fn in_time(&self, now: Timestamp) -> Result<&Rc<Holder>, Reason> {
        if self.not_before.is_some_and(|start| now < start) {
            return Err(Reason::NotYetValid);
        }
        if self.not_after.is_some_and(|end| now >= end) {
            return Err(Reason::Expired);
        }
        Ok(&self.holder)
    }
}

impl HttpSignature {
    pub fn new(
        provider: String,
        field: &'static str,
        signers: Vec<(Signing, Entitled)>,
        policy: Policy,
        replay: Replay,
        max_body: usize,
    ) -> Self {
        let sources = ["signature-input", "signature"].map(|name| Source::Header(name.to_owned()));
        let (signings, holders) = signers.into_iter().unzip();
        let (signings, signers) = (RefCell::new(signings), OnceCell::new());
        Self { provider, sources, field, signings, signers, holders, policy, replay, max_body }
    }

    fn judged(&self, request: &View<'_>, verifier: &dyn Verifier) -> Result<Finding, Reason> {
        let message = Message::of(request.headers).map_err(|_| Reason::MalformedCredential)?;
        for name in ["signature-input", "signature"] {
            let bytes = message.values(name).fold(0, |sum: usize, line| sum.saturating_add(line.len()));
            if bytes > request.max_credential_bytes {
                return Err(Flaw::TooLong.into());
            }
        }
        let has_content = request.body.is_none_or(|body| !body.is_empty());
        let now = request.now;
        let signers = self.signers.get().ok_or(Reason::Internal)?;
        let verified = self.policy.verify(signers, &message, has_content, now.0, verifier)?;
        let Some(verified) = verified else {
            return Ok(Finding::Absent);
        };
        let (signer, entitled) =
            signers.get(verified.signer).zip(self.holders.get(verified.signer)).ok_or(Reason::Internal)?;
        let holder = Rc::clone(entitled.in_time(now)?);
        if verified.covers_content {
            let Some(body) = request.body else {
                return Ok(Finding::Awaits(Awaited::Body { up_to: self.max_body }));
            };
            digest::check(message.joined("content-digest").as_deref(), body)?;
        }
        let once = (self.replay == Replay::Refused).then(|| Once {
            tag: replay::digest_of(&[
                self.provider.as_bytes(),
                signer.id().unwrap_or_default().as_bytes(),
                &verified.once,
            ]),
            until: Timestamp(verified.until),
        });
        Ok(Finding::Valid(Proof { holder, once, claims: None }))
    }
}

impl Examine for HttpSignature {
    fn arm(&self, vm: &dyn Vm, at: &mut Checks<'_>) {
        let at = &mut at.at(self.field);
        let signings = self.signings.take().into_iter().enumerate();
        let armed = |(index, signing): (usize, Signing)| signing.armed(vm, &mut at.at(index));
        drop(self.signers.set(signings.filter_map(armed).collect()));
    }

    fn examine(&self, request: &View<'_>, means: &dyn Means) -> Finding {
        self.judged(request, means.verifier()).unwrap_or_else(Finding::Refused)
    }

    fn sources(&self) -> &[Source] {
        &self.sources
    }

    fn challenge(&self, realm: &str, _: Option<Reason>) -> Option<String> {
        Some(format!("Signature realm=\"{realm}\""))
    }
}

impl From<Refused> for Reason {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Malformed => Self::MalformedCredential,
            Refused::Ambiguous => Self::DuplicateCredential,
            Refused::Unsupported => Self::SignatureUnsupported,
            Refused::Absent => Self::SignatureAbsent,
            Refused::Uncovered => Self::SignatureUncovered,
            Refused::Undated => Self::SignatureUndated,
            Refused::Early => Self::NotYetValid,
            Refused::Late => Self::Expired,
            Refused::NoNonce => Self::SignatureWithoutNonce,
            Refused::UnknownKey => Self::UnknownCredential,
            Refused::OtherAlgorithm => Self::SignatureAlgorithm,
            Refused::Wrong => Self::SignatureWrong,
        }
    }
}

impl From<digest::Mismatch> for Reason {
    fn from(mismatch: digest::Mismatch) -> Self {
        match mismatch {
            digest::Mismatch::Missing => Self::DigestMissing,
            digest::Mismatch::Malformed => Self::MalformedCredential,
            digest::Mismatch::Differs => Self::DigestDiffers,
        }
    }
}
