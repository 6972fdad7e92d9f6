//! The other engine: filters on `wayside-sdk` as ordinary Rust of this process, for a debugger, coverage and fuzzers.
//!
//! The hostcalls, and whatever Envoy is strict about in them, are those of [`abi`](crate::abi): here are only a front for the
//! imports ([`imports`]), the memory of a filter that has none of its own ([`guest`]), and one callback from the proxy into the
//! filter and back ([`vm`]). What a module cannot do and Rust can is not held against a filter: it is not ended when it runs for ever or
//! uses up the stack, no instruction is counted, and statics that are not [`vm_local!`](wayside_sdk::vm_local) are one for
//! all VMs.

mod guest;
mod imports;
mod vm;

pub use vm::Vm;
pub use wayside_sdk::{Callbacks, native::Constructor};
