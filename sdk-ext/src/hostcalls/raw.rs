//! The imports of Proxy-Wasm ABI 0.2.1 with plain `u32` statuses; with `memory` the only unsafe code of this crate.
//!
//! The SDK declares the same imports as returning an enum that lacks values hosts really send; a second declaration
//! with the same signature merges with the first at link time.
#![expect(
    unsafe_code,
    reason = "imports, and taking ownership of memory the host filled through our allocator"
)]

use std::alloc::Layout;

/// Imports that answer with a status. Natively a host answers them that has entered the VM ([`native`](crate::native)); without
/// one every call is answered `Unimplemented`, so that whatever does not need a host can be tested without.
macro_rules! imports {
    ($module:literal: $(fn $name:ident($($argument:ident: $type:ty),* $(,)?);)*) => {
        #[cfg(target_arch = "wasm32")]
        #[link(wasm_import_module = $module)]
        unsafe extern "C" {
            $(fn $name($($argument: $type),*) -> u32;)*
        }

        $(
            #[cfg(not(target_arch = "wasm32"))]
            #[allow(clippy::too_many_arguments, reason = "the ABI's")]
            unsafe fn $name($($argument: $type),*) -> u32 {
                crate::native::call(stringify!($name), &[$(crate::native::Word::word($argument)),*])
            }
        )*
    };
}

imports! {
    "env":
    fn proxy_log(level: u32, message: *const u8, size: usize);
    fn proxy_get_log_level(level: *mut u32);
    fn proxy_get_current_time_nanoseconds(time: *mut u64);
    fn proxy_set_tick_period_milliseconds(period: u32);
    fn proxy_set_effective_context(id: u32);
    fn proxy_done();
    fn proxy_get_buffer_bytes(kind: u32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize);
    fn proxy_set_buffer_bytes(kind: u32, start: usize, size: usize, data: *const u8, len: usize);
    fn proxy_get_buffer_status(kind: u32, size: *mut usize, flags: *mut u32);
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize);
    fn proxy_get_header_map_size(map: u32, size: *mut usize);
    fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize
    );
    fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        size: usize
    );
    fn proxy_add_header_map_value(map: u32, key: *const u8, key_size: usize, value: *const u8, size: usize);
    fn proxy_remove_header_map_value(map: u32, key: *const u8, key_size: usize);
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize);
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        data: *mut *mut u8,
        size: *mut usize
    );
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, size: usize);
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32
    );
    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, size: usize, cas: u32);
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32
    );
    fn proxy_continue_stream(stream: u32);
    fn proxy_close_stream(stream: u32);
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32
    );
    fn proxy_grpc_call(
        service: *const u8,
        service_size: usize,
        name: *const u8,
        name_size: usize,
        method: *const u8,
        method_size: usize,
        metadata: *const u8,
        metadata_size: usize,
        message: *const u8,
        message_size: usize,
        timeout: u32,
        token: *mut u32
    );
    fn proxy_grpc_cancel(token: u32);
    fn proxy_get_status(code: *mut u32, data: *mut *mut u8, size: *mut usize);
    fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32);
    fn proxy_increment_metric(id: u32, offset: i64);
    fn proxy_record_metric(id: u32, value: u64);
    fn proxy_get_metric(id: u32, value: *mut u64);
}

imports! {
    "wasi_snapshot_preview1":
    fn random_get(buffer: *mut u8, size: usize);
    fn environ_sizes_get(count: *mut u32, bytes: *mut u32);
    fn environ_get(places: *mut u32, text: *mut u8);
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64);
}

