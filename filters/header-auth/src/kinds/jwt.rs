//! JSON Web Tokens: RFC 7519, verified with keys that are configured or fetched.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::mem;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};
use wayside_credentials::jose::{
    Algorithm, Claims, Defect, Discord, Expectations, Key, KeySet, Terms, Unverified,
};
use wayside_sdk::Checks;

use super::{Examine, Finding, Proof, Shared, View};
use crate::denial::Reason;
use crate::jwks::Remote;
use crate::means::{Event, Means, Vm};
use crate::source::{Source, present};
use crate::store::Holder;
use crate::timestamp::Timestamp;

#[derive(Debug)]
pub struct Tokens {
    pub sources: Vec<Source>,
    pub keys: Keys,
    pub terms: Terms,
    pub expected: Expectations,
    pub seen: Seen,
}

/// Where the keys come from.
#[derive(Debug)]
pub enum Keys {
    Configured(Rc<KeySet>),
    Fetched(Rc<Remote>),
    Shared(SharedKeys),
}

/// Secrets by their `kid`.
#[derive(Debug)]
pub struct SharedKeys {
    secrets: Vec<(String, Shared)>,
    keys: OnceCell<KeySet>,
}

impl SharedKeys {
    pub fn new(secrets: Vec<(String, Shared)>) -> SharedKeys {
        SharedKeys { secrets, keys: OnceCell::new() }
    }

    fn arm(&self, algorithms: &[Algorithm], vm: &dyn Vm, at: &mut Checks<'_>) {
        let key = |id: &str, secret: &[u8]| {
            let key = Key::secret(secret).ok()?.named(id);
            algorithms.iter().any(|algorithm| key.with(*algorithm).is_some()).then_some(key)
        };
        let read = |(index, (id, shared)): (usize, &(String, Shared))| {
            let expected = "a secret as long as the hash of one of the `algorithms`: 32, 48 or 64 bytes";
            shared.read(vm, expected, |secret| key(id, secret), &mut at.at(index))
        };
        let keys = self.secrets.iter().enumerate().filter_map(read).collect();
        if let Some(keys) = KeySet::of(keys) {
            drop(self.keys.set(keys));
        }
    }
}

impl Examine for Tokens {
    fn arm(&self, vm: &dyn Vm, at: &mut Checks<'_>) {
        if let Keys::Shared(shared) = &self.keys {
            shared.arm(&self.terms.algorithms, vm, &mut at.at("secrets"));
        }
    }

    fn examine(&self, request: &View<'_>, means: &dyn Means) -> Finding {
        let token = match present(&self.sources, request.headers, request.max_credential_bytes) {
            Ok(None) => return Finding::Absent,
            Ok(Some(token)) => token,
            Err(flaw) => return flaw.into(),
        };
        if let Keys::Fetched(remote) = &self.keys {
            self.seen.hold_for(remote.changes());
        }
        let digest = Sha256::digest(&token).into();
        let seen = self.seen.get(&digest, request.now);
        means.noticed_kept(Some(seen.is_some()));
        if let Some(proof) = seen {
            return Finding::Valid(proof);
        }
        means.noticed(Event::Verifies);
        let judged = match &self.keys {
            Keys::Configured(keys) => self.judge(&token, keys, means, request.now),
            Keys::Shared(shared) => match shared.keys.get() {
                Some(keys) => self.judge(&token, keys, means, request.now),
                None => Err(Reason::Internal),
            },
            Keys::Fetched(remote) => {
                // For what is refused by any key nobody need fetch one.
                if let Err(defect) = Unverified::parse(&token, &self.terms) {
                    return Finding::Refused(defect.into());
                }
                let judged =
                    remote.judged(means, |keys| match self.judge(&token, keys, means, request.now) {
                        Err(Reason::TokenUnknownKey) => None,
                        judged => Some(judged),
                    });
                match judged {
                    Ok(judged) => judged,
                    Err(lack) => return lack.finding(Reason::TokenUnknownKey),
                }
            }
        };
        match judged {
            Ok(claims) => Finding::Valid(self.proof(digest, claims)),
            Err(reason) => Finding::Refused(reason),
        }
    }

    fn remote(&self) -> Option<&Rc<Remote>> {
        match &self.keys {
            Keys::Configured(_) | Keys::Shared(_) => None,
            Keys::Fetched(remote) => Some(remote),
        }
    }

    fn sources(&self) -> &[Source] {
        &self.sources
    }

