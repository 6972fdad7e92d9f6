//! What the configuration may hold, told as JSON Schema: the same fields as the reader's, as the tests of the package `schemas`
//! show. Native only, and in no module.

#![allow(dead_code, reason = "described, never made")]

use wayside_sdk::config::schema::serde::Serialize;
use wayside_sdk::config::schema::{EnvelopeSchema, JsonSchema};
use wayside_sdk::policy::Trust;
use wayside_sdk::units::DurationText;

/// The whole document.
pub type Document = EnvelopeSchema<Config>;

/// How long requests may take, and who has a say in it.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
pub struct Config {
    /// The longest a request may take, from its first byte: 1ms to 24h.
    timeout: DurationText,
    /// Taken off what a caller has left, for the way back; less than `timeout`.
    hop_margin: DurationText,
    /// A request with less than this left is refused at once; less than `timeout`.
    min_budget: DurationText,
    /// Whose timeout headers count.
    client_sources: ClientSources,
    /// Which timeout headers are read.
    sources: Vec<Source>,
    /// Who counts as trusted.
    trust: Trust,
    /// What becomes of a request whose timeout header cannot be read.
    on_bad_header: OnBadHeader,
    /// How often expired requests are looked for, 1ms to 1s; `0ms` leaves that to the router.
    tick: DurationText,
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
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Source {
    /// `grpc-timeout`
    Grpc,
    /// `x-envoy-expected-rq-timeout-ms` and `x-envoy-upstream-rq-timeout-ms`
    Envoy,
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
            hop_margin: text("1ms"),
            min_budget: text("5ms"),
            client_sources: ClientSources::CapOnly,
            sources: vec![Source::Grpc, Source::Envoy],
            trust: Trust::Internal,
            on_bad_header: OnBadHeader::Ignore,
            tick: text("10ms"),
        }
    }
}
