//! One VM: an instance of a module, into which the proxy lends itself for one callback at a time.

use std::sync::Arc;

use wasmtime::{Func, Instance, Linker, Memory, Store, StoreLimits, StoreLimitsBuilder, Trap, TypedFunc};

use super::{
    capabilities::Capabilities,
    import_table::AbiVersion,
    imported, link,
    modules::{Module, Modules},
};
use crate::abi::{Callback, ContextId, GuestFault, HostCalls};

/// The most entries a table may have: V8's own limit, which Envoy leaves as it is.
const TABLE_ENTRIES_MAX: usize = 10_000_000;

/// What a guest may use. The defaults are Envoy's where Envoy has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory, in bytes. Envoy's limit is 1 GiB.
    pub memory: usize,
    /// Fuel for one callback, in wasmtime's units (about one an instruction). Envoy has no such limit: it hangs.
    pub fuel: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory: 1 << 30, fuel: 2_000_000_000 }
    }
}

/// What the guest is doing; Envoy restricts what it may call meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The engine runs the module's start section; Envoy has not set up anything a hostcall needs.
    Instantiating,
    Starting,
    Allocating,
    Running,
}

/// A VM's side of the store: the lent host, and what hostcalls need of the instance.
pub(super) struct VmState<H> {
    host: Option<H>,
    phase: Phase,
    memory: Option<Memory>,
    allocator: Option<link::Allocator>,
    limits: StoreLimits,
    abi: AbiVersion,
    capabilities: Capabilities,
    /// The guest's allocator broke. Envoy tells the hostcall's caller so and lets the callback go on to its end; only then
    /// it finds the VM dead.
    broken: Option<GuestFault>,
}

impl<H> VmState<H> {
    /// The host lent for this callback.
    #[expect(
        clippy::expect_used,
        reason = "guest code runs only inside Vm::lend, which puts the host here first"
    )]
    pub(super) fn host(&mut self) -> &mut H {
        self.host.as_mut().expect("guest code runs only while the host is lent")
    }

    pub(super) fn memory(&self) -> Option<Memory> {
        self.memory
    }

    pub(super) fn allocator(&self) -> Option<link::Allocator> {
        self.allocator.clone()
    }

    /// Moves to another phase; returns the one left.
    pub(super) fn enter(&mut self, phase: Phase) -> Phase {
        std::mem::replace(&mut self.phase, phase)
    }

    pub(super) fn abi(&self) -> AbiVersion {
        self.abi
    }

    pub(super) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Remembers what broke the allocator, the first time.
    pub(super) fn broke(&mut self, fault: GuestFault) {
        self.broken.get_or_insert(fault);
    }

    /// Why this hostcall ends the guest now, if it does: Envoy allows few calls while a module starts or allocates
    /// (proxy-wasm-cpp-host `src/wasm.cc`, `include/proxy-wasm/wasm.h`).
    pub(super) fn forbids(&self, hostcall: &'static str) -> Option<GuestFault> {
        let restricted = |phase| Some(GuestFault::Restricted { hostcall, phase });
        match self.phase {
            Phase::Running => None,
            Phase::Instantiating => {
                let needs_nothing = ["pthread_equal", "emscripten_notify_memory_growth"];
                let why = "in the module's start section";
                (!needs_nothing.contains(&hostcall)).then_some(GuestFault::EnvoyCrash { hostcall, why })
            }
            Phase::Starting => {
                let not_wasi = hostcall.starts_with("proxy_") || hostcall.starts_with("envoy_");
                let forbidden = [
                    "fd_read",
                    "fd_seek",
                    "fd_close",
                    "path_open",
                    "proc_exit",
                    "sched_yield",
                    "pthread_equal",
                ];
                let allowed = hostcall == "proxy_log" || !(not_wasi || forbidden.contains(&hostcall));
                if allowed { None } else { restricted("starting") }
            }
            Phase::Allocating => {
                let allowed = ["proxy_log", "fd_write", "clock_time_get", "poll_oneoff"];
                if allowed.contains(&hostcall) { None } else { restricted("allocating memory") }
            }
        }
    }
}

/// An export by the shape of its type: parameters, and whether it returns a number.
enum Export {
    One(TypedFunc<u32, ()>),
    OneResult(TypedFunc<u32, u32>),
    Two(TypedFunc<(u32, u32), ()>),
    TwoResult(TypedFunc<(u32, u32), u32>),
    ThreeResult(TypedFunc<(u32, u32, u32), u32>),
    Five(TypedFunc<(u32, u32, u32, u32, u32), ()>),
}

