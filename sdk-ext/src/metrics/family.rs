//! Metrics with labels: each series is defined once per VM, and there is an end to them.

use super::{Counter, Gauge, Histogram, Id, define, labels::series_name};
use crate::hostcalls::MetricKind;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// The value of every label of the series that stands for those beyond the limit.
const OVERFLOW: &[u8] = b"__overflow__";

/// How many series the families of one plugin may define together in one VM.
#[derive(Clone, Debug)]
pub struct SeriesLimit(Rc<Limit>);

#[derive(Debug)]
struct Limit {
    left: Cell<usize>,
    overflow: Counter,
}

impl SeriesLimit {
    pub(crate) fn new(max_series: usize, overflow: Counter) -> SeriesLimit {
        SeriesLimit(Rc::new(Limit {
            left: Cell::new(max_series),
            overflow,
        }))
    }

    fn take(&self) -> bool {
        match self.0.left.get().checked_sub(1) {
            Some(left) => {
                self.0.left.set(left);
                true
            }
            None => false,
        }
    }
}

/// The series of one base name. Values seen before cost a hash; new ones a hostcall.
#[derive(Debug)]
struct Family {
    kind: MetricKind,
    base: String,
    labels: Vec<&'static str>,
    limit: SeriesLimit,
    series: RefCell<HashMap<String, Option<Id>>>,
    overflow: Cell<Option<Id>>,
}

impl Family {
    fn new(kind: MetricKind, base: String, labels: Vec<&'static str>, limit: &SeriesLimit) -> Family {
        Family {
            kind,
            base,
            labels,
            limit: limit.clone(),
            series: RefCell::default(),
            overflow: Cell::new(None),
        }
    }

    fn with<'a>(&self, values: impl IntoIterator<Item = &'a [u8]>) -> Option<Id> {
        let name = series_name(&self.base, self.labels.iter().copied().zip(values));
        if let Some(id) = self.series.borrow().get(&name) {
            return *id;
        }
        if !self.limit.take() {
            return self.beyond_limit();
        }
        let id = self.define(&name);
        self.series.borrow_mut().insert(name, id);
        id
    }

    fn beyond_limit(&self) -> Option<Id> {
        self.limit.0.overflow.inc();
        if self.overflow.get().is_none() {
            let values = self.labels.iter().map(|label| (*label, OVERFLOW));
            self.overflow.set(self.define(&series_name(&self.base, values)));
        }
        self.overflow.get()
    }

    fn define(&self, name: &str) -> Option<Id> {
        define(self.kind, name)
            .inspect_err(|error| crate::log!(Error, "the metric {name} was not defined: {error}"))
            .ok()
    }
}

/// A counter with labels.
#[derive(Debug)]
pub struct CounterFamily<const N: usize>(Family);

