//! Signatures of whole messages (RFC 9421), with the digest of their content (RFC 9530).

use std::rc::Rc;

use wayside_credentials::jose::Verifier;
use wayside_credentials::messages::signature::{Policy, Refused, Signer};
use wayside_credentials::messages::{Message, digest, replay};

use super::{Awaited, Examine, Finding, Once, Proof, View};
use crate::denial::Reason;
use crate::means::Means;
use crate::source::{Flaw, Source};
use crate::store::Holder;
use crate::timestamp::Timestamp;

#[derive(Debug)]
pub struct HttpSignature {
    /// Tells what was used once apart from that of other providers
    provider: String,
    sources: [Source; 2],
    signers: Vec<Signer>,
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

/// Who signs with a key, and when the key counts.
#[derive(Clone, Debug)]
pub struct Entitled {
    pub holder: Rc<Holder>,
    pub not_before: Option<Timestamp>,
    /// The first moment at which the key no longer counts
    pub not_after: Option<Timestamp>,
}

impl Entitled {
    fn in_time(&self, now: Timestamp) -> Result<&Rc<Holder>, Reason> {
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
        signers: Vec<(Signer, Entitled)>,
        policy: Policy,
        replay: Replay,
        max_body: usize,
    ) -> Self {
        let sources = ["signature-input", "signature"].map(|name| Source::Header(name.to_owned()));
        let (signers, holders) = signers.into_iter().unzip();
        Self { provider, sources, signers, holders, policy, replay, max_body }
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
        let verified = self.policy.verify(&self.signers, &message, has_content, now.0, verifier)?;
        let Some(verified) = verified else {
            return Ok(Finding::Absent);
        };
        let (signer, entitled) = self
            .signers
            .get(verified.signer)
            .zip(self.holders.get(verified.signer))
            .ok_or(Reason::Internal)?;
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
