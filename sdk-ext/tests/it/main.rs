//! Filters on this crate, as modules: in the host, and in the real Envoy where there is one.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it skipped")]

mod attempts;
mod behaviours;
mod composed;
mod documented;
mod envoy;
mod from_proxy_wasm;
mod generated;
mod lints;
mod logs;
mod modules;
mod natively;
mod paths;
mod prometheus;
mod traps;
