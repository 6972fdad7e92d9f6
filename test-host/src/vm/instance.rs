//! One VM: an instance of a module, into which the proxy lends itself for one callback at a time.

use std::{sync::Arc, time::Duration};

use wasmtime::{Instance, InstancePre, Linker, Memory, Store, StoreLimits, StoreLimitsBuilder, Trap};

use super::{
    exports::Exports,
    guard::Guard,
    link,
    modules::{Metering, Module, Modules},
};
use crate::abi::{Callback, ContextId, GuestFault, HostCalls};

/// What a guest may use. The defaults are Envoy's where Envoy has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory, in bytes. Envoy's limit is 1 GiB.
    pub memory: usize,
    /// Real time for one callback, to a tenth of a second; it counts where instructions do not ([`Metering::Off`]). Envoy
    /// has no such limit: it hangs.
    pub time: Duration,
    /// Fuel for one callback, in wasmtime's units (about one an instruction); it counts under [`Metering::Fuel`].
    pub fuel: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory: 1 << 30, time: Duration::from_secs(5), fuel: 2_000_000_000 }
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

/// A module with its imports bound to hosts of type `H`: VMs start from it without binding them again.
pub struct Template<H: 'static> {
    /// Keeps the guard's thread alive.
    modules: Arc<Modules>,
    module: Arc<Module>,
    linked: InstancePre<VmState<H>>,
    limits: Limits,
}

impl<H> std::fmt::Debug for Template<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template").field("module", &self.module.path).finish_non_exhaustive()
    }
}

/// One instance of a module. `H` is the host that is lent to it.
pub struct Vm<H: 'static> {
    store: Store<VmState<H>>,
    exports: Exports,
    budget: Budget,
    fuel_used: Option<u64>,
}

impl<H> std::fmt::Debug for Vm<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vm").field("fuel_used", &self.fuel_used).finish_non_exhaustive()
    }
}

/// What a guest has for one callback, before it is ended.
#[derive(Clone, Copy, Debug)]
enum Budget {
    Time { epochs: u64, limit: Duration },
    Fuel(u64),
}

impl Budget {
    fn grant<T>(self, store: &mut Store<T>) -> wasmtime::Result<()> {
        match self {
            Budget::Time { epochs, .. } => store.set_epoch_deadline(epochs),
            Budget::Fuel(fuel) => store.set_fuel(fuel)?,
        }
        Ok(())
    }

    fn used<T>(self, store: &Store<T>) -> Option<u64> {
        match self {
            Budget::Time { .. } => None,
            Budget::Fuel(fuel) => Some(fuel - store.get_fuel().unwrap_or(fuel)),
        }
    }

    /// wasmtime does not say how much there was.
    fn name_in(self, fault: GuestFault) -> GuestFault {
        match (fault, self) {
            (GuestFault::OutOfFuel { callback, .. }, Budget::Fuel(fuel)) => {
                GuestFault::OutOfFuel { callback, fuel }
            }
            (GuestFault::Endless { callback, .. }, Budget::Time { limit, .. }) => {
                GuestFault::Endless { callback, limit }
            }
            (fault, _) => fault,
        }
    }
}

