//! The front that wasmtime calls: every import a guest may have, bound to the one implementation of its hostcall.

use std::{cell::Cell, collections::BTreeSet};

use bytes::Bytes;
use wasmtime::{Caller, Extern, FuncType, Linker, Memory, Module, TypedFunc, Val, ValType};

use super::instance::VmState;
use crate::{
    abi::{
        Address, CallResult, CallStatus, Callback, ContextId, Guest, GuestFault, GuestSlice, HostCalls,
        Phase, Refusal, enter, errno,
        imports::{bind_hostcalls, calls, context, headers, shared, stream},
        method_slices, not_capable, out, slice, status, wasi,
    },
    vm::import_table::{AbiType, AbiVersion, IMPORTS, Import},
};

/// A module in the middle of a hostcall, as wasmtime shows it.
struct WasmGuest<'a, H: 'static> {
    caller: Caller<'a, VmState<H>>,
    memory: Option<Memory>,
    read: Cell<usize>,
    written: usize,
    /// The hostcall wanted a memory of a module that shares none.
    lacks_memory: Cell<bool>,
}

impl<H> WasmGuest<'_, H> {
    fn memory(&self) -> CallResult<Memory> {
        self.memory.ok_or_else(|| {
            self.lacks_memory.set(true);
            CallStatus::InvalidMemoryAccess
        })
    }
}

impl<H: HostCalls> Guest for WasmGuest<'_, H> {
    type Host = H;

    fn host(&mut self) -> &mut H {
        self.caller.data_mut().host()
    }

    fn read(&self, from: GuestSlice) -> CallResult<Bytes> {
        let start = from.ptr as usize;
        let end = start.checked_add(from.len as usize).ok_or(CallStatus::InvalidMemoryAccess)?;
        let bytes =
            self.memory()?.data(&self.caller).get(start..end).ok_or(CallStatus::InvalidMemoryAccess)?;
        self.read.set(self.read.get() + bytes.len());
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn look<R>(&mut self, at: GuestSlice, look: impl FnOnce(&[u8], &mut H) -> R) -> CallResult<R> {
        let (data, state) = self.memory()?.data_and_store_mut(&mut self.caller);
        let start = at.ptr as usize;
        let end = start.checked_add(at.len as usize).ok_or(CallStatus::InvalidMemoryAccess)?;
        let bytes = data.get(start..end).ok_or(CallStatus::InvalidMemoryAccess)?;
        self.read.set(self.read.get() + bytes.len());
        Ok(look(bytes, state.host()))
    }

    #[inline]
    fn write(&mut self, ptr: u32, bytes: &[u8]) -> CallResult {
        self.written += bytes.len();
        let memory = self.memory()?;
        memory.write(&mut self.caller, ptr as usize, bytes).map_err(|_| CallStatus::InvalidMemoryAccess)
    }

    fn enter_again(&mut self, context: ContextId, callback: Callback) -> Result<(), Refusal> {
        let Some(function) = self.caller.get_export(&callback.export()).and_then(Extern::into_func) else {
            return Ok(());
        };
        let [first, second, ..] = callback.arguments();
        let called = match function.typed::<(u32, u32, u32), ()>(&self.caller) {
            Ok(function) => function.call(&mut self.caller, (context.0, first, second)),
            Err(_) => return Ok(()),
        };
        called.map_err(|error| Refusal::Fault(super::instance::fault_of(error, callback.name())))
    }

    fn allocate(&mut self, len: u32) -> Result<u32, Refusal> {
        // What the allocator itself calls cannot allocate.
        let allocator = self.caller.data_mut().take_allocator().ok_or(CallStatus::InvalidMemoryAccess)?;
        let phase = self.caller.data_mut().enter(Phase::Allocating);
        let ptr = allocator.call(&mut self.caller, len);
        self.caller.data_mut().give_back(allocator);
        self.caller.data_mut().enter(phase);
        match ptr {
            Ok(0) => Err(CallStatus::InvalidMemoryAccess.into()),
            Ok(ptr) => Ok(ptr),
            Err(error) => {
                let malloc = self.caller.get_export("malloc").and_then(Extern::into_func).is_some();
                let allocator = if malloc { "malloc" } else { "proxy_on_memory_allocate" };
                let fault = super::instance::fault_of(error, allocator);
                self.caller.data_mut().host().broke(&fault);
                self.caller.data_mut().broke(fault);
                Err(CallStatus::InvalidMemoryAccess.into())
            }
        }
    }

    fn reads_missing_headers_as_empty(&self) -> bool {
        self.caller.data().abi() == AbiVersion::V0_1_0
    }

    fn is_allocating(&self) -> bool {
        self.caller.data().is_allocating()
    }

    fn forbids(&self, hostcall: &'static str) -> Option<GuestFault> {
        self.caller.data().phase().forbids(hostcall)
    }

    fn may_call(&self, hostcall: &str) -> bool {
        self.caller.data().capabilities().allow(hostcall)
    }

    fn moved(&self) -> (usize, usize) {
        (self.read.get(), self.written)
    }

    fn breaks(&self, hostcall: &'static str) -> Option<GuestFault> {
        let why = "without a memory that the host can see: the module exports and imports none";
        self.lacks_memory.get().then_some(GuestFault::EnvoyCrash { hostcall, why })
    }
}

