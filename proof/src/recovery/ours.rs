//! retry-budget as it is: the decisions of its crate, for two workers who share a pool.

use std::{collections::BTreeMap, time::Duration};

use retry_budget::budget::{Account, Answer, Cause, End, FloorStyle, Grant, Limits, Pool, Visit};
use wayside_sdk::{Monotonic, policy::Slices, units::Ratio};

use super::mesh::{Policy, RETRIES};

/// What feeds a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fed {
    ByRequests,
    BySuccess,
}

pub(super) struct RetryBudget {
    limits: Limits,
    fed: Fed,
    workers: [Account; 2],
    pool: Pool,
    /// What each request may still do.
    open: BTreeMap<usize, Open>,
}

struct Open {
    grant: Grant,
    used: u8,
}

fn at(now: Duration) -> Monotonic {
    Monotonic::at(Duration::from_secs(1_000) + now)
}

impl RetryBudget {
    /// A fifth, over ten seconds.
    pub(super) fn new(fed: Fed, floor_style: FloorStyle, floor_per_second: u32) -> RetryBudget {
        let limits = Limits {
            ratio: Ratio::from_ten_thousandths(2_000),
            slots: Slices::sliding(Duration::from_secs(10), 10).expect("ten seconds"),
            floor_style,
            floor_rate: floor_per_second * 1_000,
            floor_burst: floor_per_second * 3_000,
        };
        let account = Account::new(&limits, at(Duration::ZERO));
        let pool = Pool::new(&limits, at(Duration::ZERO));
        RetryBudget { limits, fed, workers: [account.clone(), account], pool, open: BTreeMap::new() }
    }
}

impl Policy for RetryBudget {
    fn arrives(&mut self, request: usize, now: Duration) {
        let worker = &mut self.workers[request % 2];
        if self.fed == Fed::ByRequests {
            worker.deposit(&self.limits, at(now));
        }
        let grant = worker.grant(at(now), RETRIES).unwrap_or_else(|| {
            let visit = Visit { wanted: RETRIES, ..Visit::default() };
            let loan = self.pool.visit(&self.limits, at(now), worker, &visit);
            worker.receive(&self.limits, at(now), &loan)
        });
        self.open.insert(request, Open { grant, used: 0 });
    }

    fn may_retry(&mut self, request: usize, _: Duration) -> bool {
        let Some(open) = self.open.get_mut(&request) else { return false };
        let may = open.used < open.grant.retries();
        open.used += u8::from(may);
        may
    }

    fn ends(&mut self, request: usize, now: Duration, retries: u8, answered: bool) {
        let Some(open) = self.open.remove(&request) else { return };
        let answer = if answered { Answer::Success } else { Answer::Failure(Cause::TimedOut) };
        let deposits = self.fed == Fed::BySuccess;
        let end = End { used: u32::from(retries), answer, deposits, refused: false };
        let worker = &mut self.workers[request % 2];
        let to_floor = worker.settle(&self.limits, at(now), &open.grant, &end);
        if to_floor > 0 {
            let visit = Visit { to_floor, ..Visit::default() };
            let loan = self.pool.visit(&self.limits, at(now), worker, &visit);
            worker.receive(&self.limits, at(now), &loan);
        }
    }
}
