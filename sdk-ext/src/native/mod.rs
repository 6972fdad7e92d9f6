//! A filter as ordinary Rust: what stands in for the module's imports and for its memory when there is no wasm.
//!
//! Natively a hostcall goes to what a host put up for the callback that runs on this thread. The alternative, imports as
//! symbols that the linker finds in a host, was tried on paper and dropped: features are unified over a workspace, so that
//! one host in the tree would have every other test binary fail to link; and symbols are one for a process, where each
//! test wants a host of its own. Where no host has entered a VM, every hostcall answers `Unimplemented`, so that what needs no
//! host is tested as it is.

mod entered;
mod local;

pub use entered::{Answer, Imports, Vm, silence};
pub(crate) use entered::{call, is_entered, left_as_it_is, offer};
pub use local::VmLocal;

/// Makes one VM of a filter: the `wayside_vm` that [`plugin!`](crate::plugin!) defines in its crate.
pub type Constructor = fn() -> Box<dyn crate::Callbacks>;

/// An argument of an import as 64 bits; of an address, the address.
pub(crate) trait Word {
    fn word(self) -> u64;
}

macro_rules! numbers {
    ($($signed:ty as $unsigned:ty),*) => {
        $(impl Word for $signed {
            fn word(self) -> u64 {
                // What the host reads back as the number it was: no sign is carried into the upper half.
                u64::from(self as $unsigned)
            }
        })*
    };
}

numbers!(u32 as u32, i32 as u32, u64 as u64, i64 as u64);

impl Word for usize {
    fn word(self) -> u64 {
        self as u64
    }
}

impl<T> Word for *const T {
    fn word(self) -> u64 {
        self.expose_provenance() as u64
    }
}

impl<T> Word for *mut T {
    fn word(self) -> u64 {
        self.expose_provenance() as u64
    }
}