    fn challenge(&self, realm: &str, refused: Option<Reason>) -> Option<String> {
        // RFC 6750, 3.1: no error code for a request that carried no token.
        let error = if refused.is_some() { ", error=\"invalid_token\"" } else { "" };
        Some(format!("Bearer realm=\"{realm}\"{error}"))
    }
}

impl Tokens {
    fn judge(
        &self,
        token: &[u8],
        keys: &KeySet,
        means: &dyn Means,
        now: Timestamp,
    ) -> Result<Claims, Reason> {
        let payload = Unverified::parse(token, &self.terms)?.verify(
            keys,
            self.terms.max_keys_tried,
            means.verifier(),
        )?;
        Ok(Claims::check(&payload, &self.expected, now.0)?)
    }

    fn proof(&self, digest: [u8; 32], claims: Claims) -> Proof {
        let holder = Holder {
            name: claims.subject().unwrap_or_default().to_owned(),
            scopes: claims.scopes().filter(|scope| is_scope(scope)).map(str::to_owned).collect(),
        };
        // Skew is granted to a token that is seen again as it was the first time.
        let until = claims.expiry().map(|expiry| Timestamp(expiry.saturating_add(self.expected.skew)));
        let proof = Proof { holder: Rc::new(holder), once: None, claims: Some(Rc::new(claims)) };
        self.seen.put(digest, Good { proof: proof.clone(), until });
        proof
    }
}

/// RFC 6749, 3.3: what could be told to the upstream with others.
fn is_scope(scope: &str) -> bool {
    scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

/// Tokens that were found good, by their digests: those that were not seen lately are forgotten, by the half.
#[derive(Debug, Default)]
pub struct Seen {
    /// Which keys they were verified with, by a number
    keys: Cell<u64>,
    lately: RefCell<BTreeMap<[u8; 32], Good>>,
    before: RefCell<BTreeMap<[u8; 32], Good>>,
}

#[derive(Clone, Debug)]
struct Good {
    proof: Proof,
    /// The first moment at which the token no longer counts
    until: Option<Timestamp>,
}

/// Of each half.
const MOST_SEEN: usize = 500;

impl Seen {
    fn get(&self, digest: &[u8; 32], now: Timestamp) -> Option<Proof> {
        let lately = self.lately.borrow().get(digest).cloned();
        let good = match lately {
            Some(good) => good,
            None => {
                let good = self.before.borrow_mut().remove(digest)?;
                self.put(*digest, good.clone());
                good
            }
        };
        good.until.is_none_or(|until| now < until).then_some(good.proof)
    }

    fn put(&self, digest: [u8; 32], good: Good) {
        let mut lately = self.lately.borrow_mut();
        if lately.len() >= MOST_SEEN {
            *self.before.borrow_mut() = mem::take(&mut *lately);
        }
        lately.insert(digest, good);
    }

    /// What was verified with other keys than these counts no longer.
    fn hold_for(&self, keys: u64) {
        if self.keys.replace(keys) != keys {
            self.lately.borrow_mut().clear();
            self.before.borrow_mut().clear();
        }
    }
}

impl From<Defect> for Reason {
    fn from(defect: Defect) -> Self {
        match defect {
            Defect::Parts => Self::TokenParts,
            Defect::Encoding => Self::TokenEncoding,
            Defect::Header => Self::TokenHeader,
            Defect::Algorithm => Self::TokenAlgorithm,
            Defect::Critical => Self::TokenCritical,
            Defect::Encrypted => Self::TokenEncrypted,
            Defect::Type => Self::TokenType,
            Defect::KeyId => Self::TokenKeyId,
            Defect::UnknownKey => Self::TokenUnknownKey,
            Defect::UnfitKey => Self::TokenUnfitKey,
            Defect::AmbiguousKey => Self::TokenAmbiguousKey,
            Defect::Signature => Self::TokenSignature,
        }
    }
}

impl From<Discord> for Reason {
    fn from(discord: Discord) -> Self {
        match discord {
            Discord::Malformed => Self::TokenClaims,
            Discord::Issuer => Self::TokenIssuer,
            Discord::Audience => Self::TokenAudience,
            Discord::NoExpiry => Self::TokenNoExpiry,
            Discord::Expired => Self::TokenExpired,
            Discord::NotYetValid => Self::TokenNotYetValid,
            Discord::IssuedInFuture => Self::TokenIssuedInFuture,
            Discord::Lifetime => Self::TokenLifetime,
            Discord::Subject => Self::TokenSubject,
            Discord::Claim => Self::TokenClaim,
        }
    }
}
