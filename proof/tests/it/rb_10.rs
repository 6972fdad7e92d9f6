//! RB-10: an outage of ten seconds is over soon after, retries or not; in the simulated mesh, with the filter's own decisions.

use std::time::Duration;

use wayside_proof::recovery::{Rule, recoveries};

const SEEDS: u64 = 10;

#[test]
fn rb_10_an_outage_outlives_its_cause_hardly_longer_than_without_retries() {
    // Summed: where the last try that waits too long falls is chance.
    let summed = |rule| {
        let recovered = recoveries(rule, 80, false, SEEDS).into_iter();
        recovered.map(|recovery| recovery.expect("it recovers")).sum::<Duration>()
    };
    let without = summed(Rule::Nobody);
    // Not the throttle: it hears of a failure when the request ends, and until then grants three retries to each that comes.
    for rule in [Rule::Successes, Rule::SuccessesAndFloor, Rule::OurQuota] {
        let with = summed(rule);
        assert!(with <= without * 13 / 10, "{rule:?}: {with:?}, without retries {without:?}");
    }
}

#[test]
fn rb_10_with_expired_work_left_out_it_is_over_at_once() {
    for rule in [Rule::Successes, Rule::SuccessesAndFloor, Rule::OurThrottle, Rule::OurQuota] {
        for recovery in recoveries(rule, 80, true, SEEDS) {
            let recovery = recovery.expect("it recovers");
            assert!(recovery <= Duration::from_secs(3), "{rule:?}: {recovery:?}");
        }
    }
}

/// What makes the bound above worth something.
#[test]
fn rb_10_retries_without_a_budget_keep_the_outage_going_for_ever() {
    let recovered = |drops_expired| recoveries(Rule::Everybody, 80, drops_expired, SEEDS);
    assert_eq!(recovered(false), vec![None; 10]);
    assert_eq!(recovered(true), vec![None; 10]);
}
