//! Recorded exchanges into a simulation, and what became of each out of it.

mod difference;
mod schedule;

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

pub use difference::{Difference, FieldChange, Place};

use crate::{
    abi::LogLevel,
    clock::{Rng, Seed},
    message::{Exchange, Note, Recording},
    proxy::{Outcome, Proxy, ProxyOptions, ProxyOutcome, StartError, spec::ProxySpec},
    sim::{ProxyIndex, Sim},
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
    /// How much is kept of what happens to each exchange, besides what it came to.
    pub trace: TraceLevel,
    /// Whether to keep a ledger of hostcalls ([`ProxyOutcome::ledger`]).
    pub ledger: bool,
    /// Ticks go on until this time at least. `None`: as long as a stream may wait for one.
    pub lasts: Option<std::time::Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: Seed::default(),
            workers: NonZeroU32::MIN,
            limits: Limits::default(),
            log_level: LogLevel::Info,
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
    /// In the order in which the recording names them.
    pub proxies: Vec<ReplayedProxy>,
    /// Exchanges of proxies that no configuration stands for.
    pub unmatched: Vec<Exchange>,
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
    let schedule = schedule::Schedule::of(&recording.exchanges);
    let mut names: Vec<(Arc<str>, Arc<ProxySpec>)> = Vec::new();
    let mut proxies = Vec::new();
    let mut arrivals = Vec::new();
    let mut unmatched = Vec::new();
    for (number, (exchange, at)) in recording.exchanges.into_iter().zip(schedule.arrivals).enumerate() {
        let name = Arc::clone(&exchange.id.proxy);
        let known = names.iter().position(|(known, _)| *known == name);
        let index = match (known, specs.of(&name)) {
            (Some(index), _) => index,
            (None, None) => {
                unmatched.push(exchange);
                continue;
            }
            (None, Some(spec)) => {
                let rng = Rng::new(options.seed, names.len() as u64);
                let Options { limits, log_level, ledger, workers, .. } = *options;
                let started = ProxyOptions {
                    limits,
                    workers,
                    log_level,
                    rng,
                    services: services(&name),
                    epoch: schedule.epoch,
                    ledger,
                };
                let mut proxy = Proxy::start(Arc::clone(modules), Arc::clone(spec), started)?;
                proxy.trace_at(options.trace);
                proxies.push(proxy);
                names.push((name, Arc::clone(spec)));
                names.len() - 1
            }
        };
        arrivals.push((at, ProxyIndex(index), number, exchange));
    }
    let mut sim = Sim::new(proxies, schedule.epoch);
    sim.lasts(options.lasts);
    for (at, proxy, number, exchange) in arrivals {
        sim.schedule(at, proxy, number, exchange);
    }
    let proxies = names.into_iter().zip(sim.run()).map(|((name, spec), mut outcome)| {
        outcome.outcomes.sort_by_key(|outcome| outcome.number);
        ReplayedProxy { name, spec: spec.name.clone(), outcome }
    });
    Ok(Replay {
        seed: options.seed,
        trace: options.trace,
        proxies: proxies.collect(),
        unmatched,
        notes: recording.notes,
    })
}
