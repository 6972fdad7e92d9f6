//! The front that wasmtime calls: every import a guest may have, bound to the one implementation of its hostcall.

use std::cell::Cell;

use bytes::Bytes;
use wasmtime::{Caller, Extern, FuncType, Linker, Memory, TypedFunc, Val, ValType};

use super::instance::VmState;
use crate::{
    abi::{
        CallResult, CallStatus, Callback, ContextId, Guest, GuestFault, GuestOut, GuestSlice, HostCalls,
        Refusal,
        imports::{calls, context, headers, shared, stream},
        wasi,
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
        let phase = self.caller.data_mut().enter(super::instance::Phase::Allocating);
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
}

/// Runs one hostcall: refuses it where Envoy would, counts it, and turns its result into the wire's.
fn enter<H: HostCalls + 'static, T>(
    caller: Caller<'_, VmState<H>>,
    hostcall: &'static str,
    call: impl FnOnce(&mut WasmGuest<'_, H>) -> Result<T, Refusal>,
    wire: impl FnOnce(Result<T, CallStatus>) -> u32,
) -> wasmtime::Result<u32> {
    if let Some(fault) = caller.data().forbids(hostcall) {
        return Err(fault.into());
    }
    let memory = caller.data().memory();
    let mut guest =
        WasmGuest { caller, memory, read: Cell::new(0), written: 0, lacks_memory: Cell::new(false) };
    if !guest.caller.data().capabilities().allow(hostcall) {
        guest.host().not_capable(hostcall);
        return Ok(not_capable(hostcall));
    }
    let result = call(&mut guest);
    let (read, written) = (guest.read.get(), guest.written);
    guest.host().called(hostcall, read, written);
    if guest.lacks_memory.get() {
        let why = "without a memory that the host can see: the module exports and imports none";
        return Err(GuestFault::EnvoyCrash { hostcall, why }.into());
    }
    let number = match result {
        Ok(value) => wire(Ok(value)),
        Err(Refusal::Status(status)) => {
            if status.is_unusual() && hostcall.starts_with("proxy_") {
                guest.host().unusual_status(hostcall, status);
            }
            wire(Err(status))
        }
        Err(Refusal::Fault(fault)) => return Err(fault.into()),
    };
    guest.host().answered(hostcall, number);
    Ok(number)
}

/// What a hostcall answers where the VM's configuration does not list it.
fn not_capable(hostcall: &str) -> u32 {
    if hostcall.starts_with("proxy_") { CallStatus::InternalFailure as u32 } else { wasi::NOT_CAPABLE }
}

fn status(result: Result<(), CallStatus>) -> u32 {
    result.err().unwrap_or(CallStatus::Ok) as u32
}

fn errno(result: Result<wasi::Errno, CallStatus>) -> u32 {
    result.unwrap_or(wasi::Errno::Fault) as u32
}

/// `slice(p, n)` and `out(p, n)` in the lists below: a pointer and a length that travel together.
fn slice(ptr: u32, len: u32) -> GuestSlice {
    GuestSlice { ptr, len }
}

fn out(ptr: u32, len: u32) -> GuestOut {
    GuestOut { ptr, len }
}

macro_rules! link {
    ($linker:ident, $module:literal, $wire:ident, $prefix:literal,
     $( $name:ident($($arg:ident: $ty:ty),*) => $call:expr; )*) => {
        $( $linker.func_wrap($module, concat!($prefix, stringify!($name)),
            |caller: Caller<'_, VmState<H>>, $($arg: $ty),*| {
                enter(caller, concat!($prefix, stringify!($name)), |guest| $call(guest, $($arg),*), $wire)
            })?; )*
    };
}

/// Binds every import that this host knows.
pub(crate) fn link<H: HostCalls + 'static>(linker: &mut Linker<VmState<H>>) -> wasmtime::Result<()> {
    link_contexts(linker)?;
    link_messages(linker)?;
    link_shared(linker)?;
    link_calls(linker)?;
    link_wasi(linker)?;
    link_the_rest(linker)
}

type Args = u32;

fn link_contexts<H: HostCalls + 'static>(linker: &mut Linker<VmState<H>>) -> wasmtime::Result<()> {
    link! { linker, "env", status, "proxy_",
        log(level: Args, text: Args, len: Args) => |g, level, p, n| context::log(g, level, slice(p, n));
        get_log_level(to: Args) => context::get_log_level;
        get_current_time_nanoseconds(to: Args) => context::get_current_time_nanoseconds;
        set_tick_period_milliseconds(period: Args) => context::set_tick_period_milliseconds;
        set_effective_context(id: Args) => context::set_effective_context;
        done() => context::done;
        get_configuration(to: Args, to_len: Args) => |g, o, l| context::get_configuration(g, out(o, l));
        clear_route_cache() => context::clear_route_cache;
        get_property(path: Args, len: Args, to: Args, to_len: Args) =>
            |g, p, n, o, l| context::get_property(g, slice(p, n), out(o, l));
        set_property(path: Args, len: Args, value: Args, value_len: Args) =>
            |g, p, n, v, l| context::set_property(g, slice(p, n), slice(v, l));
        get_status(code: Args, to: Args, to_len: Args) => |g, c, o, l| context::get_status(g, c, out(o, l));
        call_foreign_function(name: Args, len: Args, args: Args, args_len: Args, to: Args, to_len: Args) =>
            |g, p, n, a, m, o, l| calls::call_foreign_function(g, slice(p, n), slice(a, m), out(o, l));
    }
    Ok(())
}

