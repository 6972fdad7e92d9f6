//! retry-budget as it is: the decisions of its crate. A window is that of two workers who share a pool; the counters of gRPC and of
//! AWS's SDKs are shared by all.

use std::{collections::BTreeMap, time::Duration};

use retry_budget::budget::{
    Account, Answer, Cause, End, FloorStyle, Grant, Limits, Pool, Quota, Throttle, Tokens, Visit,
};
use wayside_sdk::{Monotonic, policy::Slices, units::Ratio};

use super::mesh::{Policy, RETRIES};

/// What feeds a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fed {
    ByRequests,
    BySuccess,
}

enum Budget {
    Window { limits: Limits, fed: Fed, workers: Box<[Account; 2]>, pool: Pool },
    Throttle(Throttle, Tokens),
    Quota(Quota, Tokens),
}

pub(super) struct RetryBudget {
    budget: Budget,
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
    pub(super) fn window(fed: Fed, floor_style: FloorStyle, floor_per_second: u32) -> RetryBudget {
        const SLOTS: Slices =
            Slices::sliding(Duration::from_secs(10), 10).expect("ten seconds have ten slots");
        let limits = Limits {
            ratio: Ratio::from_ten_thousandths(2_000),
            slots: SLOTS,
            floor_style,
            floor_rate: floor_per_second * 1_000,
            floor_burst: floor_per_second * 3_000,
        };
        let start = at(Duration::ZERO);
        let workers = Box::new([Account::new(&limits, start), Account::new(&limits, start)]);
        RetryBudget::of(Budget::Window { limits, fed, workers, pool: Pool::new(&limits, start) })
    }

    /// Ten tokens, a tenth of one for each success.
    pub(super) fn throttle() -> RetryBudget {
        let throttle = Throttle { max_tokens: 10, token_ratio: 100 };
        RetryBudget::of(Budget::Throttle(throttle, Tokens::full(throttle.full())))
    }

    pub(super) fn quota() -> RetryBudget {
        let quota = Quota::classic(500);
        RetryBudget::of(Budget::Quota(quota, Tokens::full(quota.capacity)))
    }

    fn of(budget: Budget) -> RetryBudget {
        RetryBudget { budget, open: BTreeMap::new() }
    }
}

impl Budget {
    fn grant(&mut self, worker: usize, now: Monotonic) -> Grant {
        match self {
            Budget::Window { limits, fed, workers, pool } => {
                let account = &mut workers[worker];
                if *fed == Fed::ByRequests {
                    account.deposit(limits, now);
                }
                account.grant(now, RETRIES).unwrap_or_else(|| {
                    let loan =
                        pool.visit(limits, now, account, &Visit { wanted: RETRIES, ..Visit::default() });
                    account.receive(limits, now, &loan)
                })
            }
            Budget::Throttle(throttle, tokens) => Grant::of(throttle.grant(tokens, RETRIES)),
            Budget::Quota(quota, tokens) => Grant::of(quota.grant(tokens, RETRIES)),
        }
    }

    fn settle(&mut self, worker: usize, now: Monotonic, grant: &Grant, end: End) {
        match self {
            Budget::Window { limits, fed, workers, pool } => {
                let account = &mut workers[worker];
                let end = End { deposits: *fed == Fed::BySuccess, ..end };
                let to_floor = account.settle(limits, now, grant, &end);
                if to_floor > 0 {
                    let loan = pool.visit(limits, now, account, &Visit { to_floor, ..Visit::default() });
                    account.receive(limits, now, &loan);
                }
            }
            Budget::Throttle(throttle, tokens) => throttle.settle(tokens, &end),
            Budget::Quota(quota, tokens) => quota.settle(tokens, grant, &end),
        }
    }
}

impl Policy for RetryBudget {
    fn arrives(&mut self, request: usize, now: Duration) {
        let grant = self.budget.grant(request % 2, at(now));
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
        let end = End { used: u32::from(retries), answer, deposits: true, refused: false };
        self.budget.settle(request % 2, at(now), &open.grant, end);
    }
}
