//! Random hostcalls with random arguments in random callbacks: no panic, the same twice, nothing Envoy could not answer.

#![no_main]

#[allow(dead_code, unused_imports, reason = "the tests use more of it than one target does")]
#[path = "../../test-host/tests/it/hostile_guests/generated/mod.rs"]
mod generated;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| generated::hostcalls(bytes));
