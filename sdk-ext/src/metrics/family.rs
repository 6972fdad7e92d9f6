//! Metrics with labels: each series is defined once per VM, and there is an end to them.

use super::{Counter, Gauge, Histogram, Id, define, labels::series_name};
use crate::hostcalls::MetricKind;
use std::cell::{Cell, RefCell};
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
struct Family {
    kind: MetricKind,
    base: String,
    labels: Vec<&'static str>,
    limit: SeriesLimit,
    series: RefCell<Series>,
    /// `Some(None)`: the host refused it.
    overflow: Cell<Option<Option<Id>>>,
}

/// Ids by label values and by name: the name, which several values may share, is only written when the values are new.
#[derive(Debug, Default)]
struct Series {
    known: Known,
    names: usize,
    /// The values last asked for; kept for its allocation.
    values: Vec<u8>,
    /// What they came to, if anything yet: most are asked for again and again.
    last: Option<Option<Id>>,
}

/// Ids by key. A sorted list is a tenth of the code of the standard library's map; the shorter ones come first, since two that
/// are unlike most often differ in length.
#[derive(Debug, Default)]
struct Known(Vec<(Box<[u8]>, Option<Id>)>);

impl Known {
    /// The place of a key, or where it belongs.
    #[inline(never)]
    fn place(&self, key: &[u8]) -> Result<usize, usize> {
        self.0.binary_search_by(|(stored, _)| (stored.len(), &**stored).cmp(&(key.len(), key)))
    }

    fn get(&self, key: &[u8]) -> Option<Option<Id>> {
        self.0.get(self.place(key).ok()?).map(|(_, id)| *id)
    }

    fn insert(&mut self, key: &[u8], id: Option<Id>) {
        if let Err(place) = self.place(key) {
            self.0.insert(place, (key.into(), id));
        }
    }
}

/// Before label values, so that they are never taken for a name, which is UTF-8.
const VALUES: u8 = 0xff;

/// Values longer than all labels of an ordinary series together are looked up by name only: what a client made long is not
/// kept.
const LONGEST_KEPT: usize = 256;

impl Series {
    fn of_values<'a>(&mut self, values: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Option<Id>> {
        if self.last.is_some() && self.are_last(values.clone()) {
            return self.last;
        }
        self.values.clear();
        self.values.push(VALUES);
        for value in values {
            let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
            self.values.extend_from_slice(&len.to_le_bytes());
            self.values.extend_from_slice(value);
        }
        self.last = self.known.get(&self.values);
        self.last
    }

    fn are_last<'a>(&self, values: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut rest = self.values.get(1..).unwrap_or_default();
        for value in values {
            let Some((len, behind)) = rest.split_first_chunk() else { return false };
            if usize::try_from(u32::from_le_bytes(*len)) != Ok(value.len()) {
                return false;
            }
            let Some(behind) = behind.strip_prefix(value) else { return false };
            rest = behind;
        }
        rest.is_empty()
    }

    fn insert_name(&mut self, name: &str, id: Option<Id>) {
        self.known.insert(name.as_bytes(), id);
        self.names = self.names.saturating_add(1);
    }

    /// No more of these than twice the names, so the limit of series bounds them too.
    fn remember_values(&mut self, id: Option<Id>) {
        if self.values.len() <= LONGEST_KEPT && self.known.0.len() <= self.names.saturating_mul(3) {
            self.known.insert(&self.values, id);
        }
    }
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

    /// Not generic, so that it is in a module once.
    #[inline(never)]
    fn with(&self, rule: Option<&[u8]>, values: &[&[u8]]) -> Option<Id> {
        let values = rule.into_iter().chain(values.iter().copied());
        let mut series = self.series.borrow_mut();
        if let Some(id) = series.of_values(values.clone()) {
            return id;
        }
        let name = series_name(&self.base, self.labels.iter().copied().zip(values));
        let id = match series.known.get(name.as_bytes()) {
            Some(id) => id,
            None if !self.limit.take() => return self.beyond_limit(),
            None => {
                let id = self.define(&name);
                series.insert_name(&name, id);
                id
            }
        };
        series.remember_values(id);
        id
    }

    fn beyond_limit(&self) -> Option<Id> {
        self.limit.0.overflow.inc();
        if let Some(id) = self.overflow.get() {
            return id;
        }
        let values = self.labels.iter().map(|label| (*label, OVERFLOW));
        let id = self.define(&series_name(&self.base, values));
        self.overflow.set(Some(id));
        id
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
        CounterFamily(Family::new(MetricKind::Counter, base.to_owned(), labels.to_vec(), limit))
    }

    /// One hostcall of numbers only, 0.09 µs; the first time one more, which returns a number.
    pub fn inc(&self, values: [&[u8]; N]) {
        self.add(values, 1);
    }

    /// One hostcall of numbers only; the first time one more. Adding nothing is none, and does not define the series either.
    pub fn add(&self, values: [&[u8]; N], n: u32) {
        if n > 0
            && let Some(id) = self.0.with(None, &values)
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
    /// `None` when the host refused it. One hostcall the first time, which returns a number.
    pub fn get(&self, values: [&[u8]; N]) -> Option<Gauge> {
        self.0.with(None, &values).map(Gauge)
    }
}

/// A histogram with labels.
#[derive(Debug)]
pub struct HistogramFamily<const N: usize>(Family);

