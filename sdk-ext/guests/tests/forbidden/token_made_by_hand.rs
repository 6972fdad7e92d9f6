//! Only a callback has a phase's token.
use wayside_sdk::{Headers, headers::Request};

fn headers() -> Headers<Request> {
    Headers::token(todo!())
}

fn main() {}
