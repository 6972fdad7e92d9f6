//! Proxy-Wasm 0.2.1 as it is: numbers and addresses, and what the host answered.

#![allow(
    unsafe_code,
    reason = "hostcalls are foreign functions, and the host writes through the addresses it is given"
)]

macro_rules! imports {
    ($module:literal; $($name:ident($($arg:ident: $ty:ty),*);)*) => {
        #[link(wasm_import_module = $module)]
        unsafe extern "C" {
            $(fn $name($($arg: $ty),*) -> u32;)*
        }
    };
}

pub(crate) type Ptr = *const u8;
pub(crate) type Out = *mut u32;

imports! { "env";
    proxy_log(level: u32, text: Ptr, len: usize);
    proxy_get_log_level(level: Out);
    proxy_get_current_time_nanoseconds(time: *mut u64);
    proxy_set_tick_period_milliseconds(period: u32);
    proxy_set_effective_context(id: u32);
    proxy_done();
    proxy_get_property(path: Ptr, len: usize, to: Out, to_len: Out);
    proxy_set_property(path: Ptr, len: usize, value: Ptr, value_len: usize);
    proxy_get_status(code: Out, to: Out, to_len: Out);
    proxy_call_foreign_function(name: Ptr, len: usize, args: Ptr, args_len: usize, to: Out, to_len: Out);
    proxy_continue_stream(kind: u32);
    proxy_close_stream(kind: u32);
    proxy_send_local_response(status: u32, details: Ptr, details_len: usize, body: Ptr, body_len: usize, headers: Ptr, headers_len: usize, grpc: i32);
    proxy_get_header_map_value(map: u32, name: Ptr, len: usize, to: Out, to_len: Out);
    proxy_get_header_map_pairs(map: u32, to: Out, to_len: Out);
    proxy_get_header_map_size(map: u32, to: Out);
    proxy_add_header_map_value(map: u32, name: Ptr, len: usize, value: Ptr, value_len: usize);
    proxy_replace_header_map_value(map: u32, name: Ptr, len: usize, value: Ptr, value_len: usize);
    proxy_remove_header_map_value(map: u32, name: Ptr, len: usize);
    proxy_set_header_map_pairs(map: u32, pairs: Ptr, len: usize);
    proxy_get_buffer_bytes(buffer: u32, start: u32, len: u32, to: Out, to_len: Out);
    proxy_get_buffer_status(buffer: u32, len: Out, flags: Out);
    proxy_set_buffer_bytes(buffer: u32, start: u32, len: u32, data: Ptr, data_len: usize);
    proxy_http_call(cluster: Ptr, cluster_len: usize, headers: Ptr, headers_len: usize, body: Ptr, body_len: usize, trailers: Ptr, trailers_len: usize, timeout: u32, token: Out);
    proxy_get_shared_data(key: Ptr, len: usize, to: Out, to_len: Out, cas: Out);
    proxy_set_shared_data(key: Ptr, len: usize, value: Ptr, value_len: usize, cas: u32);
    proxy_define_metric(kind: u32, name: Ptr, len: usize, id: Out);
    proxy_increment_metric(id: u32, by: i64);
    proxy_record_metric(id: u32, value: u64);
    proxy_get_metric(id: u32, value: *mut u64);
}

imports! { "wasi_snapshot_preview1";
    random_get(to: *mut u8, len: usize);
    clock_time_get(clock: u32, precision: u64, to: *mut u64);
    environ_sizes_get(count: Out, bytes: Out);
    environ_get(pointers: *mut u32, text: *mut u8);
    fd_write(fd: u32, vectors: *const u32, count: u32, written: Out);
}

/// What the host answered, and what it gave.
pub(crate) type Answer<T> = (u32, T);

/// Takes over what the host allocated here.
fn taken(status: u32, ptr: u32, len: u32) -> Answer<Vec<u8>> {
    if ptr == 0 {
        return (status, Vec::new());
    }
    let len = len as usize;
    (status, unsafe { Vec::from_raw_parts(ptr as *mut u8, len, len) })
}

