//! A module ready to be started any number of times: its imports are bound once, and its start functions known.

use std::sync::Arc;

use wasmtime::{Instance, InstancePre, Linker, Store};

use super::{
    Capabilities, Limits, Module, Modules, Vm,
    budget::Budget,
    imported,
    instance::{Phase, VmState, fault_of},
    link,
};
use crate::abi::{GuestFault, HostCalls};

/// What a module's start functions are called in errors.
const START: &str = "its start functions";

/// A module with its imports bound to hosts of type `H`: VMs start from it without binding them again.
pub struct Template<H: 'static> {
    /// Keeps the guard's thread alive.
    modules: Arc<Modules>,
    module: Arc<Module>,
    bound: Bound<H>,
    /// The memory that host and guest share, where the module exports it.
    exported_memory: Option<String>,
    limits: Limits,
}

enum Bound<H: 'static> {
    /// Functions only.
    Wholly(InstancePre<VmState<H>>),
    /// The module wants a memory or a table of its host: each VM gets its own.
    Functions(Linker<VmState<H>>),
}

impl<H> std::fmt::Debug for Template<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template").field("module", &self.module.path).finish_non_exhaustive()
    }
}

impl<H: HostCalls + 'static> Template<H> {
    /// Binds the imports of a module that `modules` has loaded.
    ///
    /// # Errors
    /// The module's imports are not what inspection found them to be, or the guard's thread cannot be had.
    pub fn new(modules: &Arc<Modules>, module: Arc<Module>, limits: Limits) -> Result<Self, GuestFault> {
        let bound = modules.guard().map_err(Into::into).and_then(|()| bind(modules, &module));
        let bound = bound.map_err(|error| fault_of(error, START))?;
        let exported_memory = imported::exported(&module.compiled);
        Ok(Template { modules: Arc::clone(modules), module, bound, exported_memory, limits })
    }

    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Instantiates the module and runs its start functions, with `host` lent to them.
    pub fn start(&self, capabilities: Capabilities, host: Box<H>) -> (Box<H>, Result<Vm<H>, GuestFault>) {
        let state = VmState::starting(host, self.module.info.abi, capabilities, self.limits);
        let mut store = Store::new(self.modules.engine(), state);
        store.limiter(VmState::limits);
        let budget = Budget::of(self.limits, self.modules.metering());
        let started = budget.grant(&mut store).and_then(|()| self.instantiate(&mut store));
        store.data_mut().enter(Phase::Running);
        let host = store.data_mut().take_host();
        let vm = started
            .map(|instance| Vm::new(store, &instance, budget))
            .map_err(|error| budget.name_in(fault_of(error, START)));
        (host, vm)
    }

    fn instantiate(&self, store: &mut Store<VmState<H>>) -> wasmtime::Result<Instance> {
        let (instance, imported) = match &self.bound {
            Bound::Wholly(bound) => (bound.instantiate(&mut *store)?, None),
            Bound::Functions(linker) => {
                let mut linker = linker.clone();
                let memory = imported::define(&mut linker, store, &self.module.compiled)?;
                (linker.instantiate(&mut *store, &self.module.compiled)?, memory)
            }
        };
        store.data_mut().enter(Phase::Starting);
        let exported = self.exported_memory.as_ref().and_then(|name| instance.get_memory(&mut *store, name));
        let allocator = allocator(store, &instance);
        store.data_mut().provide(exported.or(imported), allocator);
        run_start_functions(store, &instance)?;
        Ok(instance)
    }
}

fn bind<H: HostCalls + 'static>(modules: &Modules, module: &Module) -> wasmtime::Result<Bound<H>> {
    let mut linker = Linker::new(modules.engine());
    link::link(&mut linker)?;
    if imported::wants_any(&module.compiled) {
        return Ok(Bound::Functions(linker));
    }
    linker.instantiate_pre(&module.compiled).map(Bound::Wholly)
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
            Ok(start) => start.call(&mut *store, ()).map_err(|error| broke_in("_start", error)),
            Err(_) => Ok(()),
        };
    };
    initialize.call(&mut *store, ()).map_err(|error| broke_in("_initialize", error))?;
    if let Ok(main) = instance.get_typed_func::<(u32, u32), u32>(&mut *store, "main") {
        main.call(&mut *store, (0, 0)).map_err(|error| broke_in("main", error))?;
    } else if let Ok(main) = instance.get_typed_func::<(), u32>(&mut *store, "__main_void") {
        main.call(&mut *store, ()).map_err(|error| broke_in("__main_void", error))?;
    }
    Ok(())
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
