//! The sections `export`, `resource` and `access_log` as JSON Schema. Native only.

#![allow(dead_code, reason = "described, never made")]

use std::collections::BTreeMap;
use std::time::Duration;

use wayside_sdk::config::schema::JsonSchema;
use wayside_sdk::config::schema::serde::Serialize;
use wayside_sdk::units::{ByteSize, DurationText};

/// A collector that is told of requests, over OTLP/HTTP. Whoever tells of spans is a hop of traces.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
pub(crate) struct Export {
    /// Of the proxy's clusters.
    #[schemars(regex(pattern = "^[!-~]{1,255}$"))]
    cluster: String,
    /// What requests have as `:authority`. Default: the cluster's name.
    #[schemars(regex(pattern = r"^[!-~]{1,255}$"))]
    authority: Option<String>,
    /// Before `/v1/traces` and `/v1/logs`.
    #[schemars(default)]
    path_prefix: String,
    /// Headers of requests, each with the environment variable of the VM that holds its value.
    #[schemars(default, length(max = 16))]
    headers_env: Option<BTreeMap<String, String>>,
    #[schemars(default)]
    encoding: Encoding,
    /// How long an item waits for others, give or take a tenth: 100ms to 10m.
    #[schemars(default = "five_seconds")]
    interval: DurationText,
    /// Items of a batch; a full one is sent at once.
    #[schemars(default = "batch", range(min = 1, max = 65_536))]
    batch: u64,
    /// Bytes of a batch; a larger item is dropped: 4Ki to 4Mi.
    #[schemars(default = "batch_bytes")]
    batch_bytes: ByteSize,
    /// Items of one signal that one worker keeps, those under way included. At least a batch.
    #[schemars(default = "max_queue", range(min = 1, max = 1_048_576))]
    max_queue: u64,
    /// Their bytes. At least a batch, at most 64Mi.
    #[schemars(default = "max_bytes")]
    max_bytes: ByteSize,
    /// How often a batch is sent.
    #[schemars(default = "max_attempts", range(min = 1, max = 20))]
    max_attempts: u64,
    /// How long the collector has to answer: 100ms to 1m.
    #[schemars(default = "ten_seconds")]
    timeout: DurationText,
    /// What it is told: `logs` if the sink of the access log is `otlp`, and only then.
    #[schemars(default = "traces", extend("uniqueItems" = true))]
    signals: Vec<Signal>,
}

#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Encoding {
    #[default]
    Protobuf,
    Json,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Signal {
    Traces,
    Logs,
}

/// Who tells: attributes of the resource. `service.name` where anything is exported.
pub(crate) type Resource = BTreeMap<String, String>;

/// A line for each request.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
pub(crate) struct AccessLog {
    /// Where lines go.
    sink: Sink,
    /// Attributes by name, `http.request.header.NAME` and `http.response.header.NAME`, each once.
    #[schemars(length(min = 1, max = 64), extend("uniqueItems" = true))]
    fields: Vec<String>,
    /// Which requests have one.
    when: When,
    /// Allows fields that may tell secrets: `url.query`, and headers whose names speak of credentials.
    unsafe_log: bool,
}

#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Sink {
    /// There are none.
    #[default]
    None,
    /// Envoy's log, at `info`, as JSON.
    Log,
    /// The collector, as log records.
    Otlp,
}

#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum When {
    #[default]
    All,
    /// Those that failed.
    Errors,
    /// Those that have a span.
    Sampled,
}

impl Default for AccessLog {
    fn default() -> AccessLog {
        let fields = super::config::FIELDS.map(str::to_owned).to_vec();
        AccessLog { sink: Sink::None, fields, when: When::All, unsafe_log: false }
    }
}

fn five_seconds() -> DurationText {
    DurationText(Duration::from_secs(5))
}

fn ten_seconds() -> DurationText {
    DurationText(Duration::from_secs(10))
}

fn batch() -> u64 {
    512
}

fn batch_bytes() -> ByteSize {
    ByteSize(256 * 1024)
}

fn max_queue() -> u64 {
    2048
}

fn max_bytes() -> ByteSize {
    ByteSize(1024 * 1024)
}

fn max_attempts() -> u64 {
    5
}

fn traces() -> Vec<Signal> {
    vec![Signal::Traces]
}
