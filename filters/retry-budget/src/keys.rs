//! Which shared record a budget lives in. The host never frees a key, so there is an end to them.

use crate::budget::{Budget, FloorStyle, Limits};
use crate::config::{Config, Scope};
use std::cell::RefCell;
use std::rc::Rc;
use wayside_sdk::property::{self, Prop};
use wayside_sdk::{Shared, shared};

/// Budgets of one VM's plugin; those beyond share one.
const MOST_KEYS: usize = 256;

/// The budgets in use. Their names come from routes, not from clients.
#[derive(Debug)]
pub(crate) struct Keys {
    root_id: Vec<u8>,
    known: RefCell<Vec<Known>>,
}

/// A budget, and for whom it is.
#[derive(Debug)]
struct Known {
    name: Box<[u8]>,
    rule: Box<str>,
    scope: Scope,
    limits: Limits,
    budget: Rc<Shared<Budget>>,
}

impl Known {
    fn is_for(&self, rule: &str, config: &Config, name: &[u8]) -> bool {
        *self.name == *name
            && *self.rule == *rule
            && self.scope == config.scope
            && self.limits == config.limits
    }
}

impl Keys {
    pub(crate) fn new(root_id: Vec<u8>) -> Keys {
        Keys { root_id, known: RefCell::default() }
    }

    /// The budget of this rule and name, and whether it is the one for those beyond the limit.
    pub(crate) fn budget(&self, rule: &str, config: &Config, name: &[u8]) -> (Rc<Shared<Budget>>, bool) {
        let mut known = self.known.borrow_mut();
        if let Some(known) = known.iter().find(|known| known.is_for(rule, config, name)) {
            return (known.budget.clone(), false);
        }
        let overflowed = known.len() >= MOST_KEYS;
        let key = match overflowed {
            true => self.key(&[b"", b"overflow", b""]),
            false => self.key(&[rule.as_bytes(), config.scope.label(), name]),
        };
        let budget = Rc::new(Shared::new(&key, hash(config)));
        if !overflowed {
            let (name, rule) = (name.into(), rule.into());
            known.push(Known {
                name,
                rule,
                scope: config.scope,
                limits: config.limits,
                budget: budget.clone(),
            });
        }
        (budget, overflowed)
    }

    /// Parts are separated by NUL, which no name of Envoy's holds.
    fn key(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = b"wayside.retry_budget".to_vec();
        for part in std::iter::once(&self.root_id.as_slice()).chain(parts) {
            key.push(0);
            key.extend_from_slice(part);
        }
        key
    }
}

impl Scope {
    pub(crate) fn property(self) -> Option<&'static Prop<Vec<u8>>> {
        match self {
            Scope::Cluster => Some(&property::CLUSTER_NAME),
            Scope::Route => Some(&property::ROUTE_NAME),
            Scope::VirtualHost => Some(&property::VIRTUAL_HOST_NAME),
            Scope::Global => None,
        }
    }

    fn label(self) -> &'static [u8] {
        match self {
            Scope::Cluster => b"cluster",
            Scope::Route => b"route",
            Scope::VirtualHost => b"virtual_host",
            Scope::Global => b"global",
        }
    }
}

/// Tells budgets of different limits apart: after a reload the old counts say nothing about the new ones.
fn hash(config: &Config) -> u64 {
    let limits = &config.limits;
    let numbers = [
        u128::from(limits.ratio.numerator()),
        u128::from(limits.slots.count),
        limits.slots.length.as_nanos(),
        u128::from(limits.floor_style == FloorStyle::Window),
        u128::from(limits.floor_rate),
        u128::from(limits.floor_burst),
    ];
    shared::fingerprint(&numbers.map(u128::to_le_bytes).concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wayside_sdk::{Configuration, Envelope};

    #[test]
    fn budgets_beyond_the_limit_share_one_and_known_ones_stay() {
        let config = Envelope::<Config>::parse(br#"{"version": 1}"#).unwrap().defaults;
        let keys = Keys::new(b"root".to_vec());
        for n in 0..MOST_KEYS {
            assert!(!keys.budget("default", &config, n.to_string().as_bytes()).1, "{n}");
        }
        assert!(keys.budget("default", &config, b"one more").1);
        assert!(!keys.budget("default", &config, b"7").1);
        assert_eq!(keys.known.borrow().len(), MOST_KEYS);
    }
}