impl<const N: usize> HistogramFamily<N> {
    pub(crate) fn new(base: &str, labels: [&'static str; N], limit: &SeriesLimit) -> HistogramFamily<N> {
        HistogramFamily(Family::new(MetricKind::Histogram, base.to_owned(), labels.to_vec(), limit))
    }

    /// One hostcall of numbers only, 0.12 µs; the first time one more, which returns a number.
    pub fn record(&self, values: [&[u8]; N], value: u64) {
        if let Some(id) = self.0.with(None, &values) {
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
        RuleMetrics { prefix: prefix.to_owned(), labels, limit }
    }

    /// Not generic, so that it is in a module once.
    #[inline(never)]
    fn family(&self, kind: MetricKind, base: &str, labels: &[&'static str]) -> RuleFamily {
        let base = [&self.prefix, "_", base].concat();
        let labels = [&self.labels, labels].concat();
        let family = Family::new(kind, base, labels, &self.limit);
        RuleFamily(Box::new((!self.labels.is_empty(), family)))
    }

    /// `base` without the prefix: `timeout_enforced_total`.
    #[must_use]
    pub fn counter<const N: usize>(&self, base: &str, labels: [&'static str; N]) -> RuleCounter<N> {
        RuleCounter(self.family(MetricKind::Counter, base, &labels))
    }

    /// `base` without the prefix: `retry_budget_balance`.
    #[must_use]
    pub fn gauge<const N: usize>(&self, base: &str, labels: [&'static str; N]) -> RuleGauge<N> {
        RuleGauge(self.family(MetricKind::Gauge, base, &labels))
    }

    /// `base` without the prefix, with the unit at its end: `timeout_left_ms`.
    #[must_use]
    pub fn histogram<const N: usize>(&self, base: &str, labels: [&'static str; N]) -> RuleHistogram<N> {
        RuleHistogram(self.family(MetricKind::Histogram, base, &labels))
    }
}

/// Whether by rule, and the family. Boxed: a filter has a dozen, which are moved several times until they have their place.
#[derive(Debug)]
struct RuleFamily(Box<(bool, Family)>);

impl RuleFamily {
    fn with<const N: usize>(&self, rule: &str, values: [&[u8]; N]) -> Option<Id> {
        let (by_rule, family) = &*self.0;
        family.with(by_rule.then_some(rule.as_bytes()), &values)
    }
}

/// A counter by rule, and by `N` labels more.
#[derive(Debug)]
pub struct RuleCounter<const N: usize>(RuleFamily);

impl<const N: usize> RuleCounter<N> {
    /// One hostcall of numbers only, 0.09 µs; the first time one more, which returns a number.
    pub fn inc(&self, rule: &str, values: [&[u8]; N]) {
        self.add(rule, values, 1);
    }

    /// One hostcall of numbers only; the first time one more. Adding nothing is none, and does not define the series either.
    pub fn add(&self, rule: &str, values: [&[u8]; N], n: u32) {
        if n > 0
            && let Some(id) = self.0.with(rule, values)
        {
            Counter(id).add(n);
        }
    }
}

/// A gauge by rule, and by `N` labels more.
#[derive(Debug)]
pub struct RuleGauge<const N: usize>(RuleFamily);

impl<const N: usize> RuleGauge<N> {
    /// Only where one VM alone writes. One hostcall of numbers only, 0.08 µs; the first time one more.
    pub fn set(&self, rule: &str, values: [&[u8]; N], value: u64) {
        if let Some(id) = self.0.with(rule, values) {
            Gauge(id).set(value);
        }
    }
}

/// A histogram by rule, and by `N` labels more.
#[derive(Debug)]
pub struct RuleHistogram<const N: usize>(RuleFamily);

impl<const N: usize> RuleHistogram<N> {
    /// One hostcall of numbers only, 0.12 µs; the first time one more, which returns a number.
    pub fn record(&self, rule: &str, values: [&[u8]; N], value: u64) {
        if let Some(id) = self.0.with(rule, values) {
            Histogram(id).record(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(max_series: usize) -> Family {
        let limit = SeriesLimit::new(max_series, Counter(Id(0)));
        Family::new(MetricKind::Counter, "x_total".to_owned(), vec!["a", "b"], &limit)
    }

    fn touch(family: &Family, a: &[u8], b: &[u8]) -> usize {
        family.with(None, &[a, b]);
        family.series.borrow().names
    }

    #[test]
    fn a_series_is_defined_once_whatever_values_it_is_asked_for_with() {
        let family = family(1000);
        assert_eq!(touch(&family, b"1", b"2"), 1);
        assert_eq!(touch(&family, b"1", b"2"), 1);
        assert_eq!(touch(&family, b"12", b""), 2, "the border between two values counts");
        assert_eq!(touch(&family, b"1\xff", b""), 3);
        assert_eq!(touch(&family, &[b'x'; 65], b""), 4);
        assert_eq!(touch(&family, &[b'x'; 64], b""), 4, "cut at 64 bytes, it is the same");
        assert_eq!(touch(&family, &[b'x'; 5000], b""), 4);
    }

    #[test]
    fn neither_many_values_nor_long_ones_are_kept_without_end() {
        let family = family(3);
        for n in 0..1000_usize {
            touch(
                &family,
                &[b"same first sixty-four bytes".repeat(3), n.to_le_bytes().to_vec()].concat(),
                b"",
            );
            touch(&family, n.to_string().as_bytes(), b"");
            touch(&family, &vec![b'x'; n], &vec![b'y'; n]);
        }
        let series = family.series.borrow();
        assert_eq!(series.names, 3);
        assert!(series.known.0.len() <= 10, "{}", series.known.0.len());
        assert!(series.known.0.iter().all(|(key, _)| key.len() <= LONGEST_KEPT));
    }
}
