//! What a budget must hold, counted from the requests themselves; shares no code with the filter.

use std::collections::BTreeMap;

use anyhow::ensure;

use super::{SLOT_MILLIS, SLOTS, SUCCESSES_A_RETRY};

/// What became of a request that drew on the budget.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) began_ms: u64,
    pub(super) ended_ms: u64,
    pub(super) retries: u64,
    pub(super) succeeded: bool,
}

/// Deposits and withdrawals by slot.
#[derive(Debug, Default)]
struct Slots(BTreeMap<u64, (u64, u64)>);

impl Slots {
    fn at(&mut self, millis: u64) -> &mut (u64, u64) {
        self.0.entry(millis / SLOT_MILLIS).or_default()
    }

    /// Of the slot that holds this moment, and those before it that the window still covers.
    fn sums(&self, millis: u64) -> (u64, u64) {
        let last = millis / SLOT_MILLIS;
        let window = self.0.range((last + 1).saturating_sub(SLOTS)..=last);
        window.fold((0, 0), |(deposits, withdrawals), (_, slot)| (deposits + slot.0, withdrawals + slot.1))
    }
}

/// Every retry must have been paid for when its request began, by successes that had ended by then. Says how many retries would be
/// granted at once at the end.
pub(super) fn balance(mut requests: Vec<Request>, end_ms: u64) -> anyhow::Result<u64> {
    requests.sort_by_key(|request| request.began_ms);
    let mut ending: Vec<u64> =
        requests.iter().filter(|request| request.succeeded).map(|r| r.ended_ms).collect();
    ending.sort_unstable();
    let mut ending = ending.into_iter().peekable();
    let mut slots = Slots::default();
    for request in &requests {
        while let Some(ended) = ending.next_if(|ended| *ended <= request.began_ms) {
            slots.at(ended).0 += 1;
        }
        slots.at(request.began_ms).1 += request.retries;
        let (deposits, withdrawals) = slots.sums(request.began_ms);
        ensure!(
            request.retries == 0 || withdrawals * SUCCESSES_A_RETRY <= deposits,
            "{request:?}: {withdrawals} retries for {deposits} successes"
        );
    }
    ending.for_each(|ended| slots.at(ended).0 += 1);
    let (deposits, withdrawals) = slots.sums(end_ms);
    Ok((deposits / SUCCESSES_A_RETRY).saturating_sub(withdrawals))
}

#[test]
fn a_retry_that_nobody_paid_for_is_found_and_what_is_left_is_told() {
    let request = |began_ms, retries| Request { began_ms, ended_ms: began_ms + 1, retries, succeeded: true };
    let paid: Vec<Request> = (0..10).map(|at| request(at, 0)).chain([request(11, 2)]).collect();
    assert_eq!(balance(paid.clone(), 12).expect("it was paid"), 0);
    let unpaid = [paid, vec![request(11, 1)]].concat();
    assert!(balance(unpaid, 12).is_err());
    // A window later what was there is forgotten.
    let ten: Vec<Request> = (0..10).map(|at| request(at, 0)).collect();
    assert_eq!(balance(ten.clone(), SLOT_MILLIS * SLOTS - 1).expect("nothing to pay"), 2);
    assert_eq!(balance(ten, SLOT_MILLIS * SLOTS).expect("nothing to pay"), 0);
}