impl<H: HostCalls + 'static> Template<H> {
    /// Binds the imports of a module that `modules` has loaded.
    ///
    /// # Errors
    /// The module's imports are not what inspection found them to be, or the guard's thread cannot be had.
    pub fn new(modules: &Arc<Modules>, module: Arc<Module>, limits: Limits) -> Result<Self, GuestFault> {
        let linked = (|| {
            modules.guard()?;
            let mut linker = Linker::new(modules.engine());
            link::link(&mut linker)?;
            linker.instantiate_pre(&module.compiled)
        })();
        let linked = linked.map_err(|error| fault_of(error, START))?;
        Ok(Template { modules: Arc::clone(modules), module, linked, limits })
    }

    /// Instantiates the module and runs its start functions, with `host` lent to them.
    pub fn start(&self, host: H) -> (H, Result<Vm<H>, GuestFault>) {
        let state = VmState {
            host: Some(host),
            phase: Phase::Starting,
            memory: None,
            allocator: None,
            limits: StoreLimitsBuilder::new().memory_size(self.limits.memory).build(),
        };
        let mut store = Store::new(self.modules.engine(), state);
        store.limiter(|state| &mut state.limits);
        let budget = self.budget();
        let started = start(&mut store, &self.linked, budget);
        store.data_mut().enter(Phase::Running);
        let host = std::mem::take(&mut store.data_mut().host);
        let Some(host) = host else {
            unreachable!("the host was lent a few lines above and nothing takes it")
        };
        let vm = started.map(|instance| Vm {
            exports: Exports::of(&mut store, &instance),
            store,
            budget,
            fuel_used: None,
        });
        (host, vm)
    }

    fn budget(&self) -> Budget {
        match self.modules.metering() {
            Metering::Off => {
                Budget::Time { epochs: Guard::epochs(self.limits.time), limit: self.limits.time }
            }
            Metering::Fuel => Budget::Fuel(self.limits.fuel),
        }
    }

    pub fn module(&self) -> &Module {
        &self.module
    }
}

impl<H: HostCalls + 'static> Vm<H> {
    /// Calls the guest, with `host` lent to it meanwhile. `Ok(None)`: the module does not export this callback.
    pub fn call(
        &mut self,
        host: H,
        context: ContextId,
        callback: Callback,
    ) -> (H, Result<Option<u32>, GuestFault>) {
        self.fuel_used = None;
        if !self.exports.has(callback) {
            return (host, Ok(None));
        }
        self.store.data_mut().host = Some(host);
        let answer = match self.budget.grant(&mut self.store) {
            Ok(()) => self.exports.call(&mut self.store, context.0, callback).transpose(),
            Err(error) => Err(error),
        };
        self.fuel_used = self.budget.used(&self.store);
        self.store.data_mut().enter(Phase::Running);
        let Some(host) = self.store.data_mut().host.take() else {
            unreachable!("the host was lent a few lines above and nothing takes it")
        };
        (host, answer.map_err(|error| self.budget.name_in(fault_of(error, callback.name()))))
    }

    pub fn exports(&self, callback: Callback) -> bool {
        self.exports.has(callback)
    }

    /// Fuel used by the last callback, where it is metered.
    pub fn fuel_used(&self) -> Option<u64> {
        self.fuel_used
    }
}

/// What a module's start functions are called in errors.
const START: &str = "its start functions";

fn start<H: HostCalls + 'static>(
    store: &mut Store<VmState<H>>,
    linked: &InstancePre<VmState<H>>,
    budget: Budget,
) -> Result<Instance, GuestFault> {
    let instance = (|| {
        budget.grant(store)?;
        let instance = linked.instantiate(&mut *store)?;
        store.data_mut().memory = instance.get_memory(&mut *store, "memory");
        store.data_mut().allocator = allocator(store, &instance);
        run_start_functions(store, &instance)?;
        Ok(instance)
    })();
    instance.map_err(|error| budget.name_in(fault_of(error, START)))
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

/// What a failed call means: the fault that a hostcall raised, fuel, or a trap of the guest's own.
pub(super) fn fault_of(error: wasmtime::Error, callback: &'static str) -> GuestFault {
    if let Some(fault) = error.downcast_ref::<GuestFault>() {
        return fault.clone();
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => GuestFault::Endless { callback, limit: Duration::ZERO },
        Some(Trap::OutOfFuel) => GuestFault::OutOfFuel { callback, fuel: 0 },
        Some(trap) => GuestFault::Trap { callback, reason: trap.to_string() },
        None => GuestFault::Trap { callback, reason: format!("{error:#}") },
    }
}