fn link_messages<H: HostCalls + 'static>(linker: &mut Linker<VmState<H>>) -> wasmtime::Result<()> {
    link! { linker, "env", status, "proxy_",
        get_header_map_value(map: Args, name: Args, len: Args, to: Args, to_len: Args) =>
            |g, m, p, n, o, l| headers::get_header_map_value(g, m, slice(p, n), out(o, l));
        get_header_map_pairs(map: Args, to: Args, to_len: Args) =>
            |g, m, o, l| headers::get_header_map_pairs(g, m, out(o, l));
        get_header_map_size(map: Args, to: Args) => headers::get_header_map_size;
        add_header_map_value(map: Args, name: Args, len: Args, value: Args, value_len: Args) =>
            |g, m, p, n, v, l| headers::add_header_map_value(g, m, slice(p, n), slice(v, l));
        replace_header_map_value(map: Args, name: Args, len: Args, value: Args, value_len: Args) =>
            |g, m, p, n, v, l| headers::replace_header_map_value(g, m, slice(p, n), slice(v, l));
        remove_header_map_value(map: Args, name: Args, len: Args) =>
            |g, m, p, n| headers::remove_header_map_value(g, m, slice(p, n));
        set_header_map_pairs(map: Args, pairs: Args, len: Args) =>
            |g, m, p, n| headers::set_header_map_pairs(g, m, slice(p, n));
        get_buffer_bytes(buffer: Args, start: Args, size: Args, to: Args, to_len: Args) =>
            |g, b, s, n, o, l| headers::get_buffer_bytes(g, b, s, n, out(o, l));
        get_buffer_status(buffer: Args, len: Args, flags: Args) => headers::get_buffer_status;
        set_buffer_bytes(buffer: Args, start: Args, size: Args, data: Args, len: Args) =>
            |g, b, s, n, p, l| headers::set_buffer_bytes(g, b, s, n, slice(p, l));
        continue_stream(kind: Args) => stream::continue_stream;
        close_stream(kind: Args) => stream::close_stream;
        continue_request() => |g| stream::continue_stream(g, 0);
        continue_response() => |g| stream::continue_stream(g, 1);
        send_local_response(code: Args, details: Args, details_len: Args, body: Args, body_len: Args,
                            pairs: Args, pairs_len: Args, grpc: Args) =>
            |g, c, d, dl, b, bl, h, hl, s|
                stream::send_local_response(g, c, slice(d, dl), slice(b, bl), slice(h, hl), s);
        http_call(cluster: Args, cluster_len: Args, pairs: Args, pairs_len: Args, body: Args, body_len: Args,
                  trailers: Args, trailers_len: Args, timeout: Args, token: Args) =>
            |g, c, cl, h, hl, b, bl, t, tl, ms, o|
                stream::http_call(g, slice(c, cl), slice(h, hl), slice(b, bl), slice(t, tl), ms, o);
    }
    Ok(())
}

fn link_shared<H: HostCalls + 'static>(linker: &mut Linker<VmState<H>>) -> wasmtime::Result<()> {
    link! { linker, "env", status, "proxy_",
        get_shared_data(key: Args, len: Args, to: Args, to_len: Args, cas: Args) =>
            |g, p, n, o, l, c| shared::get_shared_data(g, slice(p, n), out(o, l), c);
        set_shared_data(key: Args, len: Args, value: Args, value_len: Args, cas: Args) =>
            |g, p, n, v, l, c| shared::set_shared_data(g, slice(p, n), slice(v, l), c);
        define_metric(kind: Args, name: Args, len: Args, id: Args) =>
            |g, k, p, n, o| shared::define_metric(g, k, slice(p, n), o);
        increment_metric(id: Args, by: i64) => shared::increment_metric;
        record_metric(id: Args, value: u64) => shared::record_metric;
        get_metric(id: Args, to: Args) => shared::get_metric;
    }
    Ok(())
}

/// Four slices, one behind the other.
fn method_slices([p, n, s, sl, m, ml, d, dl]: [u32; 8]) -> calls::MethodSlices {
    calls::MethodSlices {
        target: slice(p, n),
        service: slice(s, sl),
        method: slice(m, ml),
        metadata: slice(d, dl),
    }
}

