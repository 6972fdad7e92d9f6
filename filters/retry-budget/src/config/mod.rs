//! The filter's configuration: fields as written, then values that cannot be wrong.

mod checks;
mod presets;
mod raw;

pub use raw::RawConfig;

use crate::budget::Kind;
use crate::conditions::Conditions;
use serde::Deserialize;
use std::time::Duration;
use wayside_sdk::OwnedName;
use wayside_sdk::policy::Trust;
use wayside_sdk::units::Ratio;

/// Configuration of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub scope: Scope,
    pub kind: Kind,
    pub deposit_on: DepositOn,
    pub enforcement: Enforcement,
    /// Most retries one request may have.
    pub max_retries: u8,
    pub conditions: Conditions,
    /// `x-envoy-retriable-status-codes`; empty for none.
    pub status_codes: String,
    pub idempotent_only: bool,
    pub grpc_idempotent_methods: Vec<String>,
    /// What one try may take, as Envoy is told.
    pub per_try_timeout: Option<Duration>,
    /// With less time than this left, a retry could not help any more. Zero: it always may.
    pub min_time_for_retry: Duration,
    pub inbound_retry: InboundRetry,
    pub pushback: Pushback,
    /// What a retry that was sent and may not be is answered with.
    pub exhausted_status: u16,
    /// Whether an answer says `x-retry-budget: exhausted`.
    pub exhausted_header: bool,
    pub trust: Trust,
}

/// Which requests share a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    Cluster,
    Route,
    VirtualHost,
    Global,
    /// By the value of a request header, in a fixed number of groups.
    Header(OwnedName),
}

/// What feeds the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DepositOn {
    /// Answers nobody would retry; an outage then starves its own retries.
    Success,
    /// Every request.
    Request,
}

/// How retries are kept within the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// Taken before the request, given back after it.
    #[default]
    Reserve,
    /// Taken attempt by attempt, by the same module among the upstream's filters.
    Attempt,
    /// Nothing is enforced: what would have been is counted.
    Observe,
}

/// What becomes of a request that is somebody else's retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboundRetry {
    /// No deposit, no retry.
    Deny,
    /// No deposit.
    NoDeposit,
    Normal,
}

/// What an upstream may say about retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushback {
    /// `grpc-retry-pushback-ms` counts.
    pub grpc: bool,
    /// `retry-after` of 429 and 503 counts.
    pub retry_after: bool,
    /// No upstream stops retries for longer.
    pub max_hold: Duration,
    /// Callers are told not to retry what the budget would not.
    pub propagate: bool,
}

impl Config {
    /// Whether requests that take as long as they may hold more grants than the window has: `per_try_timeout * max_retries` is more
    /// than `retry_ratio * window`, and then some get none although others give theirs back.
    #[must_use]
    pub fn starves(&self) -> bool {
        let (Kind::Window(limits), Some(timeout)) = (&self.kind, self.per_try_timeout) else {
            return false;
        };
        let held = timeout.as_nanos().saturating_mul(u128::from(self.max_retries));
        let there = limits.window().as_nanos().saturating_mul(u128::from(limits.ratio.numerator()));
        self.enforcement == Enforcement::Reserve
            && held.saturating_mul(u128::from(Ratio::DENOMINATOR)) > there
    }
}

#[cfg(test)]
mod tests;
