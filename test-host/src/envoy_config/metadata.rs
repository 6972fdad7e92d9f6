//! `envoy.config.core.v3.Metadata`, addresses and localities: what listeners, routes and clusters all have.

use super::raw::{Cursor, Fields};
use crate::{proxy::spec::Locality, router::Metadata};

/// The field `metadata` of a message.
pub(super) fn metadata(fields: &Fields<'_>) -> Metadata {
    let mut metadata = Metadata::default();
    let Some(message) = fields.get("metadata").and_then(|field| field.fields()) else {
        return metadata;
    };
    for (namespace, value) in message.get("filter_metadata").map(|map| map.entries()).unwrap_or_default() {
        metadata.insert(namespace, value.json_object());
    }
    metadata
}

/// A `socket_address` with its host and port.
pub(super) fn socket_address<'a>(address: &Cursor<'a>) -> Option<(Cursor<'a>, &'a str, u16)> {
    let fields = address.fields()?;
    let (kind, inner) =
        fields.one_of(&["socket_address", "pipe", "envoy_internal_address"]).or_else(|| {
            address.error("no address", "a socket_address");
            None
        })?;
    if kind != "socket_address" {
        inner.not_emulated("only IP addresses are emulated");
        return None;
    }
    let fields = inner.fields()?;
    fields.harmless("protocol", "the recording decides the protocol");
    let host = fields.required("address", "an IP address")?;
    let (kind, port) = fields.one_of(&["port_value", "named_port"]).or_else(|| {
        inner.error("no port", "a port_value");
        None
    })?;
    if kind != "port_value" {
        port.not_emulated("only numeric ports are emulated");
        return None;
    }
    Some((host.clone(), host.text()?, port.integer("a port from 0 to 65535")?))
}

pub(super) fn locality(field: &Cursor<'_>) -> Option<Locality> {
    let fields = field.fields()?;
    Some(Locality {
        region: fields.owned_text("region"),
        zone: fields.owned_text("zone"),
        sub_zone: fields.owned_text("sub_zone"),
    })
}
