//! A test host for Envoy's L7 WebAssembly filters.

pub mod message;
pub mod traffic;
