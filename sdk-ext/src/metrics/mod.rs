//! Metrics: handles that are numbers, and labels in the encoding that Envoy's `stats_tags` take apart.

mod family;
mod labels;

pub use family::{
    CounterFamily, GaugeFamily, HistogramFamily, RuleCounter, RuleGauge, RuleHistogram, RuleMetrics,
    SeriesLimit,
};
pub use labels::{series_name, stats_tags};

use crate::hostcalls::{self, Host, MetricKind};

/// A host's metric id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) u32);

pub(crate) fn define(kind: MetricKind, name: &str) -> Host<Id> {
    hostcalls::define_metric(kind, name.as_bytes()).map(Id)
}

/// A metric that cannot be changed is reported, never fatal: traffic does not depend on it.
fn report(what: &str, result: Host<()>) {
    if let Err(error) = result {
        crate::log!(Error, "a {what} was not changed: {error}");
    }
}

/// Only goes up. 0.09 µs a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(pub(crate) Id);

impl Counter {
    /// One hostcall of numbers only.
    pub fn inc(self) {
        self.add(1);
    }

    /// One hostcall of numbers only; adding nothing is none, since Envoy refuses it.
    pub fn add(self, n: u32) {
        if n > 0 {
            report("counter", hostcalls::increment_metric(self.0.0, i64::from(n)));
        }
    }
}

/// Goes up and down, for all VMs together. Only in pairs of +1 and -1: below zero it wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge(pub(crate) Id);

impl Gauge {
    /// One hostcall of numbers only: 0.08 µs.
    pub fn add(self, n: i32) {
        if n != 0 {
            report("gauge", hostcalls::increment_metric(self.0.0, i64::from(n)));
        }
    }

    /// Only where one VM alone writes. One hostcall of numbers only: 0.08 µs.
    pub fn set(self, value: u64) {
        report("gauge", hostcalls::record_metric(self.0.0, value));
    }

    /// One hostcall of numbers only: 0.10 µs.
    ///
    /// # Errors
    /// What the host answered.
    pub fn get(self) -> Host<u64> {
        hostcalls::metric(self.0.0)
    }
}

/// Whole numbers, in the unit its name ends with. 0.12 µs a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram(pub(crate) Id);

impl Histogram {
    /// One hostcall of numbers only.
    pub fn record(self, value: u64) {
        report("histogram", hostcalls::record_metric(self.0.0, value));
    }
}
