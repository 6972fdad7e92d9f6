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
        let of_tcp = || Some(&view.tcp_listener()?.filter_chain_name);
        view.http_listener().map(|listener| &listener.filter_chain_name).or_else(of_tcp).map(Value::text)
    }),
    entry("listener_metadata", Type::Message, When::Stream, |view| {
        let of_tcp = || Some(&view.tcp_listener()?.metadata);
        message(view.http_listener().map(|listener| &listener.metadata).or_else(of_tcp)?)
    }),
    entry("listener_direction", Type::Int, When::Stream, |view| {
        let of_tcp = || Some(view.tcp_listener()?.direction);
        let direction = view.http_listener().map(|listener| listener.direction).or_else(of_tcp)?;
        Some(Value::Int(direction_number(direction)))
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

    /// The cluster of the route, where it is one that exists; of TCP, once there is a connection.
    pub(super) fn cluster(&self) -> Option<&'v ClusterSpec> {
        let of_tcp = || {
            let listener = self.tcp.filter(|tcp| tcp.connected).and_then(|_| self.tcp_listener())?;
            Some(&listener.cluster[..])
        };
        let name = self.stream.and_then(|(stream, _)| stream.route.cluster()).or_else(of_tcp)?;
        self.core.spec.clusters.get(name)
    }

    pub(super) fn trusts_peer(&self) -> bool {
        self.http_listener().is_some_and(|listener| listener.http.use_remote_address)
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