/// One call of an import.
fn call_of<H: HostCalls + 'static, T>(
    caller: Caller<'_, VmState<H>>,
    hostcall: &'static str,
    call: impl FnOnce(&mut WasmGuest<'_, H>) -> Result<T, Refusal>,
    wire: impl FnOnce(Result<T, CallStatus>) -> u32,
) -> wasmtime::Result<u32> {
    let memory = caller.data().memory();
    let mut guest =
        WasmGuest { caller, memory, read: Cell::new(0), written: 0, lacks_memory: Cell::new(false) };
    Ok(enter(&mut guest, hostcall, call, wire)?)
}

/// Imports of a module that are not bound yet: module and name. To bind one that nobody calls takes as long as any other.
type Wanted<'m> = BTreeSet<(&'m str, &'m str)>;

macro_rules! link {
    ($linker:ident, $wanted:ident, $module:literal, $wire:ident;
        $($name:ident($($arg:ident: $ty:ty),* $(,)?) => $call:expr;)*) => {
        $(if $wanted.remove(&($module, stringify!($name))) {
            $linker.func_wrap($module, stringify!($name), |caller: Caller<'_, VmState<H>>, $($arg: $ty),*| {
                call_of(caller, stringify!($name), |guest| $call(guest, $($arg),*), $wire)
            })?;
        })*
    };
}

/// Binds every import of the module that this host knows.
pub(crate) fn link<H: HostCalls + 'static>(
    linker: &mut Linker<VmState<H>>,
    module: &Module,
) -> wasmtime::Result<()> {
    let mut wanted = module.imports().map(|import| (import.module(), import.name())).collect();
    link_proxy_wasm(linker, &mut wanted)?;
    link_wasi(linker, &mut wanted)?;
    link_the_rest(linker, &wanted)
}

fn link_proxy_wasm<H: HostCalls + 'static>(
    linker: &mut Linker<VmState<H>>,
    wanted: &mut Wanted<'_>,
) -> wasmtime::Result<()> {
    bind_hostcalls! { link! { linker, wanted, "env", status; } }
    Ok(())
}

