//! Against a bucket that counts in fractions of any size.

use super::*;
use crate::shared::Wire;
use num_bigint::BigUint;
use proptest::prelude::*;

fn at(nanos: u64) -> Monotonic {
    Monotonic::at(Duration::from_nanos(nanos))
}

fn limit(tokens: u32, per: u64, burst: u32) -> Limit {
    Limit::new(tokens, Duration::from_nanos(per), burst).unwrap()
}

#[test]
fn a_limit_of_nothing_is_refused() {
    let second = Duration::from_secs(1);
    assert_eq!(Limit::new(0, second, 1), None);
    assert_eq!(Limit::new(1, Duration::ZERO, 1), None);
    assert_eq!(Limit::new(1, second, 0), None);
    assert_eq!(Limit::new(1, Duration::MAX, 1), None);
}

#[test]
fn ten_a_second_with_three_at_once() {
    let limit = Limit::new(10, Duration::from_secs(1), 3).unwrap();
    let mut bucket = TokenBucket::full(&limit, at(0));
    for left in [2, 1, 0] {
        assert_eq!(bucket.take(&limit, at(0), 1), Verdict::Allowed { left });
    }
    assert_eq!(bucket.take(&limit, at(0), 1), Verdict::Refused { wait: Duration::from_millis(100) });
    assert_eq!(bucket.take(&limit, at(99_999_999), 1), Verdict::Refused { wait: Duration::from_nanos(1) });
    assert_eq!(bucket.take(&limit, at(100_000_000), 1), Verdict::Allowed { left: 0 });
    assert_eq!(bucket.take(&limit, at(100_000_000), 4), Verdict::Never);
    assert_eq!(limit.refill(), Duration::from_millis(300));
    bucket.put_back(&limit, at(100_000_000), 9);
    assert_eq!(bucket.left(&limit, at(100_000_000)), 3);
}

#[test]
fn a_third_of_a_second_is_not_rounded() {
    let limit = Limit::new(3, Duration::from_secs(1), 1).unwrap();
    let (mut bucket, mut gcra) = (TokenBucket::empty(at(0)), Gcra::empty(&limit, at(0)));
    let mut now = 0;
    for _ in 0..300 {
        let Verdict::Refused { wait } = bucket.take(&limit, at(now), 1) else { panic!("at {now}") };
        assert_eq!(gcra.take(&limit, at(now), 1), Verdict::Refused { wait });
        now += u64::try_from(wait.as_nanos()).unwrap();
        assert!(bucket.take(&limit, at(now), 1).is_allowed() && gcra.take(&limit, at(now), 1).is_allowed());
    }
    // Each wait is rounded up to a nanosecond, and what it brought too much is lost with a burst of one.
    assert_eq!(now, 300 * 333_333_334);
}

#[test]
fn a_record_nobody_wrote_is_a_full_gcra() {
    let limit = limit(1, 1_000, 5);
    assert_eq!(Gcra::decode(&[0; 16]), Some(Gcra::full()));
    assert_eq!(Gcra::full().left(&limit, at(0)), 5);
    assert_eq!((TokenBucket::decode(&[0; 23]), Gcra::decode(&[0; 17])), (None, None));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Take(u32),
    PutBack(u32),
}

fn numbers() -> impl Strategy<Value = u32> {
    prop_oneof![0..8_u32, 0..8_u32, any::<u32>()]
}

fn limits() -> impl Strategy<Value = Limit> {
    let per = prop_oneof![1..50_u64, Just(1_000_000_000), Just(u64::MAX), any::<u64>()];
    (numbers(), per, numbers()).prop_filter_map("a limit of nothing", |(tokens, per, burst)| {
        Limit::new(tokens, Duration::from_nanos(per), burst)
    })
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let pause = prop_oneof![Just(0), 0..100_u64, any::<u32>().prop_map(u64::from), any::<u64>()];
    let step = prop_oneof![3 => numbers().prop_map(Step::Take), 1 => numbers().prop_map(Step::PutBack)];
    proptest::collection::vec((pause, step), 1..60)
}

/// The bucket as a fraction of whole tokens, in numbers without an end: `held / per` tokens.
struct Model {
    held: BigUint,
    at: u64,
}

