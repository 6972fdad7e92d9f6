//! `response.*`: what follows the filter's own sight of headers and trailers, and what has gone out so far.

use super::{
    View,
    catalogue::{AttributeType as Type, Availability as When, Entry, entry},
    value::Value,
};
use crate::message::{HeaderMap, Message};

/// What Envoy takes a `grpc-status` for that is none.
const INVALID: i64 = -1;
/// The largest number that is a gRPC status.
const GRPC_STATUS_MAX: u64 = 16;

pub(super) static ATTRIBUTES: [Entry; 10] = [
    entry("code", Type::Int, When::Answered, |view| {
        view.stream?.0.response_code.map(|code| Value::Int(code.into()))
    }),
    entry("code_details", Type::Text, When::Answered, |view| {
        view.stream?.0.details.as_ref().map(Value::text)
    }),
    entry("flags", Type::Int, When::Stream, |view| flags(view).map(Value::int)),
    entry("grpc_status", Type::Int, When::Answered, |view| grpc_status(view).map(Value::Int)),
    // An empty map where the filter does not see them; so are trailers.
    entry("headers", Type::Map, When::Stream, |view| Some(Value::Headers(view.response_headers()))),
    entry("trailers", Type::Map, When::Stream, |view| Some(Value::Headers(view.response_trailers()))),
    entry("headers_bytes", Type::Int, When::Stream, |view| {
        Some(Value::int(view.response_headers().map_or(0, HeaderMap::byte_size)))
    }),
    entry("size", Type::Int, When::Stream, |view| sent(view).map(Value::int)),
    entry("total_size", Type::Int, When::Stream, |view| {
        let fields = [view.response_headers(), view.response_trailers()];
        let fields: usize = fields.into_iter().flatten().map(HeaderMap::byte_size).sum();
        Some(Value::int(sent(view)?.saturating_add(fields)))
    }),
    entry("backend_latency", Type::Duration, When::UpstreamComplete, |view| {
        let (stream, _) = view.stream?;
        let (sent, answered) = (stream.route.sent?, stream.route.answered?);
        view.response?.complete.then(|| Value::nanoseconds(answered.saturating_sub(sent)))
    }),
];

impl<'v> View<'v> {
    fn response_headers(&self) -> Option<&'v HeaderMap> {
        let (_, filter) = self.stream?;
        let headers = self.response?.headers.as_ref();
        headers.filter(|_| filter.response.headers || filter.logging)
    }

    fn response_trailers(&self) -> Option<&'v HeaderMap> {
        let (_, filter) = self.stream?;
        let trailers = self.response?.trailers.as_ref();
        trailers.filter(|_| filter.response.trailers || filter.logging)
    }
}

/// Body bytes that have left for the client.
fn sent(view: &View<'_>) -> Option<usize> {
    if let Some(tcp) = view.tcp {
        return usize::try_from(tcp.bytes_sent).ok();
    }
    let (stream, _) = view.stream?;
    Some(stream.downstream_response.as_ref().map_or(0, Message::body_len))
}

fn flags(view: &View<'_>) -> Option<u64> {
    let of_stream = view.stream.map(|(stream, _)| stream.response_flags);
    of_stream.or_else(|| view.tcp.map(|tcp| tcp.response_flags))
}

/// From the trailers in sight, else the headers in sight, else what the HTTP status amounts to
/// (`source/common/grpc/common.cc`, `status.cc`).
fn grpc_status(view: &View<'_>) -> Option<i64> {
    let maps = [view.response_trailers(), view.response_headers()];
    let mut given = maps.into_iter().flatten().filter_map(|map| map.first(b"grpc-status"));
    if let Some(text) = given.find(|text| !text.is_empty()) {
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
        let known = number.filter(|number| *number <= GRPC_STATUS_MAX);
        return Some(known.and_then(|number| i64::try_from(number).ok()).unwrap_or(INVALID));
    }
    Some(match view.stream?.0.response_code? {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    })
}
