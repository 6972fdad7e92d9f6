//! The budget against tables of other implementations and against a model that keeps every event.

use super::*;
use crate::window::{Slots, Window};
use proptest::prelude::*;
use wayside_sdk::{Monotonic, Wire};

/// Workers with an account each, and the pool.
#[derive(Clone)]
struct Budget {
    accounts: Vec<Account>,
    pool: Pool,
}

impl Budget {
    /// Of one worker.
    fn new(limits: &Limits, now: Monotonic) -> Budget {
        Budget::of_workers(1, limits, now)
    }

    fn of_workers(workers: usize, limits: &Limits, now: Monotonic) -> Budget {
        Budget { accounts: vec![Account::new(limits, now); workers], pool: Pool::new(limits, now) }
    }

    fn grant(&mut self, limits: &Limits, now: Monotonic, wanted: u8, deposit: bool) -> Grant {
        self.grant_by(0, limits, now, wanted, deposit)
    }

    fn grant_by(
        &mut self,
        worker: usize,
        limits: &Limits,
        now: Monotonic,
        wanted: u8,
        deposit: bool,
    ) -> Grant {
        let (mut grant, visit) = self.accounts[worker].grant(limits, now, wanted, deposit);
        if let Some(visit) = visit {
            let loan = self.pool.visit(limits, now, &visit);
            self.accounts[worker].receive(&mut grant, &loan);
        }
        grant
    }

    fn settle(
        &mut self,
        limits: &Limits,
        now: Monotonic,
        grant: &Grant,
        used: u32,
        deposit: bool,
    ) -> Settlement {
        self.settle_by(0, limits, now, grant, used, deposit)
    }

    fn settle_by(
        &mut self,
        worker: usize,
        limits: &Limits,
        now: Monotonic,
        grant: &Grant,
        used: u32,
        deposit: bool,
    ) -> Settlement {
        let (settlement, visit) = self.accounts[worker].settle(limits, now, grant, used, deposit);
        if let Some(visit) = visit {
            self.pool.visit(limits, now, &visit);
        }
        settlement
    }

    /// Of all that is in the window at this moment.
    fn counts(&self, limits: &Limits, now: Monotonic) -> (u64, u64) {
        let mut windows: Vec<_> = self.accounts.iter().map(|account| account.window().clone()).collect();
        windows.push(self.pool.window().clone());
        windows.iter_mut().for_each(|window| window.advance(limits.slots.number_at(now)));
        (windows.iter().map(Window::deposits).sum(), windows.iter().map(Window::withdrawals).sum())
    }
}

fn at(millis: u64) -> Monotonic {
    Monotonic::at(Duration::from_millis(1_000_000_000 + millis))
}

fn limits(ratio_ten_thousandths: u32, floor_style: FloorStyle, rate: u32, burst: u32) -> Limits {
    Limits {
        ratio: Ratio::from_ten_thousandths(ratio_ten_thousandths),
        slots: Slots { count: 10, length: Duration::from_secs(1) },
        floor_style,
        floor_rate: rate,
        floor_burst: burst,
    }
}

fn deposit(budget: &mut Budget, limits: &Limits, now: Monotonic, count: u32) {
    for _ in 0..count {
        budget.settle(limits, now, &Grant::default(), 0, true);
    }
}

/// Withdraws until refused, and says how often that worked.
fn drain(budget: &mut Budget, limits: &Limits, now: Monotonic) -> u32 {
    (0..).take_while(|_| !budget.grant(limits, now, 1, false).is_empty()).count().try_into().unwrap()
}

#[test]
fn every_ratio_gives_exactly_its_share() {
    for ratio in (1..=9_999).chain([20_000]) {
        let limits = limits(ratio, FloorStyle::Window, 0, 0);
        let mut budget = Budget::new(&limits, at(0));
        deposit(&mut budget, &limits, at(0), 100);
        assert_eq!(drain(&mut budget, &limits, at(0)), 100 * ratio / 10_000, "ratio {ratio}/10000");
    }
    for ratio in [1, 1_000, 2_000, 3_000, 3_333, 6_000, 9_999, 20_000] {
        let limits = limits(ratio, FloorStyle::Window, 0, 0);
        let mut budget = Budget::new(&limits, at(0));
        deposit(&mut budget, &limits, at(0), 10_000);
        assert_eq!(drain(&mut budget, &limits, at(0)), ratio, "ratio {ratio}/10000");
    }
}

