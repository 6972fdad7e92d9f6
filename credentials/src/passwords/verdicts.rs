//! What slow hashes have found, for a while: a client that sends the same password with every request costs one hash.

use std::time::Duration;

use subtle::ConstantTimeEq as _;

use super::digest::{Digest, Pepper};
use crate::timestamp::Timestamp;

/// Verdicts that are kept, and for how long.
const MOST: u64 = 1024;
const AGE: Duration = Duration::from_secs(300);

/// Verdicts under tags that nobody outside this VM can foresee: a random key makes them of what was shown, so that no secret is kept and
/// nobody can choose which verdict another one drives out.
#[derive(Clone)]
pub struct Verdicts {
    key: Pepper,
    /// By the tag's number; empty until something is kept
    places: Vec<Option<Verdict>>,
}

#[derive(Clone)]
struct Verdict {
    tag: [u8; 32],
    since: Timestamp,
    /// Which of those asked about it was; `None` for none of them
    found: Option<usize>,
}

impl std::fmt::Debug for Verdicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verdicts")
    }
}

impl Verdicts {
    /// `seed` is random, and this VM's own.
    pub fn new(seed: &[u8; 32]) -> Option<Self> {
        Some(Self { key: Pepper::random(seed)?, places: Vec::new() })
    }

    /// Under what the verdict about this name and secret is kept.
    pub(super) fn tag(&self, name: &Digest, secret: &[u8]) -> Digest {
        self.key.digest(&[&name.index(), secret])
    }

    /// `None` where nothing is known any more.
    pub(super) fn get(&self, tag: &Digest, now: Timestamp) -> Option<Option<usize>> {
        let verdict = self.places.get(place(tag)?)?.as_ref()?;
        // A clock that steps back makes verdicts old, not young.
        let age = now.0.checked_sub(verdict.since.0)?;
        (age < AGE && bool::from(verdict.tag.ct_eq(&tag.bytes()))).then_some(verdict.found)
    }

    pub(super) fn put(&mut self, tag: &Digest, found: Option<usize>, now: Timestamp) {
        if self.places.is_empty() {
            self.places = vec![None; usize::try_from(MOST).unwrap_or(0)];
        }
        let place = place(tag).and_then(|place| self.places.get_mut(place));
        if let Some(place) = place {
            *place = Some(Verdict { tag: tag.bytes(), since: now, found });
        }
    }
}

fn place(tag: &Digest) -> Option<usize> {
    usize::try_from(tag.number().checked_rem(MOST)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(Duration::from_secs(seconds))
    }

    #[test]
    fn a_verdict_is_known_for_five_minutes_and_not_before_it_was_found() {
        let mut verdicts = Verdicts::new(&[1; 32]).unwrap();
        let tag = verdicts.tag(&Digest::of(&[b"ann"]), b"secret");
        assert_eq!(verdicts.get(&tag, at(1000)), None);
        verdicts.put(&tag, Some(2), at(1000));
        for (now, expected) in
            [(999, None), (1000, Some(Some(2))), (1299, Some(Some(2))), (1300, None), (1 << 33, None)]
        {
            assert_eq!(verdicts.get(&tag, at(now)), expected, "{now}");
        }
        verdicts.put(&tag, None, at(1300));
        assert_eq!(verdicts.get(&tag, at(1301)), Some(None));
    }

    #[test]
    fn another_name_secret_or_vm_has_another_tag() {
        let (ours, theirs) = (Verdicts::new(&[1; 32]).unwrap(), Verdicts::new(&[2; 32]).unwrap());
        let name = Digest::of(&[b"ann"]);
        let tag = ours.tag(&name, b"secret");
        for other in [
            ours.tag(&Digest::of(&[b"ben"]), b"secret"),
            ours.tag(&name, b"Secret"),
            theirs.tag(&name, b"secret"),
        ] {
            assert!(!bool::from(tag.matches(&other)));
        }
    }

    #[test]
    fn however_many_are_kept_there_is_room_for_as_many_as_at_first() {
        let mut verdicts = Verdicts::new(&[1; 32]).unwrap();
        let tags: Vec<_> =
            (0..5000_u32).map(|n| verdicts.tag(&Digest::of(&[b"ann"]), &n.to_le_bytes())).collect();
        for tag in &tags {
            verdicts.put(tag, Some(1), at(0));
        }
        assert_eq!(verdicts.places.len(), 1024);
        let known = tags.iter().filter(|tag| verdicts.get(tag, at(1)).is_some()).count();
        assert!((900..=1024).contains(&known), "{known}");
    }
}
