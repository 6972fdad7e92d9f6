//! Any bytes as a configuration of each filter: never a panic, read twice the same, JSON where serde_json sees JSON.

#![no_main]

#[allow(dead_code, reason = "the tests use more of it than one target does")]
#[path = "../../schemas/tests/it/generated.rs"]
mod generated;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| generated::case(bytes));
