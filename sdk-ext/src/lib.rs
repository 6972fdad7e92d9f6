//! What a Proxy-Wasm filter in Rust is written on: headers are bytes, failures are values, nothing panics, and the
//! documentation of every helper says what it costs in hostcalls.
//!
//! A method that makes hostcalls says how many, and which of them return bytes: those cost 1 µs and more, all others 0.1 to 0.3 µs. One
//! that does not speak of hostcalls makes none.
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

mod body;
pub mod callout;
pub mod config;
pub mod foreign;
pub mod headers;
mod hostcalls;
mod local;
pub mod log;
#[cfg(any(test, all(target_arch = "wasm32", target_os = "unknown", feature = "allocator")))]
mod memory;
pub mod metrics;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;
mod panic;
mod plugin;
pub mod policy;
pub mod property;
mod state;
mod stream;
pub mod time;
pub mod units;

pub use body::collect::{Collect, CollectError};
pub use body::hold::Hold;
pub use body::{Body, RequestBody, Resize, ResponseBody};
pub use callout::{CallError, CallResponse, Cluster, GrpcError, GrpcStatus, join};
pub use config::{
    Checked, Checks, ConfigError, ConfigErrors, Configuration, Envelope, Mode, PerRoute, PerRouteError,
};
pub use headers::{AsName, HeaderBlock, Headers, Name, NameRef, Names, Only, OwnedName};
pub use hostcalls::environment::Environment;
pub use hostcalls::{Call, Host, HostError, Status, rng};
pub use log::Redacted;
pub use metrics::{
    Counter, CounterFamily, Gauge, GaugeFamily, Histogram, HistogramFamily, RuleCounter, RuleGauge,
    RuleHistogram, RuleMetrics, SeriesLimit,
};
pub use plugin::{Callbacks, Ending, HttpFilter, Init, OfRequest, Plugin, RequestFilter, Rest, Root};
pub use state::shared::{self, Shared, SharedError, Update, Updated, Wire};
pub use state::{Atomic, Lease, Reservation};
pub use stream::attempts::{Opened, PerRequest};
pub use stream::protocol::Protocol;
pub use stream::reply::{Flow, FlowResult, GrpcCode, Reply, Wait};
pub use stream::sleep::Sleep;
pub use stream::{
    LogCx, RequestHeaders, RequestTrailers, ResponseHeaders, ResponseTrailers, Stream, StreamId, StreamInfo,
};
pub use time::timers::{Parked, TimerId};
pub use time::{Monotonic, Wall};

/// What most filters name, for `use wayside_sdk::prelude::*`.
pub mod prelude {
    pub use crate::callout::{CallError, Cluster, join};
    pub use crate::config::{Checked, Checks, ConfigError, ConfigErrors, Configuration};
    pub use crate::headers::{AsName as _, HeaderBlock, Headers, Name, Only};
    pub use crate::log::Redacted;
    pub use crate::metrics::{Counter, Gauge, Histogram};
    pub use crate::plugin::{HttpFilter, Init, Plugin, RequestFilter, Root};
    pub use crate::stream::protocol::Protocol;
    pub use crate::stream::reply::{Flow, FlowResult, GrpcCode, Reply};
    pub use crate::stream::{
        LogCx, RequestHeaders, RequestTrailers, ResponseHeaders, ResponseTrailers, Stream, StreamInfo,
    };
    pub use crate::{name, plugin};
}

#[doc(hidden)]
pub mod internal {
    pub use crate::hostcalls::allocate;
    pub use crate::panic::without_hook;
    pub use crate::plugin::Vm;
    pub use crate::plugin::compose::{
        Bundle, Chain, Composed, Link, Member, Probes, Sections, Step, Sweep, distinct,
    };
}
