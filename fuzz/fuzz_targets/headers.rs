//! Any bytes as a host's header map: refused, or read as a plain list of pairs is.

#![no_main]

#[allow(dead_code, reason = "the tests use more of it than one target does")]
#[path = "../../sdk-ext/tests/it/generated/headers.rs"]
mod headers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headers::case(bytes));
