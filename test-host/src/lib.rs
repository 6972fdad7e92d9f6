//! A test host for Envoy's L7 WebAssembly filters.

pub mod build;
pub mod message;
pub mod vm;
