//! Starting a proxy: each plugin tried in a canary and started on the main thread, then all on every worker (`envoy-abi` 4.2).

use std::{num::NonZeroU32, path::Path, sync::Arc, time::Duration};

use super::{
    super::{
        ActiveContext, Proxy, ProxyVm,
        core::{Core, FilterEntry, Owner, PluginIndex, PluginState, VmContexts, VmIndex},
        metrics::Metrics,
        shared_data::SharedData,
        spec::{CodeSource, FilterChain, PluginSpec, ProxySpec},
    },
    BaseVm, Listeners, OfOnes, PluginKey,
    upstream::{UpstreamChain, UpstreamOf},
};
use crate::{
    abi::{Callback, ContextId, GuestFault, LogLevel},
    clock::Rng,
    trace::{AT_START, Entry, FilterNumber, FindingKind, Ledger, Thread, Trace, TraceLevel, What},
    upstream::Services,
    vm::{Code, Limits, LoadError, Modules},
};

/// What a proxy is started with, besides its spec.
#[derive(Debug)]
pub struct ProxyOptions {
    pub limits: Limits,
    /// How many workers it has (`envoy --concurrency`).
    pub workers: NonZeroU32,
    /// The level of Envoy's `wasm` logger: what a guest is told, and what is kept.
    pub log_level: LogLevel,
    /// What guests draw from. From a source beside it the proxy draws which worker gets a connection, and how long a reload
    /// waits.
    pub rng: Rng,
    pub services: Services,
    /// Wall time at which it starts, since the Unix epoch.
    pub epoch: Duration,
    /// Whether to keep a [`Ledger`].
    pub ledger: bool,
}

/// A plugin did not start; its own words are in `log`.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("filter {filter}: {source}")]
    Load { filter: String, source: LoadError },
    #[error("{place}: filter {filter}: {fault}{}", logged(log))]
    Refused {
        filter: String,
        place: String,
        fault: GuestFault,
        log: Box<[String]>,
        /// All that happened until then.
        entries: Box<[Entry]>,
    },
}

fn logged(log: &[String]) -> String {
    log.iter().map(|line| format!("\n  it logged: {line}")).collect()
}

/// The main thread's number; the workers' follow.
pub(super) const MAIN: usize = 0;

/// A VM of one thread.
#[derive(Debug)]
pub(in crate::proxy) struct LoadedVm {
    /// `None` once it has died, or nothing needs it any more.
    pub(in crate::proxy) vm: Option<ProxyVm>,
}

/// A thread's VMs and plugins by key.
#[derive(Debug)]
pub(in crate::proxy) struct ThreadVms {
    pub(super) thread: Thread,
    /// By base VM.
    vms: Vec<(usize, VmIndex)>,
    /// By base VM and plugin key, in the order in which they were started.
    pub(super) plugins: Vec<(usize, PluginKey, PluginIndex)>,
}

impl ThreadVms {
    pub(super) fn new(thread: Thread) -> Self {
        ThreadVms { thread, vms: Vec::new(), plugins: Vec::new() }
    }

    fn plugin(&self, base: usize, key: &PluginKey) -> Option<PluginIndex> {
        self.plugins.iter().find(|(of, known, _)| *of == base && known == key).map(|(_, _, plugin)| *plugin)
    }
}

impl Proxy {
    /// Starts every VM and configures every plugin, in the order of listeners and chains.
    pub fn start(
        modules: Arc<Modules>,
        spec: Arc<ProxySpec>,
        options: ProxyOptions,
    ) -> Result<Self, StartError> {
        let workers = 0..options.workers.get();
        Self::start_with(modules, spec, options, workers.map(Thread::Worker))
    }

    /// As [`Self::start`], with the main thread alone: for exchanges that get a worker each ([`Self::for_one`]).
    pub(crate) fn start_main(
        modules: Arc<Modules>,
        spec: Arc<ProxySpec>,
        options: ProxyOptions,
    ) -> Result<Self, StartError> {
        Self::start_with(modules, spec, options, std::iter::empty())
    }

