//! What a replay came to, for people and machines. Every form of report is made from one [`Report`].

mod connection;
mod events;
mod exchange;
mod html;
mod json;
mod junit;
mod model;
mod printable;
mod redaction;
mod text;
mod traces;

pub use model::{
    Answer, Callout, Change, ChangeKind, ConnectionReport, ConnectionTotals, Cost, Count, Effect,
    ExchangeReport, FieldDifference, FilterReport, FilterStep, FilterTotals, Finding, HopReport, LogLine,
    MetricReport, MetricValue, NoteReport, ProxyReport, Report, SCHEMA, Sent, Text, Totals, TraceReport,
    TracesReport, Unsupported,
};

pub use text::Detail;

use crate::{
    message::Note,
    proxy::Metric,
    replay::{Replay, ReplayedProxy},
    trace::TraceLevel,
};

impl Report {
    /// Draws up the report of a replay. `unsupported` lists what of the configuration was seen but not emulated.
    pub fn of(replay: &Replay, unsupported: Vec<Unsupported>) -> Self {
        let exchanges: Vec<_> = replay
            .proxies
            .iter()
            .flat_map(|proxy| proxy.outcome.outcomes.iter().map(|outcome| exchange::report(proxy, outcome)))
            .collect();
        let connections: Vec<_> = replay
            .proxies
            .iter()
            .flat_map(|proxy| {
                proxy.outcome.connections.iter().map(|outcome| connection::report(proxy, outcome))
            })
            .collect();
        let exchanges_without = replay.unmatched.iter().map(|exchange| exchange.id.to_string());
        let connections_without = replay.unmatched_connections.iter().map(connection::id);
        let skipped: Vec<String> = exchanges_without.chain(connections_without).collect();
        let proxies: Vec<_> = replay.proxies.iter().map(proxy).collect();
        Report {
            schema: SCHEMA,
            seed: replay.seed,
            traced: replay.trace == TraceLevel::On,
            isolation: replay.isolation,
            totals: totals(&proxies, &exchanges, &connections, skipped.len()),
            proxies,
            exchanges,
            connections,
            skipped,
            notes: replay.notes.iter().map(note).collect(),
            unsupported,
            traces: None,
        }
    }

    /// Whether the filters' instructions were counted.
    pub fn is_metered(&self) -> bool {
        self.totals.filters.values().any(|sum| sum.cost.fuel.is_some())
    }

    /// Whether a client would have noticed the change, or a filter failed.
    pub fn differs(&self) -> bool {
        let totals = &self.totals;
        let connections = &totals.connections;
        totals.visible_differences + connections.visible_differences > 0
            || totals.faults > 0
            || totals.hung + connections.hung > 0
    }
}

fn note(note: &Note) -> NoteReport {
    NoteReport { kind: note.kind, place: note.place.to_string(), text: note.text.to_string() }
}

fn proxy(proxy: &ReplayedProxy) -> ProxyReport {
    let outcome = &proxy.outcome;
    let filters = outcome.filters.iter().map(|filter| FilterReport {
        name: filter.name.clone(),
        listener: filter.listener.clone(),
        file: filter.code.display().to_string(),
        sha256: filter.sha256.clone(),
        bytes: filter.bytes,
        outside_streams: Cost::from(&filter.usage),
        outside_workers: Cost::from(&filter.usage_on_main),
    });
    let metrics = outcome.metrics.iter().map(|(name, metric)| MetricReport {
        name: Text::from(name),
        value: match metric {
            Metric::Counter(value) => MetricValue::Counter { value: *value },
            Metric::Gauge(value) => MetricValue::Gauge { value: *value },
            Metric::Histogram(counts) => MetricValue::Histogram {
                count: counts.values().sum(),
                sum: counts.iter().map(|(value, times)| u128::from(*value) * u128::from(*times)).sum(),
            },
        },
    });
    let mut metrics: Vec<_> = metrics.collect();
    metrics.sort_by(|a, b| a.name.cmp(&b.name));
    ProxyReport {
        name: proxy.name.to_string(),
        configuration: proxy.spec.clone(),
        workers: outcome.workers,
        exchanges: outcome.outcomes.len(),
        connections: outcome.connections.len(),
        filters: filters.collect(),
        metrics,
        stats: outcome.stats.clone(),
        events: events::events(outcome),
        unimplemented: outcome
            .unimplemented
            .iter()
            .map(|(name, calls)| ((*name).to_owned(), *calls))
            .collect(),
        random_bytes: outcome.random_bytes,
    }
}

fn totals(
    proxies: &[ProxyReport],
    exchanges: &[ExchangeReport],
    connections: &[ConnectionReport],
    skipped: usize,
) -> Totals {
    let mut totals =
        Totals { proxies: proxies.len(), exchanges: exchanges.len(), skipped, ..Totals::default() };
    for exchange in exchanges {
        totals.changed += usize::from(!exchange.differences.is_empty());
        totals.visible_differences += usize::from(exchange.visible);
        totals.hung += usize::from(exchange.end == crate::proxy::End::Hung);
        totals.notes += exchange.notes.len();
        let status = exchange.replayed_status.as_ref().map_or("none".to_owned(), Text::to_string);
        *totals.statuses.entry(status).or_default() += 1;
        for filter in &exchange.filters {
            totals.add(filter).exchanges += 1;
        }
        totals.found(&exchange.proxy);
    }
    totals.connections.connections = connections.len();
    for connection in connections {
        totals.connections.changed += usize::from(!connection.differences.is_empty());
        totals.connections.visible_differences += usize::from(connection.visible);
        totals.connections.hung += usize::from(connection.hung);
        totals.notes += connection.notes.len();
        for filter in &connection.filters {
            totals.add(filter).connections += 1;
        }
        totals.found(&connection.proxy);
    }
    for proxy in proxies {
        totals.found(&proxy.events);
        totals.faults += proxy.events.iter().filter(|event| event.fault).count();
    }
    totals
}

impl Totals {
    fn add(&mut self, filter: &FilterStep) -> &mut FilterTotals {
        self.faults += filter.faults.len();
        for finding in &filter.findings {
            *self.findings.entry(finding.kind).or_default() += 1;
        }
        let sum = self.filters.entry(filter.name.clone()).or_default();
        sum.changed += usize::from(!filter.changed.is_empty());
        sum.answered += usize::from(filter.answered.is_some());
        sum.paused += usize::from(filter.paused > 0);
        sum.callouts += filter.callouts.len();
        sum.log_lines += filter.logged.len();
        sum.counted += filter.counted.len();
        sum.findings += filter.findings.len();
        sum.faults += filter.faults.len();
        sum.cost.add(&filter.cost);
        sum
    }

    fn found(&mut self, effects: &[Effect]) {
        for kind in effects.iter().filter_map(|effect| effect.finding) {
            *self.findings.entry(kind).or_default() += 1;
        }
    }
}
