//! telemetry: counts and times requests under OpenTelemetry's names, and keeps W3C trace context intact.

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

pub mod attribute;
pub mod config;
pub mod export;
pub mod filter;
pub mod hop;
pub mod istio;
pub mod labels;
pub mod metrics;
pub mod observation;
pub mod propagation;
pub mod sampling;
#[cfg(all(feature = "schema", not(target_arch = "wasm32")))]
pub mod schema;
pub mod series;
pub mod trace;

#[cfg(any(feature = "module", not(target_arch = "wasm32")))]
wayside_sdk::plugin!(filter::Telemetry);
