//! Which shared record a budget lives in. The host never frees a key, so there is an end to them.

use crate::budget::{FloorStyle, Kind};
use crate::config::{Config, Scope};
use crate::worker::Budget;
use std::cell::RefCell;
use std::rc::Rc;
use wayside_sdk::property::{self, Prop};
use wayside_sdk::{HeaderBlock, Host, Monotonic, Stream, shared};

/// Budgets of one VM's plugin; those beyond share one.
const MOST_KEYS: usize = 256;

/// Most budgets beyond them, one for each kind of limits.
const MOST_BEYOND: usize = 8;

/// Budgets of a scope that goes by a header: what clients send must not make more.
const GROUPS: u64 = 64;

/// The budgets in use. Their names come from routes, or are numbers of groups.
#[derive(Debug)]
pub(crate) struct Keys {
    root_id: Vec<u8>,
    known: RefCell<Vec<Known>>,
    beyond: RefCell<Vec<(Kind, Rc<Budget>)>>,
}

/// A budget, and for whom it is.
#[derive(Debug)]
struct Known {
    name: Box<[u8]>,
    rule: Box<str>,
    scope: Scope,
    kind: Kind,
    budget: Rc<Budget>,
}

impl Known {
    fn is_for(&self, rule: &str, config: &Config, name: &[u8]) -> bool {
        *self.name == *name && *self.rule == *rule && self.scope == config.scope && self.kind == config.kind
    }
}

impl Keys {
    pub(crate) fn new(root_id: Vec<u8>) -> Keys {
        Keys { root_id, known: RefCell::default(), beyond: RefCell::default() }
    }

    /// The budget of this rule and name, and whether it is one for those beyond the limit.
    pub(crate) fn budget(
        &self,
        rule: &str,
        config: &Config,
        name: &[u8],
        now: Monotonic,
    ) -> (Rc<Budget>, bool) {
        let mut known = self.known.borrow_mut();
        if let Some(known) = known.iter().find(|known| known.is_for(rule, config, name)) {
            return (known.budget.clone(), false);
        }
        if known.len() >= MOST_KEYS {
            return (self.beyond(config, now), true);
        }
        let ([scope, header], limits) = (config.scope.label(), fingerprint(&config.kind));
        let key = self.key(&[rule.as_bytes(), scope, header, name], limits);
        let budget = Rc::new(Budget::new(rule, name, &key, &config.kind, limits, now));
        known.push(Known {
            name: name.into(),
            rule: rule.into(),
            scope: config.scope.clone(),
            kind: config.kind,
            budget: budget.clone(),
        });
        (budget, false)
    }

    /// Every budget in use in this VM. A copy: looking after one must not be in another's way.
    pub(crate) fn all(&self) -> Vec<Rc<Budget>> {
        let known = self.known.borrow();
        let beyond = self.beyond.borrow();
        known
            .iter()
            .map(|known| &known.budget)
            .chain(beyond.iter().map(|(_, budget)| budget))
            .cloned()
            .collect()
    }

    fn beyond(&self, config: &Config, now: Monotonic) -> Rc<Budget> {
        let mut beyond = self.beyond.borrow_mut();
        let full = beyond.len() >= MOST_BEYOND;
        let found = beyond.iter().find(|(kind, _)| *kind == config.kind);
        if let Some((_, budget)) = found.or_else(|| beyond.last().filter(|_| full)) {
            return budget.clone();
        }
        // The last one has whatever comes beyond: its limits are then not those asked for.
        let limits = fingerprint(&config.kind);
        let key = self.key(&[b"", b"overflow"], limits);
        let budget = Rc::new(Budget::new("", b"overflow", &key, &config.kind, limits, now));
        beyond.push((config.kind, budget.clone()));
        budget
    }

    /// Parts are separated by NUL, which no name of Envoy's holds. Other limits are another record: while a listener drains, requests of
    /// the configuration before run beside those of the new one, and neither must start the other's count afresh.
    fn key(&self, parts: &[&[u8]], limits: u64) -> Vec<u8> {
        let mut key = b"wayside.retry_budget\0".to_vec();
        key.extend_from_slice(&limits.to_le_bytes());
        for part in std::iter::once(&self.root_id.as_slice()).chain(parts) {
            key.push(0);
            key.extend_from_slice(part);
        }
        key
    }
}

