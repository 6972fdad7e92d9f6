//! The host's tests in one binary: one link, one cache of compiled modules.

mod support;

mod allocations;
mod attempts;
mod build;
mod callouts;
mod chunking;
mod cli;
mod determinism;
mod envoy_config;
mod folder;
mod hash_key;
mod hostcalls;
mod hostile_guests;
mod isolation;
mod layering;
mod lifecycle;
mod local_replies;
mod modules;
mod native;
mod parity;
mod properties;
mod report;
mod routing;
mod streaming;
mod targets;
mod tcp;
mod traffic;
mod workers;
