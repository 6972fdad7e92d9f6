//! Every attribute as data: its path, its type and when it exists. Resolution, the fidelity report and the test of every
//! attribute in every phase read this one table. Seen on Envoy 1.40; names as in its
//! `source/extensions/filters/common/expr/context.h`.

use super::{View, messages::Message, peers, request, response, upstream, value::Value, xds};

/// How a value is put in bytes (`envoy-abi` 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeType {
    /// As it stands.
    Text,
    /// One byte.
    Bool,
    /// 8 bytes, signed.
    Int,
    /// 8 bytes, unsigned.
    Uint,
    /// 8 bytes: nanoseconds.
    Duration,
    /// 8 bytes: nanoseconds since the Unix epoch.
    Timestamp,
    /// Pairs.
    Map,
    /// Protobuf.
    Message,
}

/// When an attribute exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// In root contexts too.
    Always,
    /// In every callback of a stream.
    Stream,
    /// As `Stream`, where a route matched.
    Routed,
    /// While the filter sees the request's headers, and in `on_log`.
    RequestHeaders,
    /// Once there is a response.
    Answered,
    /// Once the router has an endpoint.
    Upstream,
    /// Once the last byte of the upstream's response has come.
    UpstreamComplete,
    /// In `on_log` and behind it.
    Ended,
    /// As `Stream`, on a TLS connection.
    Tls,
    /// As `Tls`, where the peer has shown a certificate.
    PeerCertificate,
    /// As `Upstream`, where that connection is TLS.
    UpstreamTls,
    /// Where something failed that has to be told.
    Failed,
}

/// One attribute. `name` is the part behind the root's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) kind: AttributeType,
    pub(super) when: Availability,
    pub(super) read: for<'v> fn(&View<'v>) -> Option<Value<'v>>,
}

/// A row of the table.
pub(super) const fn entry(
    name: &'static str,
    kind: AttributeType,
    when: Availability,
    read: for<'v> fn(&View<'v>) -> Option<Value<'v>>,
) -> Entry {
    Entry { name, kind, when, read }
}

type Other = for<'v> fn(&View<'v>, &[u8]) -> Option<Value<'v>>;

/// What a path can begin with.
pub(super) struct Root {
    pub(super) name: &'static str,
    pub(super) exists: fn(&View<'_>) -> bool,
    /// A root that is a value itself.
    pub(super) whole: Option<for<'v> fn(&View<'v>) -> Option<Value<'v>>>,
    /// The type of that value, and when it exists.
    of: (AttributeType, Availability),
    pub(super) attributes: &'static [Entry],
    /// What the root holds under names that no table can list.
    pub(super) others: Option<Other>,
}

/// An attribute as the fidelity report lists it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Attribute {
    /// Parts joined by dots.
    pub path: String,
    #[serde(rename = "type")]
    pub kind: AttributeType,
    pub when: Availability,
}

/// Every attribute, in the order of the roots.
pub fn attributes() -> Vec<Attribute> {
    let mut all = Vec::new();
    for root in &ROOTS {
        if root.whole.is_some() {
            all.push(Attribute { path: root.name.to_owned(), kind: root.of.0, when: root.of.1 });
        }
        for Entry { name, kind, when, .. } in root.attributes {
            all.push(Attribute { path: format!("{}.{name}", root.name), kind: *kind, when: *when });
        }
    }
    all
}

const fn group(name: &'static str, attributes: &'static [Entry]) -> Root {
    Root {
        name,
        exists: in_stream,
        whole: None,
        of: (AttributeType::Map, Availability::Stream),
        attributes,
        others: None,
    }
}

const fn whole(
    name: &'static str,
    of: (AttributeType, Availability),
    read: for<'v> fn(&View<'v>) -> Option<Value<'v>>,
) -> Root {
    Root { name, exists: always, whole: Some(read), of, attributes: &[], others: None }
}

fn always(_: &View<'_>) -> bool {
    true
}

fn in_stream(view: &View<'_>) -> bool {
    view.has_traffic()
}

/// In the order in which Envoy looks for them.
pub(super) static ROOTS: [Root; 14] = [
    group("request", &request::ATTRIBUTES),
    group("response", &response::ATTRIBUTES),
    group("connection", &peers::CONNECTION),
    group("source", &peers::SOURCE),
    group("destination", &peers::DESTINATION),
    group("upstream", &upstream::ATTRIBUTES),
    Root {
        exists: upstream::is_known,
        // Nothing in this host puts anything there.
        ..group("upstream_filter_state", &[])
    },
    whole("metadata", (AttributeType::Message, Availability::Stream), |view| {
        view.has_traffic().then_some(Value::Message(Message::Metadata(None)))
    }),
    Root {
        others: Some(|view, name| view.filter_state()?.get(name).map(Value::text)),
        ..group("filter_state", &[])
    },
    Root { exists: always, ..group("xds", &xds::ATTRIBUTES) },
    whole("plugin_name", (AttributeType::Text, Availability::Always), |view| {
        Some(Value::text(&view.plugin.name))
    }),
    whole("plugin_root_id", (AttributeType::Text, Availability::Always), |view| {
        Some(Value::text(&view.plugin.root_id))
    }),
    whole("plugin_vm_id", (AttributeType::Text, Availability::Always), |view| {
        Some(Value::text(&view.plugin.vm.id))
    }),
    whole("connection_id", (AttributeType::Uint, Availability::Stream), peers::id),
];
