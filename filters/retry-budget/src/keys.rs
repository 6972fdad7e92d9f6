//! Which shared record a budget lives in. The host never frees a key, so there is an end to them.

use crate::budget::{Account, FloorStyle, Kind, Limits, Pool};
use crate::config::{Config, Scope};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::property::{self, Prop};
use wayside_sdk::{HeaderBlock, Host, Monotonic, Shared, Stream, shared};

/// Budgets of one VM's plugin; those beyond share one.
const MOST_KEYS: usize = 256;

/// Most budgets beyond them, one for each kind of limits.
const MOST_BEYOND: usize = 8;

/// A budget: this worker's part of it, and where the workers' common part is.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    pub(crate) account: RefCell<Account>,
    pub(crate) pool: Shared<Pool>,
    /// When a retry last followed an attempt that had no answer.
    pub(crate) unanswered: Cell<Option<Monotonic>>,
}

/// For so long after an attempt without an answer the next ones are expected to have none either.
const UNANSWERED: Duration = Duration::from_secs(1);

impl Budget {
    pub(crate) fn is_unanswered(&self, now: Monotonic) -> bool {
        self.unanswered.get().is_some_and(|then| now.since(then) < UNANSWERED)
    }

    /// A retry that was made and could not be refused any more: further ones wait until it is earned.
    pub(crate) fn owe(&self, now: Monotonic) {
        self.account.borrow_mut().owe(&self.limits, now);
    }
}

/// The budgets in use. Their names come from routes, not from clients.
#[derive(Debug)]
pub(crate) struct Keys {
    root_id: Vec<u8>,
    known: RefCell<Vec<Known>>,
    beyond: RefCell<Vec<(Limits, Rc<Budget>)>>,
}

/// A budget, and for whom it is.
#[derive(Debug)]
struct Known {
    name: Box<[u8]>,
    rule: Box<str>,
    scope: Scope,
    limits: Limits,
    budget: Rc<Budget>,
}

impl Known {
    fn is_for(&self, rule: &str, config: &Config, name: &[u8]) -> bool {
        *self.name == *name
            && *self.rule == *rule
            && self.scope == config.scope
            && self.limits == limits_of(config)
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
        let budget = self.new_budget(&[rule.as_bytes(), config.scope.label(), name], config, now);
        known.push(Known {
            name: name.into(),
            rule: rule.into(),
            scope: config.scope.clone(),
            limits: limits_of(config),
            budget: budget.clone(),
        });
        (budget, false)
    }

    fn beyond(&self, config: &Config, now: Monotonic) -> Rc<Budget> {
        let mut beyond = self.beyond.borrow_mut();
        let full = beyond.len() >= MOST_BEYOND;
        let found = beyond.iter().find(|(limits, _)| *limits == limits_of(config));
        if let Some((_, budget)) = found.or_else(|| beyond.last().filter(|_| full)) {
            return budget.clone();
        }
        // The last one has whatever comes beyond: its limits are then not those asked for.
        let which = hash(config).to_le_bytes();
        let budget = self.new_budget(&[b"", b"overflow", &which], config, now);
        beyond.push((limits_of(config), budget.clone()));
        budget
    }

    fn new_budget(&self, parts: &[&[u8]], config: &Config, now: Monotonic) -> Rc<Budget> {
        let limits = limits_of(config);
        let account = RefCell::new(Account::new(&limits, now));
        let pool = Shared::new(self.key(parts), hash(config));
        Rc::new(Budget { limits, account, pool, unanswered: Cell::default() })
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

/// Budgets of a scope that goes by a header: what clients send must not make more.
const GROUPS: u64 = 64;

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
                let hash = shared::fingerprint(value);
                let group = (hash ^ (hash >> 32)) % GROUPS;
                return Ok(Some(group.to_string().into_bytes()));
            }
        };
        stream.get(property)
    }

    fn label(&self) -> &[u8] {
        match self {
            Scope::Header(name) => name.as_str().as_bytes(),
            Scope::Cluster => b"cluster",
            Scope::Route => b"route",
            Scope::VirtualHost => b"virtual_host",
            Scope::Global => b"global",
        }
    }
}

fn limits_of(config: &Config) -> Limits {
    match config.kind {
        Kind::Window(limits) => limits,
        Kind::Throttle(_) | Kind::Quota(_) => Limits::NONE,
    }
}

/// Tells budgets of different limits apart: after a reload the old counts say nothing about the new ones.
fn hash(config: &Config) -> u64 {
    let limits = limits_of(config);
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
    }
}
