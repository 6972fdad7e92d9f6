//! The metrics of one proxy: one value for a name, whichever VM counts it.

use std::collections::BTreeMap;

use bytes::Bytes;
use indexmap::IndexMap;

use super::ActiveContext;
use crate::{
    abi::{CallResult, CallStatus, MetricId, MetricType},
    trace::{Change, What},
};

/// A metric's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metric {
    Counter(u64),
    Gauge(u64),
    /// How often each value was recorded.
    Histogram(BTreeMap<u64, u64>),
}

impl Metric {
    fn zero(kind: MetricType) -> Self {
        match kind {
            MetricType::Counter => Metric::Counter(0),
            MetricType::Gauge => Metric::Gauge(0),
            MetricType::Histogram => Metric::Histogram(BTreeMap::new()),
        }
    }
}

/// What a call to a metric changed.
pub(crate) type Named = (Bytes, MetricType);

/// Values by name and kind, in the order of their definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    values: IndexMap<(Bytes, MetricType), Metric>,
    ids: BTreeMap<(usize, MetricId), usize>,
    next: BTreeMap<(usize, MetricType), u32>,
    /// Of all names.
    bytes: usize,
}

/// What all names hold at most; Envoy has no limit. More is refused, and reported.
pub(crate) const NAME_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How many ids are given out at most.
pub(crate) const IDS_MAX: usize = 1_000_000;

impl Metrics {
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Metric)> {
        self.values.iter().map(|((name, _), value)| (name, value))
    }

    /// A new id for this VM each time, even for a name already there. Envoy's ids: counters 4, 8, …, gauges 5, 9, …,
    /// histograms 6, 10, ….
    /// `None`: there is no room for more.
    pub(crate) fn define(&mut self, vm: usize, kind: MetricType, name: Bytes) -> Option<MetricId> {
        let bytes = self.bytes.saturating_add(name.len());
        let entry = self.values.entry((name, kind));
        let slot = entry.index();
        let is_new = matches!(entry, indexmap::map::Entry::Vacant(_));
        if self.ids.len() >= IDS_MAX || (is_new && bytes > NAME_BYTES_MAX) {
            return None;
        }
        if is_new {
            self.bytes = bytes;
        }
        entry.or_insert_with(|| Metric::zero(kind));
        let next = self.next.entry((vm, kind)).or_insert(1);
        let id = MetricId(*next * 4 + kind as u32);
        *next += 1;
        self.ids.insert((vm, id), slot);
        Some(id)
    }

    /// Counters go up only; a gauge wraps below zero; histograms cannot be incremented. The id alone tells the kind.
    pub(crate) fn increment(&mut self, vm: usize, id: MetricId, by: i64) -> CallResult<&Named> {
        has_one_value(id)?;
        let (named, metric) = self.get_mut(vm, id)?;
        match metric {
            Metric::Counter(value) if by > 0 => *value = value.wrapping_add_signed(by),
            Metric::Gauge(value) => *value = value.wrapping_add_signed(by),
            Metric::Counter(_) | Metric::Histogram(_) => return Err(CallStatus::BadArgument),
        }
        Ok(named)
    }

    /// Adds to a counter, sets a gauge, records in a histogram.
    pub(crate) fn record(&mut self, vm: usize, id: MetricId, value: u64) -> CallResult<&Named> {
        let (named, metric) = self.get_mut(vm, id)?;
        match metric {
            Metric::Counter(total) => *total = total.wrapping_add(value),
            Metric::Gauge(current) => *current = value,
            Metric::Histogram(counts) => *counts.entry(value).or_default() += 1,
        }
        Ok(named)
    }

    pub(crate) fn value(&mut self, vm: usize, id: MetricId) -> CallResult<u64> {
        has_one_value(id)?;
        match self.get_mut(vm, id)?.1 {
            Metric::Counter(value) | Metric::Gauge(value) => Ok(*value),
            Metric::Histogram(_) => Err(CallStatus::BadArgument),
        }
    }

    /// Adds up two proxies' metrics, gauges too: so does Envoy, when one process takes over from another.
    pub(crate) fn absorb(&mut self, other: &Metrics) {
        for ((name, kind), value) in &other.values {
            let known = self.values.entry((name.clone(), *kind));
            if matches!(known, indexmap::map::Entry::Vacant(_)) {
                self.bytes = self.bytes.saturating_add(name.len());
            }
            match (known.or_insert_with(|| Metric::zero(*kind)), value) {
                (Metric::Counter(sum), Metric::Counter(more)) | (Metric::Gauge(sum), Metric::Gauge(more)) => {
                    *sum = sum.wrapping_add(*more);
                }
                (Metric::Histogram(sum), Metric::Histogram(more)) => {
                    for (value, times) in more {
                        *sum.entry(*value).or_default() += times;
                    }
                }
                _ => {}
            }
        }
    }

    fn get_mut(&mut self, vm: usize, id: MetricId) -> CallResult<(&Named, &mut Metric)> {
        let slot = *self.ids.get(&(vm, id)).ok_or(CallStatus::NotFound)?;
        self.values.get_index_mut(slot).ok_or(CallStatus::NotFound)
    }
}

impl ActiveContext {
    pub(super) fn change_metric(&mut self, id: MetricId, change: Change) -> CallResult {
        let (vm, traces) = (self.vm.0, self.core.traces());
        let metrics = &mut self.core.metrics;
        let (metric, kind) = match change {
            Change::By(by) => metrics.increment(vm, id, by)?,
            Change::Recorded(value) => metrics.record(vm, id, value)?,
        };
        if traces {
            let (metric, kind) = (metric.clone(), *kind);
            self.note(What::Counted { metric, kind, change });
        }
        Ok(())
    }
}

/// Counters and gauges: the kinds 0 and 1 in an id's last two bits.
fn has_one_value(id: MetricId) -> CallResult {
    if id.0 & 2 == 0 { Ok(()) } else { Err(CallStatus::BadArgument) }
}
