//! What an operator may write, and what is refused.

use super::*;
use wayside_sdk::{Configuration, Envelope, Mode};

fn parse(text: &str) -> Result<Envelope<Config>, String> {
    Envelope::parse(text.as_bytes()).map_err(|errors| errors.to_string())
}

fn with(defaults: &str) -> Result<Config, String> {
    parse(&format!(r#"{{"version": 1, "defaults": {{{defaults}}}}}"#)).map(|envelope| envelope.defaults)
}

#[test]
fn the_example_is_the_defaults() {
    let envelope = parse(include_str!("../../example.json")).unwrap();
    assert_eq!(envelope.mode, Mode::Enforce);
    assert_eq!(envelope.defaults, with("").unwrap());
}

#[test]
fn every_field_has_a_default() {
    let config = with("").unwrap();
    assert_eq!(config.limits.timeout, Duration::from_secs(15));
    assert_eq!(config.tick, Some(Duration::from_millis(10)));
    assert_eq!((config.per_try, config.min_per_try), (None, Duration::from_millis(20)));
    assert_eq!((config.rejects, config.hard, config.reject_bad_headers), (None, false, false));
    assert!(!config.phases.any());
    assert_eq!(config.streaming.content_types, ["text/event-stream"]);
    for (source, read, told) in [
        (Source::Grpc, true, true),
        (Source::Connect, true, true),
        (Source::Expected, true, false),
        (Source::Upstream, true, false),
        (Source::RequestTimeout, false, false),
        (Source::RequestDeadline, false, false),
    ] {
        assert_eq!(config.limits.sources.contains(source), read, "{source:?}");
        assert_eq!(config.propagate.contains(source), told, "{source:?}");
    }
}

#[test]
fn every_field_means_something() {
    let config = with(
        r#""timeout": "2s", "per_try": "500ms", "min_per_try": "5ms", "hop_margin": "2ms", "min_budget": "3ms",
           "max_reject_fraction": 0.2, "reject_window": "20s", "client_sources": "ignore",
           "sources": ["request-timeout", "x-request-deadline"], "skew": "50ms", "on_bad_header": "reject",
           "phases": {"request_headers_to_body_end": "1s", "request_idle": "2s", "first_byte": "3s", "response_idle": "4s", "total": "5s"},
           "tick": "20ms", "hard_response_deadline": true, "propagate": ["request-timeout"],
           "streaming": {"content_types": ["application/x-ndjson"], "grpc_methods": ["/a.B/C"]}"#,
    );
    let config = config.unwrap();
    assert_eq!(config.per_try, Some(Duration::from_millis(500)));
    assert_eq!(config.rejects, Cap::new(Ratio::from_ten_thousandths(2000), Duration::from_secs(20)));
    assert_eq!(config.limits.client_sources, ClientSources::Ignore);
    assert!(
        config.limits.sources.contains(Source::RequestDeadline)
            && !config.limits.sources.contains(Source::Grpc)
    );
    assert!(config.propagate.contains(Source::RequestTimeout) && !config.propagate.contains(Source::Grpc));
    let second = |n| Some(Duration::from_secs(n));
    let phases = Phases {
        upload: second(1),
        request_idle: second(2),
        first_byte: second(3),
        response_idle: second(4),
        total: second(5),
    };
    assert_eq!((config.phases, config.hard), (phases, true));
    assert_eq!(config.streaming.grpc_methods, ["/a.B/C"]);
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let refused = with(
        r#""timeout": "0ms", "per_try": "1s", "min_per_try": "0ms", "hop_margin": "1s", "min_budget": "1s", "tick": "2s",
           "reject_window": "10ms", "skew": "2h", "phases": {"total": "0ms", "request_idle": "25h"},
           "streaming": {"content_types": ["text", "text/html; q=1"], "grpc_methods": ["a.B/C"]}"#,
    );
    assert_eq!(
        refused.unwrap_err(),
        "/defaults/timeout: expected 1ms to 24h, found 0s\n\
         /defaults/per_try: expected from 1ms and less than `timeout`, found 1s\n\
         /defaults/min_per_try: expected 1ms to 24h, found 0s\n\
         /defaults/hop_margin: expected less than `timeout`, found 1s\n\
         /defaults/min_budget: expected less than `timeout`, found 1s\n\
         /defaults/reject_window: expected 1s to 1h, found 10ms\n\
         /defaults/skew: expected at most 1h, found 2h\n\
         /defaults/tick: expected 0ms, or 1ms to 1s, found 2s\n\
         /defaults/phases/request_idle: expected 1ms to 24h, found 25h\n\
         /defaults/phases/total: expected 1ms to 24h, found 0s\n\
         /defaults/streaming/content_types/0: expected a media type such as text/event-stream, found \"text\"\n\
         /defaults/streaming/content_types/1: expected a media type such as text/event-stream, found \"text/html; q=1\"\n\
         /defaults/streaming/grpc_methods/0: expected a gRPC method such as /package.Service/Method, found \"a.B/C\""
    );
}

#[test]
fn what_this_filter_is_to_end_itself_needs_its_tick() {
    for needs in [r#""hard_response_deadline": true"#, r#""phases": {"response_idle": "1s"}"#] {
        assert_eq!(
            with(&format!(r#""tick": "0ms", {needs}"#)).unwrap_err(),
            "/defaults/tick: expected 1ms to 1s, which `phases` and `hard_response_deadline` need, found 0s"
        );
    }
    assert_eq!(with(r#""tick": "0ms", "phases": {"total": null}"#).unwrap().tick, None);
}

#[test]
fn a_share_is_at_most_all_of_them() {
    assert_eq!(
        with(r#""max_reject_fraction": 1.5"#).unwrap_err(),
        "/defaults/max_reject_fraction: expected 0 to 1, found 1.5"
    );
    assert_eq!(with(r#""max_reject_fraction": 1"#).unwrap().rejects, None);
}

#[test]
fn adaptive_and_hedge_are_asked_for_and_have_defaults() {
    let config = with(r#""adaptive": {}, "hedge": {"ratio": 0.02}"#).unwrap();
    let adaptive = config.adaptive.unwrap();
    let ratio = Ratio::from_ten_thousandths;
    assert_eq!((adaptive.quantile, adaptive.headroom), (ratio(9_900), ratio(15_000)));
    assert_eq!((adaptive.floor, adaptive.ceiling), (MILLI * 10, SECOND * 15));
    assert_eq!((adaptive.min_samples, adaptive.window), (200, SECOND * 60));
    assert_eq!((adaptive.min_budget, adaptive.slow), (None, Some(ratio(9_500))));
    let hedge = config.hedge.unwrap();
    assert_eq!((hedge.after, hedge.share), (After::Quantile(ratio(9_500)), ratio(200)));
    let fixed = with(r#""hedge": {"delay": "30ms", "budget": "retry_budget"}"#).unwrap();
    assert_eq!(fixed.adaptive, None);
    let hedge = fixed.hedge.unwrap();
    assert_eq!((hedge.after, hedge.granted_only, hedge.share), (After::Fixed(MILLI * 30), true, ratio(500)));
    let none = with(r#""adaptive": null, "hedge": null"#).unwrap();
    assert_eq!((none.adaptive, none.hedge), (None, None));
}

#[test]
fn what_is_wrong_with_adaptive_and_hedge_is_told_at_its_place() {
    for (defaults, refused) in [
        (r#""adaptive": {"quantile": 1}"#, "/adaptive/quantile: expected from 0.5 and less than 1, found 1"),
        (r#""adaptive": {"headroom": 0.9}"#, "/adaptive/headroom: expected 1 to 100, found 0.9"),
        (
            r#""timeout": "1s", "adaptive": {"floor": "2s"}"#,
            "/adaptive/floor: expected from 1ms to `timeout`, found 2s",
        ),
        (r#""adaptive": {"min_samples": 9}"#, "/adaptive/min_samples: expected 10 to 1000000, found 9"),
        (r#""adaptive": {"window": "2h"}"#, "/adaptive/window: expected 1s to 1h, found 2h"),
        (
            r#""adaptive": {"min_budget_fraction": 1.1}"#,
            "/adaptive/min_budget_fraction: expected 0 to 1, found 1.1",
        ),
        (
            r#""hedge": {"ratio": 0.1}"#,
            "/hedge/delay: expected a delay, or a section `adaptive` that tells one, found neither",
        ),
        (
            r#""hedge": {"delay": "1ms"}"#,
            "/hedge/ratio: expected a ratio, or `budget`: `retry_budget`, found neither",
        ),
        (
            r#""hedge": {"delay": "15s", "ratio": 0.1}"#,
            "/hedge/delay: expected from 1ms and less than `timeout`, found 15s",
        ),
        (
            r#""adaptive": {}, "hedge": {"quantile": 0.9, "ratio": 0.1}"#,
            "/hedge/quantile: expected from 0.95 and less than 1, found 0.9",
        ),
        (
            r#""hedge": {"delay": "1ms", "quantile": 0.99, "ratio": 0.1}"#,
            "/hedge/quantile: expected no quantile beside `delay`, found 0.99",
        ),
        (r#""hedge": {"delay": "1ms", "ratio": 0.6}"#, "/hedge/ratio: expected 0.0001 to 0.5, found 0.6"),
        (
            r#""hedge": {"delay": "1ms", "ratio": 0.1, "grpc_idempotent_methods": ["Get"]}"#,
            "/hedge/grpc_idempotent_methods/0: expected a gRPC method such as /package.Service/Method, found \"Get\"",
        ),
        (
            r#""hedge": {"delay": "1ms", "budget": "own"}"#,
            "/hedge/budget: expected one of `retry_budget`, found `own`",
        ),
    ] {
        let told = with(defaults).unwrap_err();
        assert_eq!(told, format!("/defaults{refused}"), "{defaults}");
    }
    let both = with(r#""adaptive": {"quantile": 0.1, "window": "1ms"}, "hedge": {}"#).unwrap_err();
    assert_eq!(both.lines().count(), 3, "{both}");
}

#[test]
fn a_name_that_is_not_known_is_refused() {
    let refused = with(r#""sources": ["linkerd"]"#).unwrap_err();
    assert!(
        refused.starts_with("/defaults/sources/0: expected one of `grpc`, `connect`, `envoy`"),
        "{refused}"
    );
    let refused = with(r#""timeout": 5"#).unwrap_err();
    assert_eq!(
        refused,
        "/defaults/timeout: expected a duration such as \"250ms\" or \"1m30s\", found integer `5`"
    );
}
