//! The list of differences that are known and have a reason: `tests/data/parity/differences.yaml`.

use std::{cell::Cell, fs, path::Path};

use bytes::Bytes;
use regex::bytes::Regex;
use serde::Deserialize;

/// Where a difference shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    UpstreamRequest,
    ClientResponse,
    Metrics,
}

/// What a rule lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Envoy has the field, the replay has not.
    OnlyInEnvoy,
    /// The replay has the field, Envoy has not.
    OnlyInReplay,
    /// Both have it, with different values.
    Value,
    /// Both have it, in different places among the others.
    Position,
    /// Of a histogram, only how often it was recorded is compared.
    CountOnly,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) place: Place,
    /// A header's name, or that of a metric (what follows its labels).
    pub(super) field: String,
    pub(super) kind: Kind,
    /// What both sides' values must look like: a regular expression over the whole value.
    value: Option<String>,
    /// Names of exchanges begin with this. Without it: all.
    #[serde(default)]
    exchanges: String,
    /// Why this is not the replay's fault.
    reason: String,
    #[serde(skip)]
    used: Cell<usize>,
}

impl Rule {
    fn concerns(&self, place: Place, exchange: &str) -> bool {
        self.place == place && exchange.starts_with(&self.exchanges)
    }

    fn allows(&self, value: &[u8]) -> bool {
        let Some(pattern) = &self.value else { return true };
        Regex::new(&format!("^(?s-u:{pattern})$"))
            .unwrap_or_else(|error| panic!("{pattern}: {error}"))
            .is_match(value)
    }

    pub(super) fn applied(&self) {
        self.used.set(self.used.get() + 1);
    }
}

/// All rules, and how often each was needed.
#[derive(Debug)]
pub(super) struct Rules(Vec<Rule>);

type Field = (Bytes, Bytes);

impl Rules {
    pub(super) fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parity/differences.yaml");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let rules: Vec<Rule> =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(rules.iter().all(|rule| !rule.reason.is_empty()), "every rule has a reason");
        Rules(rules)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A comparison that is made once more counts once.
    pub(super) fn forget(&self, place: Place) {
        self.0.iter().filter(|rule| rule.place == place).for_each(|rule| rule.used.set(0));
    }

    pub(super) fn for_metric(&self, name: &str) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.place == Place::Metrics && name.ends_with(&rule.field))
    }

    /// Takes out of both lists what rules let pass; what is left must be equal.
    pub(super) fn reconcile(
        &self,
        place: Place,
        exchange: &str,
        envoy: &mut Vec<Field>,
        replay: &mut Vec<Field>,
    ) {
        for rule in self.0.iter().filter(|rule| rule.concerns(place, exchange)) {
            if envoy != replay {
                rule.apply(envoy, replay);
            }
        }
    }

    /// Rules that nothing needed.
    pub(super) fn stale(&self) -> Vec<String> {
        let unused = self.0.iter().filter(|rule| rule.used.get() == 0);
        unused
            .map(|rule| {
                format!("{:?} {} {:?}: nothing differs there any more", rule.place, rule.field, rule.kind)
            })
            .collect()
    }

    /// How often each rule was needed, for the test's output.
    pub(super) fn usage(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|rule| format!("{:?} {} {:?}: {}", rule.place, rule.field, rule.kind, rule.used.get()))
            .collect()
    }
}

impl Rule {
    fn apply(&self, envoy: &mut Vec<Field>, replay: &mut Vec<Field>) {
        let name = self.field.as_bytes();
        let values = |fields: &[Field]| {
            fields.iter().filter(|field| field.0 == name).map(|field| field.1.clone()).collect::<Vec<_>>()
        };
        let (in_envoy, in_replay) = (values(envoy), values(replay));
        if !in_envoy.iter().chain(&in_replay).all(|value| self.allows(value)) {
            return;
        }
        match self.kind {
            Kind::OnlyInEnvoy if !in_envoy.is_empty() && in_replay.is_empty() => {
                envoy.retain(|field| field.0 != name)
            }
            Kind::OnlyInReplay if in_envoy.is_empty() && !in_replay.is_empty() => {
                replay.retain(|field| field.0 != name)
            }
            Kind::Value if in_envoy.len() == in_replay.len() && in_envoy != in_replay => {
                for field in envoy.iter_mut().chain(replay.iter_mut()).filter(|field| field.0 == name) {
                    field.1 = Bytes::new();
                }
            }
            Kind::Position if !in_envoy.is_empty() && in_envoy == in_replay && envoy != replay => {
                envoy.retain(|field| field.0 != name);
                replay.retain(|field| field.0 != name);
            }
            _ => return,
        }
        self.applied();
    }
}
