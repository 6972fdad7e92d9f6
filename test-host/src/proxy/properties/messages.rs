//! The protobuf messages that properties can be: their fields by name, and their bytes (`envoy.config.core.v3`).

use prost::Message as _;
use prost_types::Struct;

use super::value::Value;
use crate::{
    proxy::spec::{Locality, NodeSpec},
    router::Metadata,
};

/// The release this host emulates.
const RELEASE: [u32; 3] = [1, 40, 0];

/// What Envoy tells of its own build.
const BUILD: [(&str, &str); 1] = [("build.type", "RELEASE")];

#[derive(Clone, Copy, Debug)]
pub(crate) enum Message<'v> {
    Node(&'v NodeSpec),
    Locality(Option<&'v Locality>),
    Metadata(Option<&'v Metadata>),
    BuildVersion,
    /// `envoy.type.v3.SemanticVersion`
    Version,
}

impl<'v> Message<'v> {
    /// A field by the name it has in the message's definition; one that is not set has its default.
    pub(super) fn field(self, name: &[u8]) -> Option<Value<'v>> {
        match self {
            Message::Node(node) => node_field(node, name),
            Message::Locality(locality) => {
                let of = |field: fn(&Locality) -> &String| {
                    Some(locality.map_or(Value::text(""), |locality| Value::text(field(locality))))
                };
                match name {
                    b"region" => of(|locality| &locality.region),
                    b"zone" => of(|locality| &locality.zone),
                    b"sub_zone" => of(|locality| &locality.sub_zone),
                    _ => None,
                }
            }
            Message::Metadata(metadata) => match name {
                b"filter_metadata" => Some(metadata.map_or(Value::EmptyMap, Value::Namespaces)),
                b"typed_filter_metadata" => Some(Value::EmptyMap),
                _ => None,
            },
            Message::BuildVersion => match name {
                b"version" => Some(Value::Message(Message::Version)),
                b"metadata" => Some(Value::Texts(&BUILD)),
                _ => None,
            },
            Message::Version => {
                let fields = [&b"major_number"[..], b"minor_number", b"patch"];
                let at = fields.iter().position(|field| *field == name)?;
                RELEASE.get(at).map(|number| Value::Uint((*number).into()))
            }
        }
    }

    pub(super) fn wire(self) -> Vec<u8> {
        match self {
            Message::Node(node) => WireNode::of(node).encode_to_vec(),
            Message::Locality(locality) => {
                locality.map(|locality| WireLocality::of(locality).encode_to_vec()).unwrap_or_default()
            }
            Message::Metadata(metadata) => metadata.map(Metadata::to_wire).unwrap_or_default(),
            Message::BuildVersion => WireBuildVersion::own().encode_to_vec(),
            Message::Version => WireVersion::own().encode_to_vec(),
        }
    }
}

fn node_field<'v>(node: &'v NodeSpec, name: &[u8]) -> Option<Value<'v>> {
    Some(match name {
        b"id" => Value::text(&node.id),
        b"cluster" => Value::text(&node.cluster),
        b"metadata" => Value::Struct(&node.metadata),
        b"locality" => Value::Message(Message::Locality(node.locality.as_ref())),
        b"user_agent_name" => Value::text("envoy"),
        b"user_agent_version" => Value::text(""),
        b"user_agent_build_version" => Value::Message(Message::BuildVersion),
        b"dynamic_parameters" => Value::EmptyMap,
        // Envoy lists all that is compiled into it under `extensions`.
        b"extensions" | b"client_features" | b"listening_addresses" => Value::EmptyList,
        _ => return None,
    })
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireNode {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    cluster: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<Struct>,
    #[prost(message, optional, tag = "4")]
    locality: Option<WireLocality>,
    #[prost(string, tag = "6")]
    user_agent_name: String,
    #[prost(message, optional, tag = "8")]
    user_agent_build_version: Option<WireBuildVersion>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireLocality {
    #[prost(string, tag = "1")]
    region: String,
    #[prost(string, tag = "2")]
    zone: String,
    #[prost(string, tag = "3")]
    sub_zone: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireBuildVersion {
    #[prost(message, optional, tag = "1")]
    version: Option<WireVersion>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct WireVersion {
    #[prost(uint32, tag = "1")]
    major_number: u32,
    #[prost(uint32, tag = "2")]
    minor_number: u32,
    #[prost(uint32, tag = "3")]
    patch: u32,
}

impl WireNode {
    fn of(node: &NodeSpec) -> Self {
        let metadata = (!node.metadata.is_empty())
            .then(|| Struct::decode(&crate::router::struct_to_wire(&node.metadata)[..]).unwrap_or_default());
        WireNode {
            id: node.id.clone(),
            cluster: node.cluster.clone(),
            metadata,
            locality: node.locality.as_ref().map(WireLocality::of),
            user_agent_name: "envoy".to_owned(),
            user_agent_build_version: Some(WireBuildVersion::own()),
        }
    }
}

impl WireLocality {
    fn of(locality: &Locality) -> Self {
        let Locality { region, zone, sub_zone } = locality.clone();
        WireLocality { region, zone, sub_zone }
    }
}

impl WireBuildVersion {
    fn own() -> Self {
        WireBuildVersion { version: Some(WireVersion::own()) }
    }
}

impl WireVersion {
    fn own() -> Self {
        let [major_number, minor_number, patch] = RELEASE;
        WireVersion { major_number, minor_number, patch }
    }
}
