//! Headers that went on cannot be read where a body arrives.
use wayside_sdk::{Flow, RequestBody};

fn on_request_body(body: RequestBody) -> Flow {
    let _ = body.headers.block();
    Flow::Continue
}

fn main() {}
