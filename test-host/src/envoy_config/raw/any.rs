//! `google.protobuf.Any` as JSON: `@type` and the message's fields, or a well-known type with `value`; also the
//! `TypedStruct` wrapper that control planes use for types they do not know.

use super::{Cursor, Fields, Value};

/// The fields of a message whose type was named.
#[derive(Debug)]
pub(in super::super) struct TypedConfig<'a> {
    /// `envoy.extensions.filters.http.wasm.v3.Wasm`
    pub(in super::super) type_name: &'a str,
    pub(in super::super) fields: Fields<'a>,
}

impl<'a> TypedConfig<'a> {
    /// `None`, with an error recorded, where there is no type.
    pub(in super::super) fn read(cursor: &Cursor<'a>) -> Option<Self> {
        let fields = cursor.fields()?;
        let type_name = name_in_url(fields.required("@type", "the message's type URL")?.text()?);
        let is_wrapper = matches!(type_name, "xds.type.v3.TypedStruct" | "udpa.type.v1.TypedStruct");
        if !is_wrapper {
            return Some(Self { type_name, fields });
        }
        let type_name =
            name_in_url(fields.required("type_url", "the type URL of the wrapped message")?.text()?);
        let value = fields.required("value", "the wrapped message")?;
        Some(Self { type_name, fields: value.fields()? })
    }

    /// The type alone, where the rest is not looked at.
    pub(in super::super) fn type_name_of(cursor: &Cursor<'a>) -> Option<&'a str> {
        let Value::Map(entries) = cursor.value() else {
            return None;
        };
        let text = |wanted: &str| {
            entries.iter().find(|(key, _)| key == wanted).and_then(|(_, node)| match &node.value {
                Value::Text(text) => Some(name_in_url(text)),
                _ => None,
            })
        };
        match text("@type") {
            Some("xds.type.v3.TypedStruct" | "udpa.type.v1.TypedStruct") => {
                text("type_url").or_else(|| text("typeUrl"))
            }
            other => other,
        }
    }
}

fn name_in_url(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}
