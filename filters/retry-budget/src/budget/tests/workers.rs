//! RB-13 and RB-9: several workers, in virtual time.

use super::model::{Step, any_step};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Everything that really happened, by slot: what no worker knows of the others.
#[derive(Default)]
struct Truth {
    deposits: Vec<u64>,
    /// Of the share; given back ones are gone.
    withdrawals: Vec<u64>,
    of_floor: u64,
}

impl Truth {
    fn give_back(&mut self, slot: u64, count: u32) {
        for _ in 0..count {
            let place = self.withdrawals.iter().position(|it| *it == slot);
            self.withdrawals.swap_remove(place.expect("it was granted"));
        }
    }

    /// Deposits and withdrawals of the window that ends with this slot.
    fn window(&self, limits: &Limits, slot: u64) -> (u64, u64) {
        let first = slot - u64::from(limits.slots.count()) + 1;
        let count = |events: &[u64]| events.iter().filter(|it| (first..=slot).contains(*it)).count() as u64;
        (count(&self.deposits), count(&self.withdrawals))
    }
}

proptest! {
    /// At every grant all workers together are within the share of the window's deposits, whoever made them and whoever was granted;
    /// all told, nothing is lost and nothing is counted twice.
    #[test]
    fn rb_13_all_workers_together_stay_within_the_window(
        ratio in prop_oneof![Just(2_000_u32), Just(6_000), 1..30_000_u32],
        style in prop_oneof![Just(FloorStyle::PerSecond), Just(FloorStyle::Window)],
        rate in prop_oneof![Just(0_u32), 0..5_000_u32],
        count in 2..12_u8,
        steps in prop::collection::vec((0..4_usize, any_step(), 0..6_u64), 1..300),
    ) {
        let mut limits = limits(ratio, style, rate, 3_000);
        limits.slots = Slices::sliding(Duration::from_millis(700) * u32::from(count), count).unwrap();
        let reserve = u128::from(match style { FloorStyle::Window => rate, FloorStyle::PerSecond => 0 });
        let reserve = reserve * limits.window().as_nanos();
        let mut budget = Budget::of_workers(4, &limits, at(0));
        let mut truth = Truth::default();
        let (mut latest, mut open) = (10, Vec::new());
        for (worker, (passed, step), behind) in steps {
            latest += passed;
            // This worker looked at the clock a moment ago.
            let time = at(latest - behind);
            match step {
                Step::Grant { wanted } => {
                    let grant = budget.grant_by(worker, time, wanted);
                    prop_assert!(grant.retries() <= wanted);
                    truth.withdrawals.extend((0..grant.from_ratio).map(|_| grant.slot));
                    truth.of_floor += u64::from(grant.from_floor);
                    if grant.from_ratio > 0 {
                        prop_assert!(grant.slot >= limits.slots.number_at(time), "charged in a slot that is over");
                        let (deposits, withdrawals) = truth.window(&limits, grant.slot);
                        let share = u128::from(deposits) * u128::from(ratio) * 1_000_000_000_000;
                        let taken = u128::from(withdrawals) * 10_000 * 1_000_000_000_000;
                        prop_assert!(taken <= share + reserve * 10_000, "{withdrawals} of {deposits}");
                    }
                    open.push((worker, grant));
                }
                Step::Settle { which, used, succeeds } => {
                    if open.is_empty() { continue }
                    let (worker, grant) = open.swap_remove(which.index(open.len()));
                    let used = u32::from(used.min(grant.retries()));
                    let answer = if succeeds { Answer::Success } else { FAILED };
                    let back = budget.settle_by(worker, time, &grant, &ended(used, answer));
                    prop_assert_eq!(back + used, u32::from(grant.retries()));
                    let to_floor = back.min(u32::from(grant.from_floor));
                    truth.of_floor -= u64::from(to_floor);
                    truth.give_back(grant.slot, back - to_floor);
                    if succeeds {
                        truth.deposits.push(limits.slots.number_at(time));
                    }
                }
                Step::Deposit => {
                    budget.deposit_by(worker, time);
                    truth.deposits.push(limits.slots.number_at(time));
                }
                Step::Tick => if budget.accounts[worker].is_due(time) {
                    budget.visit(worker, time, &Visit::default());
                },
            }
            if style == FloorStyle::PerSecond {
                // The bucket was filled by the worker whose clock was ahead.
                let floor = 3_000_000 + latest * u64::from(rate);
                prop_assert!(truth.of_floor * 1_000_000 <= floor, "{} of {floor}", truth.of_floor);
            }
            let mut told = budget.clone();
            told.flush(at(latest));
            let now = told.pool.window.current();
            prop_assert_eq!(
                (told.pool.window.deposits(), told.pool.window.withdrawals()),
                truth.window(&limits, now)
            );
        }
    }

    /// Of what all deposited, one worker can have nearly all while the others want nothing.
    #[test]
    fn what_one_worker_deposits_another_gets(ratio in 500..20_000_u32, rounds in 12..30_u64) {
        let limits = limits(ratio, FloorStyle::PerSecond, 0, 0);
        let mut budget = Budget::of_workers(2, &limits, at(0));
        for second in 0..rounds {
            (0..200).for_each(|_| budget.deposit_by(0, at(second * 1000)));
            budget.visit(0, at(second * 1000), &Visit::default());
        }
        let now = at((rounds - 1) * 1000);
        let got = (0..).take_while(|_| !budget.grant_by(1, now, 1).is_empty()).count() as u64;
        prop_assert_eq!(got, 2_000 * u64::from(ratio) / 10_000);
    }
}

/// A small generator: the same numbers on every machine.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// 300 requests a second for a minute, two workers, each try takes 10 ms and one in twenty fails: what came of it.
fn a_minute_with_failures(limits: &Limits) -> (u32, Vec<u64>) {
    let mut budget = Budget::of_workers(2, limits, at(0));
    let mut random = Random(7);
    let (mut succeeded, mut denied) = (0, Vec::new());
    // By when they end, and then in their order.
    let mut running: BTreeMap<(u64, u64), (usize, Grant, End)> = BTreeMap::new();
    for request in 0..18_000_u64 {
        let millis = request * 10 / 3;
        while let Some(first) = running.first_entry().filter(|first| first.key().0 <= millis) {
            let ((end, _), (worker, grant, end_of_it)) = first.remove_entry();
            budget.settle_by(worker, at(end), &grant, &end_of_it);
        }
        let worker = usize::try_from(request % 2).unwrap();
        let grant = budget.grant_by(worker, at(millis), 2);
        if grant.retries() < 2 {
            denied.push(millis);
        }
        let failures = (0..=grant.retries()).take_while(|_| random.below(20) == 0).count();
        let used = u32::try_from(failures).unwrap().min(u32::from(grant.retries()));
        let answer = if failures <= usize::from(grant.retries()) { Answer::Success } else { FAILED };
        succeeded += u32::from(answer == Answer::Success);
        running.insert((millis + 10 * u64::from(used + 1), request), (worker, grant, ended(used, answer)));
    }
    (succeeded, denied)
}

#[test]
fn rb_9_of_random_failures_nearly_all_are_made_good_and_none_is_denied() {
    let defaults = limits(2_000, FloorStyle::PerSecond, 1_000, 3_000);
    let (succeeded, denied) = a_minute_with_failures(&defaults);
    assert!(f64::from(succeeded) >= 0.997 * 18_000.0, "{succeeded} of 18000");
    // Until the first successes have come in, there is the floor.
    let late: Vec<_> = denied.iter().filter(|millis| **millis >= 500).collect();
    assert!(late.is_empty(), "denied at {late:?} ms");
}
