//! A property's value before it is put in bytes, and the steps that a path can take into it (`envoy-abi` 6.1, 6.2).

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use serde_json::Value as Json;

use super::messages::Message;
use crate::{
    abi::{CallResult, CallStatus, pairs},
    message::HeaderMap,
    router::Metadata,
};

/// A value, or a place in a tree of values. What is large is borrowed, and only turned into bytes where a path ends.
#[derive(Clone, Debug)]
pub(crate) enum Value<'v> {
    Text(Cow<'v, [u8]>),
    Bool(bool),
    Int(i64),
    Uint(u64),
    /// `None` where the filter cannot see them now: an empty map.
    RequestHeaders(Option<&'v HeaderMap>),
    /// The response's headers or trailers.
    Headers(Option<&'v HeaderMap>),
    Message(Message<'v>),
    /// `filter_metadata`: namespaces, each a struct.
    Namespaces(&'v Metadata),
    /// A `google.protobuf.Value`.
    Json(&'v Json),
    /// A `google.protobuf.Struct`.
    Struct(&'v serde_json::Map<String, Json>),
    /// A map of text, by name.
    Texts(&'static [(&'static str, &'static str)]),
    EmptyMap,
    EmptyList,
    /// A message that is there and unset: it has no bytes.
    Null,
}

impl<'v> Value<'v> {
    pub(super) fn text(text: &'v (impl AsRef<[u8]> + ?Sized)) -> Self {
        Value::Text(Cow::Borrowed(text.as_ref()))
    }

    pub(super) fn owned(text: impl Into<Vec<u8>>) -> Self {
        Value::Text(Cow::Owned(text.into()))
    }

    pub(super) fn nanoseconds(time: Duration) -> Self {
        Value::Int(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
    }

    pub(super) fn int(number: impl TryInto<i64>) -> Self {
        Value::Int(number.try_into().unwrap_or(i64::MAX))
    }

    /// One part of a path further in: a field of a message, a key of a map, a place in a list.
    pub(super) fn step(self, part: &[u8]) -> Option<Value<'v>> {
        match self {
            Value::RequestHeaders(headers) if part.eq_ignore_ascii_case(b"host") => {
                joined(headers?, b":authority")
            }
            Value::RequestHeaders(headers) | Value::Headers(headers) => joined(headers?, part),
            Value::Message(message) => message.field(part),
            Value::Namespaces(metadata) => {
                metadata.namespace(std::str::from_utf8(part).ok()?).map(Value::Struct)
            }
            Value::Struct(fields) => fields.get(std::str::from_utf8(part).ok()?).map(Value::Json),
            Value::Json(Json::Object(fields)) => Value::Struct(fields).step(part),
            Value::Json(Json::Array(items)) => items
                .get(std::str::from_utf8(part).ok()?.trim_ascii().parse::<usize>().ok()?)
                .map(Value::Json),
            Value::Texts(entries) => {
                entries.iter().find(|(name, _)| name.as_bytes() == part).map(|(_, text)| Value::text(*text))
            }
            _ => None,
        }
    }

    /// Numbers take 8 bytes, little-endian; maps and lists the form of header maps.
    pub(super) fn encode(&self) -> CallResult<Bytes> {
        Ok(match self {
            Value::Text(text) => Bytes::copy_from_slice(text),
            Value::Bool(truth) => Bytes::copy_from_slice(&[u8::from(*truth)]),
            Value::Int(number) => Bytes::copy_from_slice(&number.to_le_bytes()),
            Value::Uint(number) => Bytes::copy_from_slice(&number.to_le_bytes()),
            Value::RequestHeaders(headers) | Value::Headers(headers) => encode_headers(*headers),
            Value::Message(message) => message.wire().into(),
            Value::Namespaces(metadata) => {
                encode_map(metadata.iter().map(|(name, fields)| (name, Value::Struct(fields))))?
            }
            Value::Struct(fields) => {
                encode_map(fields.iter().map(|(name, value)| (name.as_str(), Value::Json(value))))?
            }
            Value::Json(json) => encode_json(json)?,
            Value::Texts(entries) => {
                encode_map(entries.iter().map(|(name, text)| (*name, Value::text(*text))))?
            }
            Value::EmptyMap | Value::EmptyList => pairs::encode(std::iter::empty()).into(),
            Value::Null => return Err(CallStatus::SerializationFailure),
        })
    }
}

/// Metadata as protobuf's `Struct` shows it: all numbers are doubles, and null has no bytes.
fn encode_json(json: &Json) -> CallResult<Bytes> {
    match json {
        Json::Null => Err(CallStatus::SerializationFailure),
        Json::Bool(truth) => Value::Bool(*truth).encode(),
        Json::Number(number) => {
            Ok(Bytes::copy_from_slice(&number.as_f64().unwrap_or(f64::NAN).to_le_bytes()))
        }
        Json::String(text) => Value::text(text).encode(),
        Json::Array(items) => {
            let items = items.iter().map(encode_json).collect::<CallResult<Vec<_>>>()?;
            Ok(pairs::encode(items.iter().map(|item| (&item[..], &b""[..]))).into())
        }
        Json::Object(fields) => Value::Struct(fields).encode(),
    }
}

/// One entry without bytes (null), and the whole has none.
fn encode_map<'a>(entries: impl Iterator<Item = (&'a str, Value<'a>)>) -> CallResult<Bytes> {
    let encoded = entries.map(|(name, value)| Ok((name, value.encode()?))).collect::<CallResult<Vec<_>>>()?;
    Ok(pairs::encode(encoded.iter().map(|(name, value)| (name.as_bytes(), &value[..]))).into())
}

/// Each name once, in the order of the first occurrences; Envoy's order is that of a hash table.
fn encode_headers(headers: Option<&HeaderMap>) -> Bytes {
    let mut entries: Vec<(Bytes, Vec<u8>)> = Vec::new();
    for header in headers.into_iter().flat_map(HeaderMap::iter) {
        match entries.iter_mut().find(|(name, _)| *name == header.name) {
            Some((_, value)) => {
                value.push(b',');
                value.extend_from_slice(&header.value);
            }
            None => entries.push((header.name.clone(), header.value.to_vec())),
        }
    }
    pairs::encode(entries.iter().map(|(name, value)| (&name[..], &value[..]))).into()
}

/// Duplicates are joined by commas, `set-cookie` included.
pub(super) fn joined<'v>(headers: &'v HeaderMap, name: &[u8]) -> Option<Value<'v>> {
    let mut values =
        headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).map(|header| &header.value);
    let first = values.next()?;
    let Some(second) = values.next() else {
        return Some(Value::text(first));
    };
    let mut all = [&first[..], b",", second].concat();
    for value in values {
        all.push(b',');
        all.extend_from_slice(value);
    }
    Some(Value::owned(all))
}