/// Takes over the memory that the host had the guest's allocator make. `None` when the host wrote no address.
fn owned(data: *mut u8, size: usize) -> Option<Vec<u8>> {
    if data.is_null() {
        return None;
    }
    // SAFETY: the host got `data` from `allocate` with exactly this size, and hands it over.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// Memory that the host fills and a hostcall's result then owns. Null, which hosts answer for as a failed call, when there is none.
pub fn allocate(size: usize) -> *mut u8 {
    match Layout::array::<u8>(size) {
        // A slice of no bytes has no memory.
        Ok(layout) if size == 0 => std::ptr::without_provenance_mut(layout.align()),
        // SAFETY: the layout has a size.
        Ok(layout) => unsafe { std::alloc::alloc(layout) },
        Err(_) => std::ptr::null_mut(),
    }
}

pub(super) fn log(level: u32, message: &[u8]) -> u32 {
    // SAFETY: the host reads `message.len()` bytes from a live slice.
    unsafe { proxy_log(level, message.as_ptr(), message.len()) }
}

pub(super) fn log_level() -> (u32, u32) {
    let mut level = 0;
    // SAFETY: the host writes one u32 to a live variable.
    let status = unsafe { proxy_get_log_level(&mut level) };
    (status, level)
}

pub(super) fn wall_nanos() -> (u32, u64) {
    let mut time = 0;
    // SAFETY: the host writes one u64 to a live variable.
    let status = unsafe { proxy_get_current_time_nanoseconds(&mut time) };
    (status, time)
}

pub(super) fn monotonic_nanos() -> (u32, u64) {
    let mut time = 0;
    // SAFETY: the host writes one u64 to a live variable. Clock 1 is WASI's monotonic clock.
    let status = unsafe { clock_time_get(1, 1, &mut time) };
    (status, time)
}

pub(super) fn random(buffer: &mut [u8]) -> u32 {
    // SAFETY: the host writes `buffer.len()` bytes to a live slice.
    unsafe { random_get(buffer.as_mut_ptr(), buffer.len()) }
}

/// Every variable as `NAME=value`, each ended by a NUL.
pub(super) fn environment() -> (u32, Vec<u8>) {
    let (mut count, mut bytes) = (0, 0);
    // SAFETY: the host writes two u32 to live variables.
    let status = unsafe { environ_sizes_get(&mut count, &mut bytes) };
    if status != 0 || count == 0 {
        return (status, Vec::new());
    }
    let (mut places, mut text) = (vec![0; count as usize], vec![0; bytes as usize]);
    // SAFETY: the host writes as many addresses and bytes as it has just said.
    let status = unsafe { environ_get(places.as_mut_ptr(), text.as_mut_ptr()) };
    (status, text)
}

pub(super) fn set_tick_period(millis: u32) -> u32 {
    // SAFETY: numbers only.
    unsafe { proxy_set_tick_period_milliseconds(millis) }
}

pub(super) fn done() -> u32 {
    // SAFETY: nothing is handed over.
    unsafe { proxy_done() }
}

pub(super) fn set_effective_context(id: u32) -> u32 {
    // SAFETY: numbers only.
    unsafe { proxy_set_effective_context(id) }
}

pub(super) fn buffer(kind: u32, start: usize, max: usize) -> (u32, Option<Vec<u8>>) {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the host writes an address and a size to live variables.
    let status = unsafe { proxy_get_buffer_bytes(kind, start, max, &mut data, &mut size) };
    (status, owned(data, size))
}

pub(super) fn set_buffer(kind: u32, start: usize, size: usize, bytes: &[u8]) -> u32 {
    // SAFETY: the host reads `bytes.len()` bytes from a live slice.
    unsafe { proxy_set_buffer_bytes(kind, start, size, bytes.as_ptr(), bytes.len()) }
}

pub(super) fn buffer_size(kind: u32) -> (u32, usize) {
    let (mut size, mut flags) = (0, 0);
    // SAFETY: the host writes a size and a u32 to live variables.
    let status = unsafe { proxy_get_buffer_status(kind, &mut size, &mut flags) };
    (status, size)
}

pub(super) fn header_pairs(map: u32) -> (u32, Option<Vec<u8>>) {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the host writes an address and a size to live variables.
    let status = unsafe { proxy_get_header_map_pairs(map, &mut data, &mut size) };
    (status, owned(data, size))
}

pub(super) fn header_bytes(map: u32) -> (u32, usize) {
    let mut size = 0;
    // SAFETY: the host writes one size to a live variable.
    let status = unsafe { proxy_get_header_map_size(map, &mut size) };
    (status, size)
}

pub(super) fn header(map: u32, key: &[u8]) -> (u32, Option<Vec<u8>>) {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the host reads a live slice and writes an address and a size to live variables.
    let status = unsafe { proxy_get_header_map_value(map, key.as_ptr(), key.len(), &mut data, &mut size) };
    (status, owned(data, size))
}

pub(super) fn replace_header(map: u32, key: &[u8], value: &[u8]) -> u32 {
    // SAFETY: the host reads two live slices.
    unsafe { proxy_replace_header_map_value(map, key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
}

pub(super) fn add_header(map: u32, key: &[u8], value: &[u8]) -> u32 {
    // SAFETY: the host reads two live slices.
    unsafe { proxy_add_header_map_value(map, key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
}

pub(super) fn remove_header(map: u32, key: &[u8]) -> u32 {
    // SAFETY: the host reads a live slice.
    unsafe { proxy_remove_header_map_value(map, key.as_ptr(), key.len()) }
}

pub(super) fn property(path: &[u8]) -> (u32, Option<Vec<u8>>) {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the host reads a live slice and writes an address and a size to live variables.
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &mut data, &mut size) };
    (status, owned(data, size))
}

pub(super) fn set_property(path: &[u8], value: &[u8]) -> u32 {
    // SAFETY: the host reads two live slices.
    unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) }
}

pub(super) fn call_foreign_function(name: &[u8], argument: &[u8]) -> (u32, Option<Vec<u8>>) {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the host reads two live slices and writes an address and a size to live variables.
    let status = unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            argument.as_ptr(),
            argument.len(),
            &mut data,
            &mut size,
        )
    };
    (status, owned(data, size))
}

