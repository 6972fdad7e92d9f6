//! Structured data attached to a route, virtual host, cluster, endpoint, listener or node.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::{ListValue, Struct, Value as ProtoValue, value::Kind};
use serde_json::{Map, Value};

/// `filter_metadata`: namespace → object (envoy/config/core/v3/base.proto, `Metadata`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(BTreeMap<String, Map<String, Value>>);

/// The same message on the wire; only what is emulated.
#[derive(Clone, PartialEq, Message)]
struct WireMetadata {
    #[prost(btree_map = "string, message", tag = "1")]
    filter_metadata: BTreeMap<String, Struct>,
}

impl Metadata {
    pub fn insert(&mut self, namespace: impl Into<String>, fields: Map<String, Value>) {
        self.0.insert(namespace.into(), fields);
    }

    pub fn namespace(&self, name: &str) -> Option<&Map<String, Value>> {
        self.0.get(name)
    }

    /// Namespaces in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        self.0.iter().map(|(name, fields)| (name.as_str(), fields))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The message's protobuf bytes, as a guest gets them for `xds.route_metadata` and its kin. Map entries are in
    /// alphabetical order; Envoy's order is that of a hash table.
    pub fn to_wire(&self) -> Vec<u8> {
        let filter_metadata = self.0.iter().map(|(name, fields)| (name.clone(), to_struct(fields))).collect();
        WireMetadata { filter_metadata }.encode_to_vec()
    }
}

/// An object as the protobuf bytes of a `google.protobuf.Struct`. All numbers become doubles.
pub fn struct_to_wire(fields: &Map<String, Value>) -> Vec<u8> {
    to_struct(fields).encode_to_vec()
}

fn to_struct(fields: &Map<String, Value>) -> Struct {
    Struct { fields: fields.iter().map(|(name, value)| (name.clone(), to_value(value))).collect() }
}

fn to_value(value: &Value) -> ProtoValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(to_value).collect() }),
        Value::Object(fields) => Kind::StructValue(to_struct(fields)),
    };
    ProtoValue { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_has_the_bytes_protobuf_gives_it() {
        let Value::Object(fields) = serde_json::json!({"a": true, "n": 1}) else { unreachable!() };
        // field 1 (entry): key "a", value {bool_value: true}; then key "n", value {number_value: 1.0}
        let expected = [
            &[0x0a, 7, 0x0a, 1, b'a', 0x12, 2, 0x20, 1][..],
            &[0x0a, 14, 0x0a, 1, b'n', 0x12, 9, 0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
        ];
        assert_eq!(struct_to_wire(&fields), expected.concat());
    }

    #[test]
    fn metadata_nests_structs_under_their_namespaces() {
        let mut metadata = Metadata::default();
        metadata.insert("l7.filters", Map::from_iter([("timeout".to_owned(), Value::from("slow"))]));
        let decoded = WireMetadata::decode(&metadata.to_wire()[..]).expect("own bytes");
        assert_eq!(
            decoded.filter_metadata["l7.filters"].fields["timeout"].kind,
            Some(Kind::StringValue("slow".to_owned()))
        );
    }
}
