//! State that all VMs of a proxy share: one record a key, changed by compare-and-swap.

use crate::hostcalls::{self, Host, HostError};
use std::marker::PhantomData;

/// A record of fixed size in little-endian, without a length of its own.
pub trait Wire: Sized {
    /// Raise it with every change of the encoding: an older record then counts as absent.
    const LAYOUT: u16;

    fn encode(&self, out: &mut Vec<u8>);

    /// `None` for bytes that no `encode` of this layout wrote.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// What an update does with what it was shown.
#[derive(Debug)]
pub enum Update<T, R> {
    Write(T, R),
    Keep(R),
    /// Leaves an empty value, since the host frees no key: it is read as no record, and the next writer still has to win against all
    /// others.
    Remove(R),
}

/// An update that was made, and how many rounds it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updated<R> {
    pub value: R,
    pub rounds: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SharedError {
    #[error("somebody else wrote first, {0} times in a row")]
    Contended(u8),
    #[error(transparent)]
    Host(#[from] HostError),
}

const MAGIC: [u8; 4] = *b"WySd";
/// Magic, layout, configuration hash.
const HEAD: usize = 14;
/// A number that no entry ever has: inserts where the key is absent, mismatches where it is not.
const ABSENT: u32 = u32::MAX;

/// One shared record. Keys are never freed by the host, so their number must be fixed.
#[derive(Clone, Debug)]
pub struct Shared<T: Wire> {
    key: Box<[u8]>,
    config_hash: u64,
    value: PhantomData<fn() -> T>,
}

impl<T: Wire> Shared<T> {
    /// A record written under another configuration hash counts as absent, so a reload never reads another shape.
    pub fn new(key: impl AsRef<[u8]>, config_hash: u64) -> Shared<T> {
        Shared { key: key.as_ref().into(), config_hash, value: PhantomData }
    }

    /// One hostcall that returns bytes: 1.0 µs.
    ///
    /// # Errors
    /// What the host answered.
    pub fn load(&self) -> Host<Option<T>> {
        let stored = hostcalls::shared_data(&self.key)?;
        Ok(stored.and_then(|(bytes, _)| unseal(&bytes, self.config_hash)))
    }

    /// Shows `change` the record, `None` if there is none of this layout and configuration, and writes what it makes of
    /// it; again with the new record when another VM wrote in between. Two hostcalls a round, of which
    /// one returns bytes: 1.2 µs.
    ///
    /// # Errors
    /// `Contended` after `tries` rounds, else what the host answered. Nothing was written then.
    pub fn update<R>(
        &self,
        tries: u8,
        mut change: impl FnMut(Option<T>) -> Update<T, R>,
    ) -> Result<Updated<R>, SharedError> {
        for round in 1..=tries {
            let (stored, cas) = match hostcalls::shared_data(&self.key)? {
                // Zero would overwrite whatever is there. No entry has it; if one had, this would only mismatch.
                Some((bytes, cas)) => (unseal(&bytes, self.config_hash), if cas == 0 { ABSENT } else { cas }),
                None => (None, ABSENT),
            };
            let (bytes, value) = match change(stored) {
                Update::Keep(value) => return Ok(Updated { value, rounds: round }),
                Update::Write(record, value) => (seal(&record, self.config_hash), value),
                Update::Remove(value) => (Vec::new(), value),
            };
            if hostcalls::set_shared_data(&self.key, &bytes, cas)? {
                return Ok(Updated { value, rounds: round });
            }
        }
        Err(SharedError::Contended(tries))
    }
}

fn head_of(layout: u16, config_hash: u64) -> [u8; HEAD] {
    let ([a, b, c, d], [e, f]) = (MAGIC, layout.to_le_bytes());
    let [g, h, i, j, k, l, m, n] = config_hash.to_le_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n]
}

fn seal<T: Wire>(record: &T, config_hash: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(&head_of(T::LAYOUT, config_hash));
    record.encode(&mut bytes);
    bytes
}

fn unseal<T: Wire>(bytes: &[u8], config_hash: u64) -> Option<T> {
    let (head, body) = bytes.split_at_checked(HEAD)?;
    if head == head_of(T::LAYOUT, config_hash) { T::decode(body) } else { None }
}

/// FNV-1a in 64 bits: tells configurations and keys apart. Not for anything an outsider may try to make collide.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostcalls::model::{self, Turn};
    use proptest::prelude::*;
    use std::sync::Mutex;

