//! One emulated Envoy.

pub mod spec;
