//! Building a proxy from its spec: VMs started, root contexts created, configurations accepted or refused.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use super::{
    ActiveContext, Proxy, ProxyVm,
    core::{Core, Owner, PluginState, VmContexts, VmIndex},
    metrics::Metrics,
    shared_data::SharedData,
    spec::{CodeSource, FailurePolicy, PluginSpec, ProxySpec},
};
use crate::{
    abi::{Callback, ContextId, GuestFault, LogLevel},
    clock::Rng,
    trace::{FindingKind, Ledger, PluginIndex, Trace, Usage, What},
    upstream::Services,
    vm::{Limits, LoadError, Module, Modules, Template},
};

/// What a proxy is started with, besides its spec.
#[derive(Debug)]
pub struct ProxyOptions {
    pub limits: Limits,
    /// The level of Envoy's `wasm` logger: what a guest is told, and what is kept.
    pub log_level: LogLevel,
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
    Refused { filter: String, place: String, fault: GuestFault, log: Vec<String> },
}

fn logged(log: &[String]) -> String {
    log.iter().map(|line| format!("\n  it logged: {line}")).collect()
}

/// A VM with what it was made from, so that it can be made again.
#[derive(Debug)]
pub(super) struct LoadedVm {
    /// `None` once it has died.
    pub(super) vm: Option<ProxyVm>,
    template: Template<ActiveContext>,
    plugins: Vec<PluginIndex>,
    loaded_at: Duration,
}

/// Plugins with equal keys share a VM (`envoy-abi` 4.1).
#[derive(PartialEq, Eq)]
struct VmKey {
    vm_id: String,
    environment: BTreeMap<String, String>,
    vm_configuration: bytes::Bytes,
    sha256: String,
}

impl Proxy {
    /// Starts every VM and configures every plugin, in the order of listeners and chains.
    pub fn start(
        modules: Arc<Modules>,
        spec: Arc<ProxySpec>,
        options: ProxyOptions,
    ) -> Result<Self, StartError> {
        let mut keys: Vec<VmKey> = Vec::new();
        let mut vms: Vec<LoadedVm> = Vec::new();
        let mut core =
            empty_core(Arc::clone(&spec), options.epoch, options.log_level, options.rng, options.services);
        core.ledger = options.ledger.then(Ledger::default);
        for listener in &spec.listeners {
            let mut chain = Vec::new();
            for plugin in listener.http.http_filters.plugins() {
                let module = load(&modules, plugin)
                    .map_err(|source| StartError::Load { filter: plugin.filter_name.clone(), source })?;
                let key = vm_key(plugin, &module);
                let vm = match keys.iter().position(|known| *known == key) {
                    Some(vm) => vm,
                    None => {
                        let template = Template::new(&modules, module, options.limits)
                            .map_err(|fault| unlinked(plugin, fault))?;
                        core.vms.push(VmContexts { vm_id: plugin.vm.id.clone(), ..VmContexts::default() });
                        vms.push(LoadedVm::new(template));
                        keys.push(key);
                        keys.len() - 1
                    }
                };
                let index = PluginIndex(core.plugins.len());
                vms[vm].plugins.push(index);
                core.plugins.push(PluginState::new(plugin.clone(), VmIndex(vm)));
                chain.push(index);
            }
            core.chains.push(chain.into());
        }
        let mut proxy = Proxy {
            vms,
            core: Some(core),
            ready: Default::default(),
            gone: None,
            cause: None,
            finished: Vec::new(),
        };
        for vm in 0..proxy.vms.len() {
            proxy.start_vm(VmIndex(vm)).map_err(|(plugin, fault)| proxy.refused(plugin, fault))?;
        }
        Ok(proxy)
    }

    /// Instantiates a VM and configures its plugins.
    fn start_vm(&mut self, index: VmIndex) -> Result<(), (PluginIndex, GuestFault)> {
        let Some(&first) = self.vms[index.0].plugins.first() else {
            return Ok(());
        };
        let Some(core) = self.core.take() else {
            return Ok(());
        };
        let loaded = &mut self.vms[index.0];
        loaded.loaded_at = core.now;
        let lent = ActiveContext::new(core, first, ContextId(0));
        let capabilities = lent.capabilities();
        let (active, started) = loaded.template.start(capabilities, lent);
        self.core = Some(active.core);
        loaded.vm = Some(started.map_err(|fault| (first, fault))?);
        for plugin in self.vms[index.0].plugins.clone() {
            self.start_plugin(plugin).map_err(|fault| (plugin, fault))?;
        }
        Ok(())
    }

