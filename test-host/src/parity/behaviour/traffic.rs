//! A behaviour's requests and responses as messages, in the form in which a first filter sees them.

use bytes::Bytes;

use super::case::{Body, Field, Request, Response};
use crate::{
    message::{HeaderMap, Message},
    parity::live::wire,
};

/// Tells requests apart at the upstream. In the form that Envoy leaves alone.
pub(super) fn request_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// With what the connection manager adds, in its order.
pub(super) fn request(request: &Request, number: usize, scheme: &'static str) -> Message {
    let mut headers = HeaderMap::new();
    headers.push(":authority", latin1(&request.authority));
    headers.push(":path", latin1(&request.path));
    headers.push(":method", latin1(&request.method));
    headers.push(":scheme", scheme);
    extend(&mut headers, &request.headers);
    headers.push("x-forwarded-proto", scheme);
    headers.push("x-request-id", request_id(number));
    headers.push("x-envoy-internal", "true");
    message(headers, &request.body, request.trailers.as_deref())
}

/// HTTP/1.1 tells by headers where a body ends. The connection manager takes this one off before the first filter.
pub(super) fn framed(mut request: Message, stalls: bool) -> Message {
    let has_content = !request.body.is_empty() || request.trailers.is_some() || stalls;
    if has_content && !request.headers.contains(b"content-length") {
        request.headers.push("transfer-encoding", "chunked");
    }
    request
}

/// With the headers that HTTP/1.1 needs to tell where the body ends, which filters see, and the router's own.
pub(super) fn response(response: &Response, to_head: bool) -> Message {
    let mut headers = HeaderMap::new();
    headers.push(":status", response.status.to_string());
    extend(&mut headers, &response.headers);
    let mut message = message(headers, &response.body, response.trailers.as_deref());
    let has_no_body = to_head || matches!(response.status, 204 | 304);
    if !has_no_body && !wire::is_chunked(&message.headers) && !message.headers.contains(b"content-length") {
        let is_empty = message.body.is_empty() && message.trailers.is_none() && !response.breaks_off;
        let (name, value) = if is_empty { ("content-length", "0") } else { ("transfer-encoding", "chunked") };
        message.headers.push(name, value);
    }
    message
}

/// What the router adds to every response of an upstream; in Envoy with the time it measured.
pub(super) fn with_service_time(mut response: Message) -> Message {
    response.headers.push("x-envoy-upstream-service-time", "0");
    response
}

fn message(headers: HeaderMap, body: &[Body], trailers: Option<&[Field]>) -> Message {
    let trailers = trailers.map(|fields| {
        let mut trailers = HeaderMap::new();
        extend(&mut trailers, fields);
        trailers
    });
    Message { headers, body: body.iter().map(chunk).collect(), trailers }
}

fn chunk(body: &Body) -> Bytes {
    match body {
        Body::Text(text) => latin1(text),
        Body::Bytes(count) => (b'a'..=b'z').cycle().take(*count).collect(),
    }
}

fn extend(headers: &mut HeaderMap, fields: &[Field]) {
    for (name, value) in fields {
        headers.push(latin1(name), latin1(value));
    }
}

/// A character is a byte; what is none stands for itself in UTF-8.
fn latin1(text: &str) -> Bytes {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    bytes.map_or_else(|| Bytes::copy_from_slice(text.as_bytes()), Bytes::from)
}
