//! The guest `raw` for ABI 0.2.0.

#![allow(
    unsafe_code,
    reason = "callbacks are exported by their plain names, hostcalls are foreign functions"
)]

#[path = "../raw/calls.rs"]
mod calls;
#[path = "../raw/exports.rs"]
mod exports;
#[path = "../raw/run.rs"]
mod run;

hostcalls! { of_this_version "env";
    proxy_continue_stream(a u32) u32;
    proxy_close_stream(a u32) u32;
}

fn hostcall(name: &str, numbers: &[i64]) -> Option<u32> {
    calls::of_every_version(name, numbers).or_else(|| of_this_version(name, numbers))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_0() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _count: u32, _end: u32) -> u32 {
    run::run(context, "request_headers", 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _count: u32, _end: u32) -> u32 {
    run::run(context, "response_headers", 0)
}