    /// `on_context_create`, `on_vm_start`, `on_configure` on a root context of its own.
    fn start_plugin(&mut self, plugin: PluginIndex) -> Result<(), GuestFault> {
        let core = self.core_mut();
        let (vm, spec) = (core.plugins[plugin.0].vm, Arc::clone(&core.plugins[plugin.0].spec));
        let root = core.vms[vm.0].create(Owner::Root(plugin));
        core.plugins[plugin.0].root = root;
        let size = |bytes: &bytes::Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let steps = [
            Callback::ContextCreate { parent: 0 },
            Callback::VmStart { size: size(&spec.vm.configuration.bytes()) },
            Callback::Configure { size: size(&spec.configuration.bytes()) },
        ];
        for callback in steps {
            let lend = |core, plugin, context| {
                let active = ActiveContext::new(core, plugin, context);
                // Both may read the plugin's configuration; `on_vm_start`, between them, may not.
                if matches!(callback, Callback::VmStart { .. }) { active } else { active.configuring() }
            };
            let answered = self.call_guest(lend, plugin, root, callback);
            if let Some(fault) = self.fault_of(plugin) {
                return Err(fault.clone());
            }
            let answers = !matches!(callback, Callback::ContextCreate { .. });
            if answers && answered.refuses() {
                return Err(GuestFault::ConfigurationRefused { callback: callback.name() });
            }
            self.apply_effects();
        }
        Ok(())
    }

    /// `FAIL_RELOAD`: a dead VM is made again for a new stream, once the interval since its last load has passed.
    pub(super) fn reload_if_due(&mut self, plugin: PluginIndex) {
        let core = self.core_mut();
        let state = &core.plugins[plugin.0];
        let (vm, now) = (state.vm, core.now);
        let FailurePolicy::Reload { base_interval } = state.spec.failure_policy else {
            return;
        };
        if core.vms[vm.0].fault.is_none() || now < self.vms[vm.0].loaded_at.saturating_add(base_interval) {
            return;
        }
        let contexts = &mut self.core_mut().vms[vm.0];
        *contexts = contexts.renewed();
        for plugin in self.vms[vm.0].plugins.clone() {
            self.core_mut().arm_tick(plugin, None);
        }
        match self.start_vm(vm) {
            Ok(()) => {
                self.core_mut().found(Some(Owner::Root(plugin)), FindingKind::VmReloaded, "VM reloaded")
            }
            Err((_, fault)) => self.core_mut().vms[vm.0].fault = Some(fault),
        }
    }

    fn refused(&mut self, plugin: PluginIndex, fault: GuestFault) -> StartError {
        let core = self.core_mut();
        let spec = &core.plugins[plugin.0].spec;
        let log = core.trace.entries.iter().filter(|entry| entry.plugin.is_none_or(|index| index == plugin));
        let log = log.filter_map(|entry| match &entry.what {
            What::Logged { level, text } if *level >= LogLevel::Warn => Some(text.escape_ascii().to_string()),
            _ => None,
        });
        StartError::Refused {
            filter: spec.filter_name.clone(),
            place: spec.origin.clone(),
            fault,
            log: log
                .map(|line| line.replace("\\\"", "\"").replace("\\'", "'").replace("\\n", "\n    "))
                .collect(),
        }
    }
}

impl LoadedVm {
    fn new(template: Template<ActiveContext>) -> Self {
        LoadedVm { vm: None, template, plugins: Vec::new(), loaded_at: Duration::ZERO }
    }

    pub(super) fn module(&self) -> &Module {
        self.template.module()
    }
}

impl PluginState {
    fn new(spec: PluginSpec, vm: VmIndex) -> Self {
        PluginState {
            spec: Arc::new(spec),
            vm,
            root: ContextId(0),
            tick: None,
            armings: 0,
            callout_code: 0,
            usage: Usage::default(),
        }
    }
}

fn unlinked(plugin: &PluginSpec, fault: GuestFault) -> StartError {
    let (filter, place) = (plugin.filter_name.clone(), plugin.origin.clone());
    StartError::Refused { filter, place, fault, log: Vec::new() }
}

fn load(modules: &Modules, plugin: &PluginSpec) -> Result<Arc<Module>, LoadError> {
    match &plugin.vm.code {
        CodeSource::File(path) => modules.load(path),
        CodeSource::Inline(code) => modules.load_bytes(Path::new(&plugin.origin), code),
    }
}

fn vm_key(plugin: &PluginSpec, module: &Module) -> VmKey {
    VmKey {
        vm_id: plugin.vm.id.clone(),
        environment: plugin.vm.environment.clone(),
        vm_configuration: plugin.vm.configuration.bytes(),
        sha256: module.sha256.clone(),
    }
}

fn empty_core(
    spec: Arc<ProxySpec>,
    epoch: Duration,
    log_level: LogLevel,
    rng: Rng,
    services: Services,
) -> Box<Core> {
    Box::new(Core {
        spec,
        now: Duration::ZERO,
        wall: epoch,
        log_level,
        rng,
        plugins: Vec::new(),
        chains: Vec::new(),
        vms: Vec::new(),
        streams: Default::default(),
        shared_data: SharedData::default(),
        metrics: Metrics::default(),
        services,
        effects: Default::default(),
        due: Vec::new(),
        trace: Trace::default(),
        ledger: None,
        noted: 0,
        unimplemented: Default::default(),
    })
}
