//! Any bytes as a path: read as RFC 3986 says step by step, and matched as whole segments.

#![no_main]

#[allow(dead_code, reason = "the tests use more of it than one target does")]
#[path = "../../sdk-ext/tests/it/generated/path.rs"]
mod path;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| path::case(bytes));
