//! One VM: an instance of a module, into which the proxy lends itself for one callback at a time.

use std::sync::Arc;

use wasmtime::{Func, Instance, Linker, Memory, Store, StoreLimits, StoreLimitsBuilder, Trap, TypedFunc};

use super::{
    link,
    modules::{Module, Modules},
};
use crate::abi::{Callback, ContextId, GuestFault, HostCalls};

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

    /// What the guest is doing, where that forbids this hostcall.
    pub(super) fn restricts(&self, hostcall: &str) -> Option<&'static str> {
        match self.phase {
            Phase::Running => None,
            Phase::Starting => {
                let forbidden = ["fd_read", "fd_seek", "fd_close", "path_open", "proc_exit", "sched_yield"];
                let wasi = !hostcall.starts_with("proxy_") && !hostcall.starts_with("envoy_");
                (hostcall != "proxy_log" && (!wasi || forbidden.contains(&hostcall))).then_some("starting")
            }
            Phase::Allocating => {
                let allowed = ["proxy_log", "fd_write", "clock_time_get", "poll_oneoff"];
                (!allowed.contains(&hostcall)).then_some("allocating memory")
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
    Three(TypedFunc<(u32, u32, u32), ()>),
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
const CALLBACKS: [&str; 20] = [
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
    "on_grpc_receive_initial_metadata",
    "on_grpc_receive",
    "on_grpc_receive_trailing_metadata",
    "on_grpc_close",
    "on_queue_ready",
    "envoy_on_resolve_dns",
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
        host: H,
    ) -> (H, Result<Self, GuestFault>) {
        let state = VmState {
            host: Some(host),
            phase: Phase::Starting,
            memory: None,
            allocator: None,
            limits: StoreLimitsBuilder::new().memory_size(limits.memory).build(),
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
        let answer =
            answer.map(Some).map_err(|error| fault_of(error, callback.name()).with_fuel(self.limits.fuel));
        (host, answer)
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
        let instance = linker.instantiate(&mut *store, &module.compiled)?;
        store.data_mut().memory = instance.get_memory(&mut *store, "memory");
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
            let export = if name.starts_with("envoy_") { name.to_owned() } else { format!("proxy_{name}") };
            let function = instance.get_func(&mut *store, &export)?;
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
        (3, 0) => function.typed(store).ok().map(Export::Three),
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
    let [a, b, c, d] = callback.arguments();
    match export {
        Export::One(f) => f.call(store, context).map(|()| 0),
        Export::OneResult(f) => f.call(store, context),
        Export::Two(f) => f.call(store, (context, a)).map(|()| 0),
        Export::TwoResult(f) => f.call(store, (context, a)),
        Export::ThreeResult(f) => f.call(store, (context, a, b)),
        Export::Three(f) => f.call(store, (context, a, b)).map(|()| 0),
        Export::Five(f) => f.call(store, (context, a, b, c, d)).map(|()| 0),
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