fn link_calls<H: HostCalls + 'static>(linker: &mut Linker<VmState<H>>) -> wasmtime::Result<()> {
    link! { linker, "env", status, "proxy_",
        grpc_call(to: Args, to_len: Args, service: Args, service_len: Args, method: Args, method_len: Args,
                  metadata: Args, metadata_len: Args, message: Args, message_len: Args, timeout: Args, token: Args) =>
            |g, p, n, s, sl, m, ml, d, dl, b, bl, ms, o|
                calls::grpc_call(g, &method_slices([p, n, s, sl, m, ml, d, dl]), slice(b, bl), ms, o);
        grpc_stream(to: Args, to_len: Args, service: Args, service_len: Args, method: Args, method_len: Args,
                    metadata: Args, metadata_len: Args, token: Args) =>
            |g, p, n, s, sl, m, ml, d, dl, o|
                calls::grpc_stream(g, &method_slices([p, n, s, sl, m, ml, d, dl]), o);
        grpc_send(token: Args, message: Args, len: Args, end: Args) =>
            |g, t, p, n, end| calls::grpc_send(g, t, slice(p, n), end);
        grpc_cancel(token: Args) => calls::grpc_cancel;
        grpc_close(token: Args) => calls::grpc_close;
        register_shared_queue(name: Args, len: Args, id: Args) =>
            |g, p, n, o| calls::register_shared_queue(g, slice(p, n), o);
        resolve_shared_queue(vm: Args, vm_len: Args, name: Args, len: Args, id: Args) =>
            |g, v, vl, p, n, o| calls::resolve_shared_queue(g, slice(v, vl), slice(p, n), o);
        enqueue_shared_queue(id: Args, data: Args, len: Args) =>
            |g, q, p, n| calls::enqueue_shared_queue(g, q, slice(p, n));
        dequeue_shared_queue(id: Args, to: Args, to_len: Args) =>
            |g, q, o, l| calls::dequeue_shared_queue(g, q, out(o, l));
    }
    link! { linker, "env", status, "envoy_",
        resolve_dns(name: Args, len: Args, token: Args) => |g, p, n, o| calls::resolve_dns(g, slice(p, n), o);
    }
    Ok(())
}

fn link_wasi<H: HostCalls + 'static>(linker: &mut Linker<VmState<H>>) -> wasmtime::Result<()> {
    macro_rules! both { ($($list:tt)*) => {
        link! { linker, "wasi_snapshot_preview1", errno, "", $($list)* }
        link! { linker, "wasi_unstable", errno, "", $($list)* }
    } }
    both! {
        random_get(to: Args, len: Args) => wasi::random_get;
        clock_time_get(clock: Args, precision: u64, to: Args) => wasi::clock_time_get;
        clock_res_get(clock: Args, to: Args) => wasi::clock_res_get;
        environ_sizes_get(count: Args, bytes: Args) => wasi::environ_sizes_get;
        environ_get(pointers: Args, text: Args) => wasi::environ_get;
        args_sizes_get(count: Args, bytes: Args) => wasi::args_sizes_get;
        poll_oneoff(_events: Args, _out: Args, _count: Args, happened: Args) => |g, _, _, _, n| wasi::poll_oneoff(g, n);
        fd_write(fd: Args, vectors: Args, count: Args, written: Args) => wasi::fd_write;
        fd_pwrite(fd: Args, vectors: Args, count: Args, _offset: u64, written: Args) =>
            |g, fd, v, c, _, w| wasi::fd_write(g, fd, v, c, w);
        fd_fdstat_get(fd: Args, to: Args) => wasi::fd_fdstat_get;
        fd_tell(fd: Args, to: Args) => wasi::fd_tell;
        fd_readdir(_fd: Args, _to: Args, _len: Args, _cookie: u64, read: Args) =>
            |g, _, _, _, _, n| wasi::fd_readdir(g, n);
        path_readlink(_fd: Args, _path: Args, _path_len: Args, _to: Args, _len: Args, read: Args) =>
            |g, _, _, _, _, _, n| wasi::path_readlink(g, n);
        sock_accept(_fd: Args, _flags: Args, to: Args) => |g, _, _, o| wasi::sock_accept(g, o);
        sock_recv(_fd: Args, _vectors: Args, _count: Args, _in: Args, read: Args, flags: Args) =>
            |g, _, _, _, _, n, f| wasi::sock_recv(g, n, f);
        sock_send(_fd: Args, _vectors: Args, _count: Args, _flags: Args, sent: Args) =>
            |g, _, _, _, _, n| wasi::sock_send(g, n);
    }
    Ok(())
}

/// What needs no memory: the rest of WASI, what Emscripten adds, and imports that Envoy has and this host does not yet carry
/// out, which answer as unimplemented and are reported.
fn link_the_rest<H: HostCalls + 'static>(linker: &mut Linker<VmState<H>>) -> wasmtime::Result<()> {
    linker.allow_shadowing(false);
    for import in &IMPORTS {
        let ty = FuncType::new(
            linker.engine(),
            import.params.iter().map(value_type),
            import.results.iter().map(value_type),
        );
        // A name that is bound already is one of those above.
        let _ = linker.func_new(import.module, import.name, ty, move |mut caller, params, results| {
            if let Some(fault) = caller.data().forbids(import.name) {
                return Err(fault.into());
            }
            let answer = answer_of(&mut caller, import, params);
            if let Some(result) = results.first_mut() {
                *result = Val::I32(answer as i32);
            }
            Ok(())
        });
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
