//! Recordings of any bytes, in every format there is, and what is decoded of them replayed into a report.

#![no_main]

#[allow(dead_code, unused_imports, reason = "the tests use more of it than one target does")]
#[path = "../../test-host/tests/it/hostile_guests/generated/mod.rs"]
mod generated;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| generated::traffic(bytes));
