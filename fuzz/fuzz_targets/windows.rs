//! Windows, buckets and histograms against lists of all that happened.

#![no_main]

#[allow(dead_code, reason = "the tests use more of it than one target does")]
#[path = "../../sdk-ext/tests/it/generated/windows.rs"]
mod windows;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| windows::case(bytes));
