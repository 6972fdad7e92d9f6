//! Against a model that keeps every event.

use super::*;
use num_bigint::BigUint;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn at(nanos: u64) -> Monotonic {
    Monotonic::at(Duration::from_nanos(nanos))
}

fn slices(nanos: u64, count: u8) -> Slices {
    Slices::sliding(Duration::from_nanos(nanos), count).unwrap()
}

#[test]
fn a_slice_counts_until_as_many_slices_have_begun_after_it() {
    let cut = slices(30, 3);
    let mut window = Window::new(cut, at(100));
    window.deposit(5);
    window.withdraw(1);
    window.advance(cut, at(129));
    assert_eq!((window.deposits(), window.withdrawals()), (5, 1));
    window.deposit(1);
    window.advance(cut, at(130));
    assert_eq!((window.deposits(), window.withdrawals()), (1, 0));
    window.advance(cut, at(u64::MAX));
    assert_eq!(window.deposits(), 0);
}

#[test]
fn a_window_of_one_slice_forgets_all_at_once() {
    let cut = Slices::fixed(Duration::from_secs(1)).unwrap();
    let mut window = Window::new(cut, at(0));
    window.deposit(7);
    window.advance(cut, at(999_999_999));
    assert_eq!((window.deposits(), cut.until_next(at(999_999_999))), (7, Duration::from_nanos(1)));
    window.advance(cut, at(1_000_000_000));
    assert_eq!((window.deposits(), cut.until_next(at(1_000_000_000))), (0, Duration::from_secs(1)));
}

#[test]
fn nothing_is_cut_into_no_slices_or_slices_of_no_length() {
    for (window, count) in
        [(Duration::ZERO, 1), (Duration::from_secs(1), 0), (Duration::from_nanos(9), 10), (Duration::MAX, 1)]
    {
        assert_eq!(Slices::sliding(window, count), None, "{window:?} / {count}");
    }
}

/// tower's own cases for its budget (`tower/src/retry/budget/tps_budget.rs`), by their names there.
#[test]
fn the_cases_of_towers_budget_hold() {
    let cut = Slices::sliding(Duration::from_secs(10), 10).unwrap();
    let seconds = |n: u64| at(n * 1_000_000_000);
    let half = Allowance { share: Ratio::from_ten_thousandths(10_000), ..NOTHING };
    let empty = Window::new(cut, seconds(0));
    assert!(!empty.allows(cut, &half, 1), "tps_empty");

    let mut leaky = Window::new(cut, seconds(0));
    leaky.deposit(1);
    leaky.advance(cut, seconds(12));
    assert!(!leaky.allows(cut, &half, 1), "tps_leaky");

    let share = Allowance { share: Ratio::from_ten_thousandths(5_000), ..NOTHING };
    let mut window = Window::new(cut, seconds(0));
    let take = |window: &mut Window, second| {
        window.advance(cut, seconds(second));
        let allowed = window.allows(cut, &share, 1);
        window.withdraw(u64::from(allowed));
        allowed
    };
    window.deposit(2);
    assert!(take(&mut window, 3), "tps_slots");
    assert!(!take(&mut window, 3));
    window.deposit(4);
    assert!(take(&mut window, 9));
    assert!(!take(&mut window, 10), "what was deposited at 0 has left, what was taken for it at 3 has not");

    let reserve =
        Allowance { share: Ratio::default(), reserve_per_second: Ratio::from_ten_thousandths(10_000) };
    let mut window = Window::new(cut, seconds(0));
    for taken in 0..10 {
        assert!(window.allows(cut, &reserve, 1), "tps_reserve, after {taken}");
        window.withdraw(1);
    }
    assert!(!window.allows(cut, &reserve, 1));
}

const NOTHING: Allowance =
    Allowance { share: Ratio::from_ten_thousandths(0), reserve_per_second: Ratio::from_ten_thousandths(0) };

#[test]
fn an_allowance_is_exact_for_every_share_of_four_places() {
    let cut = Slices::fixed(Duration::from_secs(1)).unwrap();
    for numerator in (1..10_000).chain([20_000, u32::MAX]) {
        let allowance = Allowance { share: Ratio::from_ten_thousandths(numerator), ..NOTHING };
        let mut window = Window::new(cut, at(0));
        window.deposit(10_000);
        assert!(window.allows(cut, &allowance, u64::from(numerator)), "{numerator}");
        assert!(!window.allows(cut, &allowance, u64::from(numerator) + 1), "{numerator}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Move(u64),
    Back(u64),
    Deposit(u64),
    Withdraw(u64),
    Refund(u64, u64),
}

fn counts() -> impl Strategy<Value = u64> {
    prop_oneof![0..10_u64, Just(u64::MAX), Just(u64::MAX / 3), any::<u64>()]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..60_u64).prop_map(Step::Move),
        prop_oneof![0..60_u64, any::<u64>()].prop_map(Step::Back),
        any::<u64>().prop_map(|far| Step::Move(far / 50)),
        counts().prop_map(Step::Deposit),
        counts().prop_map(Step::Withdraw),
        (0..6_u64, counts()).prop_map(|(age, count)| Step::Refund(age, count)),
    ];
    proptest::collection::vec(step, 1..60)
}

/// Every slice that ever was, without a bound on any number but the one each slice has.
#[derive(Default)]
struct Model {
    slices: BTreeMap<u64, (BigUint, BigUint)>,
    current: u64,
}