impl Model {
    fn step(&mut self, limit: &Limit, now: u64, step: Step) -> Option<Verdict> {
        let capacity = BigUint::from(limit.burst) * limit.per;
        if now > self.at {
            self.held = (&self.held + BigUint::from(now - self.at) * limit.tokens).min(capacity.clone());
            self.at = now;
        }
        let wanted = |count: u32| BigUint::from(count) * limit.per;
        match step {
            Step::PutBack(count) => {
                self.held = (&self.held + wanted(count)).min(capacity);
                None
            }
            Step::Take(count) if wanted(count) <= self.held => {
                self.held -= wanted(count);
                Some(Verdict::Allowed { left: u32::try_from(&self.held / limit.per).unwrap() })
            }
            Step::Take(count) if wanted(count) > capacity => Some(Verdict::Never),
            Step::Take(count) => {
                let lacking = wanted(count) - &self.held;
                let nanos = (lacking + limit.tokens - 1_u32) / limit.tokens;
                let wait = u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos);
                Some(Verdict::Refused { wait })
            }
        }
    }
}

fn apply(bucket: &mut TokenBucket, limit: &Limit, now: u64, step: Step) -> Option<Verdict> {
    match step {
        Step::Take(count) => return Some(bucket.take(limit, at(now), count)),
        Step::PutBack(count) => bucket.put_back(limit, at(now), count),
    }
    None
}

fn apply_gcra(gcra: &mut Gcra, limit: &Limit, now: u64, step: Step) -> Option<Verdict> {
    match step {
        Step::Take(count) => return Some(gcra.take(limit, at(now), count)),
        Step::PutBack(count) => gcra.put_back(limit, at(now), count),
    }
    None
}

proptest! {
    #[test]
    fn both_decide_as_arithmetic_without_bounds_does(
        limit in limits(), steps in steps(), start in prop_oneof![Just(0), any::<u64>()], full in any::<bool>(),
    ) {
        let (mut now, capacity) = (start, BigUint::from(limit.burst) * limit.per);
        let (mut bucket, mut gcra, held) = if full {
            (TokenBucket::full(&limit, at(now)), Gcra::full(), capacity)
        } else {
            (TokenBucket::empty(at(now)), Gcra::empty(&limit, at(now)), BigUint::ZERO)
        };
        let mut model = Model { held, at: now };
        for (pause, step) in steps {
            now = now.saturating_add(pause);
            let expected = model.step(&limit, now, step);
            prop_assert_eq!(apply(&mut bucket, &limit, now, step), expected, "{:?} at {}", step, now);
            prop_assert_eq!(apply_gcra(&mut gcra, &limit, now, step), expected, "GCRA: {:?} at {}", step, now);
            prop_assert_eq!(bucket.left(&limit, at(now)), gcra.left(&limit, at(now)));
            if let Some(Verdict::Refused { wait }) = expected
                && let (Step::Take(count), Ok(wait)) = (step, u64::try_from(wait.as_nanos()))
                && let Some(then) = now.checked_add(wait)
            {
                let ask = |mut bucket: TokenBucket, nanos| bucket.take(&limit, at(nanos), count).is_allowed();
                prop_assert!(ask(bucket, then) && !ask(bucket, then - 1));
            }
            let mut bytes = Vec::new();
            bucket.encode(&mut bytes);
            prop_assert_eq!(TokenBucket::decode(&bytes), Some(bucket));
        }
    }

    /// A clock that steps back brings nothing for it: what is given is the burst and what the way forward brought.
    #[test]
    fn time_that_steps_back_gives_no_more_than_time_brought(
        limit in limits(), moves in proptest::collection::vec((-200..200_i64, 0..5_u32), 1..60), far in any::<u32>(),
    ) {
        let (mut now, mut forward) = (u64::from(far), 0_u64);
        let (mut bucket, mut gcra) = (TokenBucket::full(&limit, at(now)), Gcra::full());
        let mut given = [0_u64; 2];
        for (by, count) in moves {
            now = now.saturating_add_signed(by);
            forward += u64::try_from(by).unwrap_or(0);
            let verdicts = [bucket.take(&limit, at(now), count), gcra.take(&limit, at(now), count)];
            for (given, verdict) in given.iter_mut().zip(verdicts) {
                *given += if verdict.is_allowed() { u64::from(count) } else { 0 };
                let brought = BigUint::from(forward) * limit.tokens + BigUint::from(limit.burst) * limit.per;
                prop_assert!(BigUint::from(*given) * limit.per <= brought);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_bucket_or_none(
        bytes in proptest::collection::vec(any::<u8>(), 16..25), limit in limits(), now in any::<u64>(), count in any::<u32>(),
    ) {
        if let Some(mut bucket) = TokenBucket::decode(&bytes) {
            let _ = bucket.take(&limit, at(now), count);
            prop_assert!(bucket.left(&limit, at(now)) <= limit.burst());
        }
        if let Some(mut gcra) = Gcra::decode(&bytes) {
            let _ = gcra.take(&limit, at(now), count);
            gcra.put_back(&limit, at(now), count);
            prop_assert!(gcra.left(&limit, at(now)) <= limit.burst());
        }
    }
}
