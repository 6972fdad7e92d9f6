//! A guest that calls its host as its configuration says, with the arguments as they are on the wire:
//!
//! ```text
//! request_headers: proxy_get_header_map_value 0 ':path' ^0 @1; show ^0 @1; proxy_get_header_map_size 0 far
//! request_end: fd_write 1 iov(one,two) @0; return 1
//! ```
//!
//! It says what each call answered and what it wrote; the arguments are those of `run::argument`. ABI 0.2.1.

#![allow(
    unsafe_code,
    reason = "callbacks are exported by their plain names, hostcalls are foreign functions"
)]

mod calls;
mod exports;
mod run;

hostcalls! { of_this_version "env";
    proxy_continue_stream(a u32) u32;
    proxy_close_stream(a u32) u32;
    proxy_get_log_level(a u32) u32;
}

fn hostcall(name: &str, numbers: &[i64]) -> Option<u32> {
    calls::of_every_version(name, numbers).or_else(|| of_this_version(name, numbers))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _count: u32, _end: u32) -> u32 {
    run::run(context, "request_headers", 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _count: u32, _end: u32) -> u32 {
    run::run(context, "response_headers", 0)
}
