//! What a filter names when it makes a gRPC call: an `envoy.config.core.v3.GrpcService` in protobuf, or a cluster.
//!
//! Envoy tries protobuf first, and whatever parses is one, however short (`Context::grpcCall`).

use bytes::{Buf as _, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Where a gRPC call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Cluster {
        name: String,
        /// In the place of the cluster's name.
        authority: Option<String>,
        /// Sent with every call.
        metadata: Vec<(Bytes, Bytes)>,
        without_envoys_headers: bool,
    },
    /// `google_grpc`: a client that does not go by Envoy's clusters.
    Google,
    /// Neither: Envoy dies of it.
    Unset,
}

impl Target {
    pub(super) fn cluster(name: &str) -> Self {
        Target::Cluster {
            name: name.to_owned(),
            authority: None,
            metadata: Vec::new(),
            without_envoys_headers: false,
        }
    }
}

/// A field's value, as far as these messages need it.
enum Value {
    Number(u64),
    Bytes(Bytes),
    Other,
}

/// What these bytes mean as a `GrpcService`; `None`: they are no protobuf.
pub(super) fn parse(wire: &Bytes) -> Option<Target> {
    let mut target = Target::Unset;
    let mut metadata = Vec::new();
    for (field, value) in fields(wire)? {
        match (field, value) {
            (1, Value::Bytes(envoy)) => target = envoy_grpc(&envoy, target)?,
            (2, Value::Bytes(google)) => {
                fields(&google)?;
                target = Target::Google;
            }
            (3, Value::Bytes(timeout)) => drop(fields(&timeout)?),
            (5, Value::Bytes(header)) => metadata.push(header_value(&header)?),
            _ => {}
        }
    }
    if let Target::Cluster { metadata: place, .. } = &mut target {
        *place = metadata;
    }
    Some(target)
}

/// Repeated, the later message is merged into the earlier one.
fn envoy_grpc(wire: &Bytes, before: Target) -> Option<Target> {
    let (mut name, mut authority, mut without_envoys_headers) = match before {
        Target::Cluster { name, authority, without_envoys_headers, .. } => {
            (name, authority, without_envoys_headers)
        }
        Target::Google | Target::Unset => (String::new(), None, false),
    };
    for (field, value) in fields(wire)? {
        match (field, value) {
            (1, Value::Bytes(text)) => name = utf8(&text)?,
            (2, Value::Bytes(text)) => authority = Some(utf8(&text)?).filter(|text| !text.is_empty()),
            (5, Value::Number(number)) => without_envoys_headers = number != 0,
            _ => {}
        }
    }
    Some(Target::Cluster { name, authority, metadata: Vec::new(), without_envoys_headers })
}

fn header_value(wire: &Bytes) -> Option<(Bytes, Bytes)> {
    let (mut key, mut value, mut raw) = (Bytes::new(), Bytes::new(), Bytes::new());
    for (field, found) in fields(wire)? {
        match (field, found) {
            (1, Value::Bytes(text)) => key = utf8(&text)?.into(),
            (2, Value::Bytes(text)) => value = utf8(&text)?.into(),
            (3, Value::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    Some((key, if value.is_empty() { raw } else { value }))
}

/// Strings of proto3 are UTF-8, or the message does not parse.
fn utf8(bytes: &Bytes) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// The fields in their order; `None` where the bytes are no message of any type.
fn fields(wire: &Bytes) -> Option<Vec<(u32, Value)>> {
    let mut rest = wire.clone();
    let mut found = Vec::new();
    while rest.has_remaining() {
        let (field, kind) = decode_key(&mut rest).ok()?;
        let value = match kind {
            WireType::Varint => Value::Number(decode_varint(&mut rest).ok()?),
            WireType::LengthDelimited => {
                let len = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                if len > rest.remaining() {
                    return None;
                }
                Value::Bytes(rest.split_to(len))
            }
            _ => {
                skip_field(kind, field, &mut rest, DecodeContext::default()).ok()?;
                Value::Other
            }
        };
        found.push((field, value));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_service_names_its_cluster_and_what_goes_with_every_call() {
        let wire = Bytes::from_static(
            b"\x0a\x10\x0a\x07greeter\x12\x05auth1\x1a\x02\x08\x01\x2a\x08\x0a\x02im\x12\x02iv",
        );
        assert_eq!(
            parse(&wire),
            Some(Target::Cluster {
                name: "greeter".to_owned(),
                authority: Some("auth1".to_owned()),
                metadata: vec![("im".into(), "iv".into())],
                without_envoys_headers: false,
            })
        );
    }

    #[test]
    fn most_names_are_no_protobuf_and_some_are() {
        for name in ["greeter", "upstream", "auth", "grpc_server"] {
            assert_eq!(parse(&Bytes::from(name)), None, "{name}");
        }
        for name in ["empty", ""] {
            assert_eq!(parse(&Bytes::from(name)), Some(Target::Unset), "{name}");
        }
        assert_eq!(parse(&Bytes::from_static(b"\x12\x00")), Some(Target::Google));
        assert_eq!(parse(&Bytes::from_static(b"\x0a\x03\x0a\x01\xff")), None, "a name that is no text");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(wire in any::<Vec<u8>>()) {
            let _ = parse(&wire.into());
        }
    }
}
