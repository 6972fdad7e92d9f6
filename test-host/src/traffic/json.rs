//! Protobuf's JSON mapping where it differs from serde's: 64-bit numbers as strings, bytes as base64, times as RFC 3339.

use std::{fmt, marker::PhantomData};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use prost_types::Timestamp;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::{
    limits::MAX_HEADERS,
    proto::{HeaderValue, TraceWrapper},
    record::{Decoded, Refused, Unknown},
    tcp::messages::{MAX_EVENTS, SocketEvent},
};

/// Reads one object. An error tells line and column within `text`, both from 1.
pub(super) fn decode(text: &[u8]) -> Result<Decoded, Refused> {
    let mut unknown = Unknown::default();
    let mut input = serde_json::Deserializer::from_slice(text);
    let trace: Result<TraceWrapper, _> =
        serde_ignored::deserialize(&mut input, |path| unknown.add(path.to_string().split('.')));
    match trace.and_then(|trace| input.end().map(|()| trace)) {
        Ok(trace) => Ok(Decoded { trace, unknown }),
        Err(error) => {
            let (line, column) = (error.line() as u64, error.column() as u64);
            let text = error.to_string();
            let text = text.split(" at line ").next().unwrap_or_default().to_owned();
            Err(Refused { line_column: Some((line, column)), text })
        }
    }
}

/// The trace id in the beginning of an object that cannot be read.
pub(super) fn trace_id(head: &[u8]) -> Option<u64> {
    let behind = |name: &[u8]| {
        let at = head.windows(name.len()).position(|window| window == name)?;
        head.get(at.checked_add(name.len())?..)
    };
    let text = behind(b"\"trace_id\"").or_else(|| behind(b"\"traceId\""))?.trim_ascii_start();
    let text = text.strip_prefix(b":")?.trim_ascii_start();
    let text = text.strip_prefix(b"\"").unwrap_or(text);
    // Digits that go on to the end may be only some of them.
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    str::from_utf8(text.get(..end)?).ok()?.parse().ok()
}

struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
        self.visit_bytes(text.as_bytes())
    }
}

/// A string whose bytes need not be UTF-8.
pub(super) fn text<'de, D: Deserializer<'de>>(input: D) -> Result<Bytes, D::Error> {
    input.deserialize_bytes(Text)
}

pub(super) fn some_text<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Bytes>, D::Error> {
    text(input).map(Some)
}

struct Base64;

/// Protobuf's JSON mapping lets a reader take either alphabet, padded or not.
const fn lenient(alphabet: &alphabet::Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

const STANDARD: GeneralPurpose = lenient(&alphabet::STANDARD);
const URL_SAFE: GeneralPurpose = lenient(&alphabet::URL_SAFE);

impl<'de> Visitor<'de> for Base64 {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string of base64")
    }

    fn visit_bytes<E: Error>(self, text: &[u8]) -> Result<Bytes, E> {
        let engine = if text.iter().any(|b| matches!(b, b'-' | b'_')) { URL_SAFE } else { STANDARD };
        engine.decode(text).map(Bytes::from).map_err(|e| E::custom(format!("not base64: {e}")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
        self.visit_bytes(text.as_bytes())
    }
}

pub(super) fn base64<'de, D: Deserializer<'de>>(input: D) -> Result<Bytes, D::Error> {
    input.deserialize_bytes(Base64)
}

pub(super) fn some_base64<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Bytes>, D::Error> {
    base64(input).map(Some)
}

struct Uint;

impl<'de> Visitor<'de> for Uint {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number that is not negative, or a string of one")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        text.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

/// A number, or a string of one, which fits `T`.
pub(super) fn uint<'de, T: TryFrom<u64>, D: Deserializer<'de>>(input: D) -> Result<T, D::Error> {
    let number = input.deserialize_any(Uint)?;
    T::try_from(number).map_err(|_| D::Error::custom(format!("{number} is out of range")))
}

pub(super) fn timestamp<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(input)? else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .map_err(|_| D::Error::custom(format!("`{text}` is no time in the form of RFC 3339")))
}

/// A list with a bound.
struct AtMost<T> {
    most: usize,
    what: &'static str,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtMost<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {} {}", self.most, self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            if items.len() == self.most {
                return Err(A::Error::invalid_length(self.most + 1, &self));
            }
            items.push(item);
        }
        Ok(items)
    }
}

/// Bounded while it is read: an empty header is 3 bytes of JSON and a hundred in memory.
pub(super) fn headers<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<HeaderValue>, D::Error> {
    input.deserialize_seq(AtMost { most: MAX_HEADERS, what: "headers", of: PhantomData })
}

/// As [`headers`].
pub(super) fn events<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<SocketEvent>, D::Error> {
    input.deserialize_seq(AtMost { most: MAX_EVENTS, what: "events", of: PhantomData })
}
