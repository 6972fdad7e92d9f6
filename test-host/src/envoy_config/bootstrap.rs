//! A whole bootstrap (envoy/config/bootstrap/v3/bootstrap.proto) → [`ProxySpec`].

use super::{
    LoadOptions,
    cluster::clusters,
    listener::{Listener, listener},
    metadata::locality,
    raw::{Cursor, Fields},
};
use crate::proxy::spec::{ListenerSpec, NodeSpec, ProxySpec};

/// `None`: something is missing that no proxy can do without; that was recorded.
pub(super) fn bootstrap(root: &Cursor<'_>, name: &str, options: &LoadOptions) -> Option<ProxySpec> {
    let fields = root.fields()?;
    fields.harmless("admin", "there is no administration interface in a replay");
    fields.harmless("stats_config", "tags shape the names in Prometheus, not what is counted");
    for sink in ["stats_sinks", "stats_flush_interval", "stats_flush_on_admin", "tracing", "overload_manager"]
    {
        fields.harmless(sink, "nothing is exported, and a replay is not overloaded");
    }
    fields.not_emulated("dynamic_resources", "nothing is fetched: what would be discovered is missing here");
    let node = fields.get("node").and_then(|field| node(&field)).unwrap_or_default();
    let resources = fields.required("static_resources", "static_resources with listeners")?.fields()?;
    resources.harmless("secrets", "nothing is encrypted here");
    let clusters = clusters(resources.list("clusters"), options);
    let items = resources.list("listeners");
    let found = items.len();
    let (mut listeners, mut tcp_listeners) = (Vec::new(), Vec::new());
    for found in items.iter().filter_map(|item| listener(item, options)) {
        match found {
            Listener::Http(listener) => listeners.push(*listener),
            Listener::Tcp(listener) => tcp_listeners.push(listener),
        }
    }
    check_clusters(&resources, &listeners, |name| clusters.contains_key(name));
    for listener in tcp_listeners.iter().filter(|listener| !clusters.contains_key(&listener.cluster)) {
        resources.cursor().error(
            format!(
                "a tcp_proxy of listener {:?} to the unknown cluster {:?}",
                listener.name, listener.cluster
            ),
            "a cluster in static_resources.clusters",
        );
    }
    // Where a listener is wrong, that is the error.
    let none = listeners.is_empty() && tcp_listeners.is_empty();
    if none && !root.findings().has_errors() {
        let what =
            if found == 0 { "no listener".to_owned() } else { format!("{found} listeners, none usable") };
        resources
            .cursor()
            .error(what, "a listener with an HTTP connection manager, or with Wasm filters and a tcp_proxy");
    }
    if none {
        return None;
    }
    Some(ProxySpec { name: name.to_owned(), node, listeners, tcp_listeners, clusters })
}

fn node(field: &Cursor<'_>) -> Option<NodeSpec> {
    let fields = field.fields()?;
    Some(NodeSpec {
        id: fields.owned_text("id"),
        cluster: fields.owned_text("cluster"),
        metadata: fields.get("metadata").map(|field| field.json_object()).unwrap_or_default(),
        locality: fields.get("locality").and_then(|field| locality(&field)),
    })
}

/// Envoy refuses routes to clusters that do not exist.
fn check_clusters(resources: &Fields<'_>, listeners: &[ListenerSpec], exists: impl Fn(&str) -> bool) {
    for listener in listeners {
        let mut unknown: Vec<_> =
            listener.http.routes.named_clusters().filter(|name| !exists(name)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        for name in unknown {
            resources.cursor().error(
                format!("a route of listener {:?} to the unknown cluster {name:?}", listener.name),
                "routes to clusters in static_resources.clusters",
            );
        }
    }
}
