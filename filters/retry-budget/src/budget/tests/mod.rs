//! Budgets against the tests of other implementations, retold, and against a model that keeps every event.

mod million;
mod model;
mod published;
mod tokens;
mod workers;

use super::*;
use wayside_sdk::{Monotonic, Wire};

/// Workers with an account each, and the pool.
#[derive(Clone)]
struct Budget {
    limits: Limits,
    accounts: Vec<Account>,
    pool: Pool,
}

impl Budget {
    /// Of one worker.
    fn new(limits: &Limits, now: Monotonic) -> Budget {
        Budget::of_workers(1, limits, now)
    }

    fn of_workers(workers: usize, limits: &Limits, now: Monotonic) -> Budget {
        let accounts = vec![Account::new(limits, now); workers];
        Budget { limits: *limits, accounts, pool: Pool::new(limits, now) }
    }

    /// As the filter does it.
    fn grant_by(&mut self, worker: usize, now: Monotonic, wanted: u8) -> Grant {
        if let Some(grant) = self.accounts[worker].grant(now, wanted) {
            return grant;
        }
        self.visit(worker, now, &Visit { wanted, ..Visit::default() })
    }

    fn visit(&mut self, worker: usize, now: Monotonic, visit: &Visit) -> Grant {
        let loan = self.pool.visit(&self.limits, now, &self.accounts[worker], visit);
        self.accounts[worker].receive(&self.limits, now, &loan)
    }

    /// Retries given back.
    fn settle_by(&mut self, worker: usize, now: Monotonic, grant: &Grant, end: &End) -> u32 {
        let to_floor = self.accounts[worker].settle(&self.limits, now, grant, end);
        if to_floor > 0 {
            self.visit(worker, now, &Visit { to_floor, ..Visit::default() });
        }
        end.unused(grant)
    }

    fn deposit_by(&mut self, worker: usize, now: Monotonic) {
        self.accounts[worker].deposit(&self.limits, now);
    }

    fn grant(&mut self, now: Monotonic, wanted: u8) -> Grant {
        self.grant_by(0, now, wanted)
    }

    fn deposit(&mut self, now: Monotonic, count: u32) {
        (0..count).for_each(|_| self.deposit_by(0, now));
    }

    /// Withdraws until refused, and says how often that worked.
    fn drain(&mut self, now: Monotonic) -> u32 {
        (0..).take_while(|_| !self.grant(now, 1).is_empty()).count().try_into().unwrap()
    }

    /// Every worker tells what it has to tell, and gives back what it has not handed out.
    fn flush(&mut self, now: Monotonic) {
        for worker in 0..self.accounts.len() {
            let mut account = self.accounts[worker].clone();
            account.forget_what_is_out();
            let loan = self.pool.visit(&self.limits, now, &account, &Visit::default());
            account.receive(&self.limits, now, &loan);
            self.accounts[worker] = account;
        }
    }
}

impl Account {
    /// So that nothing is lent on top.
    fn forget_what_is_out(&mut self) {
        self.out = 0;
    }
}

fn at(millis: u64) -> Monotonic {
    Monotonic::at(Duration::from_millis(1_000_000_000 + millis))
}

fn limits(ratio_ten_thousandths: u32, floor_style: FloorStyle, rate: u32, burst: u32) -> Limits {
    of_window(Duration::from_secs(10), ratio_ten_thousandths, floor_style, rate, burst)
}

fn of_window(window: Duration, ratio: u32, floor_style: FloorStyle, rate: u32, burst: u32) -> Limits {
    Limits {
        ratio: Ratio::from_ten_thousandths(ratio),
        slots: Slices::sliding(window, 10).unwrap(),
        floor_style,
        floor_rate: rate,
        floor_burst: burst,
    }
}

fn ended(used: u32, answer: Answer) -> End {
    End { used, answer, deposits: true, refused: false }
}

const FAILED: Answer = Answer::Failure(Cause::Other);

#[test]
fn a_floor_bucket_gives_its_burst_and_then_its_rate() {
    let limits = limits(0, FloorStyle::PerSecond, 1_000, 3_000);
    let mut budget = Budget::new(&limits, at(0));
    assert_eq!(budget.drain(at(0)), 3);
    assert_eq!(budget.drain(at(999)), 0);
    assert_eq!(budget.drain(at(1_000)), 1);
    assert_eq!(budget.drain(at(1_000_000)), 3, "never more than the burst");
}

#[test]
fn a_slow_floor_loses_nothing_to_rounding() {
    let limits = limits(0, FloorStyle::PerSecond, 1, 1_000);
    let mut budget = Budget::new(&limits, at(0));
    assert_eq!(budget.drain(at(0)), 1);
    let granted: u32 = (1..1_000_000).step_by(7).map(|millis| budget.drain(at(millis))).sum();
    assert_eq!(granted, 0);
    assert_eq!(budget.drain(at(1_000_000)), 1, "a thousandth a second is one in a thousand seconds");
}

#[test]
fn deposits_age_out_with_their_slot() {
    let limits = limits(10_000, FloorStyle::PerSecond, 0, 0);
    let mut budget = Budget::new(&limits, at(0));
    budget.deposit(at(0), 1);
    budget.deposit(at(5_000), 1);
    assert_eq!(budget.clone().drain(at(9_999)), 2);
    assert_eq!(budget.drain(at(10_000)), 1);
}

