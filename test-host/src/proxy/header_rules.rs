//! What Envoy's header map does on a write (`source/common/http/header_map_impl.cc`).

use bytes::Bytes;

use crate::message::HeaderMap;

/// Names that Envoy keeps as a single entry: a further value is joined to it by a comma.
/// From `envoy/http/header_map.h`, and the custom inline headers that the stock binary registers.
const SINGLE: &[&[u8]] = &[
    b":authority",
    b":method",
    b":path",
    b":protocol",
    b":scheme",
    b":status",
    b"accept",
    b"accept-encoding",
    b"access-control-allow-credentials",
    b"access-control-allow-headers",
    b"access-control-allow-methods",
    b"access-control-allow-origin",
    b"access-control-expose-headers",
    b"access-control-max-age",
    b"access-control-request-headers",
    b"access-control-request-method",
    b"authorization",
    b"cache-control",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"date",
    b"etag",
    b"expect",
    b"grpc-accept-encoding",
    b"grpc-message",
    b"grpc-status",
    b"grpc-timeout",
    b"if-match",
    b"if-modified-since",
    b"if-none-match",
    b"if-range",
    b"if-unmodified-since",
    b"keep-alive",
    b"location",
    b"origin",
    b"pragma",
    b"proxy-connection",
    b"proxy-status",
    b"referer",
    b"server",
    b"te",
    b"transfer-encoding",
    b"upgrade",
    b"user-agent",
    b"vary",
    b"via",
    b"x-client-trace-id",
    b"x-forwarded-client-cert",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-proto",
    b"x-request-id",
];

fn is_single(name: &[u8]) -> bool {
    name.starts_with(b"x-envoy-") || SINGLE.contains(&name)
}

/// Adds a value: to the one entry of a name Envoy keeps single, as a new entry otherwise.
pub(crate) fn add(headers: &mut HeaderMap, name: &[u8], value: &Bytes) {
    let name = name.to_ascii_lowercase();
    if is_single(&name)
        && let Some(entry) = headers.iter_mut().find(|header| header.name == name)
    {
        entry.value = if entry.value.is_empty() {
            value.clone()
        } else {
            [&entry.value[..], b",", value].concat().into()
        };
        return;
    }
    headers.push(name, value.clone());
}

/// Removes every occurrence and adds one at the end.
pub(crate) fn replace(headers: &mut HeaderMap, name: &[u8], value: &Bytes) {
    headers.remove(name);
    headers.push(name.to_ascii_lowercase(), value.clone());
}
