//! The host's tests in one binary: one link, one cache of compiled modules.

mod build;
mod envoy_config;
mod modules;
mod parity;
mod routing;
mod traffic;
