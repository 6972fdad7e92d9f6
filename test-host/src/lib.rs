//! A test host for Envoy's L7 WebAssembly filters.

pub mod envoy_config;
pub mod message;
pub mod proxy;
pub mod router;