pub(super) fn shared_data(key: &[u8]) -> (u32, Option<Vec<u8>>, u32) {
    let (mut data, mut size, mut cas) = (std::ptr::null_mut(), 0, 0);
    // SAFETY: the host reads a live slice and writes to live variables.
    let status = unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), &mut data, &mut size, &mut cas) };
    (status, owned(data, size), cas)
}

pub(super) fn set_shared_data(key: &[u8], value: &[u8], cas: u32) -> u32 {
    // SAFETY: the host reads two live slices.
    unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) }
}

pub(super) fn send_local_response(
    status: u32,
    details: &[u8],
    body: &[u8],
    headers: &[u8],
    grpc_status: i32,
) -> u32 {
    // SAFETY: the host reads three live slices.
    unsafe {
        proxy_send_local_response(
            status,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    }
}

pub(super) fn define_metric(kind: u32, name: &[u8]) -> (u32, u32) {
    let mut id = 0;
    // SAFETY: the host reads a live slice and writes one u32 to a live variable.
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &mut id) };
    (status, id)
}

pub(super) fn increment_metric(id: u32, offset: i64) -> u32 {
    // SAFETY: numbers only.
    unsafe { proxy_increment_metric(id, offset) }
}

pub(super) fn record_metric(id: u32, value: u64) -> u32 {
    // SAFETY: numbers only.
    unsafe { proxy_record_metric(id, value) }
}

pub(super) fn metric(id: u32) -> (u32, u64) {
    let mut value = 0;
    // SAFETY: the host writes one u64 to a live variable.
    let status = unsafe { proxy_get_metric(id, &mut value) };
    (status, value)
}

pub(super) fn continue_stream(stream: u32) -> u32 {
    // SAFETY: numbers only.
    unsafe { proxy_continue_stream(stream) }
}

pub(super) fn close_stream(stream: u32) -> u32 {
    // SAFETY: numbers only.
    unsafe { proxy_close_stream(stream) }
}

pub(super) fn http_call(call: &super::HttpCall<'_>) -> (u32, u32) {
    let (cluster, headers, body) = (call.cluster, call.headers, call.body);
    let mut token = 0;
    // SAFETY: the host reads live slices and writes one u32 to a live variable. Trailers are never sent, so none are given: no
    // pairs are an empty slice.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            std::ptr::null(),
            0,
            call.timeout,
            &mut token,
        )
    };
    (status, token)
}

pub(super) fn grpc_call(call: &super::GrpcCall<'_>) -> (u32, u32) {
    let mut token = 0;
    // SAFETY: the host reads live slices and writes one u32 to a live variable.
    let status = unsafe {
        proxy_grpc_call(
            call.service.as_ptr(),
            call.service.len(),
            call.name.as_ptr(),
            call.name.len(),
            call.method.as_ptr(),
            call.method.len(),
            call.metadata.as_ptr(),
            call.metadata.len(),
            call.message.as_ptr(),
            call.message.len(),
            call.timeout,
            &mut token,
        )
    };
    (status, token)
}

pub(super) fn grpc_cancel(token: u32) -> u32 {
    // SAFETY: numbers only.
    unsafe { proxy_grpc_cancel(token) }
}

pub(super) fn status_text() -> (u32, Option<Vec<u8>>) {
    let (mut code, mut data, mut size) = (0, std::ptr::null_mut(), 0);
    // SAFETY: the host writes a u32, an address and a size to live variables.
    let status = unsafe { proxy_get_status(&mut code, &mut data, &mut size) };
    (status, owned(data, size))
}
