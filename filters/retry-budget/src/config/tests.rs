//! What is read, and what is refused with which words.

use super::*;
use crate::budget::{FloorStyle, Limits};
use wayside_sdk::policy::Slices;
use wayside_sdk::{Configuration, Envelope, Mode};

fn defaults(fields: &str) -> Result<Config, String> {
    parse(&format!(r#"{{"version": 1, "defaults": {fields}}}"#)).map(|envelope| envelope.defaults)
}

fn limits(fields: &str) -> Limits {
    match defaults(fields).unwrap().kind {
        Kind::Window(limits) => limits,
        other => panic!("{other:?}"),
    }
}

fn parse(text: &str) -> Result<Envelope<Config>, String> {
    Envelope::parse(text.as_bytes()).map_err(|errors| errors.to_string())
}

#[test]
fn the_example_parses() {
    assert_eq!(parse(include_str!("../../example.json")).unwrap().mode, Mode::Enforce);
}

#[test]
fn the_default_budget_is_a_fifth_of_the_successes_and_one_a_second() {
    let config = parse(r#"{"version": 1}"#).unwrap().defaults;
    assert_eq!(
        limits("{}"),
        Limits {
            ratio: Ratio::from_ten_thousandths(2_000),
            slots: Slices::sliding(Duration::from_secs(10), 10).unwrap(),
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
    let burst = |budget: &str| limits(&format!(r#"{{"budget": {budget}}}"#)).floor_burst;
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
fn a_preset_decides_what_it_is_known_for() {
    let window = |fields| {
        let limits = limits(fields);
        let ratio = limits.ratio.numerator();
        (ratio, limits.slots.count(), limits.floor_style, limits.floor_rate, limits.floor_burst)
    };
    assert_eq!(window(r#"{"preset": "finagle"}"#), (2_000, 10, FloorStyle::Window, 10_000, 30_000));
    assert_eq!(window(r#"{"preset": "gateway-api"}"#), (2_000, 10, FloorStyle::Window, 10_000, 30_000));
    assert_eq!(window(r#"{"preset": "sre"}"#), (1_000, 10, FloorStyle::PerSecond, 0, 0));
    let with = r#"{"preset": "finagle", "budget": {"window": "1m", "slots": 60, "scope": "global"}}"#;
    assert_eq!(window(with).1, 60);
    let deposit_on = |fields| defaults(fields).unwrap().deposit_on;
    assert_eq!(deposit_on(r#"{"preset": "finagle"}"#), DepositOn::Request);
    assert_eq!(deposit_on(r#"{"preset": "sre"}"#), DepositOn::Success);
    assert_eq!(deposit_on(r#"{"preset": "sre", "budget": {"deposit_on": "request"}}"#), DepositOn::Request);
}

#[test]
fn what_a_preset_decides_must_not_be_given_beside_it() {
    let refused = |fields: &str| defaults(fields).unwrap_err().replace("/defaults", "");
    let told = "expected nothing beside this `preset`, or beside none, found a value";
    let lines =
        |places: &[&str]| places.iter().map(|at| format!("{at}: {told}")).collect::<Vec<_>>().join("\n");
    let all = r#""window": "10s", "slots": 10, "deposit_on": "request", "retry_ratio": 0.2, "min_retries_per_second": 10,
        "burst": 1, "floor_style": "window", "max_tokens": 10, "token_ratio": 0.1, "capacity": 500, "costs": "2026""#;
    for (preset, open) in [
        ("finagle", &["window", "slots"][..]),
        ("gateway-api", &["window", "slots"]),
        ("sre", &["window", "slots", "deposit_on"]),
    ] {
        let fields = [
            "window",
            "slots",
            "deposit_on",
            "retry_ratio",
            "min_retries_per_second",
            "burst",
            "floor_style",
            "max_tokens",
            "token_ratio",
            "capacity",
            "costs",
        ];
        let closed: Vec<_> = fields.iter().filter(|field| !open.contains(field)).collect();
        let places: Vec<_> = closed.iter().map(|field| format!("/budget/{field}")).collect();
        let places: Vec<_> = places.iter().map(String::as_str).collect();
        let told = refused(&format!(r#"{{"preset": "{preset}", "budget": {{{all}}}}}"#));
        assert_eq!(told, lines(&places), "{preset}");
    }
    assert_eq!(
        refused(r#"{"budget": {"max_tokens": 5, "capacity": 5}}"#),
        lines(&["/budget/max_tokens", "/budget/capacity"])
    );
    assert_eq!(
        refused(r#"{"preset": "sre", "per_request": {"max_retries": 2}}"#),
        lines(&["/per_request/max_retries"])
    );
    assert_eq!(
        refused(r#"{"preset": "gateway-api", "exhausted_status": 503}"#),
        lines(&["/exhausted_status"])
    );
    assert!(defaults(r#"{"preset": null, "budget": {"max_tokens": null, "retry_ratio": null}}"#).is_ok());
}

#[test]
fn a_header_is_a_scope_by_its_name() {
    let scope = |text: &str| defaults(&format!(r#"{{"budget": {{"scope": "{text}"}}}}"#));
    let header = scope("header:X-Tenant").unwrap().scope;
    assert_eq!(header, Scope::Header(OwnedName::parse("x-tenant").unwrap()));
    for wrong in ["header:", "header::path", "header:a b", "headers:a", "Cluster", ""] {
        let refused = scope(wrong).unwrap_err();
        assert!(refused.starts_with("/defaults/budget/scope: expected `cluster`, `route`,"), "{refused}");
        assert!(refused.ends_with(&format!("found \"{wrong}\"")), "{refused}");
    }
}

#[test]
fn the_least_time_for_a_retry_is_that_of_a_try_unless_said() {
    let times = |per_request: &str| {
        let config = defaults(&format!(r#"{{"per_request": {per_request}}}"#)).unwrap();
        (config.per_try_timeout.map(|it| it.as_millis()), config.min_time_for_retry.as_millis())
    };
    assert_eq!(times("{}"), (None, 0));
    assert_eq!(times(r#"{"per_try_timeout": "250ms"}"#), (Some(250), 250));
    assert_eq!(times(r#"{"per_try_timeout": "250ms", "min_time_for_retry": "0s"}"#), (Some(250), 0));
    assert_eq!(times(r#"{"min_time_for_retry": "1s"}"#), (None, 1000));
}

#[test]
fn grants_that_slow_requests_hold_may_be_more_than_there_are() {
    let starves =
        |per_request: &str| defaults(&format!(r#"{{"per_request": {per_request}}}"#)).unwrap().starves();
    assert!(!starves("{}"));
    assert!(!starves(r#"{"per_try_timeout": "1s"}"#), "two tries of a second are a fifth of ten seconds");
    assert!(starves(r#"{"per_try_timeout": "1s1ms"}"#));
    assert!(!starves(r#"{"per_try_timeout": "1h", "max_retries": 0}"#));
    assert!(starves(r#"{"per_try_timeout": "1s", "max_retries": 3}"#));
}

#[test]
fn every_field_is_refused_beyond_its_range_with_its_place() {
    for (defaults_, told) in [
        (
            r#"{"enforcement": "none"}"#,
            "/defaults/enforcement: expected one of `reserve`, `attempt`, `observe`, found `none`",
        ),
        (r#"{"exhausted_status": 399}"#, "/defaults/exhausted_status: expected 400 to 599, found 399"),
        (
            r#"{"pushback": {"max_hold": "10m1ms"}}"#,
            "/defaults/pushback/max_hold: expected 0s to 10m, found 10m1ms",
        ),
        (
            r#"{"per_request": {"per_try_timeout": "0s"}}"#,
            "/defaults/per_request/per_try_timeout: expected 1ms to 1h, found 0s",
        ),
        (
            r#"{"per_request": {"min_time_for_retry": "2h"}}"#,
            "/defaults/per_request/min_time_for_retry: expected 0s to 1h, found 2h",
        ),
        (
            r#"{"preset": "tower"}"#,
            "/defaults/preset: expected one of `finagle`, `gateway-api`, `sre`, `grpc`, `aws`, found `tower`",
        ),
        (
            r#"{"budget": {"retry_ratio": 0.00001}}"#,
            "/defaults/budget/retry_ratio: expected a decimal from 0 with at most four places, found number `0.00001`",
        ),
        (
            r#"{"budget": {"min_retries_per_second": 0.0001}}"#,
            "/defaults/budget/min_retries_per_second: expected 0 to 100000 with at most three places, found 0.0001",
        ),
    ] {
        assert_eq!(defaults(defaults_).unwrap_err(), told);
    }
}
