//! Keys as JSON: RFC 7517, RFC 7518 section 6, RFC 8037 section 2.

use wayside_json::Json;

use super::algorithm::Algorithm;
use super::key::{Curve, Key, Pairing, Unfit};
use super::reading;

/// Bytes of a key's name.
pub const LONGEST_KEY_ID: usize = 256;

/// Keys of one set.
pub const MOST_KEYS: usize = 100;

/// Why an entry of a set is no key of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// A member that is missing, of another type or not in its encoding
    Member(&'static str),
    /// No kind of key that is known here
    Kind,
    /// Its `use`, its `key_ops` or its `alg` are for something else
    Purpose,
    Unfit(Unfit),
}

/// Why there is no set at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKeySet {
    /// No JSON object with an array `keys`
    Syntax,
    /// More than [`MOST_KEYS`]
    TooMany,
    /// Not one key in it that can be used
    Empty,
}

/// Keys of one owner: all public, or all secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: usize,
    broken: usize,
}

/// Why a set has no keys for a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// Nobody by that name: its owner may have new ones
    Unknown,
    /// None that fits the algorithm
    Unfit,
    /// Several that fit, by one name
    Ambiguous,
}

impl KeySet {
    /// Reads a set (RFC 7517 section 5). Entries that cannot be used are left out and counted; where one is broken, so is every other by its
    /// name. Secrets beside public keys are left out too: who publishes a set publishes them, and who takes one for the other lets anybody sign.
    ///
    /// # Errors
    /// See [`NoKeySet`].
    pub fn parse(text: &[u8]) -> Result<KeySet, NoKeySet> {
        KeySet::from_json(&reading::object(text).ok_or(NoKeySet::Syntax)?)
    }

    /// The same of what was read.
    ///
    /// # Errors
    /// See [`NoKeySet`].
    pub fn from_json(set: &Json) -> Result<KeySet, NoKeySet> {
        let Some(Json::List(entries)) = set.get("keys") else {
            return Err(NoKeySet::Syntax);
        };
        if entries.len() > MOST_KEYS {
            return Err(NoKeySet::TooMany);
        }
        let mut keys = Vec::with_capacity(entries.len());
        let mut broken = 0_usize;
        let mut suspect = Vec::new();
        for entry in entries {
            match Key::from_jwk(entry) {
                // The same key twice is no second one.
                Ok(key) if keys.contains(&key) => {}
                Ok(key) => keys.push(key),
                Err(Unusable::Purpose | Unusable::Kind) => {}
                Err(Unusable::Member(_) | Unusable::Unfit(_)) => {
                    broken = broken.saturating_add(1);
                    suspect.extend(reading::text(entry, "kid"));
                }
            }
        }
        // Who knows which of the two its owner meant.
        keys.retain(|key: &Key| key.id().is_none_or(|id| !suspect.contains(&id)));
        if keys.iter().any(|key| !key.is_secret()) {
            keys.retain(|key| !key.is_secret());
        }
        if keys.is_empty() {
            return Err(NoKeySet::Empty);
        }
        let skipped = entries.len().saturating_sub(keys.len());
        Ok(KeySet { keys, skipped, broken })
    }

    /// Of keys that were read one by one. `None` without any, and where some are public and some secret.
    #[must_use]
    pub fn of(keys: Vec<Key>) -> Option<KeySet> {
        let secret = keys.first()?.is_secret();
        let alike = keys.iter().all(|key| key.is_secret() == secret);
        alike.then_some(KeySet { keys, skipped: 0, broken: 0 })
    }

    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// Entries that could not be used, or stood there before.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Entries that were meant to be keys, and are none.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.broken
    }

    /// The keys with which a signature may have been made. A name is compared whole and leads to one key; without a name, up to `most` are
    /// tried that fit.
    ///
    /// # Errors
    /// See [`NoKey`].
    pub fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        most: usize,
    ) -> Result<Vec<Pairing<'_>>, NoKey> {
        let named = |key: &&Key| id.is_none_or(|id| key.id() == Some(id));
        if !self.keys.iter().any(|key| named(&key)) {
            return Err(NoKey::Unknown);
        }
        let fitting: Vec<_> = self.keys.iter().filter(named).filter_map(|key| key.with(algorithm)).collect();
        match fitting.len() {
            0 => Err(NoKey::Unfit),
            2.. if id.is_some() => Err(NoKey::Ambiguous),
            _ => Ok(fitting.into_iter().take(most).collect()),
        }
    }
}

impl Key {
    /// Reads one key. Its private half, if it is there, is not looked at.
    ///
    /// # Errors
    /// See [`Unusable`].
    pub fn from_jwk(jwk: &Json) -> Result<Key, Unusable> {
        let key = material(jwk)?;
        check_use(jwk)?;
        check_operations(jwk)?;
        let key = match jwk.get("alg") {
            None => key,
            Some(Json::Text(name)) => for_algorithm(key, name)?,
            Some(_) => return Err(Unusable::Member("alg")),
        };
        match jwk.get("kid") {
            None => Ok(key),
            Some(Json::Text(id)) if id.len() <= LONGEST_KEY_ID => Ok(key.named(id)),
            Some(_) => Err(Unusable::Member("kid")),
        }
    }
}

fn material(jwk: &Json) -> Result<Key, Unusable> {
    let bytes = |name| {
        let text = reading::text(jwk, name).ok_or(Unusable::Member(name))?;
        reading::base64url(text.as_bytes()).ok_or(Unusable::Member(name))
    };
    let curve = reading::text(jwk, "crv");
    let key = match (reading::text(jwk, "kty").ok_or(Unusable::Member("kty"))?, curve) {
        ("RSA", _) => Key::rsa(&bytes("n")?, &bytes("e")?),
        ("EC", Some("P-256")) => Key::ec(Curve::P256, &bytes("x")?, &bytes("y")?),
        ("EC", Some("P-384")) => Key::ec(Curve::P384, &bytes("x")?, &bytes("y")?),
        ("EC", Some("P-521")) => Key::ec(Curve::P521, &bytes("x")?, &bytes("y")?),
        ("OKP", Some("Ed25519")) => Key::ed25519(&bytes("x")?),
        ("oct", _) => Key::secret(&bytes("k")?),
        _ => return Err(Unusable::Kind),
    };
    key.map_err(Unusable::Unfit)
}

/// RFC 7517 section 4.2.
fn check_use(jwk: &Json) -> Result<(), Unusable> {
    match jwk.get("use") {
        None => Ok(()),
        Some(Json::Text(purpose)) if purpose == "sig" => Ok(()),
        Some(Json::Text(_)) => Err(Unusable::Purpose),
        Some(_) => Err(Unusable::Member("use")),
    }
}

/// RFC 7517 section 4.3.
fn check_operations(jwk: &Json) -> Result<(), Unusable> {
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Json::List(operations)) => {
            let verify = |operation: &Json| matches!(operation, Json::Text(name) if name == "verify");
            if operations.iter().any(verify) { Ok(()) } else { Err(Unusable::Purpose) }
        }
        Some(_) => Err(Unusable::Member("key_ops")),
    }
}

fn for_algorithm(key: Key, name: &str) -> Result<Key, Unusable> {
    // Some take the curve's number for the hash's. It still fits P-521 alone.
    let name = if name == "ES521" { "ES512" } else { name };
    Algorithm::named(name).and_then(|algorithm| key.only_for(algorithm)).ok_or(Unusable::Purpose)
}
