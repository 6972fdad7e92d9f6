//! The filter's own answers, in the protocol of the client.

use wayside_sdk::{GrpcCode, Protocol, Reply, name};

/// 504 and a problem document, status 4 in gRPC, `deadline_exceeded` in Connect.
pub(crate) fn exceeded(client: Protocol, details: &'static str) -> Reply {
    let reply = Reply::new(504, details).header(name!("x-deadline"), "exceeded");
    reply.grpc(GrpcCode::DeadlineExceeded).explain(client, "deadline exceeded")
}

/// 400 and a problem document, status 3 in gRPC, `invalid_argument` in Connect.
pub(crate) fn bad_header(client: Protocol) -> Reply {
    let reply = Reply::new(400, "timeout.bad_header").grpc(GrpcCode::InvalidArgument);
    reply.explain(client, "unreadable timeout header")
}
