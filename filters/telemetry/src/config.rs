//! The filter's configuration: what operators write, and what of it can be acted on.

use serde::Deserialize;
use wayside_sdk::config::{Json, Quoted, check_version};
use wayside_sdk::policy::{PathCase, RawRule, Rules};
use wayside_sdk::{Checks, ConfigErrors, Configuration, Mode};

use crate::export;
use crate::propagation::{OnAbsent, OnInvalid, Propagation};

/// Every label a series of the duration histogram may have, in the order in which they stand in its name.
pub const LABELS: [&str; 7] = [
    "http_request_method",
    "http_response_status_code",
    "http_route",
    "error_type",
    "network_protocol_version",
    "url_scheme",
    "rpc_grpc_status_code",
];

/// A whole configuration that holds no wrong value.
#[derive(Debug)]
pub struct Config {
    pub mode: Mode,
    /// Rules name routes; they hold nothing else
    pub rules: Rules<()>,
    pub metrics: Metrics,
    pub propagation: Propagation,
    pub export: export::Settings,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Before the names of the filter's own metrics, without the `_` that follows it
    pub prefix: String,
    /// Which of [`LABELS`] are filled in
    pub labels: [bool; 7],
    /// Series of all metrics together
    pub max_series: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(rename = "version")]
    _version: u64,
    #[serde(default)]
    mode: Mode,
    #[serde(default, rename = "defaults")]
    _defaults: RawNothing,
    #[serde(default)]
    rules: Vec<RawRule>,
    #[serde(default)]
    metrics: RawMetrics,
    #[serde(default)]
    propagation: RawPropagation,
    export: Option<export::RawExport>,
    resource: Option<Json>,
    access_log: Option<export::RawAccessLog>,
}

/// An object without fields, so far.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawNothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawMetrics {
    prefix: String,
    #[serde(rename = "profile")]
    _profile: RawProfile,
    labels: Vec<String>,
    max_series: u64,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum RawProfile {
    #[default]
    Otel,
}

impl Default for RawMetrics {
    fn default() -> Self {
        Self {
            prefix: "l7".to_owned(),
            _profile: RawProfile::Otel,
            labels: LABELS.map(str::to_owned).to_vec(),
            max_series: 1000,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawPropagation {
    on_invalid: RawOnInvalid,
    absent: RawOnAbsent,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum RawOnInvalid {
    Pass,
    #[default]
    Restart,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum RawOnAbsent {
    #[default]
    Pass,
    Start,
}

impl Configuration for Config {
    fn from_json(json: &Json) -> Result<Self, ConfigErrors> {
        check_version(json, 1)?;
        let raw: RawConfig = wayside_sdk::config::read(json, "")?;
        let mut errors = ConfigErrors::default();
        let config = check(raw, &mut Checks::new("", &mut errors));
        errors.or(config)
    }
}

fn check(raw: RawConfig, at: &mut Checks<'_>) -> Option<Config> {
    let rules = Rules::parse(raw.rules, PathCase::Kept, &mut at.at("rules"), |config, at| {
        match wayside_sdk::config::read::<RawNothing>(&config, at.pointer()) {
            Ok(_) => Some(()),
            Err(errors) => {
                at.absorb(errors);
                None
            }
        }
    });
    let metrics = check_metrics(&raw.metrics, &mut at.at("metrics"));
    let export = export::check(raw.export, raw.resource.as_ref(), raw.access_log, at);
    Some(Config {
        mode: raw.mode,
        rules: rules?,
        metrics,
        propagation: raw.propagation.into(),
        export: export?,
    })
}

fn check_metrics(raw: &RawMetrics, at: &mut Checks<'_>) -> Metrics {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=32).contains(&raw.prefix.len()) || !raw.prefix.bytes().all(letters) {
        at.at("prefix").refuse("1 to 32 of a-z, 0-9 and _", Quoted(&raw.prefix));
    }
    for (index, label) in raw.labels.iter().enumerate() {
        let again = raw.labels.iter().take(index).any(|other| other == label);
        if again || !LABELS.contains(&label.as_str()) {
            let expected = format!("one of {}, each once", LABELS.join(", "));
            at.at("labels").at(index).refuse(expected, Quoted(label));
        }
    }
    let max_series = usize::try_from(raw.max_series).unwrap_or(usize::MAX);
    if !(1..=100_000).contains(&max_series) {
        at.at("max_series").refuse("1 to 100000", raw.max_series);
    }
    Metrics {
        prefix: raw.prefix.clone(),
        labels: LABELS.map(|label| raw.labels.iter().any(|chosen| chosen == label)),
        max_series,
    }
}

impl From<RawPropagation> for Propagation {
    fn from(raw: RawPropagation) -> Self {
        Self {
            on_invalid: match raw.on_invalid {
                RawOnInvalid::Pass => OnInvalid::Pass,
                RawOnInvalid::Restart => OnInvalid::Restart,
            },
            on_absent: match raw.absent {
                RawOnAbsent::Pass => OnAbsent::Pass,
                RawOnAbsent::Start => OnAbsent::Start,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        match Config::parse(text.as_bytes()) {
            Ok(_) => "accepted".to_owned(),
            Err(errors) => errors.to_string(),
        }
    }

    #[test]
    fn the_shipped_example_is_accepted() {
        let config = Config::parse(include_bytes!("../example.json")).unwrap();
        assert_eq!(config.mode, Mode::Enforce);
        assert_eq!(config.rules.iter().count(), 1);
        assert_eq!(config.propagation, Propagation::default());
        assert_eq!(config.metrics.labels, [true; 7]);
    }

    #[test]
    fn a_version_is_all_that_is_needed() {
        let config = Config::parse(b"{\"version\": 1}").unwrap();
        assert_eq!(config.metrics.max_series, 1000);
        assert_eq!(config.metrics.labels, [true; 7]);
    }

    #[test]
    fn what_is_not_built_yet_is_refused_by_name() {
        for (field, place) in [
            (r#""sampling": {"kind": "always"}"#, "/sampling: unknown field"),
            (r#""metrics": {"profile": "istio"}"#, "/metrics/profile: expected one of `otel`, found `istio`"),
            (r#""propagation": {"inject": ["b3"]}"#, "/propagation/inject: unknown field"),
            (r#""defaults": {"x": 1}"#, "/defaults/x: unknown field"),
            (r#""rules": [{"config": {"x": 1}}]"#, "/rules/0/config/x: unknown field"),
        ] {
            let message = refusal(&format!("{{\"version\": 1, {field}}}"));
            assert!(message.starts_with(place), "{message}");
        }
    }

    #[test]
    fn every_wrong_value_is_reported_at_once() {
        let message = refusal(
            r#"{"version": 1, "metrics": {"prefix": "", "labels": ["url_scheme", "path", "url_scheme"], "max_series": 0}}"#,
        );
        for place in ["/metrics/prefix", "/metrics/labels/1", "/metrics/labels/2", "/metrics/max_series"] {
            assert!(message.contains(&format!("{place}: expected")), "{message}");
        }
    }

    #[test]
    fn policies_of_propagation_are_words() {
        let text = br#"{"version": 1, "propagation": {"on_invalid": "pass", "absent": "start"}}"#;
        let expected = Propagation { on_invalid: OnInvalid::Pass, on_absent: OnAbsent::Start };
        assert_eq!(Config::parse(text).unwrap().propagation, expected);
        assert!(
            refusal(r#"{"version": 1, "propagation": {"absent": "restart"}}"#)
                .starts_with("/propagation/absent: ")
        );
    }
}