/// One instance of a module. `H` is the host that is lent to it.
pub struct Vm<H: 'static> {
    store: Store<VmState<H>>,
    exports: Vec<(&'static str, Export)>,
    module: Arc<Module>,
    limits: Limits,
    fuel_used: u64,
}

impl<H> std::fmt::Debug for Vm<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vm")
            .field("module", &self.module.path)
            .field("fuel_used", &self.fuel_used)
            .finish_non_exhaustive()
    }
}

/// Callbacks a guest may export, looked up once.
const CALLBACKS: [&str; 14] = [
    "on_context_create",
    "on_vm_start",
    "on_configure",
    "on_tick",
    "on_request_headers",
    "on_request_body",
    "on_request_trailers",
    "on_response_headers",
    "on_response_body",
    "on_response_trailers",
    "on_http_call_response",
    "on_done",
    "on_log",
    "on_delete",
];

impl<H: HostCalls + 'static> Vm<H> {
    /// Instantiates the module and runs its start functions, with `host` lent to them.
    pub fn start(
        modules: &Modules,
        module: Arc<Module>,
        limits: Limits,
        capabilities: Capabilities,
        host: H,
    ) -> (H, Result<Self, GuestFault>) {
        let state = VmState {
            host: Some(host),
            phase: Phase::Instantiating,
            memory: None,
            allocator: None,
            limits: StoreLimitsBuilder::new()
                .memory_size(limits.memory)
                .table_elements(TABLE_ENTRIES_MAX)
                .build(),
            abi: module.info.abi,
            capabilities,
            broken: None,
        };
        let mut store = Store::new(modules.engine(), state);
        store.limiter(|state| &mut state.limits);
        let started = start(&mut store, &module, limits);
        store.data_mut().enter(Phase::Running);
        let host = std::mem::take(&mut store.data_mut().host);
        let Some(host) = host else {
            unreachable!("the host was lent a few lines above and nothing takes it")
        };
        (
            host,
            started.map(|instance| Vm {
                exports: exports(&mut store, &instance),
                store,
                module,
                limits,
                fuel_used: 0,
            }),
        )
    }

    /// Calls the guest, with `host` lent to it meanwhile. `Ok(None)`: the module does not export this callback.
    pub fn call(
        &mut self,
        host: H,
        context: ContextId,
        callback: Callback,
    ) -> (H, Result<Option<u32>, GuestFault>) {
        let Some(at) = self.exports.iter().position(|(name, _)| *name == callback.name()) else {
            return (host, Ok(None));
        };
        self.store.data_mut().host = Some(host);
        let fuelled = self.store.set_fuel(self.limits.fuel);
        let answer = fuelled.and_then(|()| invoke(&mut self.store, &self.exports[at].1, context.0, callback));
        self.fuel_used += self.limits.fuel - self.store.get_fuel().unwrap_or(self.limits.fuel);
        self.store.data_mut().enter(Phase::Running);
        let Some(host) = self.store.data_mut().host.take() else {
            unreachable!("the host was lent a few lines above and nothing takes it")
        };
        let answer = answer.map(Some).map_err(|error| fault_of(error, callback.name()));
        let answer = match self.store.data_mut().broken.take() {
            Some(fault) => Err(fault),
            None => answer,
        };
        (host, answer.map_err(|fault| fault.with_fuel(self.limits.fuel)))
    }

    pub fn exports(&self, callback: Callback) -> bool {
        self.exports.iter().any(|(name, _)| *name == callback.name())
    }

    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Fuel used by all callbacks since the last time this was asked.
    pub fn take_fuel_used(&mut self) -> u64 {
        std::mem::take(&mut self.fuel_used)
    }
}

fn start<H: HostCalls + 'static>(
    store: &mut Store<VmState<H>>,
    module: &Module,
    limits: Limits,
) -> Result<Instance, GuestFault> {
    let instance = (|| {
        store.set_fuel(limits.fuel)?;
        let mut linker = Linker::new(store.engine());
        link::link(&mut linker)?;
        let imported = imported::define(&mut linker, &mut *store, &module.compiled)?;
        let instance = linker.instantiate(&mut *store, &module.compiled)?;
        store.data_mut().enter(Phase::Starting);
        store.data_mut().memory = imported::exported(&instance, &mut *store, &module.compiled).or(imported);
        store.data_mut().allocator = allocator(store, &instance);
        run_start_functions(store, &instance)?;
        Ok(instance)
    })();
    instance.map_err(|error| fault_of(error, "its start functions").with_fuel(limits.fuel))
}

