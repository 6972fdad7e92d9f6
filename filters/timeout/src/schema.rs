//! What the configuration may hold, told as JSON Schema: the same fields as the reader's, as the tests of the package `schemas`
//! show. Native only, and in no module.

#![allow(dead_code, reason = "described, never made")]

use wayside_sdk::config::schema::serde::Serialize;
use wayside_sdk::config::schema::{EnvelopeSchema, JsonSchema};
use wayside_sdk::policy::Trust;
use wayside_sdk::units::{DurationText, Ratio};

/// The whole document.
pub type Document = EnvelopeSchema<Config>;

/// How long requests may take, and who has a say in it.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
pub struct Config {
    /// The longest a request may take, from its first byte: 1ms to 24h.
    timeout: DurationText,
    /// For each try, from 1ms and less than `timeout`; without it what is left is parted equally among the retries granted.
    per_try: Option<DurationText>,
    /// The least such part, 1ms to 24h.
    min_per_try: DurationText,
    /// Taken off what a caller has left, for the way back; less than `timeout`.
    hop_margin: DurationText,
    /// A request with less than this left is refused at once; less than `timeout`.
    min_budget: DurationText,
    /// How many requests may be refused for that, for each one served: 0 to 1. 1: all.
    max_reject_fraction: Ratio,
    /// The time in which that share is counted, 1s to 1h.
    reject_window: DurationText,
    /// Whose timeout headers count.
    client_sources: ClientSources,
    /// Which timeout headers are read.
    sources: Vec<Source>,
    /// How far another host's clock may be off, at most 1h; for `x-request-deadline`.
    skew: DurationText,
    /// Who counts as trusted.
    trust: Trust,
    /// What becomes of a request whose timeout header cannot be read.
    on_bad_header: OnBadHeader,
    /// Limits of their own for parts of a stream.
    phases: Phases,
    /// How often expired requests are looked for, 1ms to 1s; `0ms` leaves that to the router.
    tick: DurationText,
    /// Whether an answer that has begun is broken off at the deadline.
    hard_response_deadline: bool,
    /// What `timeout` and `total` are not for.
    streaming: Streaming,
    /// In which headers the upstream is told what is left.
    propagate: Vec<Told>,
    /// Has the limit follow how long requests of a rule to a cluster take; it is never above `timeout`.
    adaptive: Option<Adaptive>,
    /// Has the router try slow requests a second time, where that does no harm.
    hedge: Option<Hedge>,
}

/// How a limit follows latencies.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Adaptive {
    /// The share of requests that the limit is to let pass, before `headroom`: from 0.5 and less than 1.
    quantile: Ratio,
    /// The limit is so many times what that share takes: 1 to 100.
    headroom: Ratio,
    /// The least limit: from 1ms to `timeout`.
    floor: DurationText,
    /// With fewer requests in the window `timeout` is the limit: 10 to 1000000.
    #[schemars(range(min = 10, max = 1_000_000))]
    min_samples: u32,
    /// How long requests count: 1s to 1h.
    window: DurationText,
    /// A request that has less than this share of the median left is refused at once: 0 to 1; `null`: `min_budget` alone decides.
    min_budget_fraction: Option<Ratio>,
}

/// When a request is tried a second time while its first try goes on. Needs `delay` or a section `adaptive`, and `budget` or `ratio`.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Hedge {
    /// How long the first try is waited for: from 1ms and less than `timeout`.
    delay: Option<DurationText>,
    /// Without `delay`: for as long as this share of requests takes, from 0.95 and less than 1; 0.95 unless said.
    quantile: Option<Ratio>,
    /// Only what this filter, standing before, has granted a retry.
    budget: Option<Budget>,
    /// At most this share of a rule's requests: 0.0001 to 0.5; with `budget` 0.05 unless said.
    ratio: Option<Ratio>,
    /// Methods of gRPC that may be sent twice: `/package.Service/Method`.
    grpc_idempotent_methods: Vec<String>,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Budget {
    /// The filter retry-budget, with `enforcement: reserve`.
    RetryBudget,
}

impl Default for Adaptive {
    fn default() -> Adaptive {
        let text = |text| DurationText::parse(text).unwrap_or_default();
        Adaptive {
            quantile: Ratio::from_ten_thousandths(9_900),
            headroom: Ratio::from_ten_thousandths(15_000),
            floor: text("10ms"),
            min_samples: 200,
            window: text("60s"),
            min_budget_fraction: None,
        }
    }
}

/// Limits of their own for parts of a stream, each 1ms to 24h.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Phases {
    /// From the request's headers to its last byte.
    request_headers_to_body_end: Option<DurationText>,
    /// Between two pieces of the request.
    request_idle: Option<DurationText>,
    /// From the request's last byte to the answer's headers.
    first_byte: Option<DurationText>,
    /// Between two pieces of the answer.
    response_idle: Option<DurationText>,
    /// All of it.
    total: Option<DurationText>,
}

/// Streams that may live as long as they like, as upgrades and tunnels do.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Streaming {
    /// Media types that the request accepts and the answer has.
    content_types: Vec<String>,
    /// `/package.Service/Method`
    grpc_methods: Vec<String>,
}

impl Default for Streaming {
    fn default() -> Streaming {
        Streaming { content_types: vec!["text/event-stream".to_owned()], grpc_methods: Vec::new() }
    }
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum ClientSources {
    /// Those of trusted callers.
    Trusted,
    /// Those of trusted callers; others may only shorten.
    CapOnly,
    /// Nobody's.
    Ignore,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "kebab-case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "kebab-case")]
enum Source {
    /// `grpc-timeout`
    Grpc,
    /// `connect-timeout-ms`
    Connect,
    /// `x-envoy-expected-rq-timeout-ms` and `x-envoy-upstream-rq-timeout-ms`
    Envoy,
    /// `request-timeout`
    RequestTimeout,
    /// `x-request-deadline`
    XRequestDeadline,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "kebab-case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "kebab-case")]
enum Told {
    /// `grpc-timeout`, of gRPC requests
    Grpc,
    /// `connect-timeout-ms`, of requests of Connect
    Connect,
    /// `request-timeout`
    RequestTimeout,
    /// `x-request-deadline`
    XRequestDeadline,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum OnBadHeader {
    /// The header is taken away and counted.
    Ignore,
    /// The request is refused.
    Reject,
}

impl Default for Config {
    fn default() -> Config {
        let text = |text| DurationText::parse(text).unwrap_or_default();
        Config {
            timeout: text("15s"),
            per_try: None,
            min_per_try: text("20ms"),
            hop_margin: text("1ms"),
            min_budget: text("5ms"),
            max_reject_fraction: Ratio::from_ten_thousandths(Ratio::DENOMINATOR),
            reject_window: text("10s"),
            client_sources: ClientSources::CapOnly,
            sources: vec![Source::Grpc, Source::Connect, Source::Envoy],
            skew: text("100ms"),
            trust: Trust::Internal,
            on_bad_header: OnBadHeader::Ignore,
            phases: Phases::default(),
            tick: text("10ms"),
            hard_response_deadline: false,
            streaming: Streaming::default(),
            propagate: vec![Told::Grpc, Told::Connect],
            adaptive: None,
            hedge: None,
        }
    }
}
