//! Only who took `content-length` away may give the body another length.
use wayside_sdk::{Flow, RequestBody, Resize, headers::Request};

fn on_request_body(mut body: RequestBody) -> Flow {
    let _ = body.append(&Resize::<Request>(std::marker::PhantomData), b"longer");
    Flow::Continue
}

fn main() {}