#[test]
fn what_was_not_used_can_be_granted_again() {
    let limits = limits(2_000, FloorStyle::PerSecond, 0, 1_000);
    let mut budget = Budget::new(&limits, at(0));
    budget.deposit(at(0), 5);
    let grant = budget.grant(at(0), 3);
    assert_eq!((grant.from_ratio, grant.from_floor), (1, 1), "the share first, then the floor");
    assert!(budget.grant(at(1), 1).is_empty());
    assert_eq!(budget.settle_by(0, at(2), &grant, &ended(0, FAILED)), 2);
    assert_eq!(budget.grant(at(3), 3).retries(), 2);
}

/// Whether its slot is the current one, an older one or one that has left the window.
#[test]
fn what_was_not_used_goes_back_to_the_slot_it_was_taken_from() {
    for (later, left) in [(0, 2), (4_000, 2), (9_999, 2), (10_000, 0)] {
        let limits = limits(2_000, FloorStyle::PerSecond, 0, 0);
        let mut budget = Budget::new(&limits, at(0));
        budget.deposit(at(0), 10);
        let grant = budget.grant(at(0), 2);
        assert_eq!(grant.retries(), 2);
        assert_eq!(budget.clone().drain(at(later)), 0);
        budget.settle_by(0, at(later), &grant, &ended(0, FAILED));
        assert_eq!(budget.drain(at(later)), left, "{later} ms later");
    }
}

#[test]
fn a_request_that_feeds_the_budget_counts_for_itself() {
    let limits = limits(10_000, FloorStyle::PerSecond, 0, 0);
    let mut budget = Budget::new(&limits, at(0));
    budget.deposit(at(0), 1);
    assert_eq!(budget.grant(at(0), 2).retries(), 1);
}

#[test]
fn total_failure_is_amplified_by_the_ratio_and_not_by_one_request_more() {
    for workers in [1, 2, 4] {
        let limits = limits(2_000, FloorStyle::PerSecond, 0, 0);
        let mut budget = Budget::of_workers(workers, &limits, at(0));
        let mut upstream = 0;
        for request in 0..2_400_u64 {
            let (now, worker) = (at(request * 10 / 3), usize::try_from(request).unwrap() % workers);
            budget.deposit_by(worker, now);
            let grant = budget.grant_by(worker, now, 3);
            upstream += 1 + u32::from(grant.retries());
            budget.settle_by(worker, now, &grant, &ended(u32::from(grant.retries()), FAILED));
        }
        // Of several workers each has a few deposits that the pool has not heard of.
        let untold = u32::try_from(workers - 1).unwrap();
        assert!((2_880 - untold..=2_880).contains(&upstream), "{workers} workers: {upstream}");
    }
}

#[test]
fn an_upstream_that_wants_no_retry_takes_one_away() {
    let limits = limits(2_000, FloorStyle::PerSecond, 0, 0);
    for (wanted, used, left) in [(1, 0, 1), (1, 1, 0), (2, 0, 1), (2, 1, 0), (2, 2, 0)] {
        let mut budget = Budget::new(&limits, at(0));
        budget.deposit(at(0), 10);
        let grant = budget.grant(at(0), wanted);
        budget.settle_by(0, at(1), &grant, &End { refused: true, ..ended(used, FAILED) });
        assert_eq!(budget.drain(at(2)), left, "{wanted} wanted, {used} used");
    }
}

#[test]
fn while_retries_are_held_there_are_none_for_any_worker_that_asks_the_pool() {
    let limits = limits(2_000, FloorStyle::PerSecond, 1_000, 3_000);
    let mut budget = Budget::of_workers(2, &limits, at(0));
    budget.deposit(at(0), 100);
    budget.visit(0, at(0), &Visit { held_until: at(5_000), ..Visit::default() });
    for worker in [0, 1] {
        assert!(budget.grant_by(worker, at(4_999), 2).is_empty());
    }
    assert_eq!(budget.pool.balance(&limits, at(4_999), 1_000), 0);
    assert_eq!(budget.grant_by(1, at(5_000), 2).retries(), 2);
}

/// What an idle worker was handed is the others' again.
#[test]
fn a_worker_that_tells_keeps_nothing_to_itself() {
    let limits = limits(2_000, FloorStyle::PerSecond, 0, 0);
    let mut budget = Budget::of_workers(2, &limits, at(0));
    (0..10).for_each(|_| budget.deposit_by(0, at(0)));
    let grant = budget.grant_by(0, at(0), 2);
    budget.settle_by(0, at(1), &grant, &ended(0, Answer::Success));
    assert!(!budget.accounts[0].is_due(at(1)), "its slot goes on");
    assert!(budget.accounts[0].is_due(at(1_000)));
    budget.visit(0, at(1_000), &Visit::default());
    assert!(!budget.accounts[0].is_due(at(9_000)), "there is nothing more to tell");
    assert_eq!(budget.grant_by(1, at(1_000), 3).retries(), 2);
}

#[test]
fn the_balance_is_what_would_be_granted() {
    for (ratio, deposits, rate, burst) in [(2_000, 100, 0, 0), (3_333, 77, 1_000, 3_000), (0, 5, 0, 2_000)] {
        let limits = limits(ratio, FloorStyle::PerSecond, rate, burst);
        let mut budget = Budget::new(&limits, at(0));
        budget.deposit(at(0), deposits);
        budget.flush(at(0));
        let balance = budget.pool.balance(&limits, at(0), 1 << 32);
        assert_eq!(balance, u64::from(budget.drain(at(0))), "{ratio} {deposits}");
    }
}
