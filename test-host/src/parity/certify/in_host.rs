//! The exchanges in the host.

use std::{
    path::Path,
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{
    CannotCompare, GuestHashes, Subject,
    compare::Seen,
    document::{self, Document},
    services,
};
use crate::{
    envoy_config,
    message::{Message, Recording},
    parity::log::{self, Speaker},
    proxy::{
        Metrics, Outcome, ProxyOutcome,
        spec::{ListenerSpec, ProxySpec},
    },
    replay::{self, Options, Specs},
    trace::{FilterNumber, What},
    vm::Modules,
};

/// Wall time at which exchanges with callouts begin: 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);
/// Between exchanges with callouts: one is over before the next begins.
const APART: Duration = Duration::from_secs(2);

/// All that the host made of them.
pub(super) struct InHost {
    pub(super) spec: Arc<ProxySpec>,
    /// In the order of the cases.
    pub(super) seen: Vec<Seen>,
    pub(super) metrics: Metrics,
    pub(super) guests: GuestHashes,
    pub(super) not_emulated: Vec<String>,
}

impl InHost {
    /// The plugins as logs show them.
    pub(super) fn speakers(&self) -> Vec<Speaker> {
        let speaker = |plugin: &crate::proxy::spec::PluginSpec| Speaker {
            shown: plugin.filter_name.clone(),
            name: plugin.name.clone(),
            root_id: plugin.root_id.clone(),
            vm_id: plugin.vm.id.clone(),
        };
        self.spec.plugins().map(speaker).collect()
    }

    pub(super) fn has_upstream_filters(&self) -> bool {
        let of_clusters = self.spec.clusters.values().map(|cluster| cluster.upstream_filters.as_deref());
        let routers =
            self.spec.listeners.iter().map(|listener| listener.http.http_filters.upstream_filters());
        of_clusters.chain(routers).flatten().any(|filters| !filters.is_empty())
    }

    /// The listener that an exchange goes to, as the host chooses it.
    pub(super) fn listener(&self, direction: crate::message::Direction) -> Option<&ListenerSpec> {
        let fits = |listener: &&ListenerSpec| listener.direction == direction;
        self.spec.listeners.iter().find(fits).or(self.spec.listeners.first())
    }
}

pub(super) fn run(document: &Document, subject: &Subject) -> Result<InHost, CannotCompare> {
    // Its name is where messages say that something is wrong.
    let name = subject.envoy.with_extension("json");
    let loaded = envoy_config::from_text(&document.for_host(), Path::new(&name), &Default::default())
        .map_err(CannotCompare::of)?;
    let not_emulated =
        loaded.unsupported.iter().filter(|part| part.weight == envoy_config::Weight::MayMatter);
    // What the comparison itself has put there concerns nobody.
    let of_ours = |place: &str| document::PUT.iter().any(|name| place.ends_with(name));
    let not_emulated = not_emulated.filter(|part| !of_ours(&part.place.to_string()));
    let not_emulated = not_emulated.map(|part| format!("{}: {}", part.place, part.reason)).collect();
    let spec = Arc::new(loaded.spec);
    let called = services::Called::default();
    // One proxy for all, as one Envoy: in the order of the cases, each over before the next begins.
    let exchanges = subject.cases.cases.iter().zip(1_u32..).map(|(case, number)| {
        let mut exchange = case.exchange.clone();
        exchange.id.proxy = Arc::from("parity");
        exchange.id.number = number;
        if subject.callouts.clusters().next().is_some() {
            exchange.timing.request_headers = Some(EPOCH + APART * number);
            exchange.timing.response_headers = exchange.timing.request_headers;
        }
        exchange
    });
    let recording = Recording { exchanges: exchanges.collect(), ..Recording::default() };
    let specs = Specs::Everywhere(Arc::clone(&spec));
    let replayed = replay::replay(&Arc::new(Modules::new()), &specs, recording, &Options::default(), |_| {
        services::in_host(&subject.callouts, &called)
    });
    let replayed = replayed.map_err(CannotCompare::of)?;
    let Some(proxy) = replayed.proxies.first() else {
        return Err(CannotCompare("no exchange to compare".to_owned()));
    };
    let mut seen = all_seen(&proxy.outcome);
    let called = std::mem::take(&mut *called.lock().unwrap_or_else(PoisonError::into_inner));
    attribute(&mut seen, called, &proxy.outcome);
    let guests = proxy.outcome.filters.iter().map(|filter| (filter.name.clone(), filter.sha256.clone()));
    let guests = guests.collect();
    Ok(InHost { spec, seen, metrics: proxy.outcome.metrics.clone(), guests, not_emulated })
}

/// Messages and logs of each exchange. What a guest did outside of streams belongs to the exchange begun last.
fn all_seen(outcome: &ProxyOutcome) -> Vec<Seen> {
    let mut seen: Vec<Seen> = outcome.outcomes.iter().map(messages).collect();
    let shown = |filter: FilterNumber| {
        outcome.filters.get(filter.0).map(|filter| filter.name.clone()).unwrap_or_default()
    };
    for line in
        log::in_host(outcome, log::Stopped::ByForce, shown).into_iter().filter(|line| !line.thread.is_main())
    {
        if let Some(seen) = seen.get_mut(begun_last(outcome, line.order)) {
            seen.log.push(line.text);
        }
    }
    seen
}

fn messages(outcome: &Outcome) -> Seen {
    Seen {
        upstream: outcome.upstream_request.iter().cloned().collect(),
        client: outcome.downstream_response.clone(),
        ..Seen::default()
    }
}

fn begun_last(outcome: &ProxyOutcome, order: u64) -> usize {
    let begun = |outcome: &Outcome| outcome.trace.entries.first().is_some_and(|entry| entry.order <= order);
    outcome.outcomes.iter().rposition(begun).unwrap_or(0)
}

/// Callouts were noted in the order in which they were made, and so they stand in the trace.
fn attribute(seen: &mut [Seen], called: Vec<(String, Message)>, outcome: &ProxyOutcome) {
    let streams = outcome.outcomes.iter().flat_map(|outcome| &outcome.trace.entries);
    let entries = streams.chain(&outcome.trace.entries);
    let made = entries.filter(|entry| matches!(entry.what, What::CalledOut { .. }));
    let mut orders: Vec<u64> = made.map(|entry| entry.order).collect();
    orders.sort_unstable();
    for (callout, order) in called.into_iter().zip(orders) {
        if let Some(seen) = seen.get_mut(begun_last(outcome, order)) {
            seen.callouts.push(callout);
        }
    }
}
