//! Listeners on loopback, and the one that tells how far a worker is.

use serde_json::{Value, json};

/// The listener whose answer tells that the worker has dealt with what came before.
pub(in crate::parity) const BARRIER: &str = "wayside-barrier";

pub(in crate::parity) fn on_loopback(name: &str, manager: Value) -> Value {
    let filter = json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager });
    with_filters(name, vec![filter])
}

/// A listener with these network filters.
pub(in crate::parity) fn with_filters(name: &str, filters: Vec<Value>) -> Value {
    json!({
        "name": name,
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
        "filter_chains": [{ "filters": filters }],
    })
}

/// What is the same for all. Callers from this machine are internal, nothing is added that the request has already, and
/// what the upstream sends as `server` reaches the client.
pub(in crate::parity) fn manager(stat_prefix: &str, http_filters: Vec<Value>, virtual_host: Value) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": stat_prefix,
        "use_remote_address": true,
        "internal_address_config": { "cidr_ranges": [{ "address_prefix": "127.0.0.0", "prefix_len": 8 }] },
        "skip_xff_append": true,
        "preserve_external_request_id": true,
        // A client's patience is a second too: what comes first would be chance.
        "delayed_close_timeout": "0.1s",
        "server_header_transformation": "PASS_THROUGH",
        "http_protocol_options": { "enable_trailers": true },
        "http_filters": http_filters,
        "route_config": { "name": "routes", "virtual_hosts": [virtual_host] },
    })
}

pub(in crate::parity) fn barrier_listener() -> Value {
    let routes = json!([{ "match": { "prefix": "/" }, "direct_response": { "status": 204 } }]);
    let host = json!({ "name": "host", "domains": ["*"], "routes": routes });
    let router = json!({ "name": "router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    } });
    on_loopback(BARRIER, manager("barrier", vec![router], host))
}
