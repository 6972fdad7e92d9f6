//! Protobuf's binary form: decoding, and the survey that comes before it.
//!
//! prost drops unknown fields without a word and allocates as the bytes tell it to; the survey names the former and
//! bounds the latter.

use bytes::Bytes;
use prost::{
    DecodeError, Message,
    bytes::Buf,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};

use super::{
    limits::MAX_HEADERS,
    proto::TraceWrapper,
    record::{Decoded, Refused, Unknown},
    tcp::messages::MAX_EVENTS,
};

/// The trace id in the beginning of a message that cannot be read.
pub(super) fn trace_id(head: &[u8]) -> Option<u64> {
    let mut segment = head.strip_prefix(b"\x12")?;
    decode_varint(&mut segment).ok()?;
    let mut id = segment.strip_prefix(b"\x08")?;
    decode_varint(&mut id).ok()
}

enum Field {
    Leaf,
    Message(&'static [(u32, &'static str, Field)]),
    Headers,
    Events,
}

use Field::{Events, Headers, Leaf, Message as Nested};

const TRACE: &[(u32, &str, Field)] = &[
    (1, "http_buffered_trace", Nested(BUFFERED)),
    (2, "http_streamed_trace_segment", Nested(SEGMENT)),
    (3, "socket_buffered_trace", Nested(SOCKET_BUFFERED)),
    (4, "socket_streamed_trace_segment", Nested(SOCKET_SEGMENT)),
];
const BUFFERED: &[(u32, &str, Field)] = &[
    (1, "request", Nested(MESSAGE)),
    (2, "response", Nested(MESSAGE)),
    (3, "downstream_connection", Nested(CONNECTION)),
    (4, "upstream_connection", Nested(CONNECTION)),
];
const MESSAGE: &[(u32, &str, Field)] = &[
    (1, "headers", Headers),
    (2, "body", Nested(BODY)),
    (3, "trailers", Headers),
    (4, "headers_received_time", Leaf),
];
const SEGMENT: &[(u32, &str, Field)] = &[
    (1, "trace_id", Leaf),
    (2, "request_headers", Nested(HEADER_MAP)),
    (3, "request_body_chunk", Nested(BODY)),
    (4, "request_trailers", Nested(HEADER_MAP)),
    (5, "response_headers", Nested(HEADER_MAP)),
    (6, "response_body_chunk", Nested(BODY)),
    (7, "response_trailers", Nested(HEADER_MAP)),
];
const HEADER_MAP: &[(u32, &str, Field)] = &[(1, "headers", Headers)];
const HEADER: &[(u32, &str, Field)] = &[(1, "key", Leaf), (2, "value", Leaf), (3, "raw_value", Leaf)];
const BODY: &[(u32, &str, Field)] = &[(1, "as_bytes", Leaf), (2, "as_string", Leaf), (3, "truncated", Leaf)];
const CONNECTION: &[(u32, &str, Field)] =
    &[(1, "local_address", Nested(ADDRESS)), (2, "remote_address", Nested(ADDRESS))];
const ADDRESS: &[(u32, &str, Field)] = &[(1, "socket_address", Nested(SOCKET_ADDRESS))];
const SOCKET_ADDRESS: &[(u32, &str, Field)] = &[
    (1, "protocol", Leaf),
    (2, "address", Leaf),
    (3, "port_value", Leaf),
    (4, "named_port", Leaf),
    (5, "resolver_name", Leaf),
    (6, "ipv4_compat", Leaf),
    (7, "network_namespace_filepath", Leaf),
];
const SOCKET_BUFFERED: &[(u32, &str, Field)] = &[
    (1, "trace_id", Leaf),
    (2, "connection", Nested(SOCKET_CONNECTION)),
    (3, "events", Events),
    (4, "read_truncated", Leaf),
    (5, "write_truncated", Leaf),
];
const SOCKET_SEGMENT: &[(u32, &str, Field)] = &[
    (1, "trace_id", Leaf),
    (2, "connection", Nested(SOCKET_CONNECTION)),
    (3, "event", Nested(SOCKET_EVENT)),
    (4, "events", Nested(SOCKET_EVENTS)),
];
const SOCKET_CONNECTION: &[(u32, &str, Field)] =
    &[(2, "local_address", Nested(ADDRESS)), (3, "remote_address", Nested(ADDRESS))];