#[test]
fn nothing_deposited_is_nothing_granted() {
    let limits = limits(2_000, FloorStyle::Window, 0, 0);
    assert!(Budget::new(&limits, at(0)).grant(&limits, at(0), 5, false).is_empty());
}

#[test]
fn a_window_floor_is_there_at_once_and_comes_back_when_the_window_has_passed() {
    let limits = limits(0, FloorStyle::Window, 10_000, 0);
    let mut budget = Budget::new(&limits, at(0));
    assert_eq!(drain(&mut budget, &limits, at(0)), 100);
    assert_eq!(drain(&mut budget, &limits, at(9_999)), 0);
    assert_eq!(drain(&mut budget, &limits, at(10_000)), 100);
}

#[test]
fn a_floor_bucket_gives_its_burst_and_then_its_rate() {
    let limits = limits(0, FloorStyle::PerSecond, 1_000, 3_000);
    let mut budget = Budget::new(&limits, at(0));
    assert_eq!(drain(&mut budget, &limits, at(0)), 3);
    assert_eq!(drain(&mut budget, &limits, at(999)), 0);
    assert_eq!(drain(&mut budget, &limits, at(1_000)), 1);
    assert_eq!(drain(&mut budget, &limits, at(1_000_000)), 3, "never more than the burst");
}

#[test]
fn a_slow_floor_loses_nothing_to_rounding() {
    let limits = limits(0, FloorStyle::PerSecond, 1, 1_000);
    let mut budget = Budget::new(&limits, at(0));
    assert_eq!(drain(&mut budget, &limits, at(0)), 1);
    let granted: u32 = (1..1_000_000).step_by(7).map(|millis| drain(&mut budget, &limits, at(millis))).sum();
    assert_eq!(granted, 0);
    assert_eq!(
        drain(&mut budget, &limits, at(1_000_000)),
        1,
        "a thousandth a second is one in a thousand seconds"
    );
}

#[test]
fn deposits_age_out_with_their_slot() {
    let limits = limits(10_000, FloorStyle::PerSecond, 0, 0);
    let mut budget = Budget::new(&limits, at(0));
    deposit(&mut budget, &limits, at(0), 1);
    deposit(&mut budget, &limits, at(5_000), 1);
    assert_eq!(drain(&mut budget.clone(), &limits, at(9_999)), 2);
    assert_eq!(drain(&mut budget, &limits, at(10_000)), 1);
}

#[test]
fn what_was_not_used_can_be_granted_again() {
    let limits = limits(2_000, FloorStyle::PerSecond, 0, 1_000);
    let mut budget = Budget::new(&limits, at(0));
    deposit(&mut budget, &limits, at(0), 5);
    let grant = budget.grant(&limits, at(0), 3, false);
    assert_eq!((grant.from_ratio, grant.from_floor), (1, 1), "the share first, then the floor");
    assert!(budget.grant(&limits, at(1), 1, false).is_empty());
    let settled = budget.settle(&limits, at(2), &grant, 0, false);
    assert_eq!(settled, Settlement { refunded: 2, overdraft: 0 });
    assert_eq!(budget.grant(&limits, at(3), 3, false).retries(), 2);
    let settled = budget.settle(&limits, at(4), &grant, 3, false);
    assert_eq!(settled, Settlement { refunded: 0, overdraft: 1 });
}

#[test]
fn a_request_that_feeds_the_budget_counts_for_itself() {
    let limits = limits(10_000, FloorStyle::PerSecond, 0, 0);
    let mut budget = Budget::new(&limits, at(0));
    assert_eq!(budget.grant(&limits, at(0), 2, true).retries(), 1);
}

