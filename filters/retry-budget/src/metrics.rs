//! What the filter counts.

use std::cell::RefCell;
use wayside_sdk::config::MetricsConfig;
use wayside_sdk::{Host, Init, RuleCounter, RuleGauge, RuleHistogram, RuleMetrics};

#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) deposits: Lagging,
    pub(crate) granted: Lagging,
    pub(crate) refunded: Lagging,
    pub(crate) used: RuleCounter<0>,
    /// Requests that got fewer retries than the rule allows, by reason.
    pub(crate) denied: RuleCounter<1>,
    pub(crate) exhausted: RuleCounter<0>,
    pub(crate) inbound_retry_denied: RuleCounter<0>,
    pub(crate) untrusted_stripped: RuleCounter<0>,
    pub(crate) cas_retry: RuleCounter<0>,
    pub(crate) cas_exhausted: RuleCounter<0>,
    pub(crate) overdraft: RuleCounter<0>,
    pub(crate) key_overflow: RuleCounter<0>,
    pub(crate) bad_override: RuleCounter<0>,
    /// Answers that said something about retries.
    pub(crate) pushback: RuleCounter<0>,
    /// Holds that were begun, or made longer.
    pub(crate) held: RuleCounter<0>,
    /// Retries that would be granted at once, by budget.
    pub(crate) balance: RuleGauge<1>,
    pub(crate) attempts: RuleHistogram<0>,
}

/// A counter of what every request does. The host hears of it once a tick, and when the plugin goes, so that a request costs no hostcall for it; what a VM
/// that dies had not told yet is lost.
#[derive(Debug)]
pub(crate) struct Lagging {
    counter: RuleCounter<0>,
    untold: RefCell<Vec<(Box<str>, u32)>>,
}

impl Lagging {
    fn new(counter: RuleCounter<0>) -> Lagging {
        Lagging { counter, untold: RefCell::default() }
    }

    pub(crate) fn add(&self, rule: &str, n: u32) {
        let mut untold = self.untold.borrow_mut();
        match untold.iter_mut().find(|(of, _)| **of == *rule) {
            Some((_, count)) => *count = count.saturating_add(n),
            None => untold.push((rule.into(), n)),
        }
    }

    fn tell(&self) {
        for (rule, count) in self.untold.borrow_mut().iter_mut() {
            self.counter.add(rule, [], std::mem::take(count));
        }
    }
}

impl Drop for Lagging {
    fn drop(&mut self) {
        self.tell();
    }
}

/// Why a request got fewer retries than the rule allows: the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    Ratio,
    Unsafe,
    Inbound,
    /// An upstream asked for none for a while.
    Held,
    /// Too little time is left.
    Time,
    Cas,
}

impl Denial {
    pub(crate) fn label(self) -> &'static [u8] {
        match self {
            Denial::Ratio => b"ratio",
            Denial::Unsafe => b"unsafe",
            Denial::Inbound => b"inbound",
            Denial::Held => b"held",
            Denial::Time => b"time",
            Denial::Cas => b"cas",
        }
    }
}

#[inline(never)]
fn counter(metrics: &RuleMetrics, name: &str) -> RuleCounter<0> {
    metrics.counter(&["retry_budget_", name, "_total"].concat(), [])
}

impl Metrics {
    /// What lags is told.
    pub(crate) fn tell(&self) {
        [&self.deposits, &self.granted, &self.refunded].into_iter().for_each(Lagging::tell);
    }

    pub(crate) fn new(init: &mut Init, config: &MetricsConfig) -> Host<Metrics> {
        let metrics = init.rule_metrics(config)?;
        let counter = |name| counter(&metrics, name);
        Ok(Metrics {
            deposits: Lagging::new(counter("deposits")),
            granted: Lagging::new(counter("granted")),
            refunded: Lagging::new(counter("refunded")),
            used: counter("used"),
            denied: metrics.counter("retry_budget_denied_total", ["reason"]),
            exhausted: counter("exhausted"),
            inbound_retry_denied: counter("inbound_retry_denied"),
            untrusted_stripped: counter("untrusted_stripped"),
            cas_retry: counter("cas_retry"),
            cas_exhausted: counter("cas_exhausted"),
            overdraft: counter("overdraft"),
            key_overflow: counter("key_overflow"),
            bad_override: counter("bad_override"),
            pushback: counter("pushback"),
            held: counter("held"),
            balance: metrics.gauge("retry_budget_balance", ["budget"]),
            attempts: metrics.histogram("retry_budget_attempts", []),
        })
    }
}
