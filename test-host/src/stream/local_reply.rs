//! What a reply made inside the proxy looks like on its way to the client (`source/common/http/utility.cc`).

use bytes::Bytes;

use crate::message::HeaderMap;

/// A reply before it is shaped for its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u32,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub grpc_status: Option<u32>,
}

/// What kind of reply a request asks for: decided when it arrives, whatever filters make of its headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyForm {
    #[default]
    Plain,
    /// No body.
    Head,
    /// All in headers.
    Grpc,
}

impl ReplyForm {
    pub fn asked_by(request: &HeaderMap) -> Self {
        let first = |name: &[u8]| request.first(name).cloned().unwrap_or_default();
        if is_grpc(&first(b"content-type")) {
            ReplyForm::Grpc
        } else if &first(b":method")[..] == b"HEAD" {
            ReplyForm::Head
        } else {
            ReplyForm::Plain
        }
    }
}

/// Shapes a reply for the request it answers: gRPC requests get a trailers-only answer, `HEAD` gets no body, and a body
/// gets its length and a content type unless one is given.
pub fn respond(form: ReplyForm, reply: Reply) -> (HeaderMap, Bytes) {
    if form == ReplyForm::Grpc {
        return (grpc(reply), Bytes::new());
    }
    let mut headers = HeaderMap::new();
    // As Envoy keeps it: 16 bits.
    headers.push(":status", (reply.status & 0xffff).to_string());
    let mut content_type = None;
    for header in &reply.headers {
        match &header.name[..] {
            b":status" => {}
            b"content-type" => {
                content_type = Some(header.value.clone());
                headers.push(header.name.clone(), header.value.clone());
            }
            _ => headers.push(header.name.clone(), header.value.clone()),
        }
    }
    if reply.body.is_empty() {
        headers.remove(b"content-type");
        headers.remove(b"content-length");
        return (headers, Bytes::new());
    }
    headers.set(b"content-length", reply.body.len().to_string());
    if content_type.is_none() {
        headers.push("content-type", "text/plain");
    }
    let body = if form == ReplyForm::Head { Bytes::new() } else { reply.body };
    (headers, body)
}

/// `application/grpc` and `application/grpc+…`, not `application/grpc-web`.
fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
}

fn grpc(reply: Reply) -> HeaderMap {
    let status = reply.grpc_status.filter(|status| *status <= 16).unwrap_or(grpc_status_of(reply.status));
    let mut headers = HeaderMap::new();
    headers.push(":status", "200");
    for header in &reply.headers {
        if !matches!(&header.name[..], b":status" | b"content-type" | b"content-length") {
            headers.push(header.name.clone(), header.value.clone());
        }
    }
    headers.push("content-type", "application/grpc");
    headers.push("grpc-status", status.to_string());
    if !reply.body.is_empty() {
        headers.push("grpc-message", percent_encoded(&reply.body));
    }
    headers
}

/// Envoy's mapping of HTTP statuses (`source/common/grpc/status.cc`).
fn grpc_status_of(http: u32) -> u32 {
    match http {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// The `grpc-message` form of the gRPC protocol over HTTP/2: visible ASCII except `%` stays.
fn percent_encoded(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b' '..=b'~' if *byte != b'%' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
