//! Retries as a share of what succeeds: each request is told how many it may have, so that an outage is not made longer
//! by those who ask again.

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

pub mod attempt;
pub mod budget;
pub mod conditions;
pub mod config;
pub mod filter;
pub mod http_date;
pub mod pushback;
#[cfg(all(feature = "schema", not(target_arch = "wasm32")))]
pub mod schema;

pub use wayside_sdk::policy::retries as safety;

mod ending;
mod keys;
mod metrics;
mod worker;

#[cfg(any(feature = "module", not(target_arch = "wasm32")))]
wayside_sdk::plugin!(filter::RetryBudget);
