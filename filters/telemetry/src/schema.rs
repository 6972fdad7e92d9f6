//! What the configuration may hold, told as JSON Schema: the same fields as the reader's, as the tests of the package `schemas`
//! show. Native only, and in no module.

#![allow(dead_code, reason = "described, never made")]

use wayside_sdk::Mode;
use wayside_sdk::config::schema::serde::Serialize;
use wayside_sdk::config::schema::{JsonSchema, RuleSchema, Version1};

/// What is measured, and what becomes of trace headers.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
pub struct Document {
    /// Of the configuration's form; a module says which it reads.
    version: Version1,
    /// What the filter does with its decisions.
    #[schemars(default)]
    mode: Mode,
    /// Nothing so far.
    #[schemars(default)]
    defaults: Nothing,
    /// Rules name routes: the first that matches is the series' `http_route`.
    #[schemars(default = "no_rules", length(max = 1000))]
    rules: Vec<RuleSchema<Nothing>>,
    #[schemars(default)]
    metrics: Metrics,
    #[schemars(default)]
    propagation: Propagation,
}

fn no_rules() -> [(); 0] {
    []
}

#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Nothing {}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Metrics {
    /// Before the names of the filter's own metrics, without the `_` that follows it.
    #[schemars(regex(pattern = "^[a-z0-9_]{1,32}$"))]
    prefix: String,
    /// Whose names metrics have.
    profile: Profile,
    /// What series are told apart by, each once.
    #[schemars(extend("uniqueItems" = true))]
    labels: Vec<Label>,
    /// Series of all metrics together.
    #[schemars(range(min = 1, max = 100_000))]
    max_series: u64,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Profile {
    Otel,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Label {
    HttpRequestMethod,
    HttpResponseStatusCode,
    HttpRoute,
    ErrorType,
    NetworkProtocolVersion,
    UrlScheme,
    RpcGrpcStatusCode,
}

/// What becomes of `traceparent` and `tracestate`.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Propagation {
    /// What becomes of a broken `traceparent`.
    on_invalid: OnInvalid,
    /// What becomes of a request without one.
    absent: Absent,
}

#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum OnInvalid {
    /// It is passed on.
    Pass,
    /// A new trace takes its place.
    #[default]
    Restart,
}

#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Absent {
    /// It goes on without.
    #[default]
    Pass,
    /// A trace is started.
    Start,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            prefix: "l7".to_owned(),
            profile: Profile::Otel,
            labels: vec![
                Label::HttpRequestMethod,
                Label::HttpResponseStatusCode,
                Label::HttpRoute,
                Label::ErrorType,
                Label::NetworkProtocolVersion,
                Label::UrlScheme,
                Label::RpcGrpcStatusCode,
            ],
            max_series: 1000,
        }
    }
}
