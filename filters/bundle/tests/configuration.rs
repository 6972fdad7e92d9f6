//! Sections: one for each filter, by its name.

use wayside_sdk::Configuration as _;
use wayside_sdk::internal::{Chain, Link, Sections};

type All = Link<
    telemetry::filter::Telemetry,
    Link<
        header_auth::filter::HeaderAuth,
        Link<timeout::filter::Timeout, Link<retry_budget::filter::RetryBudget, ()>>,
    >,
>;

fn refused(text: &str) -> String {
    match Sections::<All>::parse(text.as_bytes()) {
        Ok(_) => "accepted".to_owned(),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn the_shipped_example_is_accepted_and_so_is_a_part_of_it() {
    assert_eq!(refused(include_str!("../example.json")), "accepted");
    assert_eq!(refused(r#"{"timeout": {"version": 1}}"#), "accepted");
    assert_eq!(All::LEN, 4);
}

#[test]
fn everything_wrong_in_any_section_is_told_at_once_with_its_place() {
    assert_eq!(
        refused(
            r#"{"timeout": {"version": 1, "metrics": {"max_series": 0}, "defaults": {"tick": "2s"}}, "rate_limit": {}, "header-auth": {},
                "retry_budget": {"version": 1, "rules": [{"config": {"budget": {"slots": 1}}}]}, "telemetry": null}"#
        ),
        "/rate_limit: unknown section `rate_limit`, expected one of `telemetry`, `header_auth`, `timeout`, `retry_budget`\n\
         /header-auth: unknown section `header-auth`, expected one of `telemetry`, `header_auth`, `timeout`, `retry_budget`\n\
         /telemetry: expected an object, found null\n\
         /timeout/defaults/tick: expected 0ms, or 1ms to 1s, found 2s\n\
         /timeout/metrics/max_series: expected 1 to 100000, found 0\n\
         /retry_budget/rules/0/config/budget/slots: expected 2 to 60, found 1"
    );
}

#[test]
fn no_section_at_all_is_a_mistake() {
    let expected = "/: expected an object with a section for one of `telemetry`, `header_auth`, `timeout`, `retry_budget` at least";
    for text in ["", "{}", "[]", "null", "\"timeout\""] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

/// As in the filter's own module.
#[test]
fn secrets_in_the_wrong_place_are_not_repeated() {
    let told =
        refused(r#"{"header_auth": {"version": 1, "challenge_realm": ["s3cret"], "defaults": "s3cret"}}"#);
    assert!(told.starts_with("/header_auth/") && !told.contains("s3cret"), "{told}");
}
