//! Envoy replaces all of a body or adds at its ends, and answers an error to anything between.
use wayside_sdk::{RequestBody, Resize, headers::Request};

fn censor(body: &mut RequestBody, resize: &Resize<Request>) {
    let _ = body.replace(resize, 3..6, b"xxx");
}

fn main() {}
