//! Which of Envoy's tap formats a file is in, told by how it begins.

use std::fmt;

/// What Envoy's tap sinks write, as far as it is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `JSON_BODY_AS_BYTES` and `JSON_BODY_AS_STRING`: objects, one after the other.
    Json,
    /// `PROTO_BINARY_LENGTH_DELIMITED`.
    LengthDelimited,
    /// `PROTO_BINARY`: one message.
    Binary,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Json => "JSON",
            Format::LengthDelimited => "length-delimited protobuf",
            Format::Binary => "protobuf",
        })
    }
}

/// How many of a file's first bytes are looked at. Enough for two varints and two keys, and for what precedes a `{`.
pub(super) const HEAD_BYTES: usize = 4096;

/// Tells the format by the first bytes of a file of `size` bytes (`None` for a pipe). `extension` decides where a file is
/// too short to tell.
///
/// # Errors
/// What was found instead, for people.
pub(super) fn tell(head: &[u8], size: Option<u64>, extension: &str) -> Result<Format, String> {
    if is_json(head) {
        return Ok(Format::Json);
    }
    let binary = is_single(head, size);
    let delimited = is_delimited(head);
    match (binary, delimited, extension) {
        (true, true, "pb") | (true, false, _) => return Ok(Format::Binary),
        (_, true, _) => return Ok(Format::LengthDelimited),
        _ => {}
    }
    if let Some(found) = known_other(head) {
        return Err(found);
    }
    match extension {
        "json" if head.trim_ascii().is_empty() => Err("nothing but blanks".to_owned()),
        "pb_length_delimited" if may_begin_delimited(head) => Ok(Format::LengthDelimited),
        "pb" if key(head).is_some() => Ok(Format::Binary),
        _ => Err(format!("bytes that begin with `{}`", head.get(..16).unwrap_or(head).escape_ascii())),
    }
}

fn is_json(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let Some(inner) = text.strip_prefix(b"{") else {
        return false;
    };
    matches!(inner.trim_ascii_start().first(), None | Some(b'"' | b'}'))
}

/// The key of one of the four fields of a `TraceWrapper`, all of them messages.
fn key(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [0x0a | 0x12 | 0x1a | 0x22, rest @ ..] => Some(rest),
        _ => None,
    }
}

/// A varint at the beginning, and what follows.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut rest = bytes;
    let value = prost::encoding::decode_varint(&mut rest).ok()?;
    Some((value, rest))
}

/// One field that fills the whole file. How long a pipe is cannot be known.
fn is_single(head: &[u8], size: Option<u64>) -> bool {
    let Some((inner, rest)) = key(head).and_then(varint) else {
        return false;
    };
    let framing = (head.len() - rest.len()) as u64;
    size.is_none_or(|size| inner.checked_add(framing) == Some(size))
}

/// A length, then a field that fits into it.
fn is_delimited(head: &[u8]) -> bool {
    let Some((length, record)) = varint(head) else {
        return false;
    };
    let Some((inner, rest)) = key(record).and_then(varint) else {
        return false;
    };
    let framing = (record.len() - rest.len()) as u64;
    inner.checked_add(framing).is_some_and(|field| field <= length)
}

/// A file that ends within its first length or key.
fn may_begin_delimited(head: &[u8]) -> bool {
    match varint(head) {
        None => head.len() <= 10,
        Some((_, [])) => true,
        Some((_, record)) => key(record).is_some(),
    }
}

fn known_other(head: &[u8]) -> Option<String> {
    let text = head.trim_ascii_start();
    let known = [
        (&b"\x1f\x8b"[..], "a gzip archive: unpack it first"),
        (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"),
        (b"PK\x03\x04", "a zip archive: unpack it first"),
        (b"\xd4\xc3\xb2\xa1", "a packet capture (pcap)"),
        (b"\xa1\xb2\xc3\xd4", "a packet capture (pcap)"),
        (b"\x0a\x0d\x0d\x0a", "a packet capture (pcapng)"),
        (b"\0asm", "a WebAssembly module"),
        (b"---", "YAML"),
        (b"<", "markup"),
    ];
    if let Some((_, name)) =
        known.iter().find(|(magic, _)| head.starts_with(magic) || text.starts_with(magic))
    {
        return Some((*name).to_owned());
    }
    let is_list = text.strip_prefix(b"[").is_some_and(|t| matches!(t.trim_ascii_start(), [b'{' | b']', ..]));
    if is_list {
        return Some("a JSON list".to_owned());
    }
    let names = [&b"http_buffered_trace"[..], b"http_streamed_trace_segment", b"socket_buffered_trace"];
    let is_text_proto = names.iter().any(|name| text.starts_with(name));
    is_text_proto.then(|| {
        "text protobuf (PROTO_TEXT), which is not supported: record with JSON or with PROTO_BINARY_LENGTH_DELIMITED".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_looks_like_a_brace_and_a_line_break_is_still_protobuf() {
        let mut record = b"{\x0a\x79".to_vec();
        record.resize(124, 0);
        assert_eq!(tell(&record, Some(124), ""), Ok(Format::LengthDelimited));
        assert_eq!(tell(b"{\n  \"http", Some(9), ""), Ok(Format::Json));
    }

    #[test]
    fn one_message_fills_its_file_and_a_delimited_one_has_a_length_in_front() {
        assert_eq!(tell(b"\x12\x02\x08\x01", Some(4), "json"), Ok(Format::Binary));
        assert_eq!(tell(b"\x04\x12\x02\x08\x01", Some(5), "json"), Ok(Format::LengthDelimited));
    }

    #[test]
    fn what_is_no_tap_is_named() {
        let found = |bytes: &[u8]| tell(bytes, Some(bytes.len() as u64), "json").unwrap_err();
        assert!(found(b"http_buffered_trace {\n").contains("not supported"));
        assert!(found(b"\x1f\x8b\x08").contains("gzip"));
        assert!(found(b"[{}]").contains("list"));
        assert!(found(b"static_resources:").contains("static_resource"));
    }
}
