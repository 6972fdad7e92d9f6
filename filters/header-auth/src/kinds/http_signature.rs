//! Signatures of whole messages (RFC 9421), with the digest of their content (RFC 9530).

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use wayside_credentials::jose::{Algorithm, Hash, Key, Pairing, Verifier};
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
    lately: Lately,
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
        Self {
            provider,
            sources,
            field,
            signings,
            signers,
            holders,
            policy,
            replay,
            max_body,
            lately: Lately::default(),
        }
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
        let verifier = Remembering { verifier, lately: &self.lately, first: request.body.is_none() };
        let verified = self.policy.verify(signers, &message, has_content, now.0, &verifier)?;
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

/// Signatures that were good when their content had not come yet: when it has, they need not be verified again.
#[derive(Debug, Default)]
struct Lately(RefCell<VecDeque<[u8; 32]>>);

/// Requests that are held at a time; of more, the signatures are verified twice.
const MOST_LATELY: usize = 256;

struct Remembering<'a> {
    verifier: &'a dyn Verifier,
    lately: &'a Lately,
    /// Whether the content is still to come
    first: bool,
}

impl Verifier for Remembering<'_> {
    fn verify(&self, pairing: Pairing<'_>, message: &[u8], signature: &[u8]) -> bool {
        let mut lately = self.lately.0.borrow_mut();
        if !self.first && lately.is_empty() {
            return self.verifier.verify(pairing, message, signature);
        }
        // No two keys of a provider have one name.
        let name = pairing.key().id().unwrap_or_default();
        let digest = replay::digest_of(&[name.as_bytes(), message, signature]);
        if lately.contains(&digest) {
            return true;
        }
        let good = self.verifier.verify(pairing, message, signature);
        if good && self.first {
            if lately.len() >= MOST_LATELY {
                lately.pop_front();
            }
            lately.push_back(digest);
        }
        good
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ring::{digest, hmac};
    use wayside_credentials::jose::Pure;
    use wayside_sdk::{Configuration as _, Redacted};

    use super::*;
    use crate::access::Halt;
    use crate::config::Config;
    use crate::decision::{Admitted, Decision, Request};
    use crate::means::{CertificatePart, Unavailable};

    const SECRET: &str = "a secret of thirty-two bytes, or so";
    const NOW: Timestamp = Timestamp(std::time::Duration::from_secs(1_800_000_000));

    /// A proxy that counts what it verifies.
    #[derive(Default)]
    struct Counting(Cell<u32>);

    impl Verifier for Counting {
        fn verify(&self, pairing: Pairing<'_>, message: &[u8], signature: &[u8]) -> bool {
            self.0.set(self.0.get() + 1);
            Pure.verify(pairing, message, signature)
        }
    }

    impl Means for Counting {
        fn certificate(&self, _: CertificatePart) -> Result<Option<Vec<u8>>, Unavailable> {
            Err(Unavailable)
        }

        fn verifier(&self) -> &dyn Verifier {
            self
        }
    }

    impl Vm for Counting {
        fn secret(&self, _: &str) -> Option<Redacted<Vec<u8>>> {
            Some(SECRET.as_bytes().to_vec().into())
        }

        fn random(&self) -> Option<[u8; 32]> {
            None
        }
    }

    fn config() -> Config {
        let text = r#"{"version": 1, "providers": {"p": {"kind": "hmac", "profile": "rfc9421", "secrets": [{"id": "k", "secret_env": "S"}]}},
            "defaults": {"require": {"any": ["p"]}}}"#;
        let config = Config::parse(text.as_bytes()).unwrap();
        config.arm(&Counting::default()).unwrap();
        config
    }

    /// The lines of a request that is signed with this content, under this nonce.
    fn signed(nonce: &str, content: &str) -> Vec<(String, String)> {
        let digest = STANDARD.encode(digest::digest(&digest::SHA256, content.as_bytes()));
        let parameters = format!(
            r#"("@method" "@authority" "@path" "@query" "content-digest");created=1800000000;keyid="k";nonce="{nonce}""#
        );
        let base = format!(
            "\"@method\": POST\n\"@authority\": a.example\n\"@path\": /a\n\"@query\": ?\n\"content-digest\": sha-256=:{digest}:\n\"@signature-params\": {parameters}"
        );
        let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), base.as_bytes());
        [
            (":method", "POST".to_owned()),
            (":path", "/a".to_owned()),
            (":authority", "a.example".to_owned()),
            ("content-digest", format!("sha-256=:{digest}:")),
            ("signature-input", format!("s={parameters}")),
            ("signature", format!("s=:{}:", STANDARD.encode(code))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    fn decided<'c>(
        config: &'c Config,
        lines: &[(String, String)],
        body: Option<&str>,
        means: &Counting,
    ) -> Result<Admitted<'c>, Halt> {
        let headers: Vec<_> = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let request = Request {
            headers: &headers,
            body: body.map(str::as_bytes),
            route_name: b"",
            cluster: b"",
            route_says: None,
        };
        let Decision { outcome, .. } = config.policy.decide(&request, means, NOW);
        outcome
    }

    #[test]
    fn a_signature_whose_content_is_awaited_is_verified_once() {
        let (config, means) = (config(), Counting::default());
        let lines = signed("n", "abc");
        let awaits = decided(&config, &lines, None, &means);
        assert!(matches!(awaits, Err(Halt::Awaits { awaited: Awaited::Body { .. }, .. })));
        let halt = decided(&config, &lines, Some("abd"), &means).unwrap_err();
        assert!(matches!(halt, Halt::Denied(denial) if denial.reason == Reason::DigestDiffers));
        assert!(decided(&config, &lines, Some("abc"), &means).is_ok());
        assert_eq!(means.0.get(), 1);
    }

    #[test]
    fn what_was_verified_vouches_for_nothing_else() {
        let (config, means) = (config(), Counting::default());
        let good = signed("n", "abc");
        assert!(decided(&config, &good, None, &means).is_err());
        let other = signed("m", "abc");
        for (at, name) in
            [(5, "another's signature"), (4, "other parameters"), (3, "another digest"), (1, "path")]
        {
            let mut lines = good.clone();
            lines[at].1 = match at {
                1 => "/b".to_owned(),
                3 => signed("n", "abd")[3].1.clone(),
                _ => other[at].1.clone(),
            };
            let halt = decided(&config, &lines, Some("abc"), &means).unwrap_err();
            assert!(
                matches!(&halt, Halt::Denied(denial) if denial.reason == Reason::SignatureWrong),
                "{name}: {halt:?}"
            );
        }
        // Of more than are remembered, too, and twice then.
        for number in 0..=MOST_LATELY {
            assert!(decided(&config, &signed(&number.to_string(), "abc"), None, &means).is_err());
        }
        let before = means.0.get();
        assert!(decided(&config, &good, Some("abc"), &means).is_ok());
        assert!(decided(&config, &signed("256", "abc"), Some("abc"), &means).is_ok());
        assert_eq!(means.0.get(), before + 1);
    }
}