    fn start_with(
        modules: Arc<Modules>,
        spec: Arc<ProxySpec>,
        options: ProxyOptions,
        workers: impl Iterator<Item = Thread>,
    ) -> Result<Self, StartError> {
        let threads = std::iter::once(Thread::Main).chain(workers).map(ThreadVms::new).collect();
        let limits = options.limits;
        let mut proxy = Proxy {
            modules,
            limits,
            bases: Vec::new(),
            threads,
            vms: Vec::new(),
            lent: Some(Box::new(ActiveContext::of(empty_core(Arc::clone(&spec), options)))),
            ready: Default::default(),
            gone: None,
            cause: None,
            finished: Vec::new(),
            finished_connections: Vec::new(),
            of_ones: OfOnes::default(),
        };
        let filters = proxy.try_all(&spec, 0)?;
        proxy.start_upstream_on_workers(UpstreamOf::is_cluster);
        proxy.start_on_workers(0, &filters);
        proxy.start_upstream_on_workers(|of| !of.is_cluster());
        Ok(proxy)
    }

    /// Starts the filters of further listeners on every worker; their chains go in at a place among the chains.
    pub(super) fn start_on_workers(&mut self, at: usize, filters: &[Vec<FilterNumber>]) {
        self.core_mut().chain_filters.splice(at..at, filters.iter().cloned());
        for nth in MAIN + 1..self.threads.len() {
            let started = self.chains_on(nth, filters);
            if let Some(chains) = self.core_mut().chains.get_mut(nth - MAIN - 1) {
                chains.splice(at..at, started);
            }
        }
    }

    /// Starts filters, by listener, on a worker. Loggers, which start first, stand behind the filters.
    pub(super) fn chains_on(&mut self, nth: usize, filters: &[Vec<FilterNumber>]) -> Vec<Arc<[PluginIndex]>> {
        let mut started = Vec::new();
        for chain in filters {
            let mut plugins: Vec<_> = chain.iter().map(|filter| self.plugin_on(nth, *filter)).collect();
            let filters = &self.core_mut().filters;
            let loggers = chain.iter().filter(|filter| filters[filter.0].is_logger).count();
            plugins.rotate_left(loggers);
            started.push(plugins.into());
        }
        started
    }

    /// Loads the modules of a configuration and tries each of its plugins; its filters by listener. Those of clusters come
    /// first. `listeners`: how many of HTTP there are already.
    pub(super) fn try_all(
        &mut self,
        spec: &ProxySpec,
        listeners: usize,
    ) -> Result<Vec<Vec<FilterNumber>>, StartError> {
        for (name, cluster) in &spec.clusters {
            let Some(plugins) = &cluster.upstream_filters else { continue };
            let filters = self.try_chain(name, 0, plugins)?;
            let of = UpstreamOf::Cluster(name.clone());
            self.core_mut().upstream_chains.insert(of, UpstreamChain::of(filters));
        }
        let mut chains = Vec::new();
        for (place, (listener, loggers, plugins)) in spec.chains().enumerate() {
            chains.push(self.try_chain(listener, loggers, plugins)?);
            let http = spec.listeners.get(place).map(|listener| &listener.http.http_filters);
            if let Some(plugins) = http.and_then(FilterChain::upstream_filters) {
                let filters = self.try_chain(listener, 0, plugins)?;
                let of = UpstreamOf::Router(listeners + place);
                self.core_mut().upstream_chains.insert(of, UpstreamChain::of(filters));
            }
        }
        Ok(chains)
    }

