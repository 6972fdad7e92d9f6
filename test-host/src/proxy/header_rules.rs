//! What Envoy's header maps do on a write (`source/common/http/header_map_impl.cc`).
//!
//! Some names have a slot of their own in Envoy, which holds one value: a further one is joined to it by a comma. Which
//! names these are depends on the map. The lists were read off Envoy 1.40.0, by adding every name twice to each map; names
//! that merely begin with `x-envoy-` are not among them.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{
    abi::MapType,
    message::{HeaderMap, is_lower_case},
};

/// One slot in request headers.
const REQUEST: &[&[u8]] = &[
    b":authority",
    b":method",
    b":path",
    b":protocol",
    b":scheme",
    b"accept",
    b"accept-encoding",
    b"access-control-request-headers",
    b"access-control-request-method",
    b"authorization",
    b"cache-control",
    b"cdn-loop",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"expect",
    b"grpc-accept-encoding",
    b"grpc-timeout",
    b"if-match",
    b"if-modified-since",
    b"if-none-match",
    b"if-range",
    b"if-unmodified-since",
    b"keep-alive",
    b"origin",
    b"pragma",
    b"proxy-connection",
    b"proxy-status",
    b"referer",
    b"te",
    b"transfer-encoding",
    b"upgrade",
    b"user-agent",
    b"via",
    b"x-client-trace-id",
    b"x-envoy-attempt-count",
    b"x-envoy-decorator-operation",
    b"x-envoy-downstream-service-cluster",
    b"x-envoy-downstream-service-node",
    b"x-envoy-expected-rq-timeout-ms",
    b"x-envoy-external-address",
    b"x-envoy-force-trace",
    b"x-envoy-hedge-on-per-try-timeout",
    b"x-envoy-internal",
    b"x-envoy-ip-tags",
    b"x-envoy-is-timeout-retry",
    b"x-envoy-max-retries",
    b"x-envoy-original-host",
    b"x-envoy-original-path",
    b"x-envoy-original-url",
    b"x-envoy-retriable-header-names",
    b"x-envoy-retriable-status-codes",
    b"x-envoy-retry-grpc-on",
    b"x-envoy-retry-on",
    b"x-envoy-upstream-alt-stat-name",
    b"x-envoy-upstream-rq-per-try-timeout-ms",
    b"x-envoy-upstream-rq-timeout-alt-response",
    b"x-envoy-upstream-rq-timeout-ms",
    b"x-envoy-upstream-stream-duration-ms",
    b"x-forwarded-client-cert",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-proto",
    b"x-request-id",
];

/// One slot in response headers.
const RESPONSE: &[&[u8]] = &[
    b":status",
    b"access-control-allow-credentials",
    b"access-control-allow-headers",
    b"access-control-allow-methods",
    b"access-control-allow-origin",
    b"access-control-expose-headers",
    b"access-control-max-age",
    b"age",
    b"cache-control",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"date",
    b"etag",
    b"expires",
    b"grpc-message",
    b"grpc-status",
    b"keep-alive",
    b"last-modified",
    b"location",
    b"proxy-connection",
    b"proxy-status",
    b"server",
    b"transfer-encoding",
    b"upgrade",
    b"vary",
    b"via",
    b"x-envoy-attempt-count",
    b"x-envoy-decorator-operation",
    b"x-envoy-degraded",
    b"x-envoy-immediate-health-check-fail",
    b"x-envoy-ratelimited",
    b"x-envoy-upstream-canary",
    b"x-envoy-upstream-healthchecked-cluster",
    b"x-envoy-upstream-service-time",
    b"x-request-id",
];

/// One slot in response trailers; request trailers have none.
const RESPONSE_TRAILERS: &[&[u8]] = &[b"grpc-message", b"grpc-status"];

fn is_single(map: MapType, name: &[u8]) -> bool {
    let names = match map {
        MapType::RequestHeaders => REQUEST,
        MapType::ResponseHeaders => RESPONSE,
        MapType::ResponseTrailers => RESPONSE_TRAILERS,
        _ => return false,
    };
    names.contains(&name)
}

/// The name under which Envoy keeps a field: lower case, and `host` of a request is `:authority`.
pub(crate) fn key(map: MapType, name: &[u8]) -> Cow<'_, [u8]> {
    if map == MapType::RequestHeaders && name.eq_ignore_ascii_case(b"host") {
        Cow::Borrowed(b":authority")
    } else if is_lower_case(name) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.to_ascii_lowercase())
    }
}

/// As [`key`], of a name that will be kept.
fn kept_key(map: MapType, name: Bytes) -> Bytes {
    match key(map, &name) {
        Cow::Owned(name) => name.into(),
        Cow::Borrowed(key) if key.len() == name.len() => name,
        Cow::Borrowed(key) => Bytes::copy_from_slice(key),
    }
}

/// Adds a value: to the one entry of a name Envoy keeps single, as a new entry otherwise.
pub(crate) fn add(map: MapType, headers: &mut HeaderMap, name: Bytes, value: Bytes) {
    let name = kept_key(map, name);
    let join = |known: &Bytes| {
        if known.is_empty() { value.clone() } else { [&known[..], b",", &value].concat().into() }
    };
    if is_single(map, &name) && headers.change_first(&name, join) {
        return;
    }
    headers.push(name, value);
}

