//! What waits owns the headers: nobody else changes them meanwhile.
use wayside_sdk::{Flow, RequestHeaders, name};

fn on_request_headers(mut request: RequestHeaders) -> Flow {
    let flow = Flow::wait(async move {
        let _ = request.headers.set(name!("x-one"), "1");
        Flow::Continue
    });
    let _ = request.headers.set(name!("x-other"), "1");
    flow
}

fn main() {}
