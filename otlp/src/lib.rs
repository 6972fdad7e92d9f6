//! What a filter tells an OpenTelemetry collector, as pure functions: time, chance and the network come in as arguments.
//!
//! [`Span`], [`LogRecord`] and [`Metric`] are written as OTLP, in protobuf or in JSON, by one description of each message. What was
//! written waits in a [`Queue`], which says when a [`Batch`](queue::Batch) is to be sent, and in whose [`Ledger`] every item ends up
//! in exactly one place.

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

mod answer;
mod attribute;
mod log_record;
mod metric;
pub mod queue;
mod request;
mod span;
mod text;
mod write;

pub use answer::{Answer, Verdict};
pub use attribute::{Attribute, Value};
pub use log_record::{LogRecord, line};
pub use metric::{Buckets, Exemplar, Metric};
pub use queue::{Ledger, Queue};
pub use request::{Origin, Signal};
pub use span::{Kind, Span, SpanContext};
pub use text::{LONGEST_VALUE, Printed};
pub use write::Encoding;
