//! Proxy-Wasm 0.2.1 (and what 0.2.0 and 0.1.0 modules still call): bytes to typed calls and back. No behaviour of a proxy.
//!
//! A hostcall is implemented once, in [`imports`] and [`wasi`], against two traits: [`Guest`] is the module that calls,
//! with its memory; [`HostCalls`] is the proxy that answers, in our own words. Two fronts are made from the list of them:
//! `vm::link`, which wasmtime calls, and `native::imports`, which filters call that run as Rust.

mod callback;
mod calls;
mod capabilities;
mod enter;
mod guest;
mod hostcalls;
pub(crate) mod imports;
pub(crate) mod pairs;
mod phase;
mod types;
pub(crate) mod wasi;

pub use callback::Callback;
pub use calls::{ForeignAnswer, GrpcMethod, GrpcRequest, QueueId};
pub use capabilities::Capabilities;
pub(crate) use enter::{Address, enter, errno, method_slices, not_capable, out, slice, status};
pub use guest::{CallResult, Guest, GuestFault, GuestOut, GuestSlice, Refusal};
pub use hostcalls::{HostCalls, HttpCallout, LocalReply};
pub use pairs::PairsError;
pub(crate) use phase::Phase;
pub use types::{
    BufferType, CallStatus, CalloutToken, ContextId, LogLevel, MapType, MetricId, MetricType, StreamType,
};
