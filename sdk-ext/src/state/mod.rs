//! What all VMs of a proxy share, and what one VM owes the others.

mod atomic;
mod lease;
pub mod shared;

pub(crate) use atomic::give_back_all;
pub use atomic::{Atomic, Reservation};
pub use lease::Lease;
