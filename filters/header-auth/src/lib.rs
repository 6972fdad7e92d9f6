//! header-auth: lets a request through on what its header block proves, tells the upstream who is calling, and lets
//! nobody else say so.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod access;
pub mod authorization;
pub mod config;
pub mod decision;
pub mod denial;
pub mod filter;
pub mod identity;
pub mod jwks;
pub mod kinds;
pub mod means;
pub mod provider;
#[cfg(all(feature = "schema", not(target_arch = "wasm32")))]
pub mod schema;
pub mod signatures;
pub mod source;
pub mod spent;
pub mod store;
mod waiting;

pub use wayside_credentials::timestamp;

#[cfg(any(feature = "module", not(target_arch = "wasm32")))]
wayside_sdk::plugin!(filter::HeaderAuth);
