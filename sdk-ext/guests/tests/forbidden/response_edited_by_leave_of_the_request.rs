//! That the request's length is not promised says nothing of the response's.
use wayside_sdk::{Flow, Resize, ResponseBody, headers::Request};

fn on_response_body(mut body: ResponseBody, resize: &Resize<Request>) -> Flow {
    let _ = body.append(resize, b"longer");
    Flow::Continue
}

fn main() {}
