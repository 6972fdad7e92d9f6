//! What the configuration may hold, told as JSON Schema: the same fields as the reader's, as the tests of the package `schemas`
//! show. Native only, and in no module.

#![allow(dead_code, reason = "described, never made")]

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
    /// Whose word on that is taken.
    trust: Trust,
}

/// What all requests of a scope share.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Budget {
    /// Which requests share a budget.
    scope: Scope,
    /// Retries for each deposit.
    #[schemars(range(max = 10))]
    retry_ratio: Ratio,
    /// How long deposits and retries count: 1s to 1h, at least 10ms a slot.
    window: DurationText,
    /// In how many parts the window ages.
    #[schemars(range(min = 2, max = 60))]
    slots: u64,
    /// What feeds the budget.
    deposit_on: DepositOn,
    /// Retries that quiet times are allowed; at most three places.
    #[schemars(range(max = 100_000))]
    min_retries_per_second: Ratio,
    /// How many of those at once. Default: three seconds of them, at least 1.
    #[schemars(range(max = 1_000_000))]
    burst: Option<u64>,
    /// How those are made sure of.
    floor_style: FloorStyle,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Scope {
    Cluster,
    Route,
    VirtualHost,
    Global,
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
    #[schemars(range(max = 10))]
    max_retries: u64,
    /// Envoy's names; none keeps the route's.
    retry_on: Vec<Condition>,
    #[schemars(inner(range(min = 100, max = 599)))]
    retriable_status_codes: Vec<u64>,
    /// Only what may be sent twice is retried.
    idempotent_only: bool,
    /// gRPC methods that may be sent twice.
    #[schemars(inner(regex(pattern = "^/[^/]+/[^/]+$")))]
    grpc_idempotent_methods: Vec<String>,
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
            trust: Trust::Internal,
        }
    }
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            scope: Scope::Cluster,
            retry_ratio: Ratio::from_ten_thousandths(2_000),
            window: DurationText::parse("10s").unwrap_or_default(),
            slots: 10,
            deposit_on: DepositOn::Success,
            min_retries_per_second: Ratio::from_ten_thousandths(10_000),
            burst: None,
            floor_style: FloorStyle::PerSecond,
        }
    }
}

impl Default for PerRequest {
    fn default() -> PerRequest {
        PerRequest {
            max_retries: 2,
            retry_on: Vec::new(),
            retriable_status_codes: Vec::new(),
            idempotent_only: true,
            grpc_idempotent_methods: Vec::new(),
        }
    }
}
