//! Any bytes as changes to the requests of the kit of attacks, at header-auth as Rust: nobody gets in without a credential that was
//! handed out.

#![no_main]

#[allow(dead_code, reason = "the tests use more of it than one target does")]
#[path = "../../filters/header-auth/tests/generated/mod.rs"]
mod generated;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| generated::case(bytes));
