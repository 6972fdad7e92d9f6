//! One VM among all that does something for all of them: a lease in shared data.

use super::shared::{Shared, SharedError, Update, Wire};
use crate::hostcalls::{Host, HostError};
use crate::rng;
use crate::time::Monotonic;
use std::cell::Cell;
use std::time::Duration;

/// Rounds of a compare-and-swap. Whoever loses one has lost to a VM that took the lease, so there is seldom a second.
const TRIES: u8 = 3;

/// Who has the lease, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    by: u64,
    /// Nanoseconds of the monotonic clock.
    until: u64,
}

impl Wire for Held {
    const LAYOUT: u16 = 0x4c01;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.by.to_le_bytes());
        out.extend_from_slice(&self.until.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Held> {
        let (by, until) = bytes.split_first_chunk()?;
        Some(Held { by: u64::from_le_bytes(*by), until: u64::from_le_bytes(until.try_into().ok()?) })
    }
}

/// What at most one VM of a proxy has at a time: each worker has a VM, and the main thread one more, so without it whatever a
/// plugin does on its tick is done workers + 1 times.
///
/// Time is the *monotonic* clock: shared data lives and dies with one process, in which all VMs read the same one. The wall
/// clock steps: set back by an hour, a lease of a VM that is gone would be held for that hour.
///
/// A lease that is dropped is not released: it ends by itself, and so it does when its VM panics. Do not take it while a plugin
/// is configured: Envoy tries each configuration in a VM that it throws away, and the lease would be that one's.
#[derive(Debug)]
pub struct Lease {
    record: Shared<Held>,
    me: u64,
    /// What was last taken; zero for nothing.
    until: Cell<Monotonic>,
}

impl Lease {
    /// The lease of this name, not taken. All plugins with the same `vm_id` see the same names. One hostcall, 0.8 µs, for the
    /// number by which this VM is told from the others.
    ///
    /// # Errors
    /// What the host answered.
    pub fn new(name: impl AsRef<[u8]>) -> Host<Lease> {
        Ok(Lease::of(name.as_ref(), u64::from_le_bytes(rng::bytes()?)))
    }

    fn of(name: &[u8], me: u64) -> Lease {
        Lease { record: Shared::new(name, 0), me, until: Cell::default() }
    }

    /// Takes the lease for `ttl` from `now` if nobody has it, and renews it if this VM has it. Whether this VM has it then.
    ///
    /// `now` may lie in the past, by as much as it took to get here; the lease then ends that much earlier. Renew it well before its
    /// end, say at a third of `ttl`.
    ///
    /// One hostcall that returns bytes, 1.0 µs, when another has it; one more, 0.2 µs, to take or to renew it.
    ///
    /// # Errors
    /// What the host answered. What this VM had before, it still has.
    pub fn try_hold(&self, now: Monotonic, ttl: Duration) -> Host<bool> {
        let until = now.plus(ttl);
        let mine = Held { by: self.me, until: nanos(until) };
        let taken = self.record.update(TRIES, |held| match held {
            Some(held) if held.by != self.me && held.until > nanos(now) => Update::Keep(false),
            _ => Update::Write(mine, true),
        });
        let taken = or_lost(taken.map(|updated| updated.value))?;
        self.until.set(if taken { until } else { Monotonic::default() });
        Ok(taken)
    }

    /// Whether this VM has the lease at this time, as far as it knows: nobody else has it then. No hostcall.
    #[must_use]
    pub fn holds(&self, now: Monotonic) -> bool {
        now < self.until.get()
    }

    /// Lets another VM take it, at once. Fine when this VM does not have it. Two hostcalls, of which one returns bytes: 1.2 µs.
    ///
    /// # Errors
    /// What the host answered; the lease then ends when it would have.
    pub fn release(&self) -> Host<()> {
        // First: from here on another may have it.
        self.until.set(Monotonic::default());
        let released = self.record.update(TRIES, |held| match held {
            Some(held) if held.by == self.me => Update::Remove(true),
            _ => Update::Keep(true),
        });
        or_lost(released.map(|updated| updated.value)).map(drop)
    }
}

fn nanos(time: Monotonic) -> u64 {
    u64::try_from(time.since_start().as_nanos()).unwrap_or(u64::MAX)
}

