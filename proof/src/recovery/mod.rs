//! How long an outage outlives its cause: a simulated mesh under each policy, ours with the filter's own decisions.

mod mesh;
mod models;
mod ours;

use std::time::Duration;

use retry_budget::budget::FloorStyle;

use crate::table::Table;
use mesh::{Outcome, Policy, Setup};
use models::{Always, Concurrency, Quota, Throttle};
use ours::{Fed, RetryBudget};

/// How long one waits for a recovery.
pub const HORIZON: Duration = mesh::HORIZON;
const LOADS: [u32; 3] = [70, 80, 90];

/// Who may ask again after a try without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Nobody,
    Everybody,
    EnvoyBudget,
    RequestsAndWindowFloor,
    Requests,
    Successes,
    SuccessesAndFloor,
    GrpcThrottle,
    AwsQuota,
    OurThrottle,
    OurQuota,
}

impl Rule {
    pub const ALL: [Rule; 11] = [
        Rule::Nobody,
        Rule::Everybody,
        Rule::EnvoyBudget,
        Rule::RequestsAndWindowFloor,
        Rule::Requests,
        Rule::Successes,
        Rule::SuccessesAndFloor,
        Rule::GrpcThrottle,
        Rule::OurThrottle,
        Rule::AwsQuota,
        Rule::OurQuota,
    ];

    fn name(self) -> &'static str {
        match self {
            Rule::Nobody => "no retries",
            Rule::Everybody => "three retries for everybody",
            Rule::EnvoyBudget => "Envoy's `retry_budget`, 20 %, at least 3",
            Rule::RequestsAndWindowFloor => {
                "**20 % of requests, 10 a second in window style** (Finagle, Linkerd)"
            }
            Rule::Requests => "**20 % of requests, no floor**",
            Rule::Successes => "**20 % of successes, no floor**",
            Rule::SuccessesAndFloor => "**20 % of successes, one a second**, the default",
            Rule::GrpcThrottle => "gRPC's throttle, 10 tokens, 0.1",
            Rule::AwsQuota => "AWS's quota, 500, cost 5",
            Rule::OurThrottle => "**preset `grpc`**, 10 tokens, 0.1",
            Rule::OurQuota => "**preset `aws`**, 500, cost 5, after a timeout 10",
        }
    }

    fn policy(self) -> Box<dyn Policy> {
        let ours = |fed, style, floor| Box::new(RetryBudget::window(fed, style, floor));
        match self {
            Rule::Nobody => Box::new(Always(false)),
            Rule::Everybody => Box::new(Always(true)),
            Rule::EnvoyBudget => Box::new(Concurrency::new(20, 3)),
            Rule::RequestsAndWindowFloor => ours(Fed::ByRequests, FloorStyle::Window, 10),
            Rule::Requests => ours(Fed::ByRequests, FloorStyle::PerSecond, 0),
            Rule::Successes => ours(Fed::BySuccess, FloorStyle::PerSecond, 0),
            Rule::SuccessesAndFloor => ours(Fed::BySuccess, FloorStyle::PerSecond, 1),
            Rule::GrpcThrottle => Box::new(Throttle::new(10, 100)),
            Rule::AwsQuota => Box::new(Quota::new(500, 5)),
            Rule::OurThrottle => Box::new(RetryBudget::throttle()),
            Rule::OurQuota => Box::new(RetryBudget::quota()),
        }
    }
}

/// From the end of the outage to the last try without an answer, for each seed; `None` where there was no end of them.
#[must_use]
pub fn recoveries(
    rule: Rule,
    requests_per_second: u32,
    drops_expired: bool,
    seeds: u64,
) -> Vec<Option<Duration>> {
    outcomes(rule, requests_per_second, drops_expired, seeds)
        .into_iter()
        .map(|outcome| outcome.recovery)
        .collect()
}

fn outcomes(rule: Rule, requests_per_second: u32, drops_expired: bool, seeds: u64) -> Vec<Outcome> {
    let setup = |seed| Setup { requests_per_second, drops_expired, seed };
    (1..=seeds).map(|seed| mesh::run(setup(seed), &mut *rule.policy())).collect()
}

/// One row for each rule, with the server as it is and as it is behind the timeout filter.
#[must_use]
pub fn table(seeds: u64) -> Table {
    let mut rows = Vec::new();
    for drops_expired in [false, true] {
        for rule in Rule::ALL {
            let server = if drops_expired { "leaves out what has expired" } else { "does everything" };
            let mut row = vec![rule.name().to_owned(), server.to_owned()];
            let mut peak: f64 = 0.0;
            for load in LOADS {
                let outcomes = outcomes(rule, load, drops_expired, seeds);
                peak = outcomes.iter().map(|outcome| outcome.amplification()).fold(peak, f64::max);
                row.push(shown(&outcomes));
            }
            row.push(format!("{peak:.2}"));
            rows.push(row);
        }
    }
    let caption = format!(
        "`cargo xtask bench recovery --seeds {seeds}`: simulated. A server that does 100 requests a second, first come first served, is down for 10 s; \
         callers wait one second for a try and would retry three times. From the end of the outage to the last try without an answer; *never*: not in {} s.",
        HORIZON.as_secs()
    );
    let columns = ["who may retry", "the server", "70 requests/s", "80", "90", "worst amplification in 10 s"];
    Table { caption, columns: columns.map(str::to_owned).to_vec(), rows }
}

fn shown(outcomes: &[Outcome]) -> String {
    let mut seconds: Vec<u64> = outcomes
        .iter()
        .filter_map(|outcome| Some(outcome.recovery?.as_millis().div_ceil(1000) as u64))
        .collect();
    seconds.sort_unstable();
    let never = outcomes.len() - seconds.len();
    match (seconds.first(), seconds.last(), never) {
        (Some(least), Some(most), 0) if least == most => format!("{least} s"),
        (Some(least), Some(most), 0) => format!("{least}-{most} s"),
        (Some(least), _, never) => format!("from {least} s, never in {never} of {}", outcomes.len()),
        (None, ..) => "never".to_owned(),
    }
}
