//! The filter's configuration: what operators write, and what of it can be acted on.

mod metrics;
mod propagation;
mod sampling;

pub use metrics::{Also, LABELS, Metrics, Profile};
pub use sampling::{Sampling, TailSampling};

use serde::Deserialize;
use wayside_sdk::config::{Json, check_version};
use wayside_sdk::policy::{PathCase, RawRule, Rules};
use wayside_sdk::{Checks, ConfigErrors, Configuration, Mode};

use crate::export;
use crate::propagation::Propagation;

/// A whole configuration that holds no wrong value.
#[derive(Debug)]
pub struct Config {
    pub mode: Mode,
    /// Rules name routes; they hold nothing else
    pub rules: Rules<()>,
    pub metrics: Metrics,
    pub propagation: Propagation,
    pub sampling: Sampling,
    pub export: export::Settings,
    /// `None`: this is not among an upstream's filters
    pub attempts: Option<Attempts>,
}

/// What is made of the single attempts at a request, by the same module among the upstream's filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    pub client_spans: bool,
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
    metrics: metrics::RawMetrics,
    #[serde(default)]
    propagation: propagation::RawPropagation,
    #[serde(default)]
    sampling: Option<sampling::RawSampling>,
    #[serde(default)]
    attempts: Option<RawAttempts>,
    #[serde(default)]
    export: Option<export::RawExport>,
    #[serde(default)]
    resource: Option<Json>,
    #[serde(default)]
    access_log: Option<export::RawAccessLog>,
}

/// An object without fields, so far.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawNothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct RawAttempts {
    client_spans: bool,
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
    let metrics = metrics::check(&raw.metrics, &mut at.at("metrics"));
    // Whoever decides about traces, or writes spans, is a hop of them.
    let takes_part = raw.sampling.is_some() || raw.export.is_some();
    let propagation = propagation::check(raw.propagation, takes_part, &mut at.at("propagation"));
    let sampling = sampling::check(raw.sampling.unwrap_or_default(), &mut at.at("sampling"));
    let export = export::check(raw.export, raw.resource.as_ref(), raw.access_log, at);
    let attempts = raw.attempts.map(|raw| Attempts { client_spans: raw.client_spans });
    Some(Config {
        mode: raw.mode,
        rules: rules?,
        metrics: metrics?,
        propagation: propagation?,
        sampling: sampling?,
        export: export?,
        attempts,
    })
}

#[cfg(test)]
mod tests;
