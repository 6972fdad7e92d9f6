//! The request's headers cannot be read where the response arrives: what is needed of them is kept.
use wayside_sdk::{Flow, Headers, ResponseHeaders, headers::Request};

fn path(headers: &Headers<Request>) -> Vec<u8> {
    headers.block().map(|headers| headers.path().to_vec()).unwrap_or_default()
}

fn on_response_headers(response: ResponseHeaders) -> Flow {
    let _ = path(&response.headers);
    Flow::Continue
}

fn main() {}
