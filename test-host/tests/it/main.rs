//! The host's tests in one binary: one link, one cache of compiled modules.

mod build;
mod cli;
mod envoy_config;
mod folder;
mod modules;
mod parity;
mod report;
mod routing;
mod targets;
mod traffic;