    fn try_chain<'p>(
        &mut self,
        of: &str,
        loggers: usize,
        plugins: impl IntoIterator<Item = &'p PluginSpec>,
    ) -> Result<Vec<FilterNumber>, StartError> {
        let mut chain = Vec::new();
        for (nth, plugin) in plugins.into_iter().enumerate() {
            let code = load(&self.modules, plugin)
                .map_err(|source| StartError::Load { filter: plugin.filter_name.clone(), source })?;
            let (base, new) = BaseVm::find_or_add(&mut self.bases, plugin, &self.modules, code, self.limits)
                .map_err(|fault| unlinked(plugin, fault))?;
            let filter = FilterNumber(self.core_mut().filters.len());
            self.core_mut().filters.push(FilterEntry {
                spec: Arc::new(plugin.clone()),
                listener: of.to_owned(),
                is_logger: nth < loggers,
                base,
                key: PluginKey::of(plugin),
            });
            self.try_filter(filter, new).map_err(|fault| self.refused(filter, fault))?;
            self.plugin_on(MAIN, filter);
            chain.push(filter);
        }
        Ok(chain)
    }

    /// Starts a plugin in a canary, which is then dropped without a word to it; before that, if its code is new, the code alone.
    fn try_filter(&mut self, filter: FilterNumber, new: bool) -> Result<(), GuestFault> {
        let entry = &self.core_mut().filters[filter.0];
        let (base, key) = (entry.base, entry.key.clone());
        if new {
            let alone = self.add_plugin(filter);
            let started = self.start_vm(base, Thread::Canary, alone);
            self.drop_vm(started?);
        }
        if self.bases[base].tried.contains(&key) {
            return Ok(());
        }
        let plugin = self.add_plugin(filter);
        let vm = self.start_vm(base, Thread::Canary, plugin)?;
        self.start_plugin(plugin)?;
        self.drop_vm(vm);
        self.bases[base].tried.push(key);
        Ok(())
    }

    /// The filter's plugin on a thread, started unless an equal one is there. Where it does not start although its canary did,
    /// Envoy leaves the filter out on that thread.
    pub(super) fn plugin_on(&mut self, nth: usize, filter: FilterNumber) -> PluginIndex {
        let entry = &self.core_mut().filters[filter.0];
        let (base, key) = (entry.base, entry.key.clone());
        if let Some(plugin) = self.threads[nth].plugin(base, &key) {
            return plugin;
        }
        let plugin = self.add_plugin(filter);
        match self.start_on(nth, base, plugin) {
            Ok(()) => self.threads[nth].plugins.push((base, key, plugin)),
            Err(fault) => {
                let text =
                    format!("{fault}, but not in the canary: Envoy leaves the filter out on this thread");
                self.core_mut().plugins[plugin.0].left_out = true;
                self.core_mut().found(Some(Owner::Root(plugin)), FindingKind::FilterLeftOut, text);
            }
        }
        plugin
    }

    /// Starts a plugin in the thread's VM, which is made if there is none, or only a dead one.
    pub(super) fn start_on(
        &mut self,
        nth: usize,
        base: usize,
        plugin: PluginIndex,
    ) -> Result<(), GuestFault> {
        let known = self.threads[nth].vms.iter().position(|(of, _)| *of == base);
        let known = known.map(|at| (at, self.threads[nth].vms[at].1));
        let alive = known.filter(|(_, vm)| self.vms[vm.0].vm.is_some());
        if let Some((_, vm)) = alive {
            self.core_mut().plugins[plugin.0].vm = vm;
        } else {
            self.core_mut().plugins[plugin.0].vm = VmIndex(self.vms.len());
            let vm = self.start_vm(base, self.threads[nth].thread, plugin)?;
            match known {
                Some((at, _)) => self.threads[nth].vms[at].1 = vm,
                None => self.threads[nth].vms.push((base, vm)),
            }
        }
        let started = self.start_plugin(plugin);
        let plugins = &self.core_mut().plugins;
        let vm = plugins[plugin.0].vm;
        let shared = plugins.iter().enumerate().any(|(nth, other)| nth != plugin.0 && other.vm == vm);
        if started.is_err() && !shared {
            // The next plugin gets a VM of its own.
            self.drop_vm(vm);
        }
        started
    }

    /// Instantiates a VM, whose number the plugin has already, and runs its start functions.
    fn start_vm(&mut self, base: usize, thread: Thread, plugin: PluginIndex) -> Result<VmIndex, GuestFault> {
        let (vm, vm_id) = (VmIndex(self.vms.len()), self.bases[base].vm_id().to_owned());
        let generation = u32::try_from(self.vms.len()).unwrap_or(u32::MAX);
        self.vms.push(LoadedVm { vm: None });
        self.core_mut().vms.push(VmContexts::new(generation, thread, vm_id));
        let Some(mut lent) = self.lent.take() else {
            return Ok(vm);
        };
        lent.core.running = thread;
        lent.begin(plugin, ContextId(0), AT_START);
        let capabilities = lent.capabilities();
        let (active, started) = self.bases[base].template.start(capabilities, lent);
        self.lent = Some(active);
        match started {
            Ok(started) => self.vms[vm.0].vm = Some(started),
            Err(fault) => {
                self.core_mut().vms[vm.0].fault = Some(fault.clone());
                return Err(fault);
            }
        }
        Ok(vm)
    }

    /// `on_context_create`, `on_vm_start`, `on_configure` on a root context.
    fn start_plugin(&mut self, plugin: PluginIndex) -> Result<(), GuestFault> {
        let core = self.core_mut();
        let (vm, spec) = (core.plugins[plugin.0].vm, Arc::clone(&core.plugins[plugin.0].spec));
        let root = core.vms[vm.0].create(Owner::Root(plugin));
        core.plugins[plugin.0].root = root;
        core.plugins[plugin.0].loaded_at = core.now;
        let size = |bytes: &bytes::Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let steps = [
            Callback::ContextCreate { parent: 0 },
            Callback::VmStart { size: size(&spec.vm.configuration.bytes()) },
            Callback::Configure { size: size(&spec.configuration.bytes()) },
        ];
        for callback in steps {
            // Both may read the plugin's configuration; `on_vm_start`, between them, may not.
            let configuring = !matches!(callback, Callback::VmStart { .. });
            let show = |active: &mut ActiveContext| active.configuring = configuring;
            let answered = self.call_guest_showing(show, plugin, root, callback);
            let answers = !matches!(callback, Callback::ContextCreate { .. });
            if let Some(fault) = self.fault_of(plugin).cloned() {
                // Envoy asks nothing of a VM that died before it could refuse, and finds it dead at the first request.
                let refused = answers || matches!(fault, GuestFault::EnvoyCrash { .. });
                return if refused { Err(fault) } else { Ok(()) };
            }
            if answers && answered.refuses() {
                return Err(GuestFault::ConfigurationRefused { callback: callback.name() });
            }
            self.apply_effects();
        }
        Ok(())
    }

    /// A plugin that is not started yet, and so has the number of the VM that would be next.
    fn add_plugin(&mut self, filter: FilterNumber) -> PluginIndex {
        let next = VmIndex(self.vms.len());
        let core = self.core_mut();
        let spec = Arc::clone(&core.filters[filter.0].spec);
        core.plugins.push(PluginState::new(spec, filter, next));
        PluginIndex(core.plugins.len() - 1)
    }

    /// Drops a VM with all its contexts; no callback tells it.
    pub(super) fn drop_vm(&mut self, vm: VmIndex) {
        self.vms[vm.0].vm = None;
        let core = self.core_mut();
        core.vms[vm.0].contexts.clear();
        for plugin in (0..core.plugins.len()).map(PluginIndex) {
            if core.plugins[plugin.0].vm == vm {
                core.arm_tick(plugin, None);
            }
        }
    }

    fn refused(&mut self, filter: FilterNumber, fault: GuestFault) -> StartError {
        let core = self.core_mut();
        let entries = std::mem::take(&mut core.trace.entries);
        let spec = &core.filters[filter.0].spec;
        let log = entries.iter().filter(|entry| entry.filter.is_none_or(|index| index == filter));
        let log = log.filter_map(|entry| match &entry.what {
            What::Logged { level, text } if *level >= LogLevel::Warn => Some(text.escape_ascii().to_string()),
            _ => None,
        });
        let log =
            log.map(|line| line.replace("\\\"", "\"").replace("\\'", "'").replace("\\n", "\n    ")).collect();
        let (filter, place) = (spec.filter_name.clone(), spec.origin.clone());
        StartError::Refused { filter, place, fault, log, entries: entries.into() }
    }
}

