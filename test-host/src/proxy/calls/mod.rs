//! What guests ask of the world outside their streams: HTTP and gRPC calls, shared queues, Envoy's own functions.

pub(super) mod callouts;
pub(super) mod nested;
pub(super) mod queues;
