//! Any body, cut in any way, collected and edited by a filter that runs as Rust: the same comes out however it was cut.

#![no_main]

#[allow(dead_code, reason = "the tests use more of it than one target does")]
#[path = "../../sdk-ext/tests/it/generated/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::case(bytes));