impl Model {
    fn sum(&self, count: u8, pick: impl Fn(&(BigUint, BigUint)) -> &BigUint) -> u64 {
        let in_window = self.slices.iter().filter(|(number, _)| self.current - **number < u64::from(count));
        let sum: BigUint = in_window.map(|(_, slice)| pick(slice)).sum();
        u64::try_from(sum).unwrap_or(u64::MAX)
    }

    fn slice(&mut self, number: u64) -> &mut (BigUint, BigUint) {
        self.slices.entry(number).or_default()
    }
}

fn add(to: &mut BigUint, count: u64) {
    *to = (&*to + count).min(BigUint::from(u64::MAX));
}

fn apply(step: Step, cut: Slices, now: &mut u64, window: &mut Window, model: &mut Model) {
    match step {
        Step::Move(by) => *now = now.saturating_add(by),
        Step::Back(by) => *now = now.saturating_sub(by),
        Step::Deposit(count) => {
            window.deposit(count);
            add(&mut model.slice(model.current).0, count);
        }
        Step::Withdraw(count) => {
            window.withdraw(count);
            add(&mut model.slice(model.current).1, count);
        }
        Step::Refund(age, count) => {
            let number = model.current.wrapping_sub(age);
            window.refund(number, count);
            if number <= model.current {
                let slice = &mut model.slice(number).1;
                *slice = &*slice - BigUint::from(count).min(slice.clone());
            }
        }
    }
    window.advance(cut, at(*now));
    model.current = model.current.max(*now / u64::try_from(cut.length().as_nanos()).unwrap());
}

proptest! {
    #[test]
    fn a_window_is_what_remembering_everything_would_say(
        steps in steps(), count in 1..6_u8, length in 1..40_u64, start in prop_oneof![0..100_u64, any::<u64>()],
        share in any::<u32>(), reserve in any::<u32>(), wanted in counts(),
    ) {
        let cut = slices(length * u64::from(count), count);
        let mut now = start;
        let mut window = Window::new(cut, at(start));
        let mut model = Model { current: start / length, ..Model::default() };
        let allowance = Allowance {
            share: Ratio::from_ten_thousandths(share),
            reserve_per_second: Ratio::from_ten_thousandths(reserve),
        };
        for step in steps {
            apply(step, cut, &mut now, &mut window, &mut model);
            let (deposits, withdrawals) = (model.sum(count, |slice| &slice.0), model.sum(count, |slice| &slice.1));
            prop_assert_eq!((window.deposits(), window.withdrawals()), (deposits, withdrawals), "{:?}", step);
            let second = BigUint::from(1_000_000_000_u64);
            let left = (BigUint::from(withdrawals) + wanted) * 10_000_u32 * &second;
            let right = BigUint::from(deposits) * share * second
                + BigUint::from(reserve) * BigUint::from(length * u64::from(count));
            prop_assert_eq!(window.allows(cut, &allowance, wanted), left <= right);
            let mut bytes = Vec::new();
            window.encode(&mut bytes);
            prop_assert_eq!(Window::decode(&bytes), Some(window.clone()));
        }
    }

    #[test]
    fn counting_apart_and_merging_is_counting_together(
        parts in proptest::collection::vec((0..200_u64, 0..9_u64, 0..9_u64, any::<bool>()), 0..40),
        count in 1..6_u8,
    ) {
        let cut = slices(10 * u64::from(count), count);
        let (mut together, mut here, mut there) =
            (Window::new(cut, at(0)), Window::new(cut, at(0)), Window::new(cut, at(0)));
        let mut parts = parts;
        parts.sort_unstable_by_key(|part| part.0);
        for (now, deposits, withdrawals, is_here) in parts {
            for window in [&mut together, if is_here { &mut here } else { &mut there }] {
                window.advance(cut, at(now));
                window.deposit(deposits);
                window.withdraw(withdrawals);
            }
        }
        let mut merged = here.clone();
        merged.merge(&there);
        prop_assert_eq!((merged.deposits(), merged.withdrawals()), (together.deposits(), together.withdrawals()));
        there.merge(&here);
        prop_assert_eq!(there, merged);
    }

    #[test]
    fn any_bytes_are_a_window_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..80), now in any::<u64>()) {
        if let Some(mut window) = Window::decode(&bytes) {
            let cut = slices(100, u8::try_from(window.slices()).unwrap());
            window.advance(cut, at(now));
            window.deposit(u64::MAX);
            window.withdraw(u64::MAX);
            window.refund(now, 1);
            window.merge(&Window::new(cut, at(now)));
            let _ = window.allows(cut, &Allowance { share: Ratio::from_ten_thousandths(u32::MAX), ..NOTHING }, u64::MAX);
        }
    }
}

#[test]
fn the_greatest_numbers_compare_right() {
    let cut = Slices::sliding(Duration::from_nanos(u64::MAX), 1).unwrap();
    let mut window = Window::new(cut, at(u64::MAX));
    let all = Ratio::from_ten_thousandths(u32::MAX);
    let allowance = Allowance { share: all, reserve_per_second: all };
    window.deposit(u64::MAX);
    window.withdraw(u64::MAX);
    assert!(window.allows(cut, &allowance, u64::MAX));
    assert!(!window.allows(cut, &NOTHING, 1));
    assert!(!window.allows(cut, &Allowance { share: Ratio::from_ten_thousandths(10_000), ..NOTHING }, 1));
    assert!(window.allows(cut, &Allowance { share: Ratio::from_ten_thousandths(10_000), ..NOTHING }, 0));
}