impl GuestFault {
    /// wasmtime does not say how much fuel there was.
    fn with_fuel(self, fuel: u64) -> Self {
        match self {
            GuestFault::OutOfFuel { callback, .. } => GuestFault::OutOfFuel { callback, fuel },
            fault => fault,
        }
    }
}

/// Envoy prefers `malloc`; the specification says the opposite.
fn allocator<H>(store: &mut Store<VmState<H>>, instance: &Instance) -> Option<link::Allocator> {
    ["malloc", "proxy_on_memory_allocate"]
        .into_iter()
        .find_map(|name| instance.get_typed_func::<u32, u32>(&mut *store, name).ok())
}

fn run_start_functions<H>(store: &mut Store<VmState<H>>, instance: &Instance) -> wasmtime::Result<()> {
    let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut *store, "_initialize") else {
        return match instance.get_typed_func::<(), ()>(&mut *store, "_start") {
            Ok(start) => start.call(&mut *store, ()),
            Err(_) => Ok(()),
        };
    };
    initialize.call(&mut *store, ())?;
    if let Ok(main) = instance.get_typed_func::<(u32, u32), u32>(&mut *store, "main") {
        main.call(&mut *store, (0, 0))?;
    } else if let Ok(main) = instance.get_typed_func::<(), u32>(&mut *store, "__main_void") {
        main.call(&mut *store, ())?;
    }
    Ok(())
}

fn exports<H>(store: &mut Store<VmState<H>>, instance: &Instance) -> Vec<(&'static str, Export)> {
    CALLBACKS
        .into_iter()
        .filter_map(|name| {
            let export = format!("proxy_{name}");
            let function = instance.get_func(&mut *store, &export)?;
            if !store.data().capabilities.allow(&export) {
                return None;
            }
            Some((name, shape(store, &function)?))
        })
        .collect()
}

/// Inspection has checked the types; a function of another shape is no callback of ours.
fn shape<H>(store: &Store<VmState<H>>, function: &Func) -> Option<Export> {
    let ty = function.ty(store);
    match (ty.params().len(), ty.results().len()) {
        (1, 0) => function.typed(store).ok().map(Export::One),
        (1, 1) => function.typed(store).ok().map(Export::OneResult),
        (2, 0) => function.typed(store).ok().map(Export::Two),
        (2, 1) => function.typed(store).ok().map(Export::TwoResult),
        (3, 1) => function.typed(store).ok().map(Export::ThreeResult),
        (5, 0) => function.typed(store).ok().map(Export::Five),
        _ => None,
    }
}

fn invoke<H>(
    store: &mut Store<VmState<H>>,
    export: &Export,
    context: u32,
    callback: Callback,
) -> wasmtime::Result<u32> {
    let [a, b, c, d] = arguments(callback);
    match export {
        Export::One(f) => f.call(store, context).map(|()| 0),
        Export::OneResult(f) => f.call(store, context),
        Export::Two(f) => f.call(store, (context, a)).map(|()| 0),
        Export::TwoResult(f) => f.call(store, (context, a)),
        Export::ThreeResult(f) => f.call(store, (context, a, b)),
        Export::Five(f) => f.call(store, (context, a, b, c, d)).map(|()| 0),
    }
}

/// The arguments behind the context id; a shorter export (ABI 0.1.0 headers) takes the first of them.
fn arguments(callback: Callback) -> [u32; 4] {
    match callback {
        Callback::ContextCreate { parent } => [parent, 0, 0, 0],
        Callback::VmStart { size } | Callback::Configure { size } => [size, 0, 0, 0],
        Callback::RequestHeaders { count, end_of_stream }
        | Callback::ResponseHeaders { count, end_of_stream } => [count, end_of_stream.into(), 0, 0],
        Callback::RequestBody { size, end_of_stream } | Callback::ResponseBody { size, end_of_stream } => {
            [size, end_of_stream.into(), 0, 0]
        }
        Callback::RequestTrailers { count } | Callback::ResponseTrailers { count } => [count, 0, 0, 0],
        Callback::HttpCallResponse { token, headers, body, trailers } => [token, headers, body, trailers],
        Callback::Tick | Callback::Done | Callback::Log | Callback::Delete => [0; 4],
    }
}

/// What a failed call means: the fault that a hostcall raised, fuel, or a trap of the guest's own.
pub(super) fn fault_of(error: wasmtime::Error, callback: &'static str) -> GuestFault {
    if let Some(fault) = error.downcast_ref::<GuestFault>() {
        return fault.clone();
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => GuestFault::OutOfFuel { callback, fuel: 0 },
        Some(trap) => GuestFault::Trap { callback, reason: trap.to_string() },
        None => GuestFault::Trap { callback, reason: format!("{error:#}") },
    }
}