#[test]
fn total_failure_is_amplified_by_the_ratio_and_not_by_one_request_more() {
    let limits = limits(2_000, FloorStyle::PerSecond, 0, 0);
    let mut budget = Budget::new(&limits, at(0));
    let mut upstream = 0;
    for request in 0..2_400_u64 {
        let now = at(request * 10 / 3);
        let grant = budget.grant(&limits, now, 3, true);
        upstream += 1 + u32::from(grant.retries());
        budget.settle(&limits, now, &grant, u32::from(grant.retries()), false);
    }
    assert_eq!(upstream, 2_880);
}

/// Where one worker with all deposits would wait for its withdrawals to age.
#[test]
fn a_worker_does_not_pay_for_what_another_withdrew_of_deposits_that_have_aged() {
    let limits = limits(2_000, FloorStyle::PerSecond, 0, 0);
    let mut budget = Budget::of_workers(2, &limits, at(0));
    deposit(&mut budget, &limits, at(0), 10);
    assert_eq!(budget.grant_by(0, &limits, at(9_000), 3, false).retries(), 2);
    for _ in 0..5 {
        budget.settle_by(1, &limits, at(10_000), &Grant::default(), 0, true);
    }
    assert_eq!(budget.grant_by(1, &limits, at(10_000), 3, false).retries(), 1);
    assert_eq!(budget.counts(&limits, at(10_000)), (5, 3));
}

#[test]
fn any_bytes_are_a_budget_or_none_and_never_grant_more_than_asked() {
    let limits = limits(2_000, FloorStyle::PerSecond, 1_000, 3_000);
    for bytes in
        [vec![], vec![0xff; 23], vec![0xff; 24], vec![0xff; 104], vec![0xff; 24 + 8 * 61], vec![0; 105]]
    {
        if let Some(pool) = Pool::decode(&bytes) {
            let mut budget = Budget { pool, ..Budget::new(&limits, at(0)) };
            assert!(budget.grant(&limits, at(0), 3, true).retries() <= 3);
        }
    }
    let pool = Pool::new(&limits, at(7));
    let mut bytes = Vec::new();
    pool.encode(&mut bytes);
    assert_eq!(Pool::decode(&bytes), Some(pool));
}

/// The same rules, with a list of everything that happened instead of counters.
struct Model {
    limits: Limits,
    /// Slot and +1 or -1.
    deposits: Vec<u64>,
    withdrawals: Vec<u64>,
    floor: u128,
    latest: Monotonic,
}

impl Model {
    fn slot(&self) -> u64 {
        self.limits.slots.number_at(self.latest)
    }

    fn count(&self, events: &[u64]) -> u128 {
        let first = self.slot() - u64::from(self.limits.slots.count) + 1;
        events.iter().filter(|slot| **slot >= first).count() as u128
    }

    fn pass(&mut self, now: Monotonic) {
        let elapsed = now.since(self.latest).as_nanos();
        let burst = u128::from(self.limits.floor_burst) * 1_000_000_000;
        self.floor = (self.floor + elapsed * u128::from(self.limits.floor_rate)).min(burst);
        self.latest = self.latest.max(now);
    }

    fn grant(&mut self, now: Monotonic, wanted: u8, deposit: bool) -> (u8, u8, u64) {
        self.pass(now);
        let slot = self.slot();
        if deposit {
            self.deposits.push(slot);
        }
        let (mut share, mut floor) = (0, 0);
        for _ in 0..wanted {
            let allowed = self.count(&self.deposits) * u128::from(self.limits.ratio.numerator()) / 10_000;
            if self.count(&self.withdrawals) < allowed {
                self.withdrawals.push(slot);
                share += 1;
            } else if self.floor >= 1_000_000_000_000 {
                self.floor -= 1_000_000_000_000;
                floor += 1;
            }
        }
        (share, floor, slot)
    }

