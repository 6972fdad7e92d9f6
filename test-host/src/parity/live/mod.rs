//! The real side of a comparison: Envoy as a process, a client in front of it, servers behind it.

pub(super) mod client;
pub(super) mod grpc_server;
mod listener;
pub(super) mod process;
pub(super) mod server;
pub(super) mod tcp;
pub(super) mod tls;
pub(super) mod wire;

pub(super) use listener::{BARRIER, barrier_listener, manager, on_loopback, with_filters};
