//! Which signature of a message counts, what it has to cover, and whether it is good (RFC 9421, 3.2).

use std::time::Duration;

use super::base::base;
use super::component::{Component, Spacing, Structures};
use super::fields::{Bare, Dictionary, InnerList, Member, Parameters};
use super::message::Message;
use crate::jose::{Algorithm, Hash, Key, Pairing, Verifier};

/// The algorithms of RFC 9421, 3.3.1 to 3.3.6, and what JOSE calls the same.
const ALGORITHMS: [(&str, Algorithm); 6] = [
    ("ed25519", Algorithm::EdDsa),
    ("ecdsa-p256-sha256", Algorithm::Es256),
    ("ecdsa-p384-sha384", Algorithm::Es384),
    ("hmac-sha256", Algorithm::Hs(Hash::Sha256)),
    ("rsa-pss-sha512", Algorithm::Ps(Hash::Sha512)),
    ("rsa-v1_5-sha256", Algorithm::Rs(Hash::Sha256)),
];

/// By its name in the registry of HTTP signature algorithms.
#[must_use]
pub fn algorithm_named(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

/// The names of the registry, for those who are told what there is.
pub fn algorithm_names() -> impl Iterator<Item = &'static str> {
    ALGORITHMS.iter().map(|(name, _)| *name)
}

/// Why a signature does not count. No variant says what was signed or with which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the signature's fields are malformed or can be read in two ways")]
    Malformed,
    #[error("more than one signature could be meant")]
    Ambiguous,
    #[error("a parameter or component that is not understood, or cannot be judged here")]
    Unsupported,
    #[error("a covered component is not in the message")]
    Absent,
    #[error("something is not covered that has to be")]
    Uncovered,
    #[error("no `created`")]
    Undated,
    #[error("created in the future")]
    Early,
    #[error("too old, or expired")]
    Late,
    #[error("no `nonce`")]
    NoNonce,
    #[error("no such key")]
    UnknownKey,
    #[error("another algorithm than the key's")]
    OtherAlgorithm,
    #[error("not the key's signature of this message")]
    Wrong,
}

/// Whoever may sign: the key, whose name is the `keyid` of signatures, and the one algorithm it is for.
#[derive(Clone, Debug)]
pub struct Signer {
    key: Key,
    algorithm: Algorithm,
    name: &'static str,
}

impl Signer {
    /// `None` where the algorithm is not the key's, or none of RFC 9421's.
    #[must_use]
    pub fn new(key: Key, algorithm: Algorithm) -> Option<Self> {
        let (name, _) = ALGORITHMS.iter().find(|(_, known)| *known == algorithm)?;
        key.with(algorithm)?;
        Some(Self { key, algorithm, name })
    }

    /// The `keyid` of its signatures.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.key.id()
    }

    fn pairing(&self) -> Option<Pairing<'_>> {
        self.key.with(self.algorithm)
    }
}

/// What every signature has to cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// By name, as a whole: a member or one parameter of the query is not the whole
    pub components: Vec<String>,
    /// `@target-uri`, or `@path` and `@query`
    pub target: bool,
    /// `content-digest` of a message that has content
    pub content: bool,
}

impl Default for Required {
    fn default() -> Self {
        Self {
            components: ["@method", "@authority"].map(str::to_owned).to_vec(),
            target: true,
            content: true,
        }
    }
}

/// What signatures are asked for.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Only a signature with this label is looked at
    pub label: Option<String>,
    /// Only a signature with this `tag`
    pub tag: Option<String>,
    pub required: Required,
    pub nonce_required: bool,
    pub max_age: Duration,
    /// How far ahead a signer's clock may be
    pub skew: Duration,
    pub structures: Structures,
}

/// A signature that is good.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    /// Which of the signers made it
    pub signer: usize,
    /// What no second message may have: its nonce, or of the signature what nobody but the signer can change
    pub once: Vec<u8>,
    /// The last moment at which it counts, since 1970
    pub until: Duration,
    /// Whether `content-digest` is covered: the message counts only with content of that digest
    pub covers_content: bool,
}

