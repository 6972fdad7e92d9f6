//! The host's tests in one binary: one link, one cache of compiled modules.

mod build;
mod envoy_config;
mod modules;
mod routing;
mod targets;
mod traffic;