fn unlinked(plugin: &PluginSpec, fault: GuestFault) -> StartError {
    let (filter, place) = (plugin.filter_name.clone(), plugin.origin.clone());
    StartError::Refused { filter, place, fault, log: Box::default(), entries: Box::default() }
}

fn load(modules: &Modules, plugin: &PluginSpec) -> Result<Code, LoadError> {
    match &plugin.vm.code {
        CodeSource::File(path) => modules.find(path),
        CodeSource::Inline(code) => modules.load_bytes(Path::new(&plugin.origin), code).map(Code::Wasm),
    }
}

pub(super) fn empty_core(spec: Arc<ProxySpec>, options: ProxyOptions) -> Core {
    let ProxyOptions { workers, log_level, rng, services, epoch, ledger, limits: _ } = options;
    let mut chance = rng.beside();
    let scheduling = if workers.get() > 1 { chance.number() } else { 0 };
    let current_listeners = Listeners::of(&spec);
    Core {
        spec,
        now: Duration::ZERO,
        wall: epoch,
        running: Thread::Main,
        log_level,
        rng,
        chance,
        scheduling,
        filters: Vec::new(),
        chain_filters: Vec::new(),
        upstream_chains: Default::default(),
        idle_upstream: Default::default(),
        retrying: Default::default(),
        current_listeners,
        plugins: Vec::new(),
        chains: vec![Vec::new(); workers.get() as usize],
        vms: Vec::new(),
        streams: Default::default(),
        connections: Default::default(),
        shared_data: SharedData::default(),
        queues: Default::default(),
        grpc: Default::default(),
        metrics: Metrics::default(),
        stats: Default::default(),
        services,
        effects: Default::default(),
        due: Vec::new(),
        trace: Trace::default(),
        trace_level: TraceLevel::On,
        ledger: ledger.then(Ledger::default),
        noted: 0,
        unimplemented: Default::default(),
    }
}
