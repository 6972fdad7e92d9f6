//! Metrics with labels: each series is defined once per VM, and there is an end to them.

use super::{Counter, Histogram, Id, define, labels::series_name};
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
        SeriesLimit(Rc::new(Limit { left: Cell::new(max_series), overflow }))
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
struct Family<const N: usize> {
    kind: MetricKind,
    base: String,
    labels: [&'static str; N],
    limit: SeriesLimit,
    series: RefCell<HashMap<String, Option<Id>>>,
    overflow: Cell<Option<Id>>,
}

impl<const N: usize> Family<N> {
    fn new(kind: MetricKind, base: &str, labels: [&'static str; N], limit: &SeriesLimit) -> Family<N> {
        Family {
            kind,
            base: base.to_owned(),
            labels,
            limit: limit.clone(),
            series: RefCell::default(),
            overflow: Cell::new(None),
        }
    }

    fn with(&self, values: [&[u8]; N]) -> Option<Id> {
        let name = series_name(&self.base, self.labels.into_iter().zip(values));
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
            let values = self.labels.map(|label| (label, OVERFLOW));
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
pub struct CounterFamily<const N: usize>(Family<N>);

impl<const N: usize> CounterFamily<N> {
    pub(crate) fn new(base: &str, labels: [&'static str; N], limit: &SeriesLimit) -> CounterFamily<N> {
        CounterFamily(Family::new(MetricKind::Counter, base, labels, limit))
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

/// A histogram with labels.
#[derive(Debug)]
pub struct HistogramFamily<const N: usize>(Family<N>);

impl<const N: usize> HistogramFamily<N> {
    pub(crate) fn new(base: &str, labels: [&'static str; N], limit: &SeriesLimit) -> HistogramFamily<N> {
        HistogramFamily(Family::new(MetricKind::Histogram, base, labels, limit))
    }

    /// 0.12 µs after the first time.
    pub fn record(&self, values: [&[u8]; N], value: u64) {
        if let Some(id) = self.0.with(values) {
            Histogram(id).record(value);
        }
    }
}
