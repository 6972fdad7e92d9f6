//! Of the body nothing has come.
use wayside_sdk::{Flow, RequestHeaders};

fn on_request_headers(request: RequestHeaders) -> Flow {
    let _ = request.read(100);
    Flow::Continue
}

fn main() {}
