//! Attributes as values of CEL, for expressions that do more than name one.

use std::{cell::Cell, collections::HashMap};

use cel::objects::Key;
use chrono::{DateTime, TimeDelta};

use super::{
    PluginIndex, View,
    catalogue::{AttributeType, ROOTS},
    messages::Message,
    value::Value,
};
use crate::{
    message::HeaderMap,
    proxy::{
        core::Core,
        streams::state::{FilterContext, StreamState},
        tcp::{NetworkFilter, TcpState},
    },
};

/// What an expression finds under the first part of a path; `None`: nothing now.
pub(crate) fn value_for_expression(
    core: &Core,
    plugin: PluginIndex,
    stream: Option<(&StreamState, &FilterContext)>,
    connection: Option<(&TcpState, &NetworkFilter)>,
    name: &str,
) -> Option<cel::Value> {
    let lacking = Cell::new(None);
    let view = View::of(core, plugin, stream, connection, &lacking)?;
    let Some(root) = ROOTS.iter().find(|root| root.name == name) else {
        return view.own(name.as_bytes()).ok().map(|value| match value {
            // What a filter sets is bytes, unless it has been declared to be something else.
            Value::Text(bytes) => cel::Value::Bytes(bytes.into_owned().into()),
            _ => cel::Value::Null,
        });
    };
    if !(root.exists)(&view) {
        return None;
    }
    if let Some(whole) = root.whole {
        return lifted(&whole(&view)?, AttributeType::Text);
    }
    if root.name == "filter_state" {
        let entries = view.filter_state()?.iter().map(|(name, value)| {
            let is_own = name.starts_with(b"wasm.");
            let value = if is_own { cel::Value::Bytes(value.to_vec().into()) } else { text(value) };
            (String::from_utf8_lossy(name).into_owned(), value)
        });
        return Some(map(entries));
    }
    let entries = root
        .attributes
        .iter()
        .filter_map(|attribute| Some((attribute.name, lifted(&(attribute.read)(&view)?, attribute.kind)?)));
    Some(map(entries.map(|(name, value)| (name.to_owned(), value))))
}

fn map(entries: impl Iterator<Item = (String, cel::Value)>) -> cel::Value {
    let entries: HashMap<Key, cel::Value> = entries.map(|(name, value)| (Key::from(name), value)).collect();
    cel::Value::Map(cel::objects::Map { map: entries.into() })
}

fn text(bytes: &[u8]) -> cel::Value {
    cel::Value::from(String::from_utf8_lossy(bytes).into_owned())
}

fn lifted(value: &Value<'_>, kind: AttributeType) -> Option<cel::Value> {
    Some(match value {
        Value::Text(bytes) => text(bytes),
        Value::Bool(truth) => cel::Value::Bool(*truth),
        Value::Int(number) => match kind {
            AttributeType::Duration => cel::Value::Duration(TimeDelta::nanoseconds(*number)),
            AttributeType::Timestamp => {
                cel::Value::Timestamp(DateTime::from_timestamp_nanos(*number).fixed_offset())
            }
            _ => cel::Value::Int(*number),
        },
        Value::Uint(number) => cel::Value::UInt(*number),
        Value::RequestHeaders(headers) => {
            let mut entries = headers_by_name(*headers);
            // Looked up, it is the authority.
            if let Some(authority) = headers.and_then(|headers| headers.first(b":authority")) {
                entries.push(("host".to_owned(), text(authority)));
            }
            map(entries.into_iter())
        }
        Value::Headers(headers) => map(headers_by_name(*headers).into_iter()),
        Value::Message(message) => of_message(*message)?,
        Value::Namespaces(metadata) => {
            map(metadata.iter().map(|(name, fields)| (name.to_owned(), of_struct(fields))))
        }
        Value::Struct(fields) => of_struct(fields),
        Value::Json(json) => of_json(json),
        Value::Texts(entries) => {
            map(entries.iter().map(|(name, value)| ((*name).to_owned(), text(value.as_bytes()))))
        }
        Value::EmptyMap => map(std::iter::empty()),
        Value::EmptyList => cel::Value::List(Vec::new().into()),
        Value::Null => cel::Value::Null,
    })
}

/// By name, duplicates joined.
fn headers_by_name(headers: Option<&HeaderMap>) -> Vec<(String, cel::Value)> {
    let mut names: Vec<&[u8]> = Vec::new();
    for header in headers.into_iter().flatten() {
        if !names.contains(&&header.name[..]) {
            names.push(&header.name);
        }
    }
    let joined = |name: &[u8]| {
        let values = headers.map(|headers| headers.all(name).map(|value| &value[..]).collect::<Vec<_>>());
        values.unwrap_or_default().join(&b","[..])
    };
    names.iter().map(|name| (String::from_utf8_lossy(name).into_owned(), text(&joined(name)))).collect()
}

fn of_message(message: Message<'_>) -> Option<cel::Value> {
    let fields: &[&str] = match message {
        Message::Node(_) => &["id", "cluster", "metadata", "locality"],
        Message::Locality(_) => &["region", "zone", "sub_zone"],
        Message::Metadata(_) => &["filter_metadata", "typed_filter_metadata"],
        Message::BuildVersion => &["version", "metadata"],
        Message::Version => &["major_number", "minor_number", "patch"],
    };
    let entries = fields.iter().filter_map(|name| {
        Some(((*name).to_owned(), lifted(&message.field(name.as_bytes())?, AttributeType::Text)?))
    });
    Some(map(entries))
}

fn of_struct(fields: &serde_json::Map<String, serde_json::Value>) -> cel::Value {
    map(fields.iter().map(|(name, value)| (name.clone(), of_json(value))))
}

fn of_json(json: &serde_json::Value) -> cel::Value {
    match json {
        serde_json::Value::Null => cel::Value::Null,
        serde_json::Value::Bool(truth) => cel::Value::Bool(*truth),
        serde_json::Value::Number(number) => cel::Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => cel::Value::from(text.clone()),
        serde_json::Value::Array(items) => {
            cel::Value::List(items.iter().map(of_json).collect::<Vec<_>>().into())
        }
        serde_json::Value::Object(fields) => of_struct(fields),
    }
}
