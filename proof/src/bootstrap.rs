//! Envoy's configuration: doors, as JSON.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

/// A wasm filter.
#[derive(Clone, Debug)]
pub struct Wasm {
    pub module: PathBuf,
    /// Plugins of equal `vm_id` and module share a VM on each worker, and all that is in shared data.
    pub vm_id: String,
    pub configuration: Value,
}

/// A listener, one route to one cluster, and the filters between: all have this name.
#[derive(Clone, Debug)]
pub struct Door {
    pub name: String,
    pub upstream: SocketAddr,
    /// Envoy's own filters, as JSON: before the others.
    pub native: Vec<Value>,
    /// Routes before the one for everything; options of the connection manager beside those it has.
    pub routes: Vec<Value>,
    pub manager: Value,
    /// Once a request.
    pub filters: Vec<Wasm>,
    /// Whether those may look at a body before they let the headers go.
    pub may_hold_headers: bool,
    /// Once an attempt.
    pub upstream_filters: Vec<Wasm>,
    /// The route's `retry_policy`, and its `timeout`; Envoy's own defaults otherwise.
    pub retries: Option<Value>,
    pub timeout: Option<String>,
    /// Whether the upstream is told which try a request is.
    pub counts_attempts: bool,
    /// The cluster's thresholds; what is not named in them does not limit.
    pub limits: Value,
    /// For callers of the mesh: what comes from this machine is internal. Where it is not, Envoy itself takes most of its control
    /// headers away. It never is where an address stands in `x-forwarded-for` already, so no door writes one there.
    pub inside: bool,
    pub upstream_http2: bool,
    /// Clients connect by TLS: a `DownstreamTlsContext`.
    pub tls: Option<Value>,
}

impl Door {
    /// Without filters, retries or limits, for outsiders.
    #[must_use]
    pub fn new(name: &str, upstream: SocketAddr) -> Door {
        Door {
            name: name.to_owned(),
            upstream,
            native: Vec::new(),
            routes: Vec::new(),
            manager: json!({}),
            filters: Vec::new(),
            may_hold_headers: false,
            upstream_filters: Vec::new(),
            retries: None,
            timeout: None,
            counts_attempts: false,
            limits: json!({}),
            inside: false,
            upstream_http2: false,
            tls: None,
        }
    }

    /// With these filters before the router.
    #[must_use]
    pub fn filters(self, filters: impl IntoIterator<Item = Wasm>) -> Door {
        Door { filters: filters.into_iter().collect(), ..self }
    }

    /// With this `retry_policy`.
    #[must_use]
    pub fn retries(self, policy: Value) -> Door {
        Door { retries: Some(policy), ..self }
    }

    /// With these thresholds.
    #[must_use]
    pub fn limits(self, limits: Value) -> Door {
        Door { limits, ..self }
    }

