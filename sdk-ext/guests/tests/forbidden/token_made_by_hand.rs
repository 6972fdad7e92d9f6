//! Only a callback has a phase's token.
use wayside_sdk::{Headers, StreamId, headers::Request};

fn headers(stream: StreamId) -> Headers<Request> {
    Headers::token(stream)
}

fn main() {}
