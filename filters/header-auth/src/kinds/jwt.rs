//! JSON Web Tokens: RFC 7519, verified with keys that are configured or fetched.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::mem;
use std::rc::Rc;

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
        let seen = self.seen.get(&token, request.now);
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
            Ok(claims) => Finding::Valid(self.proof(&token, claims)),
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

    fn proof(&self, token: &[u8], claims: Claims) -> Proof {
        let holder = Holder {
            name: claims.subject().unwrap_or_default().to_owned(),
            scopes: claims.scopes().filter(|scope| is_scope(scope)).map(str::to_owned).collect(),
        };
        // Skew is granted to a token that is seen again as it was the first time.
        let until = claims.expiry().map(|expiry| Timestamp(expiry.saturating_add(self.expected.skew)));
        let proof = Proof { holder: Rc::new(holder), once: None, claims: Some(Rc::new(claims)) };
        self.seen.put(Good { token: token.into(), proof: proof.clone(), until });
        proof
    }
}

/// RFC 6749, 3.3: what could be told to the upstream with others.
fn is_scope(scope: &str) -> bool {
    scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

/// Tokens that were found good, to be known again byte by byte: those that were not seen lately are forgotten, by the half.
///
/// They are found by their last bytes. Those are the end of a signature that was verified, so nobody can choose them but who may
/// sign, and they are as good as a hash that would cost more than all the rest of a request.
#[derive(Debug)]
pub struct Seen {
    /// How many there are at most
    most: usize,
    /// Which keys they were verified with, by a number
    keys: Cell<u64>,
    lately: RefCell<Tails>,
    before: RefCell<Tails>,
}

type Tails = BTreeMap<[u8; TAIL], Good>;

const TAIL: usize = 16;
/// Longer ones are verified each time, so that there is an end to the memory.
const LONGEST_SEEN: usize = 4096;

#[derive(Clone)]
struct Good {
    token: Rc<[u8]>,
    proof: Proof,
    /// The first moment at which the token no longer counts
    until: Option<Timestamp>,
}

/// Without the token, which is a secret.
impl std::fmt::Debug for Good {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Good").field("proof", &self.proof).field("until", &self.until).finish_non_exhaustive()
    }
}

impl Seen {
    pub fn up_to(most: usize) -> Self {
        Self { most, keys: Cell::default(), lately: RefCell::default(), before: RefCell::default() }
    }

    fn get(&self, token: &[u8], now: Timestamp) -> Option<Proof> {
        let tail = token.last_chunk()?;
        let is_it = |good: &Good| is_same(&good.token, token);
        if let Some(good) = self.lately.borrow().get(tail).filter(|good| is_it(good)) {
            return good.proof_at(now);
        }
        let good = match self.before.borrow_mut().entry(*tail) {
            Entry::Occupied(entry) if is_it(entry.get()) => entry.remove(),
            Entry::Occupied(_) | Entry::Vacant(_) => return None,
        };
        let proof = good.proof_at(now);
        self.put(good);
        proof
    }

    fn put(&self, good: Good) {
        let tail = match good.token.last_chunk() {
            Some(tail) if self.most > 0 && good.token.len() <= LONGEST_SEEN => *tail,
            _ => return,
        };
        let mut lately = self.lately.borrow_mut();
        if lately.len() >= self.most.div_ceil(2) {
            let mut before = mem::take(&mut *lately);
            if before.len() > self.most.wrapping_shr(1) {
                drop(before.pop_first());
            }
            *self.before.borrow_mut() = before;
        }
        lately.insert(tail, good);
    }

    /// What was verified with other keys than these counts no longer.
    fn hold_for(&self, keys: u64) {
        if self.keys.replace(keys) != keys {
            self.lately.borrow_mut().clear();
            self.before.borrow_mut().clear();
        }
    }
}

impl Good {
    fn proof_at(&self, now: Timestamp) -> Option<Proof> {
        self.until.is_none_or(|until| now < until).then(|| self.proof.clone())
    }
}

/// By words, and by all of them whatever the first ones say.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let ((words, rest), (others, others_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let mut differ = 0;
    for (word, other) in words.iter().zip(others) {
        differ |= u64::from_le_bytes(*word) ^ u64::from_le_bytes(*other);
    }
    for (byte, other) in rest.iter().zip(others_rest) {
        differ |= u64::from(byte ^ other);
    }
    differ == 0
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(Duration::from_secs(100));

    fn good(token: &str) -> Good {
        let holder = Rc::new(Holder { name: token.to_owned(), scopes: Vec::new() });
        let proof = Proof { holder, once: None, claims: None };
        Good { token: token.as_bytes().into(), proof, until: Some(Timestamp(Duration::from_secs(200))) }
    }

    fn token(number: usize) -> String {
        format!("header.claims.signature-{number:016}")
    }

    fn known(seen: &Seen, token: &str) -> bool {
        let proof = seen.get(token.as_bytes(), NOW);
        assert!(proof.as_ref().is_none_or(|proof| proof.holder.name == token));
        proof.is_some()
    }

    #[test]
    fn a_token_is_known_again_only_as_it_was_to_the_last_byte() {
        let seen = Seen::up_to(10);
        let whole = token(1);
        seen.put(good(&whole));
        assert!(known(&seen, &whole));
        for place in 0..whole.len() {
            let mut other = whole.clone().into_bytes();
            other[place] ^= 1;
            assert!(seen.get(&other, NOW).is_none(), "{place}");
        }
        for cut in 0..whole.len() {
            assert!(!known(&seen, &whole[cut + 1..]) && !known(&seen, &whole[..cut]), "{cut}");
        }
        assert!(!known(&seen, &format!("x{whole}")));
    }

    #[test]
    fn no_token_outlives_its_time() {
        let seen = Seen::up_to(10);
        seen.put(good(&token(1)));
        let at = |seconds| seen.get(token(1).as_bytes(), Timestamp(Duration::from_secs(seconds))).is_some();
        assert!(at(199) && !at(200) && !at(1 << 40));
    }

    #[test]
    fn there_are_never_more_than_may_be_and_the_last_ones_are_among_them() {
        for most in 0..7 {
            let seen = Seen::up_to(most);
            for number in 0..100 {
                seen.put(good(&token(number)));
                let kept = seen.lately.borrow().len() + seen.before.borrow().len();
                assert!(kept <= most, "{kept} of {most}");
                assert_eq!(known(&seen, &token(number)), most > 0);
            }
        }
        let seen = Seen::up_to(10);
        for number in 0..100 {
            seen.put(good(&token(number)));
            assert!(known(&seen, &token(0)), "one that is seen again and again stays");
        }
    }

    #[test]
    fn long_tokens_and_those_of_other_keys_are_not_kept() {
        let seen = Seen::up_to(10);
        seen.put(good(&"x".repeat(LONGEST_SEEN + 1)));
        assert!(seen.lately.borrow().is_empty());
        seen.put(good(&token(1)));
        seen.hold_for(7);
        assert!(!known(&seen, &token(1)));
    }
}
