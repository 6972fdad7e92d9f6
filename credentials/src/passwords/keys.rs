//! Keys that name themselves: whoever shows one shows nothing else.

use std::collections::BTreeMap;

use super::digest::{Digest, Pepper};
use super::{Period, Rejection};
use crate::timestamp::Timestamp;

#[derive(Clone, Debug)]
struct Key<H> {
    digest: Digest,
    holder: H,
    period: Period,
}

type Index<H> = BTreeMap<[u8; 8], Vec<Key<H>>>;

/// Keys by the first bytes of their digests, which nobody who presents a key can choose: how long the search takes
/// says nothing about the keys stored.
#[derive(Clone, Debug)]
pub struct KeyStore<H> {
    plain: Index<H>,
    /// By digests made with a [`Pepper`]
    peppered: Index<H>,
}

impl<H> Default for KeyStore<H> {
    fn default() -> Self {
        Self { plain: Index::new(), peppered: Index::new() }
    }
}

/// The same digest is stored already: it could belong to either holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken;

impl<H> KeyStore<H> {
    /// A key by its SHA-256.
    ///
    /// # Errors
    /// It is stored already.
    pub fn insert(&mut self, digest: Digest, holder: H, period: Period) -> Result<(), Taken> {
        insert(&mut self.plain, Key { digest, holder, period })
    }

    /// A key by its HMAC-SHA-256 with the pepper.
    ///
    /// # Errors
    /// It is stored already.
    pub fn insert_peppered(&mut self, digest: Digest, holder: H, period: Period) -> Result<(), Taken> {
        insert(&mut self.peppered, Key { digest, holder, period })
    }

    pub fn needs_pepper(&self) -> bool {
        !self.peppered.is_empty()
    }

    /// Which index a key is in does not show: it is looked for in both, where there are both.
    ///
    /// # Errors
    /// No such key, or not at `now`.
    pub fn verify(&self, presented: &[u8], pepper: Option<&Pepper>, now: Timestamp) -> Result<&H, Rejection> {
        let plain = match (self.plain.is_empty(), self.peppered.is_empty()) {
            (true, false) => None,
            _ => find(&self.plain, &Digest::of(&[presented])),
        };
        let peppered = match pepper {
            Some(pepper) if !self.peppered.is_empty() => find(&self.peppered, &pepper.digest(&[presented])),
            _ => None,
        };
        let key = plain.or(peppered).ok_or(Rejection::Unknown)?;
        key.period.check(now)?;
        Ok(&key.holder)
    }
}

fn insert<H>(index: &mut Index<H>, key: Key<H>) -> Result<(), Taken> {
    let bucket = index.entry(key.digest.index()).or_default();
    if bucket.iter().any(|known| known.digest.matches(&key.digest).into()) {
        return Err(Taken);
    }
    bucket.push(key);
    Ok(())
}

fn find<'a, H>(index: &'a Index<H>, digest: &Digest) -> Option<&'a Key<H>> {
    let mut found = None;
    match index.get(&digest.index()) {
        Some(bucket) => {
            for key in bucket {
                if key.digest.matches(digest).into() {
                    found = Some(key);
                }
            }
        }
        None => {
            std::hint::black_box(Digest::DUMMY.matches(digest).unwrap_u8());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(Duration::from_secs(seconds))
    }

    const PEPPER: [u8; 32] = [7; 32];

    fn keys() -> KeyStore<&'static str> {
        let mut store = KeyStore::default();
        let mut key = |secret: &str, holder, period| {
            store.insert(Digest::of(&[secret.as_bytes()]), holder, period).unwrap();
        };
        key("old", "acme", Period::default());
        key("new", "acme", Period::default());
        key("bounded", "lab", Period { not_before: Some(at(100)), not_after: Some(at(200)) });
        let pepper = Pepper::new(&PEPPER).unwrap();
        store.insert_peppered(pepper.digest(&[b"hot"]), "cook", Period::default()).unwrap();
        store
    }

    #[test]
    fn every_hash_of_a_holder_opens_and_nothing_near_it_does() {
        let store = keys();
        let pepper = Pepper::new(&PEPPER).unwrap();
        let verify = |key: &[u8]| store.verify(key, Some(&pepper), at(0)).copied();
        assert_eq!(verify(b"old"), Ok("acme"));
        assert_eq!(verify(b"new"), Ok("acme"));
        assert_eq!(verify(b"hot"), Ok("cook"));
        for wrong in [&b""[..], b"ol", b"oldd", b"Old", b"old ", b"\0old", b"\xff", b"ho", b"Hot"] {
            assert_eq!(verify(wrong), Err(Rejection::Unknown), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn a_digest_made_with_a_pepper_opens_with_that_pepper_alone() {
        let other = Pepper::new(&[8; 32]).unwrap();
        for pepper in [None, Some(&other)] {
            assert_eq!(keys().verify(b"hot", pepper, at(0)), Err(Rejection::Unknown));
        }
        assert!(keys().needs_pepper() && !KeyStore::<()>::default().needs_pepper());
    }

    #[test]
    fn a_key_counts_from_its_first_moment_up_to_before_its_last() {
        let store = keys();
        let verdicts = [99, 100, 199, 200, 1 << 31, 1 << 33]
            .map(|now| store.verify(b"bounded", None, at(now)).map(|_| ()));
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
        assert_eq!(keys().insert(Digest::of(&[b"old"]), "other", Period::default()), Err(Taken));
    }
}