    #[derive(Debug, PartialEq)]
    struct Pair(u32, u32);

    impl Wire for Pair {
        const LAYOUT: u16 = 7;

        fn encode(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.0.to_le_bytes());
            out.extend_from_slice(&self.1.to_le_bytes());
        }

        fn decode(bytes: &[u8]) -> Option<Pair> {
            let (a, b) = bytes.split_at_checked(4)?;
            Some(Pair(u32::from_le_bytes(a.try_into().ok()?), u32::from_le_bytes(b.try_into().ok()?)))
        }
    }

    #[test]
    fn only_a_record_of_the_same_layout_and_configuration_is_read() {
        let bytes = seal(&Pair(1, 2), 42);
        assert_eq!(unseal(&bytes, 42), Some(Pair(1, 2)));
        assert_eq!(unseal::<Pair>(&bytes, 43), None, "another configuration");
        for index in 0..bytes.len() {
            assert_eq!(unseal::<Pair>(&bytes[..index], 42), None, "cut at {index}");
        }
        let mut other = bytes;
        other[4] ^= 1;
        assert_eq!(unseal::<Pair>(&other, 42), None, "another layout");
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Add,
        Remove,
        /// Another configuration, or anybody else with the key, writes something of another shape.
        Garble,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![6 => Just(Step::Add), 1 => Just(Step::Remove), 1 => Just(Step::Garble)];
        prop::collection::vec(step, 0..8)
    }

    fn count(steps: &[Step], pushed: &Mutex<u32>) {
        let shared = Shared::<Pair>::new("key", 42);
        for step in steps {
            match step {
                Step::Add => {
                    let added = shared.update(u8::MAX, |pair| match pair {
                        Some(Pair(n, _)) => Update::Write(Pair(n + 1, 0), n),
                        None => Update::Write(Pair(1, 0), 0),
                    });
                    // Nobody else has run since this one wrote.
                    let mut pushed = pushed.lock().unwrap();
                    assert_eq!(added.unwrap().value, *pushed);
                    *pushed += 1;
                }
                Step::Remove => {
                    assert!(shared.update(u8::MAX, |_| Update::Remove(())).is_ok());
                    *pushed.lock().unwrap() = 0;
                }
                Step::Garble => {
                    let other = Shared::<Pair>::new("key", 43);
                    assert!(other.update(u8::MAX, |_| Update::Write(Pair(9, 9), ())).is_ok());
                    *pushed.lock().unwrap() = 0;
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_update_is_lost_whoever_writes_in_between_and_a_removed_record_is_none(
            vms in prop::collection::vec(steps(), 1..4),
            schedule in prop::collection::vec((0..6_usize).prop_map(|vm| Turn { vm, passed: 0 }), 0..120),
        ) {
            let pushed = Mutex::new(0);
            let vms = vms.iter().map(|steps| Box::new(|| count(steps, &pushed)) as Box<dyn FnOnce() + Send>);
            let left = model::run(&schedule, vms.collect());
            let stored = left.data.get(&b"key"[..]).and_then(|(bytes, _)| unseal::<Pair>(bytes, 42));
            prop_assert_eq!(stored.map_or(0, |Pair(n, _)| n), pushed.into_inner().unwrap());
        }
    }

    #[test]
    fn an_update_gives_up_after_its_rounds_and_has_written_nothing() {
        let vm = || {
            let (shared, mut others) = (Shared::<Pair>::new("key", 42), 0);
            let lost = shared.update(3, |_| {
                others += 1;
                let other = Shared::<Pair>::new("key", 42).update(1, |_| Update::Write(Pair(others, 1), ()));
                assert!(other.is_ok());
                Update::Write(Pair(0, 0), ())
            });
            assert_eq!(lost, Err(SharedError::Contended(3)));
            assert_eq!(shared.load(), Ok(Some(Pair(3, 1))));
            assert_eq!(shared.update(0, |_| Update::Write(Pair(0, 0), ())), Err(SharedError::Contended(0)));
        };
        model::run(&[], vec![Box::new(vm)]);
    }

    #[test]
    fn fingerprints_are_the_published_ones() {
        assert_eq!(fingerprint(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
