//! retry-budget as it is: the decisions of its crate, for two workers who share a pool.

use std::{collections::BTreeMap, time::Duration};

use retry_budget::{
    budget::{Account, FloorStyle, Grant, Limits, Pool},
    window::Slots,
};
use wayside_sdk::{Monotonic, units::Ratio};

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
            slots: Slots { count: 10, length: Duration::from_secs(1) },
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
        let deposit = self.fed == Fed::ByRequests;
        let (mut grant, visit) = worker.grant(&self.limits, at(now), RETRIES, deposit);
        if let Some(visit) = visit {
            let loan = self.pool.visit(&self.limits, at(now), &visit);
            worker.receive(&mut grant, &loan);
        }
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
        let deposit = answered && self.fed == Fed::BySuccess;
        let worker = &mut self.workers[request % 2];
        let (_, visit) = worker.settle(&self.limits, at(now), &open.grant, u32::from(retries), deposit);
        if let Some(visit) = visit {
            self.pool.visit(&self.limits, at(now), &visit);
        }
    }
}