    pub(crate) fn listener(&self) -> Value {
        let ours = self.filters.iter().map(|filter| filter.filter(self.may_hold_headers));
        let mut chain: Vec<Value> = self.native.iter().cloned().chain(ours).collect();
        chain.push(json!({ "name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        } }));
        let mut action = json!({ "cluster": self.name });
        if let Some(policy) = &self.retries {
            action["retry_policy"] = policy.clone();
        }
        if let Some(timeout) = &self.timeout {
            action["timeout"] = json!(timeout);
        }
        let every = json!({ "name": "every", "match": { "prefix": "/" }, "route": action });
        let routes: Vec<&Value> = self.routes.iter().chain([&every]).collect();
        let mut manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": self.name,
            "use_remote_address": true,
            "skip_xff_append": true,
            "http_filters": chain,
            "route_config": { "name": "routes", "virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "include_request_attempt_count": self.counts_attempts,
                "routes": routes,
            }] },
            "upgrade_configs": [{ "upgrade_type": "websocket" }],
        });
        for (name, option) in self.manager.as_object().into_iter().flatten() {
            manager[name] = option.clone();
        }
        if self.inside {
            manager["internal_address_config"] =
                json!({ "cidr_ranges": [{ "address_prefix": "127.0.0.0", "prefix_len": 8 }] });
        }
        let mut chain = json!({ "filters": [
            { "name": "envoy.filters.network.http_connection_manager", "typed_config": manager },
        ] });
        if let Some(context) = &self.tls {
            let mut context = context.clone();
            context["@type"] =
                json!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext");
            chain["transport_socket"] = json!({ "name": "tls", "typed_config": context });
        }
        json!({
            "name": self.name,
            "address": socket(([127, 0, 0, 1], 0).into()),
            // Each worker gets as many connections as any other.
            "connection_balance_config": { "exact_balance": {} },
            "filter_chains": [chain],
        })
    }

    fn cluster(&self) -> Value {
        // A million is more than any run has at once.
        let mut limits = json!({
            "max_connections": 1_000_000, "max_pending_requests": 1_000_000, "max_requests": 1_000_000,
            "max_retries": 1_000_000,
        });
        for (name, limit) in self.limits.as_object().into_iter().flatten() {
            limits[name] = limit.clone();
        }
        let mut chain: Vec<Value> = self.upstream_filters.iter().map(|filter| filter.filter(false)).collect();
        chain.push(json!({ "name": "codec", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
        } }));
        let protocol = if self.upstream_http2 { "http2_protocol_options" } else { "http_protocol_options" };
        json!({
            "name": self.name,
            "type": "STATIC",
            "circuit_breakers": { "thresholds": [limits] },
            "typed_extension_protocol_options": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { protocol: {} },
                "http_filters": chain,
            } },
            "load_assignment": { "cluster_name": self.name, "endpoints": [{ "lb_endpoints": [
                { "endpoint": { "address": socket(self.upstream) } },
            ] }] },
        })
    }
}

impl Wasm {
    /// A filter whose rule is these defaults, in a VM of its own.
    #[must_use]
    pub fn new(module: &Path, vm_id: &str, defaults: &Value) -> Wasm {
        let configuration = json!({ "version": 1, "defaults": defaults });
        Wasm { module: module.to_owned(), vm_id: vm_id.to_owned(), configuration }
    }

    fn filter(&self, may_hold_headers: bool) -> Value {
        let configuration = self.configuration.to_string();
        json!({ "name": self.vm_id, "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": self.vm_id,
                "root_id": self.vm_id,
                "failure_policy": "FAIL_RELOAD",
                "allow_on_headers_stop_iteration": may_hold_headers,
                "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration },
                "vm_config": {
                    "vm_id": self.vm_id,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": self.module } },
                },
            },
        } })
    }
}

/// An Envoy with these doors, and an administration interface.
#[must_use]
pub fn document(doors: &[Door]) -> Value {
    let listeners: Vec<Value> = doors.iter().map(Door::listener).collect();
    let clusters: Vec<Value> = doors.iter().map(Door::cluster).collect();
    json!({
        "admin": { "address": socket(([127, 0, 0, 1], 0).into()) },
        "static_resources": { "listeners": listeners, "clusters": clusters },
    })
}

/// The same with listeners that are read from a file, which may be replaced while Envoy runs.
pub(crate) fn reloadable(doors: &[Door], listeners: &Path) -> Value {
    let mut document = document(doors);
    document["static_resources"]["listeners"] = json!([]);
    document["node"] = json!({ "id": "proof", "cluster": "proof" });
    document["dynamic_resources"] = json!({ "lds_config": {
        "resource_api_version": "V3", "path_config_source": { "path": listeners },
    } });
    document
}

/// What stands in that file.
pub(crate) fn listeners(doors: &[Door]) -> Value {
    let listener = |door: &Door| {
        let mut listener = door.listener();
        listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
        listener["drain_type"] = json!("MODIFY_ONLY");
        listener
    };
    json!({ "resources": doors.iter().map(listener).collect::<Vec<_>>() })
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}