macro_rules! out_bytes {
    (|$to:ident, $len:ident| $call:expr) => {{
        let (mut to, mut len) = (0u32, 0u32);
        let ($to, $len): (Out, Out) = (&mut to, &mut len);
        let status = unsafe { $call };
        taken(status, to, len)
    }};
}

/// Calls with places for an address and a size, and takes what the host put there.
pub(crate) fn out_bytes(call: impl FnOnce(Out, Out) -> u32) -> Answer<Vec<u8>> {
    let (mut to, mut len) = (0, 0);
    let status = call(&mut to, &mut len);
    taken(status, to, len)
}

macro_rules! out_number {
    ($ty:ty, |$to:ident| $call:expr) => {{
        let mut number: $ty = 0;
        let $to: *mut $ty = &mut number;
        let status = unsafe { $call };
        (status, number)
    }};
}

pub(crate) fn log(level: u32, text: &[u8]) -> u32 {
    unsafe { proxy_log(level, text.as_ptr(), text.len()) }
}

pub(crate) fn log_level() -> Answer<u32> {
    out_number!(u32, |to| proxy_get_log_level(to))
}

pub(crate) fn current_time() -> Answer<u64> {
    out_number!(u64, |to| proxy_get_current_time_nanoseconds(to))
}

pub(crate) fn clock(id: u32) -> Answer<u64> {
    out_number!(u64, |to| clock_time_get(id, 0, to))
}

pub(crate) fn set_tick_period(millis: u32) -> u32 {
    unsafe { proxy_set_tick_period_milliseconds(millis) }
}

pub(crate) fn set_effective_context(id: u32) -> u32 {
    unsafe { proxy_set_effective_context(id) }
}

pub(crate) fn done() -> u32 {
    unsafe { proxy_done() }
}

pub(crate) fn property(path: &[u8]) -> Answer<Vec<u8>> {
    out_bytes!(|to, len| proxy_get_property(path.as_ptr(), path.len(), to, len))
}

pub(crate) fn set_property(path: &[u8], value: &[u8]) -> u32 {
    unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) }
}

pub(crate) fn status() -> (u32, u32, Vec<u8>) {
    let mut code = 0;
    let (status, text) = out_bytes!(|to, len| proxy_get_status(&mut code, to, len));
    (status, code, text)
}

pub(crate) fn foreign(name: &[u8], args: &[u8]) -> Answer<Vec<u8>> {
    out_bytes!(|to, len| proxy_call_foreign_function(
        name.as_ptr(),
        name.len(),
        args.as_ptr(),
        args.len(),
        to,
        len
    ))
}

/// Wants no results: there is no place to write them to.
pub(crate) fn foreign_unasked(name: &[u8], args: &[u8]) -> u32 {
    let nowhere = std::ptr::null_mut();
    unsafe {
        proxy_call_foreign_function(name.as_ptr(), name.len(), args.as_ptr(), args.len(), nowhere, nowhere)
    }
}

pub(crate) fn continue_stream(kind: u32) -> u32 {
    unsafe { proxy_continue_stream(kind) }
}

pub(crate) fn close_stream(kind: u32) -> u32 {
    unsafe { proxy_close_stream(kind) }
}

pub(crate) fn reply(status: u32, details: &[u8], body: &[u8], headers: &[u8], grpc: i32) -> u32 {
    unsafe {
        proxy_send_local_response(
            status,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc,
        )
    }
}

pub(crate) fn get(map: u32, name: &[u8]) -> Answer<Vec<u8>> {
    out_bytes!(|to, len| proxy_get_header_map_value(map, name.as_ptr(), name.len(), to, len))
}

pub(crate) fn pairs(map: u32) -> Answer<Vec<u8>> {
    out_bytes!(|to, len| proxy_get_header_map_pairs(map, to, len))
}

