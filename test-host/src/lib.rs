//! A test host for Envoy's L7 WebAssembly filters: recorded traffic is replayed through the real modules in an emulated
//! Envoy, on virtual time, without a cluster.
//!
//! Modules in the order of their layers; a module uses only those above it.

pub mod clock;
pub mod message;

pub mod abi;
#[cfg(feature = "native")]
pub mod native;
pub mod vm;

pub mod router;
pub mod stream;
pub mod trace;
pub mod upstream;

pub mod spans;

pub mod proxy;
pub mod sim;

pub mod replay;

pub mod envoy_config;
pub mod traffic;

pub mod report;
pub mod scenario;

pub mod parity;

pub mod build;
pub mod cli;
