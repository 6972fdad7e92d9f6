//! One VM: an instance of a module, into which the proxy lends itself for one callback at a time.

use std::time::Duration;

use wasmtime::{Instance, Memory, ResourceLimiter, Store, StoreLimits, StoreLimitsBuilder, Trap};

use super::{
    budget::Budget,
    exports::{Callbacks, Exports},
    import_table::AbiVersion,
    link,
};
use crate::abi::{Callback, Capabilities, ContextId, GuestFault, HostCalls, Phase};

/// The most entries a table may have: V8's own limit, which Envoy leaves as it is.
pub(super) const TABLE_ENTRIES_MAX: usize = 10_000_000;

/// What a guest may use. The defaults are Envoy's where Envoy has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory, in bytes. Envoy's limit is 1 GiB.
    pub memory: usize,
    /// Real time for one callback, to a tenth of a second; it counts where instructions do not ([`Metering::Off`](super::Metering::Off)). Envoy
    /// has no such limit: it hangs.
    pub time: Duration,
    /// Fuel for one callback, in wasmtime's units (about one an instruction); it counts under [`Metering::Fuel`](super::Metering::Fuel).
    pub fuel: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory: 1 << 30, time: Duration::from_secs(5), fuel: 2_000_000_000 }
    }
}

/// A VM's side of the store: the lent host, and what hostcalls need of the instance.
pub(super) struct VmState<H> {
    /// Boxed: it is lent and taken back for every callback.
    host: Option<Box<H>>,
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
    pub(super) fn starting(
        host: Box<H>,
        abi: AbiVersion,
        capabilities: Capabilities,
        limits: Limits,
    ) -> Self {
        VmState {
            host: Some(host),
            phase: Phase::Instantiating,
            memory: None,
            allocator: None,
            limits: StoreLimitsBuilder::new()
                .memory_size(limits.memory)
                .table_elements(TABLE_ENTRIES_MAX)
                .build(),
            abi,
            capabilities,
            broken: None,
        }
    }

    /// What the engine asks before a memory or a table grows.
    pub(super) fn limits(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.limits
    }

    /// What hostcalls need of the instance.
    pub(super) fn provide(&mut self, memory: Option<Memory>, allocator: Option<link::Allocator>) {
        (self.memory, self.allocator) = (memory, allocator);
    }

    /// Ends the loan.
    #[expect(
        clippy::expect_used,
        reason = "only WasmTemplate::start and WasmVm::call use it, having put the host here"
    )]
    pub(super) fn take_host(&mut self) -> Box<H> {
        self.host.take().expect("the host was lent by the same function")
    }

    /// The host lent for this callback.
    #[expect(
        clippy::expect_used,
        reason = "guest code runs only inside WasmVm::call, which puts the host here first"
    )]
    pub(super) fn host(&mut self) -> &mut H {
        self.host.as_mut().expect("guest code runs only while the host is lent")
    }

    pub(super) fn memory(&self) -> Option<Memory> {
        self.memory
    }

    /// The guest's allocator, to be given back after its call.
    pub(super) fn take_allocator(&mut self) -> Option<link::Allocator> {
        self.allocator.take()
    }

    pub(super) fn give_back(&mut self, allocator: link::Allocator) {
        self.allocator = Some(allocator);
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

    pub(super) fn is_allocating(&self) -> bool {
        self.phase == Phase::Allocating
    }

    /// Remembers what broke the allocator, the first time.
    pub(super) fn broke(&mut self, fault: GuestFault) {
        self.broken.get_or_insert(fault);
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }
}

/// One instance of a module. `H` is the host that is lent to it.
pub struct WasmVm<H: 'static> {
    store: Store<VmState<H>>,
    exports: Exports,
    budget: Budget,
    fuel_used: Option<u64>,
}

impl<H> std::fmt::Debug for WasmVm<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WasmVm").field("fuel_used", &self.fuel_used).finish_non_exhaustive()
    }
}

impl<H: HostCalls + 'static> WasmVm<H> {
    pub(super) fn new(
        store: Store<VmState<H>>,
        instance: Instance,
        callbacks: &Callbacks,
        budget: Budget,
    ) -> Self {
        let exports = callbacks.of(instance, |export| store.data().capabilities.allow(export));
        WasmVm { store, exports, budget, fuel_used: None }
    }

    /// Calls the guest, with `host` lent to it meanwhile. `Ok(None)`: the module does not export this callback.
    pub fn call(
        &mut self,
        host: Box<H>,
        context: ContextId,
        callback: Callback,
    ) -> (Box<H>, Result<Option<u32>, GuestFault>) {
        self.fuel_used = None;
        let Some(function) = self.exports.find(&mut self.store, callback) else { return (host, Ok(None)) };
        self.store.data_mut().host = Some(host);
        let granted = self.budget.grant(&mut self.store);
        let answer = granted.and_then(|()| function.call(&mut self.store, context.0, callback.arguments()));
        self.fuel_used = self.budget.used(&self.store);
        let state = self.store.data_mut();
        state.enter(Phase::Running);
        let host = state.take_host();
        let fault = match (state.broken.take(), answer) {
            (None, Ok(number)) => return (host, Ok(Some(number))),
            (Some(fault), _) => fault,
            (None, Err(error)) => fault_of(error, callback.name()),
        };
        (host, Err(self.budget.name_in(fault)))
    }

    /// Fuel used by the last callback, where it is metered.
    pub fn fuel_used(&self) -> Option<u64> {
        self.fuel_used
    }
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
