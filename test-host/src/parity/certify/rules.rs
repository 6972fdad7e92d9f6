//! Differences that are known, each with its reason: YAML, a list of rules.

use std::{cell::Cell, path::Path};

use bytes::Bytes;
use regex::bytes::Regex;
use serde::Deserialize;

/// Where a difference shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    UpstreamRequest,
    ClientResponse,
    Callout,
    Log,
    Metrics,
}

/// What a rule lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Envoy has the field, the host has not.
    OnlyInEnvoy,
    /// The host has the field, Envoy has not.
    OnlyInHost,
    /// Both have it, with different values.
    Value,
    /// Both have it, in different places among the others.
    Position,
    /// Of a histogram, only how often it was recorded is compared.
    CountOnly,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) place: Place,
    /// A header's name, or that of a metric (what follows its labels).
    pub(super) field: String,
    pub(super) kind: Kind,
    /// What both sides' values must look like: a regular expression over the whole value.
    value: Option<Pattern>,
    /// Names of exchanges begin with this. Without it: all.
    #[serde(default)]
    exchanges: String,
    /// Why this is not the replay's fault.
    reason: String,
    #[serde(skip)]
    used: Cell<usize>,
    /// One of [`Rules::common`].
    #[serde(skip)]
    is_common: bool,
}

impl Rule {
    fn concerns(&self, place: Place, exchange: &str) -> bool {
        self.place == place && exchange.starts_with(&self.exchanges)
    }

    fn allows(&self, value: &[u8]) -> bool {
        self.value.as_ref().is_none_or(|pattern| pattern.0.is_match(value))
    }

    pub(super) fn applied(&self) {
        self.used.set(self.used.get() + 1);
    }
}

/// A regular expression over a whole value.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(Regex);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Regex::new(&format!("^(?s-u:{text})$")).map(Pattern).map_err(|error| format!("{text}: {error}"))
    }
}

/// All rules, and how often each was needed.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

type Field = (Bytes, Bytes);

impl Rules {
    /// What holds for every comparison: what the connection manager, the router and the codec do around the filters.
    pub fn common() -> Self {
        let mut rules = Rules::parse(include_str!("rules.yaml")).unwrap_or_default();
        rules.0.iter_mut().for_each(|rule| rule.is_common = true);
        rules
    }

    /// # Errors
    /// What is wrong with the text, with line and column; a rule without a reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rules: Vec<Rule> = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        match rules.iter().find(|rule| rule.reason.trim().is_empty()) {
            Some(rule) => Err(format!("the rule on {:?} has no reason, expected one", rule.field)),
            None => Ok(Rules(rules)),
        }
    }

    /// # Errors
    /// As [`Rules::parse`], with the file's name; the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
        Rules::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Adds rules.
    #[must_use]
    pub fn and(mut self, others: Rules) -> Self {
        self.0.extend(others.0);
        self
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        host: &mut Vec<Field>,
    ) {
        for rule in self.0.iter().filter(|rule| rule.concerns(place, exchange)) {
            if envoy != host {
                rule.apply(envoy, host);
            }
        }
    }

    /// Rules that nothing needed: all, or only those that are not common.
    pub(super) fn unused(&self, with_common: bool) -> Vec<String> {
        let unused = self.0.iter().filter(|rule| rule.used.get() == 0 && (with_common || !rule.is_common));
        unused
            .map(|rule| {
                format!("{:?} {} {:?}: nothing differs there any more", rule.place, rule.field, rule.kind)
            })
            .collect()
    }

    /// Whether a rule lets a line of a guest's log pass that only one side has.
    pub(super) fn allows_line(&self, exchange: &str, line: &str) -> bool {
        let mut rules = self.0.iter().filter(|rule| rule.concerns(Place::Log, exchange));
        rules
            .find(|rule| rule.value.is_some() && rule.allows(line.as_bytes()))
            .inspect(|rule| rule.applied())
            .is_some()
    }

    /// How often each rule was needed.
    pub fn usage(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|rule| format!("{:?} {} {:?}: {}", rule.place, rule.field, rule.kind, rule.used.get()))
            .collect()
    }
}

impl Rule {
    fn apply(&self, envoy: &mut Vec<Field>, host: &mut Vec<Field>) {
        let name = self.field.as_bytes();
        let values = |fields: &[Field]| {
            fields.iter().filter(|field| field.0 == name).map(|field| field.1.clone()).collect::<Vec<_>>()
        };
        let (in_envoy, in_host) = (values(envoy), values(host));
        if !in_envoy.iter().chain(&in_host).all(|value| self.allows(value)) {
            return;
        }
        match self.kind {
            Kind::OnlyInEnvoy if !in_envoy.is_empty() && in_host.is_empty() => {
                envoy.retain(|field| field.0 != name)
            }
            Kind::OnlyInHost if in_envoy.is_empty() && !in_host.is_empty() => {
                host.retain(|field| field.0 != name)
            }
            Kind::Value if in_envoy.len() == in_host.len() && in_envoy != in_host => {
                for field in envoy.iter_mut().chain(host.iter_mut()).filter(|field| field.0 == name) {
                    field.1 = Bytes::new();
                }
            }
            Kind::Position if !in_envoy.is_empty() && in_envoy == in_host && envoy != host => {
                envoy.retain(|field| field.0 != name);
                host.retain(|field| field.0 != name);
            }
            _ => return,
        }
        self.applied();
    }
}
