//! A proxy for one exchange: what the main thread has made ready, a worker of its own, and nothing that another exchange was
//! near to.

use std::{collections::BTreeMap, mem, num::NonZeroU32, sync::Arc};

use super::{
    super::{ActiveContext, Proxy, core::Core},
    ProxyOptions, UpstreamOf,
    start::{MAIN, ThreadVms, empty_core},
};
use crate::{
    clock::Rng,
    trace::{FilterNumber, Thread, Usage},
    upstream::Services,
};

/// What an exchange that is alone with its proxy brings along.
#[derive(Debug)]
pub(crate) struct One {
    pub(crate) rng: Rng,
    pub(crate) services: Services,
}

/// What all proxies for one exchange came to, where the proxy that made them has no place for it.
#[derive(Debug, Default)]
pub(in crate::proxy) struct OfOnes {
    usage: BTreeMap<FilterNumber, Usage>,
    pub(in crate::proxy) random_bytes: u64,
}

impl OfOnes {
    /// What a filter cost on workers, outside streams.
    pub(in crate::proxy) fn usage(&self, filter: FilterNumber) -> Option<&Usage> {
        self.usage.get(&filter)
    }
}

impl Proxy {
    /// A proxy whose one worker starts now, with a VM for every VM key. It finds the shared data and the queues as the main
    /// thread has them; what becomes of them there, no other sees. Metrics count from zero. Until [`Self::take_back`] this
    /// proxy can do nothing: what VMs are made from is lent.
    pub(crate) fn for_one(&mut self, one: One, pick: impl FnOnce(&Core) -> Thread) -> Proxy {
        let (limits, modules) = (self.limits, Arc::clone(&self.modules));
        let main = self.core_mut();
        let thread = pick(main);
        let One { rng, services } = one;
        let options = ProxyOptions {
            limits,
            workers: NonZeroU32::MIN,
            log_level: main.log_level,
            rng,
            services,
            epoch: main.wall,
            ledger: main.ledger.is_some(),
        };
        let mut core = empty_core(Arc::clone(&main.spec), options);
        core.now = main.now;
        core.scheduling = main.scheduling;
        core.chains = vec![Vec::new(); main.chains.len()];
        core.filters = mem::take(&mut main.filters);
        core.chain_filters = mem::take(&mut main.chain_filters);
        core.upstream_chains = mem::take(&mut main.upstream_chains);
        core.current_listeners = main.current_listeners.clone();
        core.shared_data = main.shared_data.clone();
        core.queues = main.queues.without_consumers();
        core.trace_level = main.trace_level;
        core.noted = main.noted;
        let mut proxy = Proxy {
            modules,
            limits,
            bases: mem::take(&mut self.bases),
            threads: [Thread::Main, thread].map(ThreadVms::new).into(),
            vms: Vec::new(),
            lent: Some(Box::new(ActiveContext::of(core))),
            ready: Default::default(),
            gone: None,
            cause: None,
            finished: Vec::new(),
            finished_connections: Vec::new(),
            of_ones: OfOnes::default(),
        };
        proxy.start_worker_of_one(thread);
        proxy
    }

    /// Listeners that are draining get no filters: nothing new comes to them.
    fn start_worker_of_one(&mut self, thread: Thread) {
        let Thread::Worker(worker) = thread else { return };
        let core = self.core_mut();
        let current = core.current_chains();
        let filters = mem::take(&mut core.chain_filters);
        let of_current = |(place, chain): (usize, &Vec<FilterNumber>)| {
            if current.contains(&place) { chain.clone() } else { Vec::new() }
        };
        let wanted: Vec<Vec<FilterNumber>> = filters.iter().enumerate().map(of_current).collect();
        self.start_upstream_on_workers(UpstreamOf::is_cluster);
        let chains = self.chains_on(MAIN + 1, &wanted);
        self.start_upstream_on_workers(|of| !of.is_cluster());
        let core = self.core_mut();
        core.chain_filters = filters;
        if let Some(place) = core.chains.get_mut(worker as usize) {
            *place = chains;
        }
    }

    /// Ends a proxy that was made for one exchange, and takes in what became of that.
    pub(crate) fn take_back(&mut self, mut one: Proxy) {
        one.end();
        self.bases = mem::take(&mut one.bases);
        self.finished.append(&mut one.finished);
        self.finished_connections.append(&mut one.finished_connections);
        let Some(of_one) = one.lent.take().map(|lent| lent.core) else { return };
        for plugin in &of_one.plugins {
            self.of_ones.usage.entry(plugin.filter).or_default().add(&plugin.usage);
        }
        self.of_ones.random_bytes += of_one.rng.drawn() + of_one.chance.drawn();
        let main = self.core_mut();
        main.filters = of_one.filters;
        main.chain_filters = of_one.chain_filters;
        main.upstream_chains = of_one.upstream_chains;
        main.noted = of_one.noted;
        main.metrics.absorb(&of_one.metrics);
        main.trace.append(of_one.trace);
        for (stat, times) in of_one.stats {
            *main.stats.entry(stat).or_default() += times;
        }
        for (import, times) in of_one.unimplemented {
            *main.unimplemented.entry(import).or_default() += times;
        }
        if let (Some(ledger), Some(more)) = (&mut main.ledger, of_one.ledger) {
            ledger.absorb(more);
        }
    }
}
