//! Recorded exchanges into a simulation, and what became of each out of it.

mod chunking;
mod compared;
mod difference;
mod hostcalls;
mod isolation;
mod schedule;

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

pub use chunking::Chunking;
pub use compared::{differences, ledger_differences};
pub use difference::{Difference, FieldChange, Place};
pub use isolation::Isolation;

use crate::{
    abi::LogLevel,
    clock::{Rng, Seed, number_of},
    message::{Exchange, Note, RecordedConnection, Recording},
    proxy::{One, Outcome, Proxy, ProxyOptions, ProxyOutcome, StartError, spec::ProxySpec},
    sim::{Arrival, ProxyIndex, Sim},
    trace::TraceLevel,
    upstream::Services,
    vm::{Limits, Modules},
};

/// Which configuration stands for which recorded proxy.
#[derive(Clone, Debug)]
pub enum Specs {
    /// One for all: as if the same sidecar configuration had been rolled out everywhere.
    Everywhere(Arc<ProxySpec>),
    /// One each, by the proxy's name in the recording.
    Named(BTreeMap<String, Arc<ProxySpec>>),
}

impl Specs {
    fn of(&self, proxy: &str) -> Option<&Arc<ProxySpec>> {
        match self {
            Specs::Everywhere(spec) => Some(spec),
            Specs::Named(specs) => specs.get(proxy),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub seed: Seed,
    /// Of each proxy (`envoy --concurrency`).
    pub workers: NonZeroU32,
    pub limits: Limits,
    /// Of Envoy's `wasm` logger.
    pub log_level: LogLevel,
    pub chunking: Chunking,
    /// What exchanges have in common. VMs of each exchange's own start fastest from [`Modules::for_isolation`].
    pub isolation: Isolation,
    /// How much is kept of what happens to each exchange, besides what it came to.
    pub trace: TraceLevel,
    /// Whether to keep a ledger of hostcalls ([`ProxyOutcome::ledger`]).
    pub ledger: bool,
    /// Ticks go on until this time at least. `None`: as long as a stream may wait for one.
    pub lasts: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: Seed::default(),
            workers: NonZeroU32::MIN,
            limits: Limits::default(),
            log_level: LogLevel::Info,
            chunking: Chunking::default(),
            isolation: Isolation::default(),
            trace: TraceLevel::default(),
            ledger: false,
            lasts: None,
        }
    }
}

/// One proxy of the recording, after its traffic has been replayed.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayedProxy {
    pub name: Arc<str>,
    /// Of its configuration.
    pub spec: String,
    pub outcome: ProxyOutcome,
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    pub seed: Seed,
    pub trace: TraceLevel,
    pub isolation: Isolation,
    /// In the order in which the recording names them.
    pub proxies: Vec<ReplayedProxy>,
    /// Exchanges of proxies that no configuration stands for.
    pub unmatched: Vec<Exchange>,
    /// TCP connections of proxies that no configuration stands for.
    pub unmatched_connections: Vec<RecordedConnection>,
    /// What the recording's files had wrong.
    pub notes: Vec<Note>,
}

impl Replay {
    /// All outcomes, proxy by proxy, in the order of the recording.
    pub fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.proxies.iter().flat_map(|proxy| &proxy.outcome.outcomes)
    }
}

/// Replays a recording. The same recording, configurations, modules and options give the same result, to the byte.
///
/// `services` makes the scripts that answer a proxy's callouts.
///
/// # Errors
/// A module that does not load, or a plugin that refuses its configuration.
pub fn replay(
    modules: &Arc<Modules>,
    specs: &Specs,
    recording: Recording,
    options: &Options,
    services: impl Fn(&str) -> Services,
) -> Result<Replay, StartError> {
    replay_with_changes(modules, specs, &[], recording, options, services)
}

/// A configuration that is rolled out while traffic runs. One that is refused leaves the old one in force, as a finding.
#[derive(Clone, Debug)]
pub struct Change {
    /// Since the replay began.
    pub at: Duration,
    /// In the place of what each proxy has.
    pub specs: Specs,
    /// What is left to streams and roots of the old configuration (`envoy --drain-time-s`, 600 s by default).
    pub drain: Duration,
}

/// As [`replay()`], with the configuration changing meanwhile.
///
/// # Errors
/// As there, of the first configuration.
pub fn replay_with_changes(
    modules: &Arc<Modules>,
    specs: &Specs,
    changes: &[Change],
    recording: Recording,
    options: &Options,
    services: impl Fn(&str) -> Services,
) -> Result<Replay, StartError> {
    let mut outcomes: Vec<Vec<Outcome>> = Vec::new();
    let keep = |proxy: usize, outcome| {
        outcomes.resize_with(outcomes.len().max(proxy + 1), Vec::new);
        outcomes[proxy].push(outcome);
    };
    let mut replay = replay_each(modules, specs, changes, recording, options, services, keep)?;
    for (proxy, mut outcomes) in replay.proxies.iter_mut().zip(outcomes) {
        outcomes.sort_by_key(|outcome| outcome.number);
        proxy.outcome.outcomes = outcomes;
    }
    Ok(replay)
}

