//! `xds.*`: what the configuration says of the node, the listener, and where the request goes.

use super::{
    View,
    catalogue::{AttributeType as Type, Availability as When, Entry, entry},
    messages::Message,
    upstream,
    value::Value,
};
use crate::{
    message::Direction,
    proxy::spec::{ClusterSpec, EndpointSpec},
    router::{Metadata, SelectedRoute, VirtualHost},
};

pub(super) static ATTRIBUTES: [Entry; 12] = [
    entry("node", Type::Message, When::Always, |view| {
        Some(Value::Message(Message::Node(&view.core.spec.node)))
    }),
    entry("cluster_name", Type::Text, When::Routed, |view| Some(Value::text(&view.cluster()?.name))),
    entry("cluster_metadata", Type::Message, When::Routed, |view| message(&view.cluster()?.metadata)),
    entry("route_name", Type::Text, When::Routed, |view| Some(Value::text(&view.route()?.route.name))),
    entry("route_metadata", Type::Message, When::Routed, |view| message(&view.route()?.route.metadata)),
    entry("virtual_host_name", Type::Text, When::Routed, |view| {
        Some(Value::text(&view.virtual_host()?.name))
    }),
    entry("virtual_host_metadata", Type::Message, When::Routed, |view| {
        message(&view.virtual_host()?.metadata)
    }),
    entry("upstream_host_metadata", Type::Message, When::Upstream, |view| {
        of_endpoint(view, |endpoint| &endpoint.metadata)
    }),
    entry("upstream_host_locality_metadata", Type::Message, When::Upstream, |view| {
        of_endpoint(view, |endpoint| &endpoint.locality_metadata)
    }),
    entry("filter_chain_name", Type::Text, When::Stream, |view| {
        Some(Value::text(&view.listener()?.filter_chain_name))
    }),
    entry("listener_metadata", Type::Message, When::Stream, |view| message(&view.listener()?.metadata)),
    entry("listener_direction", Type::Int, When::Stream, |view| {
        Some(Value::Int(direction_number(view.listener()?.direction)))
    }),
];

impl<'v> View<'v> {
    fn route(&self) -> Option<&'v SelectedRoute> {
        self.stream?.0.route.chosen()
    }

    /// Also where none of its routes matched.
    fn virtual_host(&self) -> Option<&'v VirtualHost> {
        self.stream?.0.route.virtual_host.as_deref()
    }

    /// The cluster of the route, where it is one that exists.
    pub(super) fn cluster(&self) -> Option<&'v ClusterSpec> {
        self.core.spec.clusters.get(self.stream?.0.route.cluster()?)
    }

    pub(super) fn trusts_peer(&self) -> bool {
        self.listener().is_some_and(|listener| listener.http.use_remote_address)
    }
}

fn message(metadata: &Metadata) -> Option<Value<'_>> {
    Some(Value::Message(Message::Metadata(Some(metadata))))
}

/// An endpoint without metadata has a message that is not set: it is there, and has no bytes.
fn of_endpoint<'v>(view: &View<'v>, metadata: fn(&EndpointSpec) -> &Metadata) -> Option<Value<'v>> {
    let metadata = metadata(upstream::endpoint(view)?);
    if metadata.is_empty() { Some(Value::Null) } else { message(metadata) }
}

/// Envoy's `TrafficDirection`.
fn direction_number(direction: Direction) -> i64 {
    match direction {
        Direction::Unspecified => 0,
        Direction::Inbound => 1,
        Direction::Outbound => 2,
    }
}
