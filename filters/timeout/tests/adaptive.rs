//! The adaptive limit and hedging through the whole filter, as Rust: what the router is told. That it carries it out shows the real Envoy
//! (`to_11_…` in the package `wayside-proof`); this host's router knows no hedges.

use wayside::replay::Replay;
use wayside::scenario;

fn run(text: &str) -> Replay {
    scenario::natively(text, &[("timeout", timeout::wayside_vm)]).expect("a scenario")
}

/// Of each exchange in turn, what the router was told in a header.
fn told(replay: &Replay, header: &str) -> Vec<Option<String>> {
    let value = |headers: &wayside::message::HeaderMap| {
        headers.first(header.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
    };
    replay.outcomes().map(|outcome| outcome.filtered_headers.as_ref().and_then(value)).collect()
}

fn details(replay: &Replay) -> Vec<String> {
    let text = |details: &[u8]| String::from_utf8_lossy(details).into_owned();
    replay.outcomes().map(|outcome| outcome.details.as_deref().map(text).unwrap_or_default()).collect()
}

const LIMIT: &str = "x-envoy-upstream-rq-timeout-ms";

/// 3000 in 60 seconds; a window of 20 seconds, of which a worker's tenth is two.
fn steady(mode: &str, last: &str) -> String {
    format!(
        "
about: Answers take 50 ms for a minute, and then one takes a second.
chain:
  - module: timeout
    config: {{ version: 1, mode: {mode}, defaults: {{ timeout: 2s, hop_margin: 0ms, adaptive: {{ min_samples: 100, window: 20s, min_budget_fraction: 0.5 }} }} }}
exchanges:
  - {{ request: GET /books, latency: 50ms, after: 20ms, times: 3000 }}
{last}
"
    )
}

#[test]
fn the_limit_falls_to_what_requests_take_and_ends_one_that_takes_far_longer() {
    let last = "  - { request: GET /books, latency: 1s, after: 20ms }
  - { request: GET /books, latency: 50ms, after: 2s, response: 503 }
  - { request: POST /a.B/C, latency: 50ms, after: 20ms, headers: [\"content-type: application/grpc\", \"grpc-timeout: 20m\"] }
  - { request: POST /a.B/C, latency: 50ms, after: 20ms, headers: [\"content-type: application/grpc\", \"grpc-timeout: 60m\"] }";
    let replay = run(&steady("enforce", last));
    let limits = told(&replay, LIMIT);
    let limit = |at: usize| limits[at].as_deref().and_then(|ms| ms.parse::<u64>().ok()).expect("a limit");
    assert_eq!((limit(0), limit(99)), (2_000, 2_000), "too little is known");
    // 50 ms are told as 55 at most, and a half more is allowed.
    assert_eq!(limit(2_999), 82);
    for second in 1..60 {
        let (before, now) = (limit((second - 1) * 50), limit(second * 50));
        assert!(now * 100 >= before * 90 - 200, "{before} to {now}");
    }
    let details = details(&replay);
    assert_eq!(details[3_000], "response_timeout");
    assert!(details[..3_000].iter().all(|details| details == "via_upstream"));
    assert_eq!(
        details[3_002], "timeout.fail_fast",
        "20 ms are less than half of what half of the requests take"
    );
    assert_eq!(limits[3_003].as_deref(), Some("60"));
}

#[test]
fn in_shadow_mode_the_limit_is_known_and_nobody_is_limited() {
    let replay = run(&steady("shadow", "  - { request: GET /books, latency: 1s, after: 20ms }"));
    assert!(told(&replay, LIMIT).iter().all(Option::is_none));
    assert!(details(&replay).iter().all(|details| details == "via_upstream"));
}

const HEDGE: &str = "x-envoy-hedge-on-per-try-timeout";

#[test]
fn requests_that_may_be_sent_twice_are_hedged_after_the_quantile() {
    let replay = run("
about: Half a minute of requests, some of which must not be sent twice.
chain:
  - module: timeout
    config: { version: 1, defaults: { timeout: 2s, adaptive: { floor: 2s, min_samples: 100 }, hedge: { ratio: 0.05, grpc_idempotent_methods: [/a.B/Get] } } }
exchanges:
  - { request: GET /books, latency: 10ms, after: 20ms, times: 500 }
  - { request: POST /books, latency: 10ms, after: 20ms }
  - { request: POST /books, latency: 10ms, after: 20ms, headers: [\"idempotency-key: 1\"] }
  - { request: POST /a.B/Get, latency: 10ms, after: 20ms, headers: [\"content-type: application/grpc\"] }
  - { request: POST /a.B/Set, latency: 10ms, after: 20ms, headers: [\"content-type: application/grpc\"] }
  - { request: GET /books, latency: 10ms, after: 20ms, headers: [\"x-envoy-max-retries: 0\"] }
");
    let hedged = told(&replay, HEDGE);
    assert!(hedged[..100].iter().all(Option::is_none), "nobody knows yet what is slow");
    let value = Some("true".to_owned());
    assert!(hedged[200..500].iter().all(|hedged| *hedged == value));
    assert_eq!(hedged[500..], [None, value.clone(), value, None, None]);
    assert_eq!(told(&replay, "x-envoy-upstream-rq-per-try-timeout-ms")[499].as_deref(), Some("11"));
    assert_eq!(told(&replay, "x-envoy-max-retries")[499].as_deref(), Some("1"));
    assert_eq!(told(&replay, "x-envoy-retry-on")[499].as_deref(), Some("5xx"));
    assert!(told(&replay, "x-envoy-retry-grpc-on")[502].is_some());
    assert!(
        told(&replay, LIMIT).iter().all(|limit| limit.as_deref() == Some("1999")),
        "the floor is the timeout"
    );
}

#[test]
fn without_a_grant_nothing_is_hedged_where_retry_budget_decides() {
    let text = |headers: &str| {
        format!(
            "
about: A fixed delay, and retry-budget's word.
chain:
  - module: timeout
    config: {{ version: 1, defaults: {{ trust: always, hedge: {{ delay: 30ms, budget: retry_budget, ratio: 0.5 }} }} }}
exchanges:
  - {{ request: GET /books, latency: 10ms, times: 4, headers: [{headers}] }}
"
        )
    };
    assert!(told(&run(&text("")), HEDGE).iter().all(Option::is_none));
    let granted = run(&text("\"x-envoy-max-retries: 2\", \"x-envoy-retry-on: reset\""));
    assert_eq!(told(&granted, HEDGE)[3].as_deref(), Some("true"));
    assert_eq!(told(&granted, "x-envoy-max-retries")[3].as_deref(), Some("2"));
    assert_eq!(told(&granted, "x-envoy-retry-on")[3].as_deref(), Some("reset"));
    assert_eq!(told(&granted, "x-envoy-upstream-rq-per-try-timeout-ms")[3].as_deref(), Some("30"));
}