    fn settle(&mut self, now: Monotonic, grant: (u8, u8, u64), used: u8, deposit: bool) {
        self.pass(now);
        if deposit {
            self.deposits.push(self.slot());
        }
        let unused = (grant.0 + grant.1).saturating_sub(used);
        let to_floor = unused.min(grant.1);
        let burst = u128::from(self.limits.floor_burst) * 1_000_000_000;
        self.floor = (self.floor + u128::from(to_floor) * 1_000_000_000_000).min(burst);
        for _ in 0..unused - to_floor {
            if let Some(index) = self.withdrawals.iter().position(|slot| *slot == grant.2) {
                self.withdrawals.swap_remove(index);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Worker, milliseconds since the last step (negative: this worker's clock was read earlier), wanted, deposit.
    Grant(i64, u8, bool),
    /// Which open grant, how many retries were used, deposit.
    Settle(i64, prop::sample::Index, u8, bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    let passed = prop_oneof![8 => 0..300_i64, 1 => -5..0_i64, 1 => 900..12_000_i64];
    (passed, any::<bool>(), any::<prop::sample::Index>(), 0..4_u8, any::<bool>()).prop_map(
        |(passed, grant, index, number, deposit)| match grant {
            true => Step::Grant(passed, number, deposit),
            false => Step::Settle(passed, index, number, deposit),
        },
    )
}

proptest! {
    #[test]
    fn one_worker_gets_what_the_model_gives(
        ratio in prop_oneof![Just(2_000_u32), Just(6_000), 1..30_000_u32],
        rate in 0..5_000_u32,
        burst in 0..6_000_u32,
        count in 2..12_u8,
        steps in prop::collection::vec(any_step(), 1..120),
    ) {
        let mut limits = limits(ratio, FloorStyle::PerSecond, rate, burst);
        limits.slots = Slots { count, length: Duration::from_millis(700) };
        let mut budget = Budget::new(&limits, at(0));
        let mut model = Model {
            limits, deposits: vec![], withdrawals: vec![], floor: u128::from(burst) * 1_000_000_000, latest: at(0),
        };
        let mut now = 0_i64;
        let mut open = Vec::new();
        for step in steps {
            match step {
                Step::Grant(passed, wanted, deposit) => {
                    now += passed.max(0);
                    let time = at(now.unsigned_abs());
                    let grant = budget.grant(&limits, time, wanted, deposit);
                    let expected = model.grant(time, wanted, deposit);
                    prop_assert_eq!((grant.from_ratio, grant.from_floor, grant.slot), expected);
                    prop_assert!(grant.retries() <= wanted);
                    if grant.from_ratio > 0 {
                        let (d, w) = budget.counts(&limits, time);
                        prop_assert!(w * 10_000 <= d * u64::from(ratio), "W {w} D {d}");
                    }
                    open.push((grant, expected));
                }
                Step::Settle(passed, index, used, deposit) => {
                    now += passed.max(0);
                    if open.is_empty() { continue }
                    let (grant, expected) = open.swap_remove(index.index(open.len()));
                    let used = used.min(grant.retries());
                    let settled = budget.settle(&limits, at(now.unsigned_abs()), &grant, u32::from(used), deposit);
                    model.settle(at(now.unsigned_abs()), expected, used, deposit);
                    prop_assert_eq!(settled.refunded + u32::from(used), u32::from(grant.retries()));
                }
            }
            let (deposits, withdrawals) = budget.counts(&limits, model.latest);
            prop_assert_eq!(u128::from(deposits), model.count(&model.deposits));
            prop_assert_eq!(u128::from(withdrawals), model.count(&model.withdrawals));
            prop_assert_eq!(u128::from(budget.pool.floor_at(&limits, model.latest)), model.floor);
            let mut bytes = Vec::new();
            budget.pool.encode(&mut bytes);
            prop_assert!(Pool::decode(&bytes).as_ref() == Some(&budget.pool));
        }
    }

    /// Deposits are in one place at a time: whoever works, each pays for its share of retries once.
    #[test]
    fn several_workers_never_withdraw_more_than_the_share_of_all_deposits(
        ratio in prop_oneof![Just(2_000_u32), Just(6_000), 1..30_000_u32],
        style in prop_oneof![Just(FloorStyle::PerSecond), Just(FloorStyle::Window)],
        rate in prop_oneof![Just(0_u32), 0..5_000_u32],
        count in 2..12_u8,
        steps in prop::collection::vec((0..4_usize, any_step()), 1..300),
    ) {
        let mut limits = limits(ratio, style, rate, 3_000);
        limits.slots = Slots { count, length: Duration::from_millis(700) };
        let mut budget = Budget::of_workers(4, &limits, at(0));
        let (mut now, mut open, mut all_deposits) = (0_i64, Vec::new(), 0_u64);
        let (mut of_share, mut of_floor, mut latest) = (0_u64, 0_u64, 0_i64);
        for (worker, step) in steps {
            match step {
                Step::Grant(passed, wanted, deposit) => {
                    now = (now + passed).max(0);
                    let grant = budget.grant_by(worker, &limits, at(now.unsigned_abs()), wanted, deposit);
                    prop_assert!(grant.retries() <= wanted);
                    all_deposits += u64::from(deposit);
                    of_share += u64::from(grant.from_ratio);
                    of_floor += u64::from(grant.from_floor);
                    open.push((worker, grant));
                }
                Step::Settle(passed, index, used, deposit) => {
                    now = (now + passed).max(0);
                    if open.is_empty() { continue }
                    let (worker, grant) = open.swap_remove(index.index(open.len()));
                    let used = u32::from(used.min(grant.retries()));
                    let settled = budget.settle_by(worker, &limits, at(now.unsigned_abs()), &grant, used, deposit);
                    all_deposits += u64::from(deposit);
                    let to_floor = settled.refunded.min(u32::from(grant.from_floor));
                    of_floor -= u64::from(to_floor);
                    of_share -= u64::from(settled.refunded - to_floor);
                }
            }
            prop_assert!(of_share * 10_000 <= all_deposits * u64::from(ratio), "{of_share} of {all_deposits}");
            // The bucket was filled by the worker whose clock was ahead, and not emptied by the one behind it.
            latest = latest.max(now);
            if style == FloorStyle::PerSecond {
                let floor = 3_000_000 + latest.unsigned_abs() * u64::from(rate);
                prop_assert!(of_floor * 1_000_000 <= floor, "{of_floor} of {floor}");
            }
        }
    }

    #[test]
    fn what_one_worker_can_spare_another_gets(
        ratio in 500..20_000_u32,
        rounds in 12..40_u64,
    ) {
        let limits = limits(ratio, FloorStyle::PerSecond, 0, 0);
        let mut budget = Budget::of_workers(2, &limits, at(0));
        for second in 0..rounds {
            for _ in 0..200 {
                budget.settle_by(0, &limits, at(second * 1000), &Grant::default(), 0, true);
            }
        }
        let now = at((rounds - 1) * 1000);
        let got = (0..).take_while(|_| !budget.grant_by(1, &limits, now, 1, false).is_empty()).count() as u64;
        let all = budget.counts(&limits, now).0 * u64::from(ratio) / 10_000;
        prop_assert!(got * 2 >= all, "{got} of {all}");
        let rest = (0..).take_while(|_| !budget.grant_by(0, &limits, now, 1, false).is_empty()).count() as u64;
        prop_assert!(got + rest <= all && got + rest + 1 >= all, "{got} and {rest} of {all}");
    }

    #[test]
    fn no_record_makes_it_panic_or_grant_more_than_asked(
        bytes in prop::collection::vec(any::<u8>(), 0..120),
        millis: u64,
        wanted: u8,
    ) {
        let limits = limits(2_000, FloorStyle::PerSecond, 1_000, 3_000);
        if let Some(pool) = Pool::decode(&bytes) {
            let mut budget = Budget { pool, ..Budget::new(&limits, at(0)) };
            let now = Monotonic::at(Duration::from_millis(millis));
            let grant = budget.grant(&limits, now, wanted, true);
            prop_assert!(grant.retries() <= wanted);
            budget.settle(&limits, now, &grant, 1, true);
        }
    }
}
