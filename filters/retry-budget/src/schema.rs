//! What the configuration may hold, told as JSON Schema: the same fields as the reader's, as the tests of the package `schemas`
//! show. Native only, and in no module.

#![allow(dead_code, reason = "described, never made")]

use wayside_sdk::config::schema::schemars::{Schema, SchemaGenerator, json_schema};
use wayside_sdk::config::schema::serde::Serialize;
use wayside_sdk::config::schema::{EnvelopeSchema, JsonSchema};
use wayside_sdk::policy::Trust;
use wayside_sdk::units::{DurationText, Ratio};

/// The whole document.
pub type Document = EnvelopeSchema<Config>;

/// How many retries there may be.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
pub struct Config {
    budget: Budget,
    per_request: PerRequest,
    enforcement: Enforcement,
    /// What becomes of a request that is somebody else's retry. Default `deny`.
    inbound_retry: Option<InboundRetry>,
    /// What an upstream may say about retries.
    pushback: Pushback,
    /// What a retry that was sent and may not be is answered with.
    #[schemars(range(min = 400, max = 599))]
    exhausted_status: Option<u64>,
    /// Whether an answer says `x-retry-budget: exhausted`.
    exhausted_header: bool,
    /// Somebody else's way to bound retries: what it decides must not be given beside it.
    preset: Option<Preset>,
    /// Whose word on being a retry is taken.
    trust: Trust,
}

/// `retryThrottling` of gRPC is `grpc`, the quota of the AWS SDKs `aws`; the others are windows.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "kebab-case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "kebab-case")]
enum Preset {
    /// A fifth of the requests, and ten a second at any moment of the window.
    Finagle,
    /// The same, as GEP-3388 asks for it.
    GatewayApi,
    /// A tenth of what succeeds, three tries each.
    Sre,
    /// More than half of the tokens must be there.
    Grpc,
    /// What a retry costs must be there.
    Aws,
}

/// What an upstream may say about retries.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Pushback {
    /// `grpc-retry-pushback-ms` counts.
    grpc: bool,
    /// `retry-after` of 429 and 503 counts.
    retry_after: bool,
    /// For how long at most: 0s to 10m.
    max_hold: Option<DurationText>,
    /// Callers are told by `x-envoy-ratelimited` not to retry what the budget would not.
    propagate: bool,
}

/// What all requests of a scope share.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Budget {
    /// Which requests share a budget.
    #[schemars(schema_with = "scope")]
    scope: Option<&'static str>,
    /// Retries for each deposit.
    #[schemars(range(max = 10))]
    retry_ratio: Option<Ratio>,
    /// How long deposits and retries count: 1s to 1h, at least 10ms a slot.
    window: Option<DurationText>,
    /// In how many parts the window ages.
    #[schemars(range(min = 2, max = 60))]
    slots: Option<u64>,
    /// What feeds the budget.
    #[schemars(schema_with = "or_null::<DepositOn>")]
    deposit_on: Option<DepositOn>,
    /// Retries that quiet times are allowed; at most three places.
    #[schemars(range(max = 100_000))]
    min_retries_per_second: Option<Ratio>,
    /// How many of those at once. Default: three seconds of them, at least 1.
    #[schemars(range(max = 1_000_000))]
    burst: Option<u64>,
    /// How those are made sure of.
    #[schemars(schema_with = "or_null::<FloorStyle>")]
    floor_style: Option<FloorStyle>,
    /// With the preset `grpc`. Default there: 10.
    #[schemars(range(min = 1, max = 1000))]
    max_tokens: Option<u64>,
    /// With the preset `grpc`: of a token, for each success; at most three places. Default there: 0.1.
    #[schemars(range(max = 1000))]
    token_ratio: Option<Ratio>,
    /// With the preset `aws`. Default there: 500.
    #[schemars(range(max = 1_000_000))]
    capacity: Option<u64>,
    /// With the preset `aws`. Default there: `classic`.
    costs: Option<Costs>,
}

/// What a retry costs.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars")]
#[serde(crate = "wayside_sdk::config::schema::serde")]
enum Costs {
    /// 5, and 10 after a timeout.
    #[schemars(rename = "classic")]
    Classic,
    /// 14, and 5 after an answer that asks for less.
    #[schemars(rename = "2026")]
    Of2026,
}

