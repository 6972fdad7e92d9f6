//! A module ready to be started any number of times: its imports are bound once, and its start functions known.

use std::sync::{Arc, OnceLock};

use wasmtime::{Instance, InstancePre, Linker, Store};

use super::{
    Capabilities, Limits, Module, Modules,
    budget::Budget,
    exports::{self, ModuleExports},
    imported,
    instance::{VmState, WasmVm, fault_of},
    link, pool,
};
use crate::abi::{GuestFault, HostCalls, Phase};

/// What a module's start functions are called in errors.
const START: &str = "its start functions";

/// A module with its imports bound to hosts of type `H`: VMs start from it without binding them again.
pub struct WasmTemplate<H: 'static> {
    /// Keeps the guard's thread alive.
    modules: Arc<Modules>,
    module: Arc<Module>,
    bound: Bound<H>,
    /// For VMs that the pool has no room for, once there is one.
    unpooled: OnceLock<Option<Bound<H>>>,
    limits: Limits,
}

/// A compiled module with its imports bound and its exports found.
struct Bound<H: 'static> {
    compiled: wasmtime::Module,
    imports: Imports<H>,
    exports: ModuleExports,
}

enum Imports<H: 'static> {
    /// Functions only.
    Wholly(InstancePre<VmState<H>>),
    /// The module wants a memory or a table of its host: each VM gets its own.
    Functions(Linker<VmState<H>>),
}

impl<H> std::fmt::Debug for WasmTemplate<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WasmTemplate").field("module", &self.module.path).finish_non_exhaustive()
    }
}

/// What came of a start, besides the host that was lent to it.
enum Started<H: 'static> {
    Vm(Box<WasmVm<H>>),
    Fault(GuestFault),
    /// Nothing has run: there was no room in the pool.
    NoRoom(GuestFault),
}

impl<H: HostCalls + 'static> WasmTemplate<H> {
    /// Binds the imports of a module that `modules` has loaded.
    ///
    /// # Errors
    /// The module's imports are not what inspection found them to be, or the guard's thread cannot be had.
    pub fn new(modules: &Arc<Modules>, module: Arc<Module>, limits: Limits) -> Result<Self, GuestFault> {
        let bound = modules.guard().map_err(Into::into).and_then(|()| Bound::of(&module.compiled));
        let bound = bound.map_err(|error| fault_of(error, START))?;
        Ok(WasmTemplate { modules: Arc::clone(modules), module, bound, unpooled: OnceLock::new(), limits })
    }

    pub fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// Instantiates the module and runs its start functions, with `host` lent to them.
    pub fn start(
        &self,
        capabilities: Capabilities,
        host: Box<H>,
    ) -> (Box<H>, Result<Box<WasmVm<H>>, GuestFault>) {
        let (host, started) = self.start_from(&self.bound, capabilities.clone(), host);
        let fault = match started {
            Started::Vm(vm) => return (host, Ok(vm)),
            Started::Fault(fault) => return (host, Err(fault)),
            Started::NoRoom(fault) => fault,
        };
        let bind = || Bound::of(&self.module.unpooled(&self.modules)?.ok()?).ok();
        let Some(bound) = self.unpooled.get_or_init(bind) else { return (host, Err(fault)) };
        match self.start_from(bound, capabilities, host) {
            (host, Started::Vm(vm)) => (host, Ok(vm)),
            (host, Started::Fault(fault) | Started::NoRoom(fault)) => (host, Err(fault)),
        }
    }

    fn start_from(&self, bound: &Bound<H>, capabilities: Capabilities, host: Box<H>) -> (Box<H>, Started<H>) {
        let state = VmState::starting(host, self.module.info.abi, capabilities, self.limits);
        let mut store = Store::new(bound.compiled.engine(), state);
        store.limiter(VmState::limits);
        let budget = Budget::of(self.limits, self.modules.metering());
        let started = budget.grant(&mut store).and_then(|()| bound.instantiate(&mut store));
        store.data_mut().enter(Phase::Running);
        let host = store.data_mut().take_host();
        let started = match started {
            Ok(instance) => {
                Started::Vm(Box::new(WasmVm::new(store, instance, &bound.exports.callbacks, budget)))
            }
            Err(error) if pool::is_full(&error) => Started::NoRoom(fault_of(error, START)),
            Err(error) => Started::Fault(budget.name_in(fault_of(error, START))),
        };
        (host, started)
    }
}

impl<H: HostCalls + 'static> Bound<H> {
    fn of(compiled: &wasmtime::Module) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(compiled.engine());
        link::link(&mut linker, compiled)?;
        let imports = if imported::wants_any(compiled) {
            Imports::Functions(linker)
        } else {
            Imports::Wholly(linker.instantiate_pre(compiled)?)
        };
        Ok(Bound { imports, exports: ModuleExports::of(compiled), compiled: compiled.clone() })
    }

    fn instantiate(&self, store: &mut Store<VmState<H>>) -> wasmtime::Result<Instance> {
        let (instance, imported) = match &self.imports {
            Imports::Wholly(bound) => (bound.instantiate(&mut *store)?, None),
            Imports::Functions(linker) => {
                let mut linker = linker.clone();
                let memory = imported::define(&mut linker, store, &self.compiled)?;
                (linker.instantiate(&mut *store, &self.compiled)?, memory)
            }
        };
        store.data_mut().enter(Phase::Starting);
        let exported = exports::memory(store, instance, self.exports.memory.as_ref());
        let mut allocators = self.exports.allocators.iter();
        let allocator = allocators.find_map(|place| exports::typed(store, instance, place.as_ref()));
        store.data_mut().provide(exported.or(imported), allocator);
        self.run_start_functions(store, instance)?;
        Ok(instance)
    }

    fn run_start_functions(&self, store: &mut Store<VmState<H>>, instance: Instance) -> wasmtime::Result<()> {
        let ModuleExports { initialize, start, main, main_void, .. } = &self.exports;
        let nothing = |store: &mut Store<VmState<H>>, place: &Option<_>| {
            exports::typed::<_, (), ()>(store, instance, place.as_ref())
        };
        let Some(initialize) = nothing(store, initialize) else {
            return match nothing(store, start) {
                Some(start) => start.call(&mut *store, ()).map_err(|error| broke_in("_start", error)),
                None => Ok(()),
            };
        };
        initialize.call(&mut *store, ()).map_err(|error| broke_in("_initialize", error))?;
        if let Some(main) = exports::typed::<_, (u32, u32), u32>(store, instance, main.as_ref()) {
            main.call(&mut *store, (0, 0)).map_err(|error| broke_in("main", error))?;
        } else if let Some(main) = exports::typed::<_, (), u32>(store, instance, main_void.as_ref()) {
            main.call(&mut *store, ()).map_err(|error| broke_in("__main_void", error))?;
        }
        Ok(())
    }
}

/// The fault with the name of the start function that it happened in.
fn broke_in(function: &'static str, error: wasmtime::Error) -> wasmtime::Error {
    let fault = match fault_of(error, function) {
        GuestFault::Restricted { hostcall, .. } => {
            let phase = match function {
                "_initialize" => "starting in _initialize",
                "_start" => "starting in _start",
                "main" => "starting in main",
                _ => "starting in __main_void",
            };
            GuestFault::Restricted { hostcall, phase }
        }
        fault => fault,
    };
    fault.into()
}
