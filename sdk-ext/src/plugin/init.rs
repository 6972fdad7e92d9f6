//! What a plugin may do while it is configured.

use super::{Ending, Rest, Root};
use crate::config::MetricsConfig;
use crate::hostcalls::{self, Host, MetricKind};
use crate::metrics::{
    Counter, CounterFamily, Gauge, GaugeFamily, Histogram, HistogramFamily, RuleMetrics, SeriesLimit, define,
};
use crate::property::{Expression, Prop, PropValue, Props, Together};
use crate::state::Atomic;
use crate::time::Monotonic;
use crate::time::timers::{TimerId, Timers};
use std::rc::Rc;
use std::time::Duration;

/// Handed to [`Plugin::configure`](crate::Plugin::configure).
#[derive(Debug)]
pub struct Init {
    timers: Rc<Timers>,
}

impl Init {
    pub(crate) fn new(timers: Rc<Timers>) -> Init {
        Init { timers }
    }

    /// The period that the filter configured last asked for, which is forgotten here.
    pub(crate) fn take_tick(&mut self) -> Duration {
        self.timers.take_tick()
    }

    /// `root_id` of the plugin: tells several plugins of one VM apart. One hostcall that returns bytes: 1 µs.
    ///
    /// # Errors
    /// What the host answered.
    pub fn root_id(&mut self) -> Host<Vec<u8>> {
        Ok(hostcalls::property(b"plugin_root_id")?.unwrap_or_default())
    }

    /// An attribute that no stream is needed for, such as the proxy's node
    /// ([`attribute`](crate::property::attribute) with `xds\0node\0id`); `None` where the proxy has none. One hostcall that returns bytes.
    ///
    /// # Errors
    /// `parse failure` when the value has not the attribute's type, else what the host answered.
    pub fn attribute<T: PropValue>(&mut self, property: &Prop<T>) -> Host<Option<T>> {
        property.get()
    }

    /// Attributes to be [read](crate::StreamInfo::read) with one hostcall. One hostcall that returns bytes.
    pub fn together(&mut self, properties: Props) -> Together {
        Together::new(properties)
    }

    /// An expression of CEL that Envoy [evaluates](crate::StreamInfo::evaluate), by what it knows of a stream: its attributes, as
    /// `request.path.startsWith('/a')`. One hostcall that returns bytes, which parses it.
    ///
    /// # Errors
    /// `bad argument` for what is no expression, or calls what Envoy does not have.
    pub fn expression<T: PropValue>(&mut self, text: &str) -> Host<Expression<T>> {
        Expression::new(text)
    }

    /// Defines a counter under its full name. One hostcall that returns a number.
    ///
    /// # Errors
    /// What the host answered.
    pub fn counter(&mut self, name: &str) -> Host<Counter> {
        define(MetricKind::Counter, name).map(Counter)
    }

    /// Defines a gauge. One hostcall that returns a number.
    ///
    /// # Errors
    /// What the host answered.
    pub fn gauge(&mut self, name: &str) -> Host<Gauge> {
        define(MetricKind::Gauge, name).map(Gauge)
    }

    /// Defines a gauge to count in with all VMs together. One hostcall that returns a number.
    ///
    /// # Errors
    /// What the host answered.
    pub fn atomic(&mut self, name: &str) -> Host<Atomic> {
        self.gauge(name).map(Atomic::from)
    }

    /// Defines a histogram of whole numbers. One hostcall that returns a number.
    ///
    /// # Errors
    /// What the host answered.
    pub fn histogram(&mut self, name: &str) -> Host<Histogram> {
        define(MetricKind::Histogram, name).map(Histogram)
    }

    /// The limit that all families of a plugin share: `metrics.max_series`. One hostcall that returns a number, for the
    /// overflow counter.
    ///
    /// # Errors
    /// What the host answered.
    pub fn series_limit(&mut self, prefix: &str, max_series: usize) -> Host<SeriesLimit> {
        Ok(SeriesLimit::new(max_series, self.counter(&format!("{prefix}_series_overflow"))?))
    }

    /// Prefix, label and limit of all metrics of a filter with an envelope. One hostcall that returns a number.
    ///
    /// # Errors
    /// What the host answered.
    pub fn rule_metrics(&mut self, config: &MetricsConfig) -> Host<RuleMetrics> {
        let limit = self.series_limit(&config.prefix, config.max_series)?;
        Ok(RuleMetrics::new(&config.prefix, config.by_rule, limit))
    }

    /// A counter with labels; its series are defined when they are first used. No hostcall here.
    pub fn counter_family<const N: usize>(
        &mut self,
        base: &str,
        labels: [&'static str; N],
        limit: &SeriesLimit,
    ) -> CounterFamily<N> {
        CounterFamily::new(base, labels, limit)
    }

    /// A gauge with labels; its series are defined when they are first used. No hostcall here.
    pub fn gauge_family<const N: usize>(
        &mut self,
        base: &str,
        labels: [&'static str; N],
        limit: &SeriesLimit,
    ) -> GaugeFamily<N> {
        GaugeFamily::new(base, labels, limit)
    }

    /// A histogram with labels; its series are defined when they are first used. No hostcall here.
    pub fn histogram_family<const N: usize>(
        &mut self,
        base: &str,
        labels: [&'static str; N],
        limit: &SeriesLimit,
    ) -> HistogramFamily<N> {
        HistogramFamily::new(base, labels, limit)
    }

    /// How long timers of streams may be kept waiting after others have run, so that those due close together run in one tick: 10 ms
    /// unless said. The smaller, the more ticks. The host ticks only while a timer is set, and no sooner than the first is due; with
    /// nothing before it, a timer runs within its millisecond. No hostcall.
    pub fn timers(&mut self, resolution: Duration) {
        self.timers.set_resolution(resolution);
    }

    /// Calls [`Plugin::on_tick`](crate::Plugin::on_tick) in this period, at least 1 ms, for as long as the VM lives. Two hostcalls
    /// of numbers only.
    ///
    /// # Errors
    /// When the host refuses to start the tick.
    pub fn tick(&mut self, period: Duration) -> Host<()> {
        self.timers.set_tick(period)
    }

    /// Runs `action` again and again in this period, as [`Root::every`] does. Two hostcalls at most, of numbers only.
    ///
    /// # Errors
    /// When the host refuses to start the tick; the timer is then not set.
    pub fn every(&mut self, period: Duration, action: impl FnMut(&mut Root) + 'static) -> Host<TimerId> {
        self.timers.every(period, Box::new(action))
    }

    /// Runs `action` when this configuration goes: Envoy has another one for the filter, or none. Not when the process ends in which
    /// nothing is waited for, nor when the VM is lost. No hostcall here; a module that asks for it is called once more at the end of
    /// every stream.
    pub fn at_end(&mut self, action: impl FnOnce(&mut Root, Rest) -> Ending + 'static) {
        super::end::at_end(self.timers.root(), Box::new(action));
    }

    /// Runs `action` once, at the first tick not before `when`, as [`Root::at`] does. Two hostcalls at most, of numbers only.
    ///
    /// # Errors
    /// When the host refuses to start the tick; the timer is then not set.
    pub fn at(&mut self, when: Monotonic, action: impl FnOnce(&mut Root) + 'static) -> Host<TimerId> {
        self.timers.at(when, Box::new(action))
    }
}
