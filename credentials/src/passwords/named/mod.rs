//! Secrets that are shown together with whose they are: `user:password`, `id.secret`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::digest::{Digest, Pepper};
use super::stored::Stored;
use super::verdicts::Verdicts;
use super::{Period, Rejection};
use crate::timestamp::Timestamp;

/// Secrets of one name at a time: enough to change them while both count, and every one of them is tried.
pub const MOST_OF_ONE_NAME: usize = 4;

#[derive(Clone, Debug)]
struct Secret<H> {
    stored: Stored,
    holder: H,
    period: Period,
}

#[derive(Clone, Debug)]
struct Owner<H> {
    name: Digest,
    secrets: Vec<Secret<H>>,
}

/// Secrets by the digest of whose they are, for the same reason as in a [`KeyStore`](super::KeyStore).
#[derive(Clone, Debug)]
pub struct NamedStore<H> {
    owners: Vec<Owner<H>>,
    index: BTreeMap<[u8; 8], Vec<usize>>,
    slow: bool,
    peppered: bool,
    /// Of slow hashes
    verdicts: RefCell<Option<Verdicts>>,
}

impl<H> Default for NamedStore<H> {
    fn default() -> Self {
        Self {
            owners: Vec::new(),
            index: BTreeMap::new(),
            slow: false,
            peppered: false,
            verdicts: RefCell::default(),
        }
    }
}

/// What [`NamedStore::verify`] found, and whether it had to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a, H> {
    pub holder: Result<&'a H, Rejection>,
    /// Whether a kept verdict was used; `None` where none is needed
    pub kept: Option<bool>,
}

/// There are [`MOST_OF_ONE_NAME`] of this name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotStored;

impl<H> NamedStore<H> {
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.find(&Digest::of(&[name.as_bytes()])).is_some()
    }

    /// # Errors
    /// Too many of this name.
    pub fn insert(&mut self, name: &str, stored: Stored, holder: H, period: Period) -> Result<(), NotStored> {
        let name = Digest::of(&[name.as_bytes()]);
        self.slow |= stored.is_slow();
        self.peppered |= matches!(stored, Stored::Peppered(_));
        let secret = Secret { stored, holder, period };
        let known = self.position(&name);
        match known.and_then(|place| self.owners.get_mut(place)) {
            Some(owner) if owner.secrets.len() >= MOST_OF_ONE_NAME => return Err(NotStored),
            Some(owner) => owner.secrets.push(secret),
            None => {
                self.index.entry(name.index()).or_default().push(self.owners.len());
                self.owners.push(Owner { name, secrets: vec![secret] });
            }
        }
        Ok(())
    }

    /// Whether some of it takes milliseconds to check.
    pub fn is_slow(&self) -> bool {
        self.slow
    }

    pub fn needs_pepper(&self) -> bool {
        self.peppered
    }

    /// From now on, what slow hashes find is kept for a while.
    pub fn keep(&self, verdicts: Option<Verdicts>) {
        self.verdicts.replace(verdicts);
    }

    /// Whose secret this is; an empty one is nobody's. An unknown name takes the work of a known one: it is tried with the secrets of another, which one
    /// following from the name, so that it takes the same time whenever it is asked for.
    pub fn verify(
        &self,
        name: &[u8],
        secret: &[u8],
        pepper: Option<&Pepper>,
        now: Timestamp,
    ) -> Found<'_, H> {
        let digest = Digest::of(&[name]);
        let known = self.find(&digest);
        let Some(owner) = known.or_else(|| self.stand_in(&digest)) else {
            return Found { holder: Err(Rejection::Unknown), kept: None };
        };
        let (found, kept) = self.matching(owner, &digest, secret, pepper, now);
        let counts = known.is_some() && !secret.is_empty();
        let secret = found.and_then(|place| owner.secrets.get(place)).filter(|_| counts);
        let holder = match secret {
            Some(secret) => secret.period.check(now).map(|()| &secret.holder),
            None => Err(Rejection::Unknown),
        };
        Found { holder, kept }
    }

    /// The place of the secret that is this one; which of several it is does not show.
    fn matching(
        &self,
        owner: &Owner<H>,
        name: &Digest,
        secret: &[u8],
        pepper: Option<&Pepper>,
        now: Timestamp,
    ) -> (Option<usize>, Option<bool>) {
        let all = |owner: &Owner<H>| {
            let tried = owner.secrets.iter().enumerate();
            tried.fold(
                None,
                |found, (place, known)| {
                    if known.stored.matches(secret, pepper) { Some(place) } else { found }
                },
            )
        };
        let slow = owner.secrets.iter().any(|secret| secret.stored.is_slow());
        let Ok(mut verdicts) = self.verdicts.try_borrow_mut() else {
            return (all(owner), slow.then_some(false));
        };
        match verdicts.as_mut().filter(|_| slow) {
            Some(verdicts) => {
                let tag = verdicts.tag(name, secret);
                if let Some(found) = verdicts.get(&tag, now) {
                    return (found, Some(true));
                }
                let found = all(owner);
                verdicts.put(&tag, found, now);
                (found, Some(false))
            }
            None => (all(owner), slow.then_some(false)),
        }
    }

    fn position(&self, name: &Digest) -> Option<usize> {
        let places = self.index.get(&name.index())?;
        let is_it =
            |place: &&usize| self.owners.get(**place).is_some_and(|owner| owner.name.matches(name).into());
        places.iter().find(is_it).copied()
    }

    fn find(&self, name: &Digest) -> Option<&Owner<H>> {
        self.owners.get(self.position(name)?)
    }

    fn stand_in(&self, name: &Digest) -> Option<&Owner<H>> {
        let count = u64::try_from(self.owners.len()).ok()?;
        self.owners.get(usize::try_from(name.number().checked_rem(count)?).ok()?)
    }
}

#[cfg(test)]
mod tests;
