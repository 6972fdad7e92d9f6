//! `request.*`: what follows the filter's own sight of the headers, and what belongs to the stream.

use super::{
    View,
    catalogue::{AttributeType as Type, Availability as When, Entry, entry},
    value::Value,
};
use crate::message::{HeaderMap, Protocol};

pub(super) static ATTRIBUTES: [Entry; 16] = [
    header("path", |view| view.request_header(b":path")),
    header("url_path", |view| Some(Value::text(path_and_query(view)?.0))),
    header("query", |view| Some(Value::text(path_and_query(view)?.1))),
    header("host", |view| view.request_header(b":authority")),
    header("scheme", |view| view.request_header(b":scheme")),
    header("method", |view| view.request_header(b":method")),
    header("referer", |view| view.request_header(b"referer")),
    header("useragent", |view| view.request_header(b"user-agent")),
    header("id", |view| view.request_header(b"x-request-id")),
    // An empty map where the filter does not see them.
    entry("headers", Type::Map, When::Stream, |view| Some(Value::RequestHeaders(view.request_headers()))),
    entry("headers_bytes", Type::Int, When::Stream, |view| {
        Some(Value::int(view.request_headers().map_or(0, HeaderMap::byte_size)))
    }),
    entry("time", Type::Timestamp, When::Stream, |view| {
        let age = view.core.now.saturating_sub(view.started()?);
        Some(Value::nanoseconds(view.core.wall.saturating_sub(age)))
    }),
    entry("protocol", Type::Text, When::Stream, |view| Some(Value::text(view.protocol()?.name()))),
    entry("size", Type::Int, When::Stream, size),
    entry("total_size", Type::Int, When::Stream, |view| {
        let headers = view.request_headers().map_or(0, HeaderMap::byte_size) as u64;
        Some(Value::int(received(view)?.saturating_add(headers)))
    }),
    entry("duration", Type::Duration, When::Ended, |view| {
        let (stream, _) = view.stream?;
        stream.end.map(|_| Value::nanoseconds(view.core.now.saturating_sub(stream.started)))
    }),
];

const fn header(name: &'static str, read: for<'v> fn(&View<'v>) -> Option<Value<'v>>) -> Entry {
    entry(name, Type::Text, When::RequestHeaders, read)
}

impl<'v> View<'v> {
    /// The request's headers where the filter sees them: gone once they have continued, back for `on_log`.
    pub(super) fn request_headers(&self) -> Option<&'v HeaderMap> {
        let (stream, filter) = self.stream?;
        stream.request_headers().filter(|_| filter.request.headers || filter.logging)
    }

    fn request_header(&self, name: &[u8]) -> Option<Value<'v>> {
        self.request_headers()?.first(name).map(Value::text)
    }

    /// gRPC needs HTTP/2; else what a recording does not tell is taken for HTTP/1.1.
    fn protocol(&self) -> Option<Protocol> {
        let (stream, _) = self.stream?;
        let headers = &stream.exchange.request.headers;
        let is_grpc =
            || headers.first(b"content-type").is_some_and(|kind| kind.starts_with(b"application/grpc"));
        let known = stream.exchange.connection.protocol.or_else(|| is_grpc().then_some(Protocol::Http2));
        Some(self.recorded(known, "the version of HTTP").unwrap_or(Protocol::Http11))
    }
}

/// Of a request without a path, empty text.
fn path_and_query<'v>(view: &View<'v>) -> Option<(&'v [u8], &'v [u8])> {
    let path = view.request_headers()?.first(b":path").map_or(&b""[..], |path| path);
    let Some(at) = path.iter().position(|byte| *byte == b'?') else {
        return Some((path, b""));
    };
    let (path, query) = (path.get(..at)?, path.get(at.checked_add(1)?..)?);
    Some((path, query.split(|byte| *byte == b'#').next().unwrap_or_default()))
}

fn received(view: &View<'_>) -> Option<u64> {
    let of_stream = view.stream.map(|(stream, _)| stream.manager.request.bytes_received);
    of_stream.or_else(|| view.tcp.map(|tcp| tcp.bytes_received))
}

/// The declared length while the headers are in sight, else what has come so far. A length that is no number: nothing.
fn size<'v>(view: &View<'v>) -> Option<Value<'v>> {
    let declared = view.request_headers().and_then(|headers| headers.first(b"content-length"));
    match declared {
        Some(text) => std::str::from_utf8(text).ok()?.trim_ascii().parse().ok().map(Value::Int),
        None => received(view).map(Value::int),
    }
}