impl Scope {
    /// Whom this request shares a budget with; `None` when it has no route.
    pub(crate) fn name(&self, stream: &Stream, headers: &HeaderBlock) -> Host<Option<Vec<u8>>> {
        let property: &Prop<Vec<u8>> = match self {
            Scope::Cluster => &property::CLUSTER_NAME,
            Scope::Route => &property::ROUTE_NAME,
            Scope::VirtualHost => &property::VIRTUAL_HOST_NAME,
            Scope::Global => return Ok(Some(Vec::new())),
            Scope::Header(name) => {
                let value = headers.first(name).unwrap_or_default();
                return Ok(Some(group(value).to_string().into_bytes()));
            }
        };
        stream.get(property)
    }

    /// What kind it is, and of which header.
    fn label(&self) -> [&[u8]; 2] {
        match self {
            Scope::Cluster => [b"cluster", b""],
            Scope::Route => [b"route", b""],
            Scope::VirtualHost => [b"virtual_host", b""],
            Scope::Global => [b"global", b""],
            Scope::Header(name) => [b"header", name.as_str().as_bytes()],
        }
    }
}

fn group(value: &[u8]) -> u64 {
    let hash = shared::fingerprint(value);
    (hash ^ (hash >> 32)) % GROUPS
}

/// Tells budgets of different limits apart: after a reload the old counts say nothing about the new ones.
fn fingerprint(kind: &Kind) -> u64 {
    let numbers = match *kind {
        Kind::Window(limits) => [
            u64::from(limits.ratio.numerator()),
            u64::from(limits.slots.count()),
            u64::try_from(limits.slots.length().as_nanos()).unwrap_or(u64::MAX),
            u64::from(limits.floor_style == FloorStyle::Window),
            u64::from(limits.floor_rate),
            u64::from(limits.floor_burst),
        ],
        Kind::Throttle(limits) => {
            [u64::MAX, 1, u64::from(limits.max_tokens), u64::from(limits.token_ratio), 0, 0]
        }
        Kind::Quota(limits) => {
            let costs = [limits.capacity, limits.cost, limits.timeout_cost, limits.throttled_cost];
            let [capacity, cost, timeout, throttled] = costs.map(u64::from);
            [u64::MAX, 2, capacity, cost, timeout, throttled]
        }
    };
    shared::fingerprint(&numbers.map(u64::to_le_bytes).concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use wayside_sdk::{Configuration, Envelope};

    #[test]
    fn budgets_beyond_the_limit_share_one_and_known_ones_stay() {
        let config = Envelope::<Config>::parse(br#"{"version": 1}"#).unwrap().defaults;
        let (keys, now) = (Keys::new(b"root".to_vec()), Monotonic::default());
        for n in 0..MOST_KEYS {
            assert!(!keys.budget("default", &config, n.to_string().as_bytes(), now).1, "{n}");
        }
        assert!(keys.budget("default", &config, b"one more", now).1);
        let (one, other) =
            (keys.budget("default", &config, b"a", now).0, keys.budget("default", &config, b"b", now).0);
        assert!(Rc::ptr_eq(&one, &other));
        assert!(!keys.budget("default", &config, b"7", now).1);
        assert_eq!(keys.known.borrow().len(), MOST_KEYS);
        assert_eq!(keys.all().len(), MOST_KEYS + 1);
    }

    #[test]
    fn values_of_a_header_go_into_all_groups_and_no_other() {
        let groups: BTreeSet<_> = (0..1000).map(|n| group(format!("tenant-{n}").as_bytes())).collect();
        assert_eq!(groups.len(), 64);
        assert!(groups.iter().all(|group| *group < GROUPS));
        assert_eq!(group(b"\xff\0"), group(b"\xff\0"));
    }

    #[test]
    fn budgets_of_other_limits_are_other_budgets() {
        let kind = |defaults: &str| {
            let text = format!(r#"{{"version": 1, "defaults": {defaults}}}"#);
            fingerprint(&Envelope::<Config>::parse(text.as_bytes()).unwrap().defaults.kind)
        };
        let all: BTreeSet<_> = [
            "{}",
            r#"{"budget": {"retry_ratio": 0.3}}"#,
            r#"{"budget": {"window": "20s"}}"#,
            r#"{"preset": "finagle"}"#,
            r#"{"preset": "grpc"}"#,
            r#"{"preset": "grpc", "budget": {"max_tokens": 11}}"#,
            r#"{"preset": "aws"}"#,
            r#"{"preset": "aws", "budget": {"costs": "2026"}}"#,
        ]
        .map(kind)
        .into();
        assert_eq!(all.len(), 8);
    }
}