/// As [`replay_with_changes`], but `ended` gets the outcome of each exchange when it has ended, with the number of its proxy
/// among [`Replay::proxies`], and none is kept: what a long recording needs of memory is itself.
///
/// # Errors
/// As there.
pub fn replay_each(
    modules: &Arc<Modules>,
    specs: &Specs,
    changes: &[Change],
    recording: Recording,
    options: &Options,
    services: impl Fn(&str) -> Services,
    mut ended: impl FnMut(usize, Outcome),
) -> Result<Replay, StartError> {
    let schedule = schedule::Schedule::of(&recording, options.isolation);
    let mut fleet =
        Fleet { modules, specs, options, epoch: schedule.epoch, names: Vec::new(), proxies: Vec::new() };
    let mut exchanges = recording.exchanges;
    let mut arrivals = Vec::with_capacity(exchanges.len());
    let (mut connections, mut unmatched_connections) = (Vec::new(), Vec::new());
    for (number, (exchange, at)) in exchanges.iter_mut().zip(schedule.arrivals).enumerate() {
        let cut_as = match options.isolation {
            Isolation::Shared => number as u64,
            Isolation::EachExchange => number_of(&exchange.id.to_string()),
        };
        options.chunking.cut(exchange, options.seed, cut_as);
        if let Some(proxy) = fleet.proxy(&exchange.id.proxy, &services)? {
            arrivals.push(Arrival { at, proxy, number });
        }
    }
    let unmatched = exchanges.extract_if(.., |exchange| specs.of(&exchange.id.proxy).is_none()).collect();
    for (number, (recorded, at)) in recording.connections.into_iter().zip(schedule.connections).enumerate() {
        match fleet.proxy(&recorded.proxy, &services)? {
            Some(proxy) => connections.push((at, proxy, number, recorded)),
            None => unmatched_connections.push(recorded),
        }
    }
    let names: Vec<Arc<str>> = fleet.names.iter().map(|(name, _)| Arc::clone(name)).collect();
    let mut sim = Sim::new(fleet.proxies, schedule.epoch);
    sim.lasts(options.lasts);
    if options.isolation == Isolation::EachExchange {
        sim.isolate(Box::new(|proxy, name| One {
            rng: Rng::named(options.seed, name),
            services: services(names.get(proxy.0).map_or("", |name| name)),
        }));
    }
    for change in changes {
        for (index, (name, _)) in fleet.names.iter().enumerate() {
            if let Some(spec) = change.specs.of(name) {
                sim.schedule_change(change.at, ProxyIndex(index), Arc::clone(spec), change.drain);
            }
        }
    }
    sim.schedule(arrivals, exchanges);
    for (at, proxy, number, recorded) in connections {
        sim.schedule_connection(at, proxy, number, recorded);
    }
    let finished = sim.run(|proxy, outcome| ended(proxy.0, outcome));
    let proxies = fleet.names.into_iter().zip(finished).map(|((name, spec), mut outcome)| {
        outcome.connections.sort_by_key(|outcome| outcome.number);
        ReplayedProxy { name, spec: spec.name.clone(), outcome }
    });
    let (Options { seed, trace, isolation, .. }, proxies) = (*options, proxies.collect());
    let notes = recording.notes;
    Ok(Replay { seed, trace, isolation, proxies, unmatched, unmatched_connections, notes })
}

/// The proxies that have traffic, each started when its first comes up.
struct Fleet<'a> {
    modules: &'a Arc<Modules>,
    specs: &'a Specs,
    options: &'a Options,
    epoch: Duration,
    names: Vec<(Arc<str>, Arc<ProxySpec>)>,
    proxies: Vec<Proxy>,
}

impl Fleet<'_> {
    /// `None`: no configuration stands for it.
    fn proxy(
        &mut self,
        name: &Arc<str>,
        services: impl Fn(&str) -> Services,
    ) -> Result<Option<ProxyIndex>, StartError> {
        if let Some(index) = self.names.iter().position(|(known, _)| known == name) {
            return Ok(Some(ProxyIndex(index)));
        }
        let Some(spec) = self.specs.of(name) else {
            return Ok(None);
        };
        let rng = Rng::new(self.options.seed, self.names.len() as u64);
        let Options { limits, log_level, ledger, workers, .. } = *self.options;
        let services = services(name);
        let options = ProxyOptions { limits, workers, log_level, rng, services, epoch: self.epoch, ledger };
        let start = match self.options.isolation {
            Isolation::Shared => Proxy::start,
            Isolation::EachExchange => Proxy::start_main,
        };
        let mut proxy = start(Arc::clone(self.modules), Arc::clone(spec), options)?;
        proxy.trace_at(self.options.trace);
        self.proxies.push(proxy);
        self.names.push((Arc::clone(name), Arc::clone(spec)));
        Ok(Some(ProxyIndex(self.names.len() - 1)))
    }
}
