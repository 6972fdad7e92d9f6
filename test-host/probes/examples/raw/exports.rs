//! The callbacks of every ABI version; the headers' are each version's own.

use crate::run::{create, read_script, run};

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    let mut room = std::mem::ManuallyDrop::new(Vec::<u8>::with_capacity(size));
    room.as_mut_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    create(context, parent);
    run(context, if parent == 0 { "root_create" } else { "stream_create" }, 0);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(context: u32, _size: usize) -> u32 {
    run(context, "vm_start", 1)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(context: u32, _size: usize) -> u32 {
    read_script(context, 7);
    run(context, "configure", 1)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(context: u32) {
    run(context, "tick", 0);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(context: u32, _size: u32, end: u32) -> u32 {
    run(context, if end == 0 { "request_body" } else { "request_end" }, 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context: u32, _count: u32) -> u32 {
    run(context, "request_trailers", 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(context: u32, _size: u32, end: u32) -> u32 {
    run(context, if end == 0 { "response_body" } else { "response_end" }, 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(context: u32, _count: u32) -> u32 {
    run(context, "response_trailers", 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    context: u32,
    _token: u32,
    _headers: u32,
    _body: u32,
    _trailers: u32,
) {
    run(context, "callout", 0);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(context: u32) -> u32 {
    run(context, "done", 1)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    run(context, "log", 0);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    run(context, "delete", 0);
}
