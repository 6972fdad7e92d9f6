//! One deadline for each request, from its first byte: the least of what the operator allows and what callers have
//! left; passed on, enforced, and refused at once when it cannot be met.

#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod adaptive;
pub mod attempts;
pub mod config;
pub mod deadline;
pub mod filter;
pub mod forms;
pub mod hedge;
pub mod rejects;
#[cfg(all(feature = "schema", not(target_arch = "wasm32")))]
pub mod schema;

pub mod share;
pub mod source;
pub mod streaming;
pub mod upstream;
pub mod watch;

mod metrics;
mod reply;

#[cfg(any(feature = "module", not(target_arch = "wasm32")))]
wayside_sdk::plugin!(filter::Timeout);