const SOCKET_EVENTS: &[(u32, &str, Field)] = &[(1, "events", Events)];
const SOCKET_EVENT: &[(u32, &str, Field)] = &[
    (1, "timestamp", Leaf),
    (2, "read", Nested(SOCKET_READ)),
    (3, "write", Nested(SOCKET_WRITE)),
    (4, "closed", Leaf),
    (5, "connection", Nested(SOCKET_CONNECTION)),
    (6, "seq_num", Leaf),
];
const SOCKET_READ: &[(u32, &str, Field)] = &[(1, "data", Nested(BODY))];
const SOCKET_WRITE: &[(u32, &str, Field)] = &[(1, "data", Nested(BODY)), (2, "end_stream", Leaf)];

/// Reads one `TraceWrapper`.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Refused> {
    let mut survey = Survey::default();
    let surveyed = survey.walk(TRACE, bytes, &mut Vec::new());
    if survey.headers > MAX_HEADERS * 4 {
        let text = format!("found {} headers, expected at most {MAX_HEADERS} in a block", survey.headers);
        return Err(Refused { line_column: None, text });
    }
    if survey.events > MAX_EVENTS {
        let text = format!("found {} events, expected at most {MAX_EVENTS}", survey.events);
        return Err(Refused { line_column: None, text });
    }
    // prost stops no later than the survey did, and says it better.
    // One copy of the record, of which every name and value is a slice.
    let trace = TraceWrapper::decode(Bytes::copy_from_slice(bytes)).map_err(|error| error.to_string());
    match trace.and_then(|trace| surveyed.map(|()| trace).map_err(|Malformed| "malformed".to_owned())) {
        Ok(trace) => Ok(Decoded { trace, unknown: survey.unknown }),
        Err(text) => Err(Refused { line_column: None, text }),
    }
}

struct Malformed;

impl From<DecodeError> for Malformed {
    fn from(_: DecodeError) -> Self {
        Malformed
    }
}

#[derive(Default)]
struct Survey {
    headers: usize,
    events: usize,
    unknown: Unknown,
}

impl Survey {
    fn walk(
        &mut self,
        fields: &'static [(u32, &'static str, Field)],
        mut bytes: &[u8],
        path: &mut Vec<&'static str>,
    ) -> Result<(), Malformed> {
        while bytes.has_remaining() {
            let (tag, wire) = decode_key(&mut bytes)?;
            let Some((_, name, field)) = fields.iter().find(|(number, ..)| *number == tag) else {
                self.unknown(path, tag);
                skip_field(wire, tag, &mut bytes, DecodeContext::default())?;
                continue;
            };
            let nested = match field {
                Leaf => None,
                Nested(nested) => Some(*nested),
                Headers => {
                    self.headers += 1;
                    Some(HEADER)
                }
                Events => {
                    self.events += 1;
                    Some(SOCKET_EVENT)
                }
            };
            match nested {
                Some(nested) if wire == WireType::LengthDelimited => {
                    let inner = length_delimited(&mut bytes)?;
                    path.push(name);
                    self.walk(nested, inner, path)?;
                    path.pop();
                }
                // A wrong wire type is the decoder's to refuse.
                _ => skip_field(wire, tag, &mut bytes, DecodeContext::default())?,
            }
        }
        Ok(())
    }

    fn unknown(&mut self, path: &[&'static str], tag: u32) {
        let name = match (path, tag) {
            ([.., "local_address" | "remote_address"], 2) => "pipe".to_owned(),
            ([.., "local_address" | "remote_address"], 3) => "envoy_internal_address".to_owned(),
            _ => format!("#{tag}"),
        };
        self.unknown.add(path.iter().copied().chain([&name[..]]));
    }
}

fn length_delimited<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(decode_varint(bytes)?).map_err(|_| Malformed)?;
    let (inner, rest) = bytes.split_at_checked(length).ok_or(Malformed)?;
    *bytes = rest;
    Ok(inner)
}
