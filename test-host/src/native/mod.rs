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

use std::{collections::BTreeSet, sync::Arc};

pub use vm::Vm;
pub use wayside_sdk::{Callbacks, native::Constructor};

/// A filter as Rust of this process.
#[derive(Clone, Debug)]
pub struct Filter {
    pub make: Constructor,
    /// What its module exports. `None`: that is not known, and a callback that the filter leaves as the trait defines it counts as
    /// not exported once it has been called.
    pub exports: Option<Arc<BTreeSet<String>>>,
}