impl<const N: usize> CounterFamily<N> {
    pub(crate) fn new(base: &str, labels: [&'static str; N], limit: &SeriesLimit) -> CounterFamily<N> {
        CounterFamily(Family::new(
            MetricKind::Counter,
            base.to_owned(),
            labels.to_vec(),
            limit,
        ))
    }

    /// 0.09 µs after the first time.
    pub fn inc(&self, values: [&[u8]; N]) {
        self.add(values, 1);
    }

    /// Adding nothing does not define the series either.
    pub fn add(&self, values: [&[u8]; N], n: u32) {
        if n > 0
            && let Some(id) = self.0.with(values)
        {
            Counter(id).add(n);
        }
    }
}

/// A gauge with labels.
#[derive(Debug)]
pub struct GaugeFamily<const N: usize>(Family);

impl<const N: usize> GaugeFamily<N> {
    pub(crate) fn new(base: &str, labels: [&'static str; N], limit: &SeriesLimit) -> GaugeFamily<N> {
        GaugeFamily(Family::new(MetricKind::Gauge, base.to_owned(), labels.to_vec(), limit))
    }

    /// The gauge of these values, to be kept by whoever adds to it: what was added is taken from the same one again.
    /// `None` when the host refused it.
    pub fn get(&self, values: [&[u8]; N]) -> Option<Gauge> {
        self.0.with(values).map(Gauge)
    }
}

/// A histogram with labels.
#[derive(Debug)]
pub struct HistogramFamily<const N: usize>(Family);

impl<const N: usize> HistogramFamily<N> {
    pub(crate) fn new(base: &str, labels: [&'static str; N], limit: &SeriesLimit) -> HistogramFamily<N> {
        HistogramFamily(Family::new(
            MetricKind::Histogram,
            base.to_owned(),
            labels.to_vec(),
            limit,
        ))
    }

    /// 0.12 µs after the first time.
    pub fn record(&self, values: [&[u8]; N], value: u64) {
        if let Some(id) = self.0.with(values) {
            Histogram(id).record(value);
        }
    }
}

/// The metrics of a filter with an [`Envelope`](crate::Envelope): one prefix, the label `rule` unless it was switched
/// off, one limit for all.
#[derive(Debug)]
pub struct RuleMetrics {
    prefix: String,
    labels: Vec<&'static str>,
    limit: SeriesLimit,
}

impl RuleMetrics {
    pub(crate) fn new(prefix: &str, by_rule: bool, limit: SeriesLimit) -> RuleMetrics {
        let labels = if by_rule { vec!["rule"] } else { Vec::new() };
        RuleMetrics {
            prefix: prefix.to_owned(),
            labels,
            limit,
        }
    }

    fn family<const N: usize>(&self, kind: MetricKind, base: &str, labels: [&'static str; N]) -> RuleFamily {
        let base = format!("{}_{base}", self.prefix);
        let labels = self.labels.iter().copied().chain(labels).collect();
        RuleFamily {
            by_rule: !self.labels.is_empty(),
            family: Family::new(kind, base, labels, &self.limit),
        }
    }

    /// `base` without the prefix: `timeout_enforced_total`.
    #[must_use]
    pub fn counter<const N: usize>(&self, base: &str, labels: [&'static str; N]) -> RuleCounter<N> {
        RuleCounter(self.family(MetricKind::Counter, base, labels))
    }

    /// `base` without the prefix, with the unit at its end: `timeout_left_ms`.
    #[must_use]
    pub fn histogram<const N: usize>(&self, base: &str, labels: [&'static str; N]) -> RuleHistogram<N> {
        RuleHistogram(self.family(MetricKind::Histogram, base, labels))
    }
}

#[derive(Debug)]
struct RuleFamily {
    by_rule: bool,
    family: Family,
}

impl RuleFamily {
    fn with<const N: usize>(&self, rule: &str, values: [&[u8]; N]) -> Option<Id> {
        self.family
            .with(self.by_rule.then_some(rule.as_bytes()).into_iter().chain(values))
    }
}

/// A counter by rule, and by `N` labels more.
#[derive(Debug)]
pub struct RuleCounter<const N: usize>(RuleFamily);

impl<const N: usize> RuleCounter<N> {
    /// 0.09 µs after the first time.
    pub fn inc(&self, rule: &str, values: [&[u8]; N]) {
        self.add(rule, values, 1);
    }

    /// Adding nothing does not define the series either.
    pub fn add(&self, rule: &str, values: [&[u8]; N], n: u32) {
        if n > 0
            && let Some(id) = self.0.with(rule, values)
        {
            Counter(id).add(n);
        }
    }
}

/// A histogram by rule, and by `N` labels more.
#[derive(Debug)]
pub struct RuleHistogram<const N: usize>(RuleFamily);

impl<const N: usize> RuleHistogram<N> {
    /// 0.12 µs after the first time.
    pub fn record(&self, rule: &str, values: [&[u8]; N], value: u64) {
        if let Some(id) = self.0.with(rule, values) {
            Histogram(id).record(value);
        }
    }
}
