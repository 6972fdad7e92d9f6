//! The filter's configuration: fields as written, then values that cannot be wrong.

use crate::budget::{FloorStyle, Limits};
use crate::conditions::Conditions;
use crate::window::Slots;
use serde::Deserialize;
use std::time::Duration;
use wayside_sdk::config::Quoted;
use wayside_sdk::policy::Trust;
use wayside_sdk::units::{DurationText, Ratio};
use wayside_sdk::{Checked, Checks};

/// Configuration of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub scope: Scope,
    pub limits: Limits,
    pub deposit_on: DepositOn,
    /// Most retries one request may have.
    pub max_retries: u8,
    pub conditions: Conditions,
    /// `x-envoy-retriable-status-codes`; empty for none.
    pub status_codes: String,
    pub idempotent_only: bool,
    pub grpc_idempotent_methods: Vec<String>,
    pub inbound_retry: InboundRetry,
    pub trust: Trust,
}

/// Which requests share a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Cluster,
    Route,
    VirtualHost,
    Global,
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

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    budget: RawBudget,
    per_request: RawPerRequest,
    enforcement: RawEnforcement,
    inbound_retry: Option<InboundRetry>,
    trust: Trust,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawBudget {
    scope: Scope,
    retry_ratio: Ratio,
    window: DurationText,
    slots: u64,
    deposit_on: DepositOn,
    min_retries_per_second: Ratio,
    burst: Option<u64>,
    floor_style: RawFloorStyle,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawFloorStyle {
    PerSecond,
    Window,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawEnforcement {
    #[default]
    Reserve,
}

impl Default for RawBudget {
    fn default() -> RawBudget {
        RawBudget {
            scope: Scope::Cluster,
            retry_ratio: Ratio::from_ten_thousandths(2_000),
            window: DurationText(Duration::from_secs(10)),
            slots: 10,
            deposit_on: DepositOn::Success,
            min_retries_per_second: Ratio::from_ten_thousandths(Ratio::DENOMINATOR),
            burst: None,
            floor_style: RawFloorStyle::PerSecond,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPerRequest {
    max_retries: u64,
    retry_on: Vec<String>,
    retriable_status_codes: Vec<u64>,
    idempotent_only: bool,
    grpc_idempotent_methods: Vec<String>,
}

impl Default for RawPerRequest {
    fn default() -> RawPerRequest {
        RawPerRequest {
            max_retries: 2,
            retry_on: Vec::new(),
            retriable_status_codes: Vec::new(),
            idempotent_only: true,
            grpc_idempotent_methods: Vec::new(),
        }
    }
}

impl Checked for Config {
    type Raw = RawConfig;

    fn check(raw: RawConfig, at: &mut Checks<'_>) -> Option<Config> {
        let RawEnforcement::Reserve = raw.enforcement;
        let limits = check_limits(&raw.budget, &mut at.at("budget"));
        let per = raw.per_request;
        let mut at = at.at("per_request");
        let max_retries = u8::try_from(per.max_retries).ok().filter(|max| *max <= 10);
        if max_retries.is_none() {
            at.at("max_retries").refuse("0 to 10", per.max_retries);
        }
        let conditions = check_conditions(&per.retry_on, &mut at.at("retry_on"));
        let status_codes =
            check_status_codes(&per.retriable_status_codes, &mut at.at("retriable_status_codes"));
        let methods = check_methods(&per.grpc_idempotent_methods, &mut at.at("grpc_idempotent_methods"));
        methods.then_some(())?;
        Some(Config {
            scope: raw.budget.scope,
            limits: limits?,
            deposit_on: raw.budget.deposit_on,
            max_retries: max_retries?,
            conditions: conditions?,
            status_codes: status_codes?,
            idempotent_only: per.idempotent_only,
            grpc_idempotent_methods: per.grpc_idempotent_methods,
            inbound_retry: raw.inbound_retry.unwrap_or(InboundRetry::Deny),
            trust: raw.trust,
        })
    }
}

fn check_limits(raw: &RawBudget, at: &mut Checks<'_>) -> Option<Limits> {
    let ratio = Some(raw.retry_ratio).filter(|ratio| *ratio <= Ratio::from_ten_thousandths(100_000));
    if ratio.is_none() {
        at.at("retry_ratio").refuse("0 to 10", raw.retry_ratio);
    }
    let DurationText(window) = raw.window;
    if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&window) {
        at.at("window").refuse("1s to 1h", raw.window);
        return None;
    }
    let count = u8::try_from(raw.slots).ok().filter(|count| (2..=60).contains(count));
    let Some(count) = count else {
        at.at("slots").refuse("2 to 60", raw.slots);
        return None;
    };
    let length = window.checked_div(u32::from(count)).unwrap_or(window);
    if length < Duration::from_millis(10) {
        at.at("window").refuse("at least 10ms a slot", raw.window);
    }
    let rate = thousandths(raw.min_retries_per_second, &mut at.at("min_retries_per_second"));
    // Three seconds of the rate, at least one retry; but no rate is no floor.
    let default_burst = |rate: u32| {
        if rate == 0 { 0 } else { rate.saturating_mul(3).max(1000) }
    };
    let burst = match raw.burst {
        None => rate.map(default_burst),
        Some(burst) if burst <= 1_000_000 => u32::try_from(burst.saturating_mul(1000)).ok(),
        Some(burst) => {
            at.at("burst").refuse("0 to 1000000", burst);
            None
        }
    };
    Some(Limits {
        ratio: ratio?,
        slots: Slots { count, length },
        floor_style: match raw.floor_style {
            RawFloorStyle::PerSecond => FloorStyle::PerSecond,
            RawFloorStyle::Window => FloorStyle::Window,
        },
        floor_rate: rate?,
        floor_burst: burst?,
    })
}

fn thousandths(rate: Ratio, at: &mut Checks<'_>) -> Option<u32> {
    let exact = rate.numerator().is_multiple_of(10) && rate <= Ratio::from_ten_thousandths(1_000_000_000);
    if !exact {
        at.refuse("0 to 100000 with at most three places", rate);
    }
    exact.then(|| rate.numerator() / 10)
}

fn check_conditions(names: &[String], at: &mut Checks<'_>) -> Option<Conditions> {
    match Conditions::parse(names) {
        Ok(conditions) => Some(conditions),
        Err(index) => {
            let found = names.get(index).map_or("", String::as_str);
            at.at(index).refuse("one of Envoy's retry conditions", Quoted(found));
            None
        }
    }
}

fn check_status_codes(codes: &[u64], at: &mut Checks<'_>) -> Option<String> {
    let mut list = String::new();
    for (index, code) in codes.iter().enumerate() {
        if !(100..600).contains(code) {
            at.at(index).refuse("100 to 599", code);
            return None;
        }
        if index > 0 {
            list.push(',');
        }
        list.push_str(&code.to_string());
    }
    Some(list)
}

fn check_methods(methods: &[String], at: &mut Checks<'_>) -> bool {
    let wrong = methods.iter().position(|method| {
        let mut parts = method.split('/');
        (
            parts.next(),
            parts.next().is_some_and(|p| !p.is_empty()),
            parts.next().is_some_and(|p| !p.is_empty()),
        ) != (Some(""), true, true)
            || parts.next().is_some()
    });
    if let Some(index) = wrong {
        let found = methods.get(index).map_or("", String::as_str);
        at.at(index).refuse("a gRPC method such as /package.Service/Method", Quoted(found));
    }
    wrong.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wayside_sdk::{Configuration, Envelope, Mode};

    fn parse(text: &str) -> Result<Envelope<Config>, String> {
        Envelope::parse(text.as_bytes()).map_err(|errors| errors.to_string())
    }

    #[test]
    fn the_example_parses() {
        assert_eq!(parse(include_str!("../example.json")).unwrap().mode, Mode::Enforce);
    }

    #[test]
    fn the_default_budget_is_a_fifth_of_the_successes_and_one_a_second() {
        let config = parse(r#"{"version": 1}"#).unwrap().defaults;
        assert_eq!(
            config.limits,
            Limits {
                ratio: Ratio::from_ten_thousandths(2_000),
                slots: Slots { count: 10, length: Duration::from_secs(1) },
                floor_style: FloorStyle::PerSecond,
                floor_rate: 1_000,
                floor_burst: 3_000,
            }
        );
        assert_eq!((config.scope, config.deposit_on), (Scope::Cluster, DepositOn::Success));
        assert_eq!((config.max_retries, config.idempotent_only), (2, true));
        assert_eq!(config.inbound_retry, InboundRetry::Deny);
    }

    #[test]
    fn no_rate_is_no_floor_unless_a_burst_is_asked_for() {
        let burst = |budget: &str| {
            let text = format!(r#"{{"version": 1, "defaults": {{"budget": {budget}}}}}"#);
            parse(&text).unwrap().defaults.limits.floor_burst
        };
        assert_eq!(burst(r#"{"min_retries_per_second": 0}"#), 0);
        assert_eq!(burst(r#"{"min_retries_per_second": 0, "burst": 5}"#), 5_000);
        assert_eq!(burst(r#"{"min_retries_per_second": 0.125}"#), 1_000);
        assert_eq!(burst(r#"{"min_retries_per_second": 10}"#), 30_000);
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let text = r#"{"version": 1, "defaults": {
            "budget": {"retry_ratio": 10.5, "slots": 61, "window": "10s"},
            "per_request": {"max_retries": 11, "retry_on": ["5xx", "5xxx"], "retriable_status_codes": [503, 99],
                            "grpc_idempotent_methods": ["/a.B/C", "a.B/C"]}}}"#;
        assert_eq!(
            parse(text).unwrap_err(),
            "/defaults/budget/retry_ratio: expected 0 to 10, found 10.5\n\
             /defaults/budget/slots: expected 2 to 60, found 61\n\
             /defaults/per_request/max_retries: expected 0 to 10, found 11\n\
             /defaults/per_request/retry_on/1: expected one of Envoy's retry conditions, found \"5xxx\"\n\
             /defaults/per_request/retriable_status_codes/1: expected 100 to 599, found 99\n\
             /defaults/per_request/grpc_idempotent_methods/1: expected a gRPC method such as /package.Service/Method, \
             found \"a.B/C\""
        );
    }

    #[test]
    fn a_field_that_does_nothing_yet_is_refused_by_name() {
        for (defaults, start) in [
            (r#"{"pushback": {}}"#, "/defaults/pushback: unknown field `pushback`"),
            (r#"{"preset": "sre"}"#, "/defaults/preset: unknown field `preset`"),
            (
                r#"{"enforcement": "attempt"}"#,
                "/defaults/enforcement: expected one of `reserve`, found `attempt`",
            ),
            (r#"{"budget": {"retry_ratio": 0.00001}}"#, "/defaults/budget/retry_ratio: expected a decimal"),
            (
                r#"{"budget": {"min_retries_per_second": 0.0001}}"#,
                "/defaults/budget/min_retries_per_second: expected 0",
            ),
        ] {
            let refused = parse(&format!(r#"{{"version": 1, "defaults": {defaults}}}"#)).unwrap_err();
            assert!(refused.starts_with(start), "{refused}");
        }
    }
}