impl Policy {
    /// Looks for the one signature that is meant, and verifies it. `None` where there is none.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn verify(
        &self,
        signers: &[Signer],
        message: &Message<'_>,
        has_content: bool,
        now: Duration,
        verifier: &dyn Verifier,
    ) -> Result<Option<Verified>, Refused> {
        let (inputs, signatures) = match (message.joined("signature-input"), message.joined("signature")) {
            (None, None) => return Ok(None),
            (Some(inputs), Some(signatures)) => (inputs, signatures),
            _ => return Err(Refused::Malformed),
        };
        let (inputs, signatures) = (dictionary(&inputs)?, dictionary(&signatures)?);
        let Some((label, input)) = self.meant(&inputs)? else { return Ok(None) };
        let parameters = Named::of(&input.parameters)?;
        let signature = match signatures.get(label) {
            Some(Member::Item(item)) if item.parameters.is_empty() => item.bare.as_byte_sequence(),
            _ => None,
        };
        let signature = signature.ok_or(Refused::Malformed)?;
        let covered = input
            .items
            .iter()
            .map(|item| Component::parse(item, &self.structures))
            .collect::<Result<Vec<_>, _>>()?;
        let covers_content = covers_content(&covered);
        self.required.check(&covered, has_content && !covers_content)?;
        let until = self.in_time(&parameters, now)?;
        if self.nonce_required && parameters.nonce.is_none() {
            return Err(Refused::NoNonce);
        }
        let (index, signer) = chosen(signers, &parameters)?;
        let pairing = signer.pairing().ok_or(Refused::UnknownKey)?;
        let good = |base: &[u8]| verifier.verify(pairing, base, signature);
        let seen = base(input, &covered, message, Spacing::AsSeen)?;
        if !good(&seen) {
            let spaced = base(input, &covered, message, Spacing::AfterCommas)?;
            if spaced == seen || !good(&spaced) {
                return Err(Refused::Wrong);
            }
        }
        let once = once(&parameters, signer.algorithm, signature);
        Ok(Some(Verified { signer: index, once, until, covers_content }))
    }

    /// The one signature with the label and the tag that are asked for.
    fn meant<'d, 'a>(
        &self,
        inputs: &'d Dictionary<'a>,
    ) -> Result<Option<(&'a str, &'d InnerList<'a>)>, Refused> {
        let mut meant = None;
        for (label, member) in inputs.iter() {
            let Member::InnerList(input) = member else { return Err(Refused::Malformed) };
            let tag = input.parameters.get("tag").and_then(string);
            let labelled = self.label.as_deref().is_none_or(|wanted| wanted == label);
            let tagged = self.tag.is_none() || self.tag.as_deref() == tag;
            if labelled && tagged && meant.replace((label, input)).is_some() {
                return Err(Refused::Ambiguous);
            }
        }
        Ok(meant)
    }

    /// Until when the signature counts, if it counts now.
    fn in_time(&self, parameters: &Named<'_>, now: Duration) -> Result<Duration, Refused> {
        let created = parameters.created.ok_or(Refused::Undated)?;
        if created > now.saturating_add(self.skew) {
            return Err(Refused::Early);
        }
        let until = created.saturating_add(self.max_age);
        // The moment of `expires` itself is too late: RFC 9421, 2.3 has it as the end.
        let expired = parameters.expires.is_some_and(|expires| expires <= now);
        if expired || until < now {
            return Err(Refused::Late);
        }
        Ok(parameters.expires.map_or(until, |expires| expires.min(until)))
    }
}

impl Required {
    fn check(&self, covered: &[Component<'_>], content_missing: bool) -> Result<(), Refused> {
        let covers = |name: &str| covered.iter().any(|component| component.whole() == Some(name));
        let target = !self.target || covers("@target-uri") || (covers("@path") && covers("@query"));
        let content = !self.content || !content_missing;
        if target && content && self.components.iter().all(|name| covers(name)) {
            Ok(())
        } else {
            Err(Refused::Uncovered)
        }
    }
}

/// Whether the content's digest is covered; of a member, whether it is one that is compared.
fn covers_content(covered: &[Component<'_>]) -> bool {
    covered.iter().any(|component| {
        component.whole() == Some("content-digest")
            || component
                .member()
                .is_some_and(|(name, key)| name == "content-digest" && super::digest::is_compared(key))
    })
}

/// A dictionary in which nothing occurs twice: RFC 9421, 4.1 and 4.2 want labels unique.
fn dictionary(text: &[u8]) -> Result<Dictionary<'_>, Refused> {
    let dictionary = Dictionary::parse(text).map_err(|_| Refused::Malformed)?;
    if dictionary.is_repetitive() { Err(Refused::Malformed) } else { Ok(dictionary) }
}

/// The parameters of RFC 9421, 2.3.
#[derive(Debug, Default)]
struct Named<'a> {
    created: Option<Duration>,
    expires: Option<Duration>,
    nonce: Option<&'a str>,
    algorithm: Option<&'a str>,
    key: Option<&'a str>,
}

impl<'a> Named<'a> {
    fn of(parameters: &'a Parameters<'_>) -> Result<Self, Refused> {
        let mut named = Self::default();
        for (name, value) in parameters.iter() {
            match name {
                "created" => named.created = Some(moment(value)?),
                "expires" => named.expires = Some(moment(value)?),
                "nonce" => named.nonce = Some(string(value).ok_or(Refused::Malformed)?),
                "alg" => named.algorithm = Some(string(value).ok_or(Refused::Malformed)?),
                "keyid" => named.key = Some(string(value).ok_or(Refused::Malformed)?),
                "tag" => string(value).map(drop).ok_or(Refused::Malformed)?,
                _ => return Err(Refused::Unsupported),
            }
        }
        Ok(named)
    }
}

fn string<'a>(value: &'a Bare<'_>) -> Option<&'a str> {
    value.as_string().map(sfv::StringRef::as_str)
}

fn moment(value: &Bare<'_>) -> Result<Duration, Refused> {
    let seconds = value.as_integer().and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map(Duration::from_secs).ok_or(Refused::Malformed)
}

/// The signer whose key is named; without a name, the only one there is. The message has no say in the algorithm (RFC 9421, 7.3.6).
fn chosen<'s>(signers: &'s [Signer], parameters: &Named<'_>) -> Result<(usize, &'s Signer), Refused> {
    let found = match (parameters.key, signers) {
        (None, [only]) => Some((0, only)),
        (None, _) => None,
        (Some(id), signers) => signers.iter().enumerate().find(|(_, signer)| signer.key.id() == Some(id)),
    };
    let (index, signer) = found.ok_or(Refused::UnknownKey)?;
    match parameters.algorithm {
        Some(named) if named != signer.name => Err(Refused::OtherAlgorithm),
        _ => Ok((index, signer)),
    }
}

/// Of an ECDSA signature the second half can be negated by anybody; the first stays.
fn once(parameters: &Named<'_>, algorithm: Algorithm, signature: &[u8]) -> Vec<u8> {
    match (parameters.nonce, algorithm) {
        (Some(nonce), _) => [b"n", nonce.as_bytes()].concat(),
        (None, Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512) => {
            let half = signature.get(..signature.len() / 2).unwrap_or_default();
            [b"s", half].concat()
        }
        (None, _) => [b"s", signature].concat(),
    }
}
