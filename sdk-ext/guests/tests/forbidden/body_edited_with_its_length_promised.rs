//! With `content-length` in place, a body of another length breaks the message.
use wayside_sdk::{Flow, RequestBody};

fn on_request_body(mut body: RequestBody) -> Flow {
    let _ = body.replace(b"longer");
    Flow::Continue
}

fn main() {}