/// All of these, one behind the other.
pub(crate) fn add_all(map: MapType, fields: impl IntoIterator<Item = (Bytes, Bytes)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        add(map, &mut headers, name, value);
    }
    headers
}

/// Removes every occurrence and adds one at the end.
pub(crate) fn replace(map: MapType, headers: &mut HeaderMap, name: Bytes, value: Bytes) {
    headers.replace(kept_key(map, name), value);
}

/// Why a request's headers may not go upstream: the first name or value that no codec could write. In Envoy's words
/// (`source/common/http/header_utility.cc`).
pub(crate) fn refusal(headers: &HeaderMap) -> Option<Vec<u8>> {
    headers.iter().find_map(|header| {
        if !is_name(&header.name) {
            return Some([b"invalid header name: ", &escaped(&header.name)[..]].concat());
        }
        (!is_value(&header.value))
            .then(|| [b"invalid header value for: ", &escaped(&header.name)[..]].concat())
    })
}

/// As in a JSON string; bytes beyond ASCII stay.
fn escaped(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0x08 => out.extend(b"\\b"),
            0x0c => out.extend(b"\\f"),
            0..0x20 => out.extend(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out
}

/// A token, or a pseudo header's: a token behind a colon. Envoy lets an empty one pass.
fn is_name(name: &[u8]) -> bool {
    let token = name.strip_prefix(b":").unwrap_or(name);
    token.iter().fold(true, |all, byte| all & IS_TOKEN[usize::from(*byte)])
}

/// Which bytes a token may have (RFC 9110, section 5.6.2).
const IS_TOKEN: [bool; 256] = {
    let mut is_token = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        is_token[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < marks.len() {
        is_token[marks[at] as usize] = true;
        at += 1;
    }
    is_token
};

/// Whether it holds no control character but tabs. Eight bytes are looked at together.
fn is_value(value: &[u8]) -> bool {
    let Some(last) = value.last_chunk() else {
        return value.iter().all(is_allowed);
    };
    let (words, _) = value.as_chunks::<8>();
    let controls = words.iter().fold(0, |found, word| found | controls(*word)) | controls(*last);
    controls == 0 || value.iter().all(is_allowed)
}

fn is_allowed(byte: &u8) -> bool {
    *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)
}

/// Not 0 where a byte of the word is below 32 or 127; a byte beyond ASCII may be taken for one.
fn controls(word: [u8; 8]) -> u64 {
    let word = u64::from_ne_bytes(word);
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = EACH * 0x80;
    let below_32 = word.wrapping_sub(EACH * 0x20) & HIGH;
    let is_127 = (word ^ (EACH * 0x7f)).wrapping_sub(EACH) & HIGH;
    below_32 | is_127
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(map: MapType, name: &str) -> String {
        let twice = [("first", "0"), (name, "1"), ("last", "0"), (name, "2")];
        let headers = add_all(map, twice.map(|(name, value)| (name.to_owned().into(), value.into())));
        headers.iter().map(|header| format!("{header:?} ")).collect()
    }

    #[test]
    fn whether_a_second_value_is_joined_depends_on_name_and_map() {
        let joined = |name: &str| format!("first: 0 {name}: 1,2 last: 0 ");
        let separate = |name: &str| format!("first: 0 {name}: 1 last: 0 {name}: 2 ");
        for name in ["authorization", "user-agent", "x-envoy-max-retries", "cdn-loop"] {
            assert_eq!(added(MapType::RequestHeaders, name), joined(name));
            assert_eq!(added(MapType::ResponseHeaders, name), separate(name));
        }
        for name in ["vary", "server", "grpc-status", "x-envoy-ratelimited", "expires"] {
            assert_eq!(added(MapType::RequestHeaders, name), separate(name));
            assert_eq!(added(MapType::ResponseHeaders, name), joined(name));
        }
        for name in ["x-api-key", "set-cookie", "cookie", "www-authenticate", "x-envoy-of-nobody"] {
            assert_eq!(added(MapType::RequestHeaders, name), separate(name));
            assert_eq!(added(MapType::ResponseHeaders, name), separate(name));
        }
        assert_eq!(added(MapType::ResponseTrailers, "grpc-status"), joined("grpc-status"));
        assert_eq!(added(MapType::RequestTrailers, "content-type"), separate("content-type"));
    }

    #[test]
    fn a_control_character_is_found_wherever_it_stands() {
        for byte in 0..=255_u8 {
            for at in 0..20 {
                let mut value = *b"a value of 20 bytes!";
                value[at] = byte;
                assert_eq!(
                    is_value(&value),
                    byte == b'\t' || (byte >= b' ' && byte != 0x7f),
                    "{byte} at {at}"
                );
            }
        }
    }

    #[test]
    fn the_host_of_a_request_is_its_authority() {
        let mut headers = HeaderMap::from_iter([(":authority", "a"), ("x", "1")]);
        replace(MapType::RequestHeaders, &mut headers, "Host".into(), "b".into());
        assert_eq!(headers, HeaderMap::from_iter([(":authority", "b"), ("x", "1")]));
    }
}
