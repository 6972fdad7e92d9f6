//! The configuration envelope that all filters share: version, mode, defaults, rules, metrics.

use super::{Checks, ConfigErrors, Configuration, Json};
use crate::headers::HeaderBlock;
use crate::stream::Stream;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What a filter does with its decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Acts.
    #[default]
    Enforce,
    /// Decides and counts, changes nothing.
    Shadow,
    /// Does nothing.
    Off,
}

/// A configuration in two steps: what serde reads, then what cannot hold a wrong value.
pub trait Checked: Sized {
    /// The fields as written; with `deny_unknown_fields`.
    type Raw: DeserializeOwned;

    /// `None` only after [`Checks::refuse`]; report everything that is wrong, not the first.
    fn check(raw: Self::Raw, at: &mut Checks<'_>) -> Option<Self>;
}

/// How a filter names and bounds its metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Before every metric's name, without the `_` that follows it. Default `l7`.
    pub prefix: String,
    /// Whether series are told apart by rule: `labels` holds `rule`, which is the default and all there is.
    pub by_rule: bool,
    /// Series of all families together, 1-100 000. Default 1000.
    pub max_series: usize,
}

/// A filter's whole configuration.
#[derive(Clone, Debug)]
pub struct Envelope<C> {
    pub mode: Mode,
    pub defaults: C,
    pub metrics: MetricsConfig,
}

/// The configuration for one request, and the name under which it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Selected<'a, C> {
    /// The rule's name; `default` when none matched.
    pub rule: &'a str,
    pub config: &'a C,
}

impl<C> Envelope<C> {
    /// The first rule that matches, else the defaults.
    pub fn select(&self, _stream: &Stream, _request: &HeaderBlock) -> Selected<'_, C> {
        Selected { rule: "default", config: &self.defaults }
    }

    /// Every configuration that [`select`](Self::select) can give.
    pub fn configs(&self) -> impl Iterator<Item = &C> {
        std::iter::once(&self.defaults)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEnvelope {
    version: u64,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    defaults: Option<Json>,
    #[serde(default)]
    metrics: RawMetrics,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawMetrics {
    prefix: String,
    labels: Vec<String>,
    max_series: u64,
}

impl Default for RawMetrics {
    fn default() -> RawMetrics {
        RawMetrics { prefix: "l7".to_owned(), labels: vec!["rule".to_owned()], max_series: 1000 }
    }
}

impl<C: Checked> Configuration for Envelope<C> {
    fn parse(text: &[u8]) -> Result<Envelope<C>, ConfigErrors> {
        let raw: RawEnvelope = Json::parse(text)?.read("")?;
        let defaults = raw.defaults.unwrap_or_else(|| Json::Object(Vec::new()));
        let defaults: C::Raw = defaults.read("/defaults")?;
        let mut errors = ConfigErrors::default();
        let mut at = Checks::new("", &mut errors);
        if raw.version != 1 {
            at.at("version").refuse("1", raw.version);
        }
        let defaults = C::check(defaults, &mut at.at("defaults"));
        let metrics = metrics(raw.metrics, &mut at.at("metrics"));
        let envelope = defaults.map(|defaults| Envelope { mode: raw.mode, defaults, metrics });
        errors.or(envelope)
    }
}

fn metrics(raw: RawMetrics, at: &mut Checks<'_>) -> MetricsConfig {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if raw.prefix.is_empty() || raw.prefix.len() > 32 || !raw.prefix.bytes().all(letters) {
        at.at("prefix").refuse("1 to 32 of a-z, 0-9 and _", format_args!("{:?}", raw.prefix));
    }
    for (index, label) in raw.labels.iter().enumerate() {
        if label != "rule" || index > 0 {
            at.at("labels").at(index).refuse("`rule`, once", format_args!("{label:?}"));
        }
    }
    let max_series = usize::try_from(raw.max_series).unwrap_or(usize::MAX);
    if !(1..=100_000).contains(&max_series) {
        at.at("max_series").refuse("1 to 100000", raw.max_series);
    }
    MetricsConfig { prefix: raw.prefix, by_rule: !raw.labels.is_empty(), max_series }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Even(u32);

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RawEven {
        #[serde(default)]
        number: u32,
    }

    impl Checked for Even {
        type Raw = RawEven;

        fn check(raw: RawEven, at: &mut Checks<'_>) -> Option<Even> {
            if raw.number.is_multiple_of(2) {
                return Some(Even(raw.number));
            }
            at.at("number").refuse("an even number", raw.number);
            None
        }
    }

    fn parse(text: &str) -> Result<Envelope<Even>, String> {
        Envelope::parse(text.as_bytes()).map_err(|errors| errors.to_string())
    }

    #[test]
    fn the_least_configuration_is_a_version() {
        let envelope = parse(r#"{"version": 1}"#).unwrap();
        assert_eq!(envelope.mode, Mode::Enforce);
        assert_eq!(envelope.defaults, Even(0));
        assert_eq!((envelope.metrics.prefix.as_str(), envelope.metrics.max_series), ("l7", 1000));
    }

    #[test]
    fn all_refused_values_are_reported_at_once() {
        assert_eq!(
            parse(r#"{"version": 2, "defaults": {"number": 3}, "metrics": {"prefix": "L7", "labels": ["ip"], "max_series": 0}}"#)
                .unwrap_err(),
            "/version: expected 1, found 2\n\
             /defaults/number: expected an even number, found 3\n\
             /metrics/prefix: expected 1 to 32 of a-z, 0-9 and _, found \"L7\"\n\
             /metrics/labels/0: expected `rule`, once, found \"ip\"\n\
             /metrics/max_series: expected 1 to 100000, found 0"
        );
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_refused_inside_and_outside_of_the_defaults() {
        for (text, message) in [
            ("", "/: expected a field `version`, found none"),
            (r#"{"version": 1, "mode": "audit"}"#, "/mode: expected one of `enforce`, `shadow`, `off`, found `audit`"),
            (r#"{"version": 1, "defaults": {"nummer": 2}}"#, "/defaults/nummer: unknown field `nummer`, expected one of `number`"),
            (r#"{"version": 1, "defaults": []}"#, "/defaults: expected an object, found a list"),
        ] {
            assert_eq!(parse(text).unwrap_err(), message, "{text}");
        }
        assert!(parse(r#"{"version": 1, "default": {}}"#).unwrap_err().starts_with("/default: unknown field `default`"));
    }
}
