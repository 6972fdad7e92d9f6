//! What Envoy does for filters beyond Proxy-Wasm, as functions with types: its foreign functions by name.
//!
//! Left out: `uncompress`, in which a few bytes fill the proxy's memory, since Envoy has no limit for it; `compress`, which is of
//! little use without; and what a filter's own numbers are for, [`Together`](crate::property::Together) and
//! [`Expression`](crate::property::Expression).

mod filter_state;
mod signatures;
pub(crate) mod wire;

pub use filter_state::*;
pub use signatures::{Hash, ecdsa_der, sign, verify_signature};
