//! Filters on this crate, as modules: in the host, and in the real Envoy where there is one.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it skipped")]

mod behaviours;
mod from_proxy_wasm;
mod generated;
mod modules;
mod paths;
