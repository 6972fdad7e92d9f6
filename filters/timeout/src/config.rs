//! The filter's configuration: fields as written, then values that cannot be wrong.

use crate::deadline::{ClientSources, Limits, Source};
use serde::Deserialize;
use std::time::Duration;
use wayside_sdk::policy::Trust;
use wayside_sdk::units::DurationText;
use wayside_sdk::{Checked, Checks};

/// Configuration of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub limits: Limits,
    pub trust: Trust,
    /// Read `grpc-timeout`.
    pub grpc: bool,
    /// Read Envoy's timeout headers.
    pub envoy: bool,
    pub reject_bad_headers: bool,
    /// How often expired requests are looked for; `None` leaves enforcement to the router.
    pub tick: Option<Duration>,
}

impl Config {
    /// Whether headers of this source are read at all.
    #[must_use]
    pub fn reads(&self, source: Source) -> bool {
        match source {
            Source::Rule => false,
            Source::Grpc => self.grpc,
            Source::Expected | Source::Upstream => self.envoy,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    timeout: DurationText,
    hop_margin: DurationText,
    min_budget: DurationText,
    client_sources: RawClientSources,
    sources: Vec<RawSource>,
    trust: Trust,
    on_bad_header: OnBadHeader,
    tick: DurationText,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawClientSources {
    Trusted,
    CapOnly,
    Ignore,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum RawSource {
    Grpc,
    Envoy,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum OnBadHeader {
    Ignore,
    Reject,
}

const fn millis(millis: u64) -> DurationText {
    DurationText(Duration::from_millis(millis))
}

impl Default for RawConfig {
    fn default() -> RawConfig {
        RawConfig {
            timeout: millis(15_000),
            hop_margin: millis(1),
            min_budget: millis(5),
            client_sources: RawClientSources::CapOnly,
            sources: vec![RawSource::Grpc, RawSource::Envoy],
            trust: Trust::Internal,
            on_bad_header: OnBadHeader::Ignore,
            tick: millis(10),
        }
    }
}

impl Checked for Config {
    type Raw = RawConfig;

    fn check(raw: RawConfig, at: &mut Checks<'_>) -> Option<Config> {
        let (DurationText(timeout), DurationText(tick)) = (raw.timeout, raw.tick);
        let mut right = true;
        let mut refuse = |field: &str, expected: &str, found: Duration| {
            at.at(field).refuse(expected, DurationText(found));
            right = false;
        };
        if timeout < Duration::from_millis(1) || timeout > Duration::from_secs(86_400) {
            refuse("timeout", "1ms to 24h", timeout);
        }
        if raw.hop_margin.0 >= timeout {
            refuse("hop_margin", "less than `timeout`", raw.hop_margin.0);
        }
        if raw.min_budget.0 >= timeout {
            refuse("min_budget", "less than `timeout`", raw.min_budget.0);
        }
        if !tick.is_zero() && !(Duration::from_millis(1)..=Duration::from_secs(1)).contains(&tick) {
            refuse("tick", "0ms, or 1ms to 1s", tick);
        }
        let client_sources = match raw.client_sources {
            RawClientSources::Trusted => ClientSources::Trusted,
            RawClientSources::CapOnly => ClientSources::CapOnly,
            RawClientSources::Ignore => ClientSources::Ignore,
        };
        right.then(|| Config {
            limits: Limits {
                timeout,
                hop_margin: raw.hop_margin.0,
                min_budget: raw.min_budget.0,
                client_sources,
            },
            trust: raw.trust,
            grpc: raw.sources.contains(&RawSource::Grpc),
            envoy: raw.sources.contains(&RawSource::Envoy),
            reject_bad_headers: raw.on_bad_header == OnBadHeader::Reject,
            tick: (!tick.is_zero()).then_some(tick),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wayside_sdk::{Configuration, Envelope, Mode};

    fn parse(text: &str) -> Result<Envelope<Config>, String> {
        Envelope::parse(text.as_bytes()).map_err(|errors| errors.to_string())
    }

    #[test]
    fn the_example_parses() {
        let envelope = parse(include_str!("../example.json")).unwrap();
        assert_eq!(envelope.mode, Mode::Enforce);
    }

    #[test]
    fn every_field_has_a_default() {
        let config = parse(r#"{"version": 1}"#).unwrap().defaults;
        assert_eq!(config.limits.timeout, Duration::from_secs(15));
        assert_eq!(config.tick, Some(Duration::from_millis(10)));
        assert!(config.grpc && config.envoy && !config.reject_bad_headers);
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let text = r#"{"version": 1, "defaults": {"timeout": "0ms", "hop_margin": "1s", "min_budget": "1s", "tick": "2s"}}"#;
        assert_eq!(
            parse(text).unwrap_err(),
            "/defaults/timeout: expected 1ms to 24h, found 0s\n\
             /defaults/hop_margin: expected less than `timeout`, found 1s\n\
             /defaults/min_budget: expected less than `timeout`, found 1s\n\
             /defaults/tick: expected 0ms, or 1ms to 1s, found 2s"
        );
    }

    #[test]
    fn a_field_that_does_nothing_yet_is_refused_by_name() {
        let refused = parse(r#"{"version": 1, "defaults": {"adaptive": null}}"#).unwrap_err();
        assert!(refused.starts_with("/defaults/adaptive: unknown field `adaptive`"), "{refused}");
        let refused = parse(r#"{"version": 1, "defaults": {"sources": ["connect"]}}"#).unwrap_err();
        assert_eq!(refused, "/defaults/sources/0: expected one of `grpc`, `envoy`, found `connect`");
        let refused = parse(r#"{"version": 1, "defaults": {"timeout": 5}}"#).unwrap_err();
        assert_eq!(
            refused,
            "/defaults/timeout: expected a duration such as \"250ms\" or \"1m30s\", found integer `5`"
        );
    }
}
