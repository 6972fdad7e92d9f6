//! Any bytes as a limit and what happens under it: windows, buckets and histograms against lists of all that happened.

use arbitrary::{Arbitrary, Unstructured};
use std::time::Duration;
use wayside_sdk::policy::{
    Allowance, Buckets, Gcra, Limit, LogHistogram, Slices, TokenBucket, Verdict, Window,
};
use wayside_sdk::units::Ratio;
use wayside_sdk::{Monotonic, Wire};

#[derive(Arbitrary, Debug)]
struct Case {
    slice_nanos: u64,
    slices: u8,
    share: u32,
    reserve: u32,
    tokens: u32,
    per: u64,
    burst: u32,
    bits: u8,
    highest: u64,
    start: u64,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Step {
    /// Nanoseconds on.
    Wait(u32),
    Leap(u64),
    Deposit(u64),
    Withdraw(u64),
    Refund {
        age: u8,
        count: u64,
    },
    Take(u32),
    PutBack(u32),
    Record(u64),
}

pub(crate) fn case(bytes: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    window(&case);
    buckets(&case);
    histogram(&case);
    let _ =
        (Window::decode(bytes), TokenBucket::decode(bytes), Gcra::decode(bytes), LogHistogram::decode(bytes));
}

/// The moment after each step; time only goes on here.
fn moments(case: &Case) -> impl Iterator<Item = (u64, Step)> {
    case.steps.iter().scan(case.start, |now, step| {
        *now = match step {
            Step::Wait(nanos) => now.saturating_add(u64::from(*nanos)),
            Step::Leap(nanos) => now.saturating_add(*nanos),
            _ => *now,
        };
        Some((*now, *step))
    })
}

fn at(nanos: u64) -> Monotonic {
    Monotonic::at(Duration::from_nanos(nanos))
}

fn window(case: &Case) {
    let whole = Duration::from_nanos(case.slice_nanos).saturating_mul(u32::from(case.slices));
    let Some(cut) = Slices::sliding(whole, case.slices) else { return };
    let length = u64::try_from(cut.length().as_nanos()).expect("a slice");
    let mut window = Window::new(cut, at(case.start));
    // All slices there ever were: number, deposits, withdrawals.
    let mut all: Vec<(u64, u64, u64)> = Vec::new();
    for (now, step) in moments(case) {
        window.advance(cut, at(now));
        let current = now / length;
        assert_eq!(window.current(), current);
        if all.last().is_none_or(|slice| slice.0 != current) {
            all.push((current, 0, 0));
        }
        match step {
            Step::Deposit(count) => {
                window.deposit(count);
                let slice = all.last_mut().expect("the current one");
                slice.1 = slice.1.saturating_add(count);
            }
            Step::Withdraw(count) => {
                window.withdraw(count);
                let slice = all.last_mut().expect("the current one");
                slice.2 = slice.2.saturating_add(count);
            }
            Step::Refund { age, count } => {
                let number = current.wrapping_sub(u64::from(age));
                window.refund(number, count);
                if let Some(slice) = all.iter_mut().find(|slice| slice.0 == number) {
                    slice.2 = slice.2.saturating_sub(count);
                }
            }
            _ => {}
        }
        let live = || all.iter().filter(|slice| current - slice.0 < u64::from(case.slices));
        let deposits = live().map(|slice| u128::from(slice.1)).sum::<u128>().min(u128::from(u64::MAX));
        let withdrawals = live().map(|slice| u128::from(slice.2)).sum::<u128>().min(u128::from(u64::MAX));
        assert_eq!(
            (u128::from(window.deposits()), u128::from(window.withdrawals())),
            (deposits, withdrawals)
        );
        let allowance = Allowance {
            share: Ratio::from_ten_thousandths(case.share),
            reserve_per_second: Ratio::from_ten_thousandths(case.reserve),
        };
        let left = (withdrawals + 1) * 10_000 * 1_000_000_000;
        let right = deposits * u128::from(case.share) * 1_000_000_000
            + u128::from(case.reserve) * u128::from(length) * u128::from(case.slices);
        assert_eq!(window.allows(cut, &allowance, 1), left <= right);
    }
}

fn buckets(case: &Case) {
    let Some(limit) = Limit::new(case.tokens, Duration::from_nanos(case.per), case.burst) else { return };
    let (mut bucket, mut gcra) = (TokenBucket::full(&limit, at(case.start)), Gcra::full());
    let (per, tokens) = (u128::from(case.per), u128::from(case.tokens));
    let full = u128::from(case.burst) * per;
    let (mut held, mut before) = (full, case.start);
    for (now, step) in moments(case) {
        held = full.min(held + u128::from(now - before) * tokens);
        before = now;
        match step {
            Step::Take(count) => {
                let wanted = u128::from(count) * per;
                let verdict = bucket.take(&limit, at(now), count);
                assert_eq!(verdict, gcra.take(&limit, at(now), count));
                match verdict {
                    Verdict::Allowed { left } => {
                        held = held.checked_sub(wanted).expect("no more than there is");
                        assert_eq!(u128::from(left), held / per);
                    }
                    Verdict::Refused { wait } => {
                        let lacking = wanted.checked_sub(held).expect("not while there is enough");
                        assert!(wanted <= full && lacking > 0);
                        let brought = wait.as_nanos() * tokens;
                        assert!(wait == Duration::MAX || (brought >= lacking && brought - lacking < tokens));
                    }
                    Verdict::Never => assert!(wanted > full),
                }
            }
            Step::PutBack(count) => {
                bucket.put_back(&limit, at(now), count);
                gcra.put_back(&limit, at(now), count);
                held = full.min(held + u128::from(count) * per);
            }
            _ => {}
        }
        assert_eq!((bucket.left(&limit, at(now)), gcra.left(&limit, at(now))), {
            let left = u32::try_from(held / per).expect("at most the burst");
            (left, left)
        });
    }
}

fn histogram(case: &Case) {
    let Some(buckets) = Buckets::new(case.bits, case.highest) else { return };
    let mut histogram = LogHistogram::new(buckets);
    let mut values = Vec::new();
    for (_, step) in moments(case) {
        if let Step::Record(value) = step {
            histogram.record(value);
            values.push(value);
        }
    }
    values.sort_unstable();
    assert_eq!(histogram.total(), values.len() as u64);
    for share in [0, case.share % 10_001, 5_000, 9_900, 10_000] {
        let Some(told) = histogram.quantile(Ratio::from_ten_thousandths(share)) else {
            assert!(values.is_empty());
            continue;
        };
        let rank = (values.len() as u64 * u64::from(share)).div_ceil(10_000).max(1);
        let exact = values[usize::try_from(rank).expect("small") - 1];
        // Beyond the last bucket's lower edge nothing is told apart.
        assert!(told >= exact.min(case.highest) || told <= exact, "{told} for {exact}");
        assert!(told <= exact || told - exact <= exact >> case.bits, "{told} for {exact}");
    }
}
