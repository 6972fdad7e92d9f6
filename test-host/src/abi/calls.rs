//! What a guest asks of services, queues and Envoy's own functions: the requests and answers of those hostcalls.

use std::time::Duration;

use bytes::Bytes;

use super::CallStatus;
use crate::message::HeaderMap;

/// A shared queue's number, the same in every VM of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u32);

/// A gRPC method a filter calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcMethod {
    /// A `GrpcService` in protobuf, or a cluster's name.
    pub target: Bytes,
    pub service: Bytes,
    pub method: Bytes,
    pub metadata: HeaderMap,
}

/// A gRPC call with one message each way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcRequest {
    pub method: GrpcMethod,
    pub message: Bytes,
    /// As given: Envoy sends 0 along as `grpc-timeout`, and waits for ever.
    pub timeout: Duration,
}

/// What a foreign function answers. Envoy hands over a result whatever the status is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignAnswer {
    pub status: CallStatus,
    /// `None`: it made none, which is not the same as an empty one: for that the guest is asked for room.
    pub result: Option<Bytes>,
}

impl ForeignAnswer {
    pub fn status(status: CallStatus) -> Self {
        ForeignAnswer { status, result: None }
    }

    pub fn result(result: impl Into<Bytes>) -> Self {
        ForeignAnswer { status: CallStatus::Ok, result: Some(result.into()) }
    }
}
