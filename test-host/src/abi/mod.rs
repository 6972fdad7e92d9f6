//! Proxy-Wasm 0.2.1 (and what 0.2.0 and 0.1.0 modules still call): bytes to typed calls and back. No behaviour of a proxy.
//!
//! A hostcall is implemented once, in [`imports`] and [`wasi`], against two traits: [`Guest`] is the module that calls,
//! with its memory; [`HostCalls`] is the proxy that answers, in our own words. `vm::link` is the front that wasmtime calls.

mod callback;
mod calls;
mod guest;
mod hostcalls;
pub(crate) mod imports;
pub(crate) mod pairs;
mod types;
pub(crate) mod wasi;

pub use callback::Callback;
pub use calls::{ForeignAnswer, GrpcMethod, GrpcRequest, QueueId};
pub use guest::{CallResult, Guest, GuestFault, GuestOut, GuestSlice, Refusal};
pub use hostcalls::{HostCalls, HttpCallout, LocalReply};
pub use pairs::PairsError;
pub use types::{
    BufferType, CallStatus, CalloutToken, ContextId, LogLevel, MapType, MetricId, MetricType, StreamType,
};