/// Whoever lost that often lost to somebody who has it now.
fn or_lost(taken: Result<bool, SharedError>) -> Result<bool, HostError> {
    match taken {
        Ok(taken) => Ok(taken),
        Err(SharedError::Contended(_)) => Ok(false),
        Err(SharedError::Host(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostcalls::model::{self, Turn};
    use proptest::prelude::*;
    use std::sync::Mutex;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// For so many nanoseconds.
        Hold(u64),
        Release,
        /// Looks at the clock only.
        Idle,
        /// A VM is gone without a word, and another comes.
        Die,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            5 => (1..60_u64).prop_map(Step::Hold),
            1 => Just(Step::Release),
            2 => Just(Step::Idle),
            1 => Just(Step::Die),
        ];
        prop::collection::vec(step, 1..12)
    }

    fn schedule() -> impl Strategy<Value = Vec<Turn>> {
        let turn = (0..6_usize, 0..20_u64).prop_map(|(vm, passed)| Turn { vm, passed });
        prop::collection::vec(turn, 0..150)
    }

    fn at(nanos: u64) -> Monotonic {
        Monotonic::at(Duration::from_nanos(nanos))
    }

    type Claims = Mutex<Vec<(u64, u64)>>;

    /// Says until when it has the lease, and holds nobody else's claim against the time.
    fn live(number: u64, steps: &[Step], claims: &Claims) {
        let mut lease = Lease::of(b"leader", number * 1000);
        let mut lives = 0;
        for step in steps {
            match *step {
                Step::Hold(ttl) => {
                    let now = at(model::now());
                    lease.try_hold(now, Duration::from_nanos(ttl)).unwrap();
                }
                Step::Release => {
                    claims.lock().unwrap().retain(|(who, _)| *who != lease.me);
                    lease.release().unwrap();
                }
                Step::Idle => drop(model::now()),
                Step::Die => {
                    lives += 1;
                    lease = Lease::of(b"leader", number * 1000 + lives);
                }
            }
            // No other VM has run since the last hostcall, and its time is the time now.
            let now = model::time_of_the_last_call();
            let mut claims = claims.lock().unwrap();
            claims.retain(|(who, until)| *who != lease.me && *until > now);
            if lease.holds(at(now)) {
                assert!(claims.is_empty(), "{} at {now}, and {claims:?}", lease.me);
                claims.push((lease.me, nanos(lease.until.get())));
            }
        }
    }

    fn boxed<'a>(vm: impl FnOnce() + Send + 'a) -> Box<dyn FnOnce() + Send + 'a> {
        Box::new(vm)
    }

    proptest! {
        #[test]
        fn there_are_never_two_holders_at_one_time(
            vms in prop::collection::vec(steps(), 2..4),
            schedule in schedule(),
        ) {
            let claims = Claims::default();
            let vms = vms.iter().zip(1..).map(|(steps, n)| {
                let claims = &claims;
                boxed(move || live(n, steps, claims))
            });
            model::run(&schedule, vms.collect());
        }

        #[test]
        fn of_those_who_come_first_at_once_exactly_one_has_it(schedule in schedule()) {
            let holders = Mutex::new(0);
            let vm = |me| {
                let holders = &holders;
                boxed(move || {
                    let taken = Lease::of(b"leader", me).try_hold(at(0), Duration::MAX).unwrap();
                    *holders.lock().unwrap() += u32::from(taken);
                })
            };
            model::run(&schedule, (1..=4).map(vm).collect());
            prop_assert_eq!(holders.into_inner().unwrap(), 1);
        }
    }

    #[test]
    fn it_ends_by_itself_is_renewed_by_its_holder_and_released() {
        model::run(
            &[],
            vec![boxed(|| {
                let (one, other) = (Lease::of(b"x", 1), Lease::of(b"x", 2));
                let ten = Duration::from_nanos(10);
                assert_eq!(one.try_hold(at(100), ten), Ok(true));
                assert_eq!(other.try_hold(at(109), ten), Ok(false));
                assert_eq!(one.try_hold(at(105), ten), Ok(true), "renewed");
                assert!(one.holds(at(114)) && !one.holds(at(115)) && !other.holds(at(109)));
                assert_eq!(other.try_hold(at(114), ten), Ok(false));
                assert_eq!(other.try_hold(at(115), ten), Ok(true), "it ended");
                assert_eq!(one.release(), Ok(()), "what another has");
                assert_eq!(one.try_hold(at(116), ten), Ok(false));
                assert_eq!(other.release(), Ok(()));
                assert!(!other.holds(at(116)));
                assert_eq!(one.try_hold(at(116), ten), Ok(true), "released");
            })],
        );
    }
}