fn link_wasi<H: HostCalls + 'static>(
    linker: &mut Linker<VmState<H>>,
    wanted: &mut Wanted<'_>,
) -> wasmtime::Result<()> {
    macro_rules! both { ($($list:tt)*) => {
        link! { linker, wanted, "wasi_snapshot_preview1", errno; $($list)* }
        link! { linker, wanted, "wasi_unstable", errno; $($list)* }
    } }
    both! {
        random_get(to: u32, len: u32) => wasi::random_get;
        clock_time_get(clock: u32, precision: u64, to: u32) => wasi::clock_time_get;
        clock_res_get(clock: u32, to: u32) => wasi::clock_res_get;
        environ_sizes_get(count: u32, bytes: u32) => wasi::environ_sizes_get;
        environ_get(pointers: u32, text: u32) => wasi::environ_get;
        args_sizes_get(count: u32, bytes: u32) => wasi::args_sizes_get;
        poll_oneoff(_events: u32, _out: u32, _count: u32, happened: u32) => |g, _, _, _, n| wasi::poll_oneoff(g, n);
        fd_write(fd: u32, vectors: u32, count: u32, written: u32) => wasi::fd_write;
        fd_pwrite(fd: u32, vectors: u32, count: u32, _offset: u64, written: u32) =>
            |g, fd, v, c, _, w| wasi::fd_write(g, fd, v, c, w);
        fd_fdstat_get(fd: u32, to: u32) => wasi::fd_fdstat_get;
        fd_tell(fd: u32, to: u32) => wasi::fd_tell;
        fd_readdir(_fd: u32, _to: u32, _len: u32, _cookie: u64, read: u32) =>
            |g, _, _, _, _, n| wasi::fd_readdir(g, n);
        path_readlink(_fd: u32, _path: u32, _path_len: u32, _to: u32, _len: u32, read: u32) =>
            |g, _, _, _, _, _, n| wasi::path_readlink(g, n);
        sock_accept(_fd: u32, _flags: u32, to: u32) => |g, _, _, o| wasi::sock_accept(g, o);
        sock_recv(_fd: u32, _vectors: u32, _count: u32, _in: u32, read: u32, flags: u32) =>
            |g, _, _, _, _, n, f| wasi::sock_recv(g, n, f);
        sock_send(_fd: u32, _vectors: u32, _count: u32, _flags: u32, sent: u32) =>
            |g, _, _, _, _, n| wasi::sock_send(g, n);
    }
    Ok(())
}

/// What needs no memory: the rest of WASI, what Emscripten adds, and imports that Envoy has and this host does not yet carry
/// out, which answer as unimplemented and are reported.
fn link_the_rest<H: HostCalls + 'static>(
    linker: &mut Linker<VmState<H>>,
    wanted: &Wanted<'_>,
) -> wasmtime::Result<()> {
    for import in IMPORTS.iter().filter(|import| wanted.contains(&(import.module, import.name))) {
        let ty = FuncType::new(
            linker.engine(),
            import.params.iter().map(value_type),
            import.results.iter().map(value_type),
        );
        linker.func_new(import.module, import.name, ty, move |mut caller, params, results| {
            if let Some(fault) = caller.data().phase().forbids(import.name) {
                return Err(fault.into());
            }
            let answer = answer_of(&mut caller, import, params);
            if let Some(result) = results.first_mut() {
                *result = Val::I32(answer as i32);
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn answer_of<H: HostCalls + 'static>(
    caller: &mut Caller<'_, VmState<H>>,
    import: &'static Import,
    params: &[Val],
) -> u32 {
    let word = |at: usize| params.get(at).and_then(Val::i32).unwrap_or_default() as u32;
    let allowed = caller.data().capabilities().allow(import.name);
    let host = caller.data_mut().host();
    if !allowed {
        host.not_capable(import.name);
        return not_capable(import.name);
    }
    host.called(import.name, 0, 0);
    let number = match (import.module, import.name) {
        ("env", "pthread_equal") => (word(0) == word(1)).into(),
        ("env", "emscripten_notify_memory_growth") => 0,
        ("env", name) => {
            host.unimplemented(name);
            CallStatus::Unimplemented as u32
        }
        (_, name) => wasi::answer_of(name, word(0), word(1)),
    };
    host.answered(import.name, number);
    number
}

fn value_type(kind: &AbiType) -> ValType {
    match kind {
        AbiType::I32 => ValType::I32,
        AbiType::I64 => ValType::I64,
    }
}

/// The guest's allocator.
pub(crate) type Allocator = TypedFunc<u32, u32>;
