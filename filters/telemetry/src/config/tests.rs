use super::*;
use crate::propagation::{Baggage, Format, OnAbsent, OnInvalid, Role, Untrusted};
use crate::sampling::Kind;

fn refusal(text: &str) -> String {
    match Config::parse(text.as_bytes()) {
        Ok(_) => "accepted".to_owned(),
        Err(errors) => errors.to_string(),
    }
}

fn config(fields: &str) -> Config {
    Config::parse(format!("{{\"version\": 1{fields}}}").as_bytes()).unwrap()
}

#[test]
fn the_shipped_example_is_accepted() {
    let config = Config::parse(include_bytes!("../../example.json")).unwrap();
    assert_eq!(config.mode, Mode::Enforce);
    assert_eq!(config.rules.iter().count(), 1);
    assert_eq!(config.propagation.role, Role::Trace);
    assert_eq!(config.metrics.profile, Profile::Otel([true; 7]));
}

#[test]
fn a_version_is_all_that_is_needed() {
    let config = config("");
    assert_eq!(config.metrics.max_series, 1000);
    assert_eq!(config.metrics.profile, Profile::Otel([true; 7]));
    assert_eq!(config.propagation, Propagation::default());
    assert_eq!(config.attempts, None);
}

#[test]
fn what_is_unknown_is_refused_by_name() {
    for (field, place) in [
        (r#""spans": {}"#, "/spans: unknown field"),
        (r#""metrics": {"profile": "statsd"}"#, "/metrics/profile: expected one of `otel`, `istio`"),
        (r#""propagation": {"inject": ["jaeger"]}"#, "/propagation/inject/0: expected one of `tracecontext`"),
        (r#""sampling": {"kind": "sometimes"}"#, "/sampling/kind: expected one of `parent`"),
        (r#""sampling": {"tail": {"warnings": true}}"#, "/sampling/tail/warnings: unknown field"),
        (r#""attempts": {"x": 1}"#, "/attempts/x: unknown field"),
        (r#""defaults": {"x": 1}"#, "/defaults/x: unknown field"),
        (r#""rules": [{"config": {"x": 1}}]"#, "/rules/0/config/x: unknown field"),
    ] {
        let message = refusal(&format!("{{\"version\": 1, {field}}}"));
        assert!(message.starts_with(place), "{message}");
    }
}

#[test]
fn every_wrong_value_is_reported_at_once() {
    let message = refusal(
        r#"{"version": 1,
            "metrics": {"prefix": "", "labels": ["url_scheme", "path", "url_scheme"], "max_series": 0, "also": ["attempts", "attempts"]},
            "propagation": {"extract": [], "inject": ["b3", "b3"], "tracestate_key": "ot", "baggage": {"allow": ["a b"]}},
            "sampling": {"ratio": 1.1, "precision": 14, "rate_limit_per_second": 0, "tail": {"slow": "0s", "max_per_second": 0}}}"#,
    );
    for place in [
        "/metrics/prefix",
        "/metrics/labels/1",
        "/metrics/labels/2",
        "/metrics/max_series",
        "/metrics/also/1",
        "/propagation/extract",
        "/propagation/inject/1",
        "/propagation/tracestate_key",
        "/propagation/baggage/allow/0",
        "/sampling/ratio",
        "/sampling/precision",
        "/sampling/rate_limit_per_second",
        "/sampling/tail/slow",
        "/sampling/tail/max_per_second",
    ] {
        assert!(message.contains(&format!("{place}: expected")), "{place} in\n{message}");
    }
}

#[test]
fn labels_are_those_of_the_profile() {
    let message = refusal(r#"{"version": 1, "metrics": {"profile": "istio", "labels": ["http_route"]}}"#);
    assert!(message.starts_with("/metrics/labels/0: expected one of reporter,"), "{message}");
    let Profile::Istio(labels) =
        config(r#", "metrics": {"profile": "istio", "labels": ["reporter"]}"#).metrics.profile
    else {
        panic!("another profile")
    };
    assert_eq!(labels.iter().filter(|chosen| **chosen).count(), 1);
}

#[test]
fn whoever_samples_or_names_formats_is_a_hop() {
    for (fields, role, on_absent) in [
        ("", Role::Pass, OnAbsent::Pass),
        (r#", "propagation": {"on_invalid": "pass"}"#, Role::Pass, OnAbsent::Pass),
        (r#", "propagation": {"absent": "start"}"#, Role::Pass, OnAbsent::Start),
        (r#", "sampling": {}"#, Role::Trace, OnAbsent::Start),
        (r#", "propagation": {"mode": "trace"}"#, Role::Trace, OnAbsent::Start),
        (r#", "propagation": {"extract": ["b3"]}"#, Role::Trace, OnAbsent::Start),
        (r#", "propagation": {"inject": ["b3multi"], "absent": "pass"}"#, Role::Trace, OnAbsent::Pass),
        (r#", "propagation": {"mode": "observe"}, "sampling": {}"#, Role::Observe, OnAbsent::Pass),
        (r#", "propagation": {"mode": "pass"}, "sampling": {}"#, Role::Pass, OnAbsent::Pass),
    ] {
        let propagation = config(fields).propagation;
        assert_eq!((propagation.role, propagation.on_absent), (role, on_absent), "{fields}");
    }
    let message = refusal(r#"{"version": 1, "propagation": {"mode": "pass", "inject": ["b3"]}}"#);
    assert!(message.starts_with("/propagation/inject: expected nothing with this `mode`"), "{message}");
}

#[test]
fn policies_of_propagation_are_words() {
    let propagation = config(
        r#", "propagation": {"on_invalid": "pass", "untrusted": "restart", "extract": ["tracecontext", "b3", "b3multi"]}"#,
    )
    .propagation;
    assert_eq!(propagation.on_invalid, OnInvalid::Pass);
    assert_eq!(propagation.untrusted, Untrusted::Restart);
    assert_eq!(propagation.extract, [Format::TraceContext, Format::B3, Format::B3Multi]);
    assert_eq!(propagation.inject, [Format::TraceContext]);
    assert!(
        refusal(r#"{"version": 1, "propagation": {"absent": "restart"}}"#)
            .starts_with("/propagation/absent: ")
    );
}

#[test]
fn baggage_of_strangers_passes_by_name_only() {
    for (fields, expected) in [
        ("", Baggage::Untouched),
        (r#""baggage": {}"#, Baggage::Checked { allow: None }),
        (r#""mode": "trace""#, Baggage::Checked { allow: None }),
        (r#""baggage": {"allow": []}"#, Baggage::Checked { allow: Some(vec![]) }),
        (r#""untrusted": "restart""#, Baggage::Checked { allow: Some(vec![]) }),
        (
            r#""untrusted": "restart", "baggage": {"allow": ["tenant"]}"#,
            Baggage::Checked { allow: Some(vec!["tenant".into()]) },
        ),
    ] {
        let found = config(&format!(r#", "propagation": {{{fields}}}"#)).propagation.baggage;
        assert_eq!(found, expected, "{fields}");
    }
}

#[test]
fn a_hundredth_of_new_traces_is_sampled_unless_said_otherwise() {
    let sampling = config(r#", "sampling": {}"#).sampling;
    assert_eq!(sampling.sampler.kind, Kind::Parent);
    let text = sampling.sampler.threshold.map(|threshold| threshold.to_text());
    assert_eq!(text.as_deref(), Some(&b"fd70a"[..]));
    assert_eq!((sampling.limit, sampling.tail), (None, None));
    let none =
        config(r#", "sampling": {"ratio": 0, "tail": {"slow": "1s"}, "rate_limit_per_second": 5}"#).sampling;
    assert_eq!(none.sampler.threshold, None);
    assert_eq!(none.limit.map(|limit| limit.burst()), Some(5));
    assert_eq!(none.tail.map(|tail| (tail.tail.errors, tail.limit.burst())), Some((true, 100)));
}
