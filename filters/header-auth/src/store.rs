//! Who holds which credential. Only digests are stored; a miss costs what a hit costs.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::digest::Digest;
use crate::timestamp::Timestamp;

/// What a verified credential says about its holder. The strings are ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The name as configured, which `authorize.subjects` refers to
    pub name: String,
    pub scopes: Vec<String>,
}

/// Why a well-formed credential is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    Unknown,
    NotYetValid,
    Expired,
}

#[derive(Clone, Debug)]
pub struct ApiKey {
    pub digest: Digest,
    pub holder: Rc<Holder>,
    pub not_before: Option<Timestamp>,
    /// The first moment at which the key no longer counts
    pub not_after: Option<Timestamp>,
}

/// API keys by the first bytes of their digests, which nobody who presents a key can choose: how long the search takes
/// says nothing about the keys stored.
#[derive(Clone, Debug, Default)]
pub struct KeyStore(BTreeMap<[u8; 8], Vec<ApiKey>>);

impl KeyStore {
    /// # Errors
    /// Gives the key back if the same digest is stored already: it could belong to either holder.
    pub fn insert(&mut self, key: ApiKey) -> Result<(), ApiKey> {
        let bucket = self.0.entry(key.digest.index()).or_default();
        if bucket.iter().any(|known| known.digest.matches(&key.digest).into()) {
            return Err(key);
        }
        bucket.push(key);
        Ok(())
    }

    /// # Errors
    /// No such key, or not at `now`.
    pub fn verify(&self, presented: &[u8], now: Timestamp) -> Result<Rc<Holder>, Rejection> {
        let digest = Digest::of(&[presented]);
        let mut found = None;
        match self.0.get(&digest.index()) {
            Some(bucket) => {
                for key in bucket {
                    if key.digest.matches(&digest).into() {
                        found = Some(key);
                    }
                }
            }
            None => {
                std::hint::black_box(Digest::DUMMY.matches(&digest).unwrap_u8());
            }
        }
        let key = found.ok_or(Rejection::Unknown)?;
        if key.not_before.is_some_and(|start| now < start) {
            return Err(Rejection::NotYetValid);
        }
        if key.not_after.is_some_and(|end| now >= end) {
            return Err(Rejection::Expired);
        }
        Ok(Rc::clone(&key.holder))
    }
}

/// A password as SHA-256 over salt and password. One length of salt, so that every check hashes alike.
#[derive(Clone, Copy, Debug)]
pub struct SaltedPassword {
    pub salt: Salt,
    pub digest: Digest,
}

/// Not secret, but of no use in a log either.
#[derive(Clone, Copy)]
pub struct Salt(pub [u8; 16]);

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

#[derive(Clone, Debug)]
pub struct User {
    pub password: SaltedPassword,
    pub holder: Rc<Holder>,
}

/// Users by the digest of their names, for the same reason as [`KeyStore`].
#[derive(Clone, Debug, Default)]
pub struct UserStore(BTreeMap<[u8; 8], Vec<(Digest, User)>>);

impl UserStore {
    /// # Errors
    /// Gives the user back if the name is taken.
    pub fn insert(&mut self, user: User) -> Result<(), User> {
        let name = Digest::of(&[user.holder.name.as_bytes()]);
        let bucket = self.0.entry(name.index()).or_default();
        if bucket.iter().any(|(known, _)| known.matches(&name).into()) {
            return Err(user);
        }
        bucket.push((name, user));
        Ok(())
    }

    /// # Errors
    /// No such user or another password; which of them is not said, and both take the same work.
    pub fn verify(&self, name: &[u8], password: &[u8]) -> Result<Rc<Holder>, Rejection> {
        const NOBODY: SaltedPassword = SaltedPassword { salt: Salt([0; 16]), digest: Digest::DUMMY };
        let name = Digest::of(&[name]);
        let user = self
            .0
            .get(&name.index())
            .and_then(|bucket| bucket.iter().find(|(known, _)| known.matches(&name).into()))
            .map(|(_, user)| user);
        let stored = user.map_or(NOBODY, |user| user.password);
        let given = Digest::of(&[&stored.salt.0, password]);
        let matches = bool::from(stored.digest.matches(&given));
        user.filter(|_| matches).map(|user| Rc::clone(&user.holder)).ok_or(Rejection::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn holder(name: &str) -> Rc<Holder> {
        Rc::new(Holder { name: name.into(), scopes: Vec::new() })
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp(Duration::from_secs(seconds))
    }

    fn key(secret: &str, name: &str) -> ApiKey {
        ApiKey {
            digest: Digest::of(&[secret.as_bytes()]),
            holder: holder(name),
            not_before: None,
            not_after: None,
        }
    }

    fn keys() -> KeyStore {
        let mut store = KeyStore::default();
        store.insert(key("old", "acme")).unwrap();
        store.insert(key("new", "acme")).unwrap();
        let bounded = ApiKey { not_before: Some(at(100)), not_after: Some(at(200)), ..key("bounded", "lab") };
        store.insert(bounded).unwrap();
        store
    }

    #[test]
    fn every_hash_of_a_holder_opens_and_nothing_near_it_does() {
        assert_eq!(keys().verify(b"old", at(0)).unwrap().name, "acme");
        assert_eq!(keys().verify(b"new", at(0)).unwrap().name, "acme");
        for wrong in [&b""[..], b"ol", b"oldd", b"Old", b"old ", b"\0old", b"\xff"] {
            assert_eq!(keys().verify(wrong, at(0)), Err(Rejection::Unknown), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn a_key_counts_from_its_first_moment_up_to_before_its_last() {
        let store = keys();
        let verdicts =
            [99, 100, 199, 200, 1 << 31, 1 << 33].map(|now| store.verify(b"bounded", at(now)).map(|_| ()));
        assert_eq!(
            verdicts,
            [
                Err(Rejection::NotYetValid),
                Ok(()),
                Ok(()),
                Err(Rejection::Expired),
                Err(Rejection::Expired),
                Err(Rejection::Expired)
            ]
        );
    }

    #[test]
    fn a_digest_is_stored_once() {
        assert!(keys().insert(key("old", "other")).is_err());
    }

    #[test]
    fn a_password_opens_for_its_user_only() {
        let salted = |salt: [u8; 16], password: &str| SaltedPassword {
            salt: Salt(salt),
            digest: Digest::of(&[&salt, password.as_bytes()]),
        };
        let mut store = UserStore::default();
        store.insert(User { password: salted([1; 16], "p1"), holder: holder("ann") }).unwrap();
        store.insert(User { password: salted([2; 16], "p2"), holder: holder("ben") }).unwrap();
        assert!(store.insert(User { password: salted([3; 16], "p3"), holder: holder("ann") }).is_err());
        assert_eq!(store.verify(b"ann", b"p1").unwrap().name, "ann");
        for (name, password) in
            [(&b"ann"[..], &b"p2"[..]), (b"ben", b"p1"), (b"Ann", b"p1"), (b"", b""), (b"x", b"p1")]
        {
            assert_eq!(store.verify(name, password), Err(Rejection::Unknown));
        }
    }
}
