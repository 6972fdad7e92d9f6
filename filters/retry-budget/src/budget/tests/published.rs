//! RB-1 to RB-3: what Finagle's `RetryBudgetTest`, util's `TokenBucketTest` and tower's `tps_budget` check, with error 0.

use super::*;
use crate::config::Config;
use wayside_sdk::{Configuration, Envelope};

const SECOND: Duration = Duration::from_secs(1);

/// Deposits and withdrawals in turn at one moment, as Finagle's `testBudget`: how many were granted. Where nothing is, nothing is there.
fn in_turn(limits: &Limits, requests: u32) -> u32 {
    let mut budget = Budget::new(limits, at(0));
    let mut granted = 0;
    for _ in 0..requests {
        budget.deposit(at(0), 1);
        match budget.grant(at(0), 1).retries() {
            0 => assert_eq!(budget.pool.balance(limits, at(0), 10), 0),
            retries => granted += u32::from(retries),
        }
    }
    granted
}

fn refused(budget: &str) -> bool {
    let text = format!(r#"{{"version": 1, "defaults": {{"budget": {budget}}}}}"#);
    Envelope::<Config>::parse(text.as_bytes()).is_err()
}

#[test]
fn rb_1_an_empty_budget_gives_nothing_before_and_after_a_deposit() {
    let limits = limits(0, FloorStyle::Window, 0, 0);
    let mut budget = Budget::new(&limits, at(0));
    assert_eq!(budget.drain(at(0)), 0);
    budget.deposit(at(0), 1);
    assert_eq!(budget.drain(at(0)), 0);
    assert_eq!(budget.pool.balance(&limits, at(0), 100), 0);
}

/// Finagle has an infinite one; here that is `mode: off`. The largest gives each request all it may ask for.
#[test]
fn rb_1_the_largest_budget_gives_every_request_ten() {
    let limits = limits(100_000, FloorStyle::Window, 0, 0);
    let mut budget = Budget::new(&limits, at(0));
    for _ in 0..1_000 {
        budget.deposit(at(0), 1);
        assert_eq!(budget.grant(at(0), 10).retries(), 10);
    }
}

#[test]
fn rb_1_windows_rates_and_ratios_have_bounds() {
    assert!(refused(r#"{"window": "0s"}"#));
    assert!(refused(r#"{"window": "1h1ms"}"#));
    assert!(refused(r#"{"window": "10s", "min_retries_per_second": -1}"#));
    assert!(refused(r#"{"window": "10s", "retry_ratio": -1}"#));
    assert!(!refused(r#"{"window": "1m", "min_retries_per_second": 0, "retry_ratio": 0}"#));
}

#[test]
fn rb_1_every_ratio_gives_exactly_its_share() {
    for ratio in (1..=9_999).chain([20_000]) {
        let limits = limits(ratio, FloorStyle::Window, 0, 0);
        let mut budget = Budget::new(&limits, at(0));
        budget.deposit(at(0), 100);
        assert_eq!(budget.drain(at(0)), 100 * ratio / 10_000, "ratio {ratio}/10000");
        let mut budget = Budget::new(&limits, at(0));
        let slot = limits.slots.number_at(at(0));
        budget.pool.add_deposits(slot, 10_000);
        assert_eq!(budget.pool.balance(&limits, at(0), 100_000), u64::from(ratio), "ratio {ratio}/10000");
    }
}

#[test]
fn rb_1_deposits_and_retries_in_turn_come_to_the_share() {
    for ratio in [1, 10, 100, 1_000, 2_500, 5_000, 7_500, 9_900, 9_990, 9_999] {
        let limits = of_window(60 * SECOND, ratio, FloorStyle::Window, 0, 0);
        assert_eq!(in_turn(&limits, 10_000), ratio, "ratio {ratio}/10000");
    }
}

#[test]
fn rb_1_above_one_there_are_more_retries_than_requests() {
    let limits = of_window(60 * SECOND, 20_000, FloorStyle::Window, 0, 0);
    let mut budget = Budget::new(&limits, at(0));
    assert_eq!(budget.drain(at(0)), 0);
    budget.deposit(at(0), 10_000);
    budget.flush(at(0));
    assert_eq!(budget.pool.balance(&limits, at(0), 1 << 32), 20_000);
    assert_eq!(budget.drain(at(0)), 20_000);
}

#[test]
fn rb_1_a_floor_of_the_window_is_there_at_once_with_and_without_a_share() {
    for (window, rate, ratio, expected) in [
        (SECOND, 10, 0, 10),
        (2 * SECOND, 5, 0, 10),
        (SECOND, 10, 1_000, 1_010),
        (2 * SECOND, 5, 5_000, 5_010),
    ] {
        let limits = of_window(window, ratio, FloorStyle::Window, rate * 1_000, 0);
        assert_eq!(Budget::new(&limits, at(0)).pool.balance(&limits, at(0), 100), 10);
        assert_eq!(in_turn(&limits, 10_000), expected, "{window:?} {rate} {ratio}");
    }
}

#[test]
fn rb_2_a_leaky_bucket_is_leaky() {
    let limits = of_window(3 * SECOND, 10_000, FloorStyle::Window, 0, 0);
    let mut budget = Budget::new(&limits, at(0));
    budget.deposit(at(0), 100);
    assert_eq!(budget.grant(at(0), 1).retries(), 1);
    assert!(budget.grant(at(3_000), 1).is_empty());
}

#[test]
fn rb_2_nothing_is_got_of_an_empty_bucket() {
    let limits = of_window(3 * SECOND, 10_000, FloorStyle::Window, 0, 0);
    let mut budget = Budget::new(&limits, at(0));
    budget.deposit(at(0), 100);
    for (wanted, got) in [(50, 50), (49, 49), (1, 1), (1, 0), (50, 0)] {
        assert_eq!(budget.grant(at(0), wanted).retries(), got, "{wanted}");
    }
    budget.deposit(at(0), 1);
    // util gives all or nothing, this as many as there are.
    assert_eq!(budget.grant(at(0), 2).retries(), 1);
    assert!(budget.grant(at(0), 1).is_empty());
}

/// util counts one slot more than the window's and forgets after four seconds; here it is exactly three.
#[test]
fn rb_2_a_reserve_that_was_used_at_once_is_back_when_the_window_has_passed() {
    let limits = of_window(3 * SECOND, 10_000, FloorStyle::Window, 33_000, 0);
    // Where a slot begins.
    let at = |millis: u64| at(millis + 200);
    let mut budget = Budget::new(&limits, at(0));
    for (wanted, got) in [(50, 50), (49, 49), (1, 0)] {
        assert_eq!(budget.grant(at(0), wanted).retries(), got, "{wanted}");
    }
    budget.deposit(at(0), 1);
    assert_eq!(budget.drain(at(0)), 1);
    for millis in [1_000, 2_000, 2_999] {
        assert_eq!(budget.drain(at(millis)), 0, "after {millis} ms");
    }
    assert_eq!(budget.grant(at(3_000), 50).retries(), 50);
    assert_eq!(budget.drain(at(5_999)), 49);
    assert_eq!(budget.drain(at(6_000)), 50);
    assert_eq!(budget.drain(at(8_999)), 49);
}

#[test]
fn rb_3_tps_empty() {
    let limits = of_window(SECOND, 10_000, FloorStyle::Window, 0, 0);
    assert!(Budget::new(&limits, at(0)).grant(at(0), 1).is_empty());
}

#[test]
fn rb_3_tps_leaky() {
    let limits = of_window(SECOND, 10_000, FloorStyle::Window, 0, 0);
    let mut budget = Budget::new(&limits, at(0));
    budget.deposit(at(0), 1);
    assert!(budget.grant(at(3_000), 1).is_empty());
}

#[test]
fn rb_3_tps_slots() {
    let limits = of_window(SECOND, 5_000, FloorStyle::Window, 0, 0);
    let mut budget = Budget::new(&limits, at(0));
    budget.deposit(at(0), 2);
    assert_eq!(budget.grant(at(901), 1).retries(), 1, "a deposit counts for 900 ms and more");
    budget.deposit(at(2_902), 1);
    budget.deposit(at(3_203), 1);
    budget.deposit(at(4_004), 1);
    assert_eq!(budget.grant(at(4_004), 2).retries(), 1, "the first has aged, the second has not");
}

#[test]
fn rb_3_tps_reserve() {
    let limits = of_window(SECOND, 10_000, FloorStyle::Window, 5_000, 0);
    assert_eq!(Budget::new(&limits, at(0)).drain(at(0)), 5);
}

/// tower makes 100 % of 60 %, and 33 % of 30 %.
#[test]
fn rb_3_a_ratio_is_not_rounded() {
    for (ratio, expected) in [(6_000, 600), (3_000, 300), (3_333, 333), (7_000, 700)] {
        let limits = of_window(SECOND, ratio, FloorStyle::Window, 0, 0);
        assert_eq!(in_turn(&limits, 1_000), expected);
    }
}

impl Pool {
    fn add_deposits(&mut self, slot: u64, deposits: u64) {
        self.window.add(slot, wayside_sdk::policy::Slice { deposits, withdrawals: 0 });
    }
}