fn scope(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "oneOf": [
            { "enum": ["cluster", "route", "virtual_host", "global"] },
            {
                "type": "string",
                "pattern": "^header:[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$",
                "description": "By the value of a request header, in 64 groups"
            },
            { "type": "null" }
        ]
    })
}

/// One of the names, or nothing.
fn or_null<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(generator);
    if let Some(choices) = schema.get_mut("oneOf").and_then(|choices| choices.as_array_mut()) {
        choices.push(json_schema!({ "type": "null" }).to_value());
    }
    schema
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum DepositOn {
    /// Answers nobody would retry; an outage then starves its own retries.
    Success,
    /// Every request.
    Request,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum FloorStyle {
    /// A bucket that fills with time.
    PerSecond,
    /// So many in a window, at any moment of it.
    Window,
}

/// How retries are kept within the budget.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Enforcement {
    /// Taken before the request, given back after it.
    Reserve,
    /// Taken attempt by attempt, by the same module among the upstream's filters.
    Attempt,
    /// Nothing is enforced: what would have been is counted.
    Observe,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum InboundRetry {
    /// No deposit, no retry.
    Deny,
    /// No deposit.
    NoDeposit,
    Normal,
}

/// What one request may have.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct PerRequest {
    /// Default: 2.
    #[schemars(range(max = 10))]
    max_retries: Option<u64>,
    /// Envoy's names; none keeps the route's.
    retry_on: Vec<Condition>,
    #[schemars(inner(range(min = 100, max = 599)))]
    retriable_status_codes: Vec<u64>,
    /// Only what may be sent twice is retried.
    idempotent_only: bool,
    /// gRPC methods that may be sent twice.
    #[schemars(inner(regex(pattern = "^/[^/]+/[^/]+$")))]
    grpc_idempotent_methods: Vec<String>,
    /// What one try may take: 1ms to 1h.
    per_try_timeout: Option<DurationText>,
    /// With less time than this left there is no retry: 0s to 1h. Default: what one try may take.
    min_time_for_retry: Option<DurationText>,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "kebab-case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "kebab-case")]
enum Condition {
    #[schemars(rename = "5xx")]
    FiveXx,
    GatewayError,
    Reset,
    ResetBeforeRequest,
    ConnectFailure,
    EnvoyRatelimited,
    #[schemars(rename = "retriable-4xx")]
    RetriableFourXx,
    RefusedStream,
    RetriableStatusCodes,
    RetriableHeaders,
    #[schemars(rename = "http3-post-connect-failure")]
    Http3PostConnectFailure,
    Cancelled,
    DeadlineExceeded,
    Internal,
    ResourceExhausted,
    Unavailable,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            budget: Budget::default(),
            per_request: PerRequest::default(),
            enforcement: Enforcement::Reserve,
            inbound_retry: None,
            pushback: Pushback::default(),
            exhausted_status: Some(503),
            exhausted_header: false,
            preset: None,
            trust: Trust::Internal,
        }
    }
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            scope: Some("cluster"),
            retry_ratio: Some(Ratio::from_ten_thousandths(2_000)),
            window: DurationText::parse("10s"),
            slots: Some(10),
            deposit_on: Some(DepositOn::Success),
            min_retries_per_second: Some(Ratio::from_ten_thousandths(10_000)),
            burst: None,
            floor_style: Some(FloorStyle::PerSecond),
            max_tokens: None,
            token_ratio: None,
            capacity: None,
            costs: None,
        }
    }
}

impl Default for Pushback {
    fn default() -> Pushback {
        Pushback { grpc: true, retry_after: true, max_hold: DurationText::parse("30s"), propagate: true }
    }
}

impl Default for PerRequest {
    fn default() -> PerRequest {
        PerRequest {
            max_retries: Some(2),
            retry_on: Vec::new(),
            retriable_status_codes: Vec::new(),
            idempotent_only: true,
            grpc_idempotent_methods: Vec::new(),
            per_try_timeout: None,
            min_time_for_retry: None,
        }
    }
}