pub(crate) fn size(map: u32) -> Answer<u32> {
    out_number!(u32, |to| proxy_get_header_map_size(map, to))
}

pub(crate) fn add(map: u32, name: &[u8], value: &[u8]) -> u32 {
    unsafe { proxy_add_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) }
}

pub(crate) fn replace(map: u32, name: &[u8], value: &[u8]) -> u32 {
    unsafe { proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) }
}

pub(crate) fn remove(map: u32, name: &[u8]) -> u32 {
    unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) }
}

pub(crate) fn set_pairs(map: u32, pairs: &[u8]) -> u32 {
    unsafe { proxy_set_header_map_pairs(map, pairs.as_ptr(), pairs.len()) }
}

pub(crate) fn buffer(buffer: u32, start: u32, len: u32) -> Answer<Vec<u8>> {
    out_bytes!(|to, to_len| proxy_get_buffer_bytes(buffer, start, len, to, to_len))
}

pub(crate) fn buffer_status(buffer: u32) -> (u32, u32, u32) {
    let (mut len, mut flags) = (0, 0);
    let status = unsafe { proxy_get_buffer_status(buffer, &mut len, &mut flags) };
    (status, len, flags)
}

pub(crate) fn write(buffer: u32, start: u32, len: u32, data: &[u8]) -> u32 {
    unsafe { proxy_set_buffer_bytes(buffer, start, len, data.as_ptr(), data.len()) }
}

pub(crate) fn http_call(
    cluster: &[u8],
    headers: &[u8],
    body: &[u8],
    trailers: &[u8],
    timeout: u32,
) -> Answer<u32> {
    out_number!(u32, |token| proxy_http_call(
        cluster.as_ptr(),
        cluster.len(),
        headers.as_ptr(),
        headers.len(),
        body.as_ptr(),
        body.len(),
        trailers.as_ptr(),
        trailers.len(),
        timeout,
        token
    ))
}

pub(crate) fn shared(key: &[u8]) -> (u32, Vec<u8>, u32) {
    let mut cas = 0;
    let (status, value) =
        out_bytes!(|to, len| proxy_get_shared_data(key.as_ptr(), key.len(), to, len, &mut cas));
    (status, value, cas)
}

pub(crate) fn set_shared(key: &[u8], value: &[u8], cas: u32) -> u32 {
    unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) }
}

pub(crate) fn define_metric(kind: u32, name: &[u8]) -> Answer<u32> {
    out_number!(u32, |id| proxy_define_metric(kind, name.as_ptr(), name.len(), id))
}

pub(crate) fn increment_metric(id: u32, by: i64) -> u32 {
    unsafe { proxy_increment_metric(id, by) }
}

pub(crate) fn record_metric(id: u32, value: u64) -> u32 {
    unsafe { proxy_record_metric(id, value) }
}

pub(crate) fn metric(id: u32) -> Answer<u64> {
    out_number!(u64, |to| proxy_get_metric(id, to))
}

pub(crate) fn random(len: usize) -> Answer<Vec<u8>> {
    let mut bytes = vec![0; len];
    let status = unsafe { random_get(bytes.as_mut_ptr(), len) };
    (status, bytes)
}

/// `NAME=value`, NUL, and so on.
pub(crate) fn environment() -> Answer<Vec<u8>> {
    let (mut count, mut bytes) = (0, 0);
    let sizes = unsafe { environ_sizes_get(&mut count, &mut bytes) };
    let (mut pointers, mut text) = (vec![0u32; count as usize], vec![0u8; bytes as usize]);
    let status = unsafe { environ_get(pointers.as_mut_ptr(), text.as_mut_ptr()) };
    (sizes.max(status), text)
}

pub(crate) fn print(fd: u32, text: &[u8]) -> Answer<u32> {
    let vector = [text.as_ptr() as u32, text.len() as u32];
    out_number!(u32, |written| fd_write(fd, vector.as_ptr(), 1, written))
}
