//! Filters on this crate, as modules: in the host, and in the real Envoy where there is one.
#![allow(clippy::print_stderr, reason = "a test says what it skipped")]

mod behaviours;
mod generated;
mod modules;
mod natively;
mod paths;
