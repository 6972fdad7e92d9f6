//! What a Proxy-Wasm filter in Rust is written on: headers are bytes, failures are values, nothing panics, and the
//! documentation of every helper says what it costs in hostcalls.
//!
//! A filter implements [`Plugin`] and [`HttpFilter`] and ends with [`plugin!`].

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

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod config;
pub mod headers;
mod hostcalls;
pub mod log;
pub mod metrics;
mod panic;
mod plugin;
pub mod policy;
pub mod property;
mod reply;
pub mod rng;
pub mod shared;
mod stream;
pub mod time;
mod timers;
pub mod units;

pub use config::{Checked, Checks, ConfigError, ConfigErrors, Configuration, Envelope, Mode};
pub use headers::{AsName, HeaderBlock, Headers, Name, Only, OwnedName};
pub use hostcalls::{Call, Host, HostError, Status};
pub use metrics::{
    Counter, CounterFamily, Gauge, GaugeFamily, Histogram, HistogramFamily, RuleCounter, RuleHistogram,
    RuleMetrics, SeriesLimit,
};
pub use plugin::{HttpFilter, Init, Plugin, Root};
pub use reply::{Flow, GrpcCode, Reply};
pub use shared::{Shared, SharedError, Update, Updated, Wire};
pub use stream::{
    LogCx, RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
    Stream, StreamId,
};
pub use time::{Monotonic, Wall};
pub use timers::{Parked, TimerId};

#[doc(hidden)]
pub mod internal {
    pub use crate::plugin::install;
    pub use proxy_wasm;
}

/// Makes this crate's module start with the given [`Plugin`]. Once a crate, in `lib.rs`.
///
/// Natively it is a function without a symbol of its own, so that several filters fit into one test binary.
#[macro_export]
macro_rules! plugin {
    ($plugin:ty) => {
        #[doc(hidden)]
        pub fn install_plugin() {
            $crate::internal::install::<$plugin>();
        }

        #[cfg(target_arch = "wasm32")]
        $crate::internal::proxy_wasm::main! {{ install_plugin(); }}
    };
}
