//! Trace contexts on the wire: W3C Trace Context Level 2, B3, baggage, and what OpenTelemetry keeps in `tracestate`. Nothing here knows the
//! proxy.

pub mod b3;
pub mod baggage;
pub mod hex;
pub mod ids;
pub mod ot;
pub mod threshold;
pub mod traceparent;
pub mod tracestate;
