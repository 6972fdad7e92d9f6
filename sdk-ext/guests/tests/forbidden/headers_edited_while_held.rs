//! Headers that are held until the body is seen are edited there.
use wayside_sdk::{Flow, RequestHeaders, name};

fn on_request_headers(mut request: RequestHeaders) -> Flow {
    let flow = request.hold_for_body();
    let _ = request.headers.set(name!("x"), "1");
    flow
}

fn main() {}
