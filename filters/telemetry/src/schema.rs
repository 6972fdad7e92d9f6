//! What the configuration may hold, told as JSON Schema: the same fields as the reader's, as the tests of the package `schemas`
//! show. Native only, and in no module.

#![allow(dead_code, reason = "described, never made")]

use wayside_sdk::Mode;
use wayside_sdk::config::schema::serde::Serialize;
use wayside_sdk::config::schema::{JsonSchema, RuleSchema, Version1};
use wayside_sdk::policy::Trust;
use wayside_sdk::units::{DurationText, Ratio};

use crate::export;

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
    /// Which requests become spans. Whoever decides that is a hop of traces.
    #[schemars(default)]
    sampling: Option<Sampling>,
    /// The single attempts at a request, where the same module with the same configuration stands among an upstream's filters too.
    #[schemars(default)]
    attempts: Option<Attempts>,
    #[schemars(default)]
    export: Option<export::schema::Export>,
    /// Who tells: attributes of the resource. `service.name` where anything is exported.
    #[schemars(default)]
    resource: Option<export::schema::Resource>,
    #[schemars(default)]
    access_log: Option<export::schema::AccessLog>,
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
    /// What series are told apart by, each once: of the profile's labels. Default: all of them, which of `otel` are these.
    #[schemars(extend("uniqueItems" = true))]
    labels: Option<Vec<Label>>,
    /// Series of all metrics together.
    #[schemars(range(min = 1, max = 100_000))]
    max_series: u64,
    /// Who holds the buckets of histograms.
    histogram: Histogram,
    /// Histograms that are there only when asked for.
    #[schemars(extend("uniqueItems" = true))]
    also: Vec<Also>,
}

#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Histogram {
    /// Envoy.
    #[default]
    Native,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Also {
    /// `http_server_request_body_size`
    RequestBodySize,
    /// `http_server_response_body_size`
    ResponseBodySize,
    /// `l7_attempts`
    Attempts,
    /// `l7_time_to_first_byte_ms`
    TimeToFirstByte,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Profile {
    /// OpenTelemetry's
    Otel,
    Istio,
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
    Reporter,
    SourceWorkload,
    SourceWorkloadNamespace,
    SourceApp,
    SourcePrincipal,
    DestinationWorkload,
    DestinationWorkloadNamespace,
    DestinationApp,
    DestinationService,
    DestinationServiceName,
    RequestProtocol,
    ResponseCode,
    ResponseFlags,
    GrpcResponseStatus,
    ConnectionSecurityPolicy,
}

/// What becomes of the headers of traces.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Propagation {
    /// What this proxy is in a trace. Default: `trace` where `extract`, `inject` or `sampling` is given, else `pass`.
    mode: Option<Role>,
    /// Where a context is looked for; the first that holds one decides. Default: `tracecontext`. Only with `trace`.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    extract: Option<Vec<Format>>,
    /// In which words the upstream is told. Default: `tracecontext`. Only with `trace`.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    inject: Option<Vec<Format>>,
    /// What becomes of a broken context.
    on_invalid: OnInvalid,
    /// What becomes of a request without one. Default: `start` with the mode `trace`, else `pass`.
    absent: Option<Absent>,
    /// Who is believed, where `untrusted` or `baggage` makes a difference.
    trust: Trust,
    /// What becomes of the context of a peer that is not.
    untrusted: Untrusted,
    /// What becomes of `baggage`; default: with the mode `trace` it is checked, else it passes untouched.
    baggage: Option<Baggage>,
    /// A key of `tracestate` under which this proxy's span is told.
    tracestate_key: Option<String>,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "lowercase")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "lowercase")]
enum Role {
    /// None of its hops: what is in the grammar passes untouched.
    Pass,
    /// A hop: each request gets a span id.
    Trace,
    /// A hop by another tracer of this Envoy: no header is touched.
    Observe,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "lowercase")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "lowercase")]
enum Format {
    /// `traceparent` and `tracestate`
    Tracecontext,
    /// `b3`; read from `x-b3-traceid` and the others too
    B3,
    /// `x-b3-traceid` and the others
    B3multi,
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

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Absent {
    /// It goes on without.
    Pass,
    /// A trace is started.
    Start,
}

#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Untrusted {
    /// It counts as anybody's.
    #[default]
    Continue,
    /// A new trace, whose first span is linked to it.
    Restart,
}

#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Baggage {
    /// The keys that pass from peers who are not believed. Default: all, and none with `untrusted: restart`.
    #[schemars(length(max = 64))]
    allow: Option<Vec<String>>,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Sampling {
    /// How requests are chosen when they come.
    kind: Kind,
    /// Which part of them, where the kind goes by it.
    #[schemars(range(max = 1))]
    ratio: Ratio,
    /// Hexadecimal digits of `th`.
    #[schemars(range(min = 1, max = 13))]
    precision: u32,
    /// How many at most, in all workers together. Default: no limit.
    #[schemars(range(min = 1, max = 1_000_000))]
    rate_limit_per_second: Option<u32>,
    /// What is kept of those that were not chosen. Default: nothing.
    tail: Option<Tail>,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "lowercase")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "lowercase")]
enum Kind {
    /// As the caller decided; by the ratio where nobody did.
    Parent,
    /// By the ratio, whatever the caller decided.
    Ratio,
    Always,
    Never,
    /// By the ratio, and `tracestate` says so (`ot=th:…`).
    Consistent,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Tail {
    /// Those that were answered with a 5xx or such a gRPC status, or broke off.
    errors: bool,
    /// Those that took as long: to 1h.
    slow: Option<DurationText>,
    /// How many at most, in all workers together.
    #[schemars(range(min = 1, max = 1_000_000))]
    max_per_second: u32,
}

#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Attempts {
    /// Whether each attempt gets a span id, which its upstream is told.
    client_spans: bool,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling {
            kind: Kind::Parent,
            ratio: Ratio::from_ten_thousandths(100),
            precision: 4,
            rate_limit_per_second: None,
            tail: None,
        }
    }
}

impl Default for Tail {
    fn default() -> Tail {
        Tail { errors: true, slow: None, max_per_second: 100 }
    }
}

impl Default for Propagation {
    fn default() -> Propagation {
        Propagation {
            mode: None,
            extract: None,
            inject: None,
            on_invalid: OnInvalid::default(),
            absent: Some(Absent::Pass),
            trust: Trust::default(),
            untrusted: Untrusted::default(),
            baggage: None,
            tracestate_key: None,
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            prefix: "l7".to_owned(),
            profile: Profile::Otel,
            labels: Some(vec![
                Label::HttpRequestMethod,
                Label::HttpResponseStatusCode,
                Label::HttpRoute,
                Label::ErrorType,
                Label::NetworkProtocolVersion,
                Label::UrlScheme,
                Label::RpcGrpcStatusCode,
            ]),
            max_series: 1000,
            histogram: Histogram::Native,
            also: Vec::new(),
        }
    }
}
