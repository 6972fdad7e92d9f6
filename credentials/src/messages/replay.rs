//! What has been used once and must not be used again, until nobody would take it any more.
//!
//! A table has [`SETS`] sets. What is spent is told by 128 bits of a hash and goes into the set that other bits of it choose, so that workers
//! rarely meet at the same one; each set is one record that they share and change by compare-and-swap. A set that has no room left refuses:
//! what cannot be remembered must not pass.

use sha2::{Digest as _, Sha256};

/// How many sets there are, whatever the capacity: what was spent is found again under another configuration.
pub const SETS: u8 = 64;

const TAG: usize = 16;
const ENTRY: usize = TAG + 8;

/// Stands for what may be used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    set: u8,
    tag: [u8; TAG],
    /// The last second at which it would be taken, since 1970
    until: u64,
}

/// A digest of these parts, which are taken one by one: `["ab", "c"]` is not `["a", "bc"]`.
#[must_use]
pub fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Ticket {
    /// For what has this [digest](digest_of), and would be taken until then, since 1970.
    #[must_use]
    pub fn new(digest: [u8; 32], until: std::time::Duration) -> Self {
        let mut tag = [0; TAG];
        for (to, from) in tag.iter_mut().zip(digest) {
            *to = from;
        }
        let [.., last] = digest;
        let begun = u64::from(until.subsec_nanos() > 0);
        Self { set: last % SETS, tag, until: until.as_secs().saturating_add(begun) }
    }

    /// In which set it belongs, below [`SETS`].
    #[must_use]
    pub fn set(&self) -> u8 {
        self.set
    }
}

/// What became of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Now, by the one who asked
    Now,
    /// Before
    Before,
    /// It cannot be remembered that it was
    NoRoom,
}

/// What has been spent, of one set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// Tag and second, one entry behind the other
    entries: Vec<u8>,
}

impl Set {
    /// As [`bytes`](Self::bytes) had it; `None` for what no set is.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        bytes.len().is_multiple_of(ENTRY).then(|| Self { entries: bytes.to_vec() })
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.entries
    }

    /// Spends a ticket at a time since 1970, in a set of at most so many that still count.
    pub fn spend(&mut self, ticket: &Ticket, now: std::time::Duration, room: usize) -> Spent {
        let now = now.as_secs();
        let mut kept = Vec::with_capacity(self.entries.len().saturating_add(ENTRY));
        for entry in self.entries.chunks_exact(ENTRY) {
            let Some((tag, until)) = entry.split_first_chunk::<TAG>() else { continue };
            if until.try_into().map_or(0, u64::from_le_bytes) < now {
                continue;
            }
            if *tag == ticket.tag {
                return Spent::Before;
            }
            kept.extend_from_slice(entry);
        }
        self.entries = kept;
        if self.entries.len() / ENTRY >= room {
            return Spent::NoRoom;
        }
        self.entries.extend_from_slice(&ticket.tag);
        self.entries.extend_from_slice(&ticket.until.to_le_bytes());
        Spent::Now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn ticket(name: &str, until: u64) -> Ticket {
        Ticket::new(digest_of(&[name.as_bytes()]), Duration::from_secs(until))
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_spent_once_is_spent_until_nobody_would_take_it() {
        let mut set = Set::default();
        assert_eq!(set.spend(&ticket("a", 100), at(50), 9), Spent::Now);
        assert_eq!(set.spend(&ticket("a", 100), at(50), 9), Spent::Before);
        assert_eq!(set.spend(&ticket("b", 100), at(50), 9), Spent::Now);
        assert_eq!(set.spend(&ticket("a", 100), at(100), 9), Spent::Before, "in its last second");
        assert_eq!(set.spend(&ticket("a", 200), at(101), 9), Spent::Now);
    }

    #[test]
    fn au_12_a_full_set_refuses_and_has_room_again_when_something_is_over() {
        let mut set = Set::default();
        assert_eq!(set.spend(&ticket("a", 100), at(0), 2), Spent::Now);
        assert_eq!(set.spend(&ticket("b", 200), at(0), 2), Spent::Now);
        assert_eq!(set.spend(&ticket("c", 300), at(100), 2), Spent::NoRoom);
        assert_eq!(set.spend(&ticket("a", 100), at(100), 2), Spent::Before, "and is not forgotten");
        assert_eq!(set.spend(&ticket("c", 300), at(101), 2), Spent::Now);
        assert_eq!(set.spend(&ticket("d", 300), at(101), 2), Spent::NoRoom);
        assert_eq!(set.spend(&ticket("d", 300), at(101), 0), Spent::NoRoom);
    }

    #[test]
    fn parts_are_told_apart_and_a_begun_second_counts() {
        let parts = |parts: &[&[u8]]| Ticket::new(digest_of(parts), at(1)).tag;
        assert_ne!(parts(&[b"ab", b"c"]), parts(&[b"a", b"bc"]));
        assert_ne!(parts(&[b"a"]), parts(&[b"a", b""]));
        assert_eq!(Ticket::new([0; 32], Duration::from_millis(1500)).until, 2);
    }

    #[test]
    fn sets_are_used_alike() {
        let mut counts = [0_u32; SETS as usize];
        for number in 0..64_000_u32 {
            counts[usize::from(Ticket::new(digest_of(&[&number.to_le_bytes()]), at(1)).set())] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn only_whole_entries_are_a_set() {
        let mut set = Set::default();
        set.spend(&ticket("a", u64::MAX), at(0), 9);
        assert_eq!(Set::of(set.bytes()), Some(set.clone()));
        assert_eq!(Set::of(&set.bytes()[1..]), None);
        assert_eq!(Set::of(&[]), Some(Set::default()));
    }

    proptest! {
        #[test]
        fn a_set_agrees_with_a_map_that_forgets_what_is_over(
            steps in prop::collection::vec((0_u8..12, 0_u64..20, 0_u64..4), 0..60),
        ) {
            let (mut set, mut model, mut now) = (Set::default(), BTreeMap::new(), 0);
            for (name, lives, passed) in steps {
                now += passed;
                model.retain(|_, until| *until >= now);
                let expected = match model.contains_key(&name) {
                    true => Spent::Before,
                    false if model.len() >= 5 => Spent::NoRoom,
                    false => Spent::Now,
                };
                if expected == Spent::Now {
                    model.insert(name, now + lives);
                }
                prop_assert_eq!(set.spend(&ticket(&name.to_string(), now + lives), at(now), 5), expected);
            }
        }
    }
}
