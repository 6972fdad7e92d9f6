//! A user's Envoy configuration made fit for a comparison: the filters and routes stay as they are, what surrounds them
//! moves to loopback.

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use serde_json::{Map, Value, json};

use crate::parity::live;

const MANAGER: &str = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Of what is put into a connection manager, that of which the host knows nothing.
pub(super) const PUT: [&str; 2] = ["skip_xff_append", "server_header_transformation"];

/// The document, and what was changed in it that changes what it means.
#[derive(Debug)]
pub(super) struct Document {
    value: Value,
    /// In sentences.
    pub(super) changes: Vec<String>,
}

impl Document {
    /// # Errors
    /// The file cannot be read, or is no YAML.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        let value = serde_saphyr::from_str(&text).map_err(|error| failed(&error))?;
        let mut document = Document { value, changes: Vec::new() };
        document.on_loopback();
        Ok(document)
    }

    fn on_loopback(&mut self) {
        let Some(top) = self.value.as_object_mut() else { return };
        let anywhere = json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } });
        top.insert("admin".to_owned(), json!({ "address": anywhere }));
        // Histograms show what came before the last flush.
        top.insert("stats_flush_interval".to_owned(), json!("0.1s"));
        for field in ["dynamic_resources", "stats_sinks", "hds_config", "watchdogs", "overload_manager"] {
            remove(top, field, "", &mut self.changes);
        }
        let Some(resources) = top.get_mut("static_resources") else { return };
        for (number, listener) in items(resources, "listeners").into_iter().enumerate() {
            listener_on_loopback(number, listener, &anywhere, &mut self.changes);
        }
    }

    /// Every endpoint of a cluster becomes the server that stands for it; `otherwise` for those without one.
    pub(super) fn serve(&mut self, servers: &BTreeMap<String, SocketAddr>, otherwise: SocketAddr) {
        let Some(resources) = self.value.get_mut("static_resources") else { return };
        for cluster in items(resources, "clusters") {
            let name = cluster["name"].as_str().unwrap_or_default().to_owned();
            let at = servers.get(&name).copied().unwrap_or(otherwise);
            cluster_at(cluster, at, &mut self.changes);
        }
    }

    /// As the host reads it.
    pub(super) fn for_host(&self) -> String {
        self.value.to_string()
    }

    /// As Envoy reads it: with a listener more, that tells when the worker has dealt with what came before.
    pub(super) fn for_envoy(&self) -> String {
        let mut value = self.value.clone();
        if let Some(listeners) =
            value.pointer_mut("/static_resources/listeners").and_then(Value::as_array_mut)
        {
            listeners.push(live::barrier_listener());
        }
        value.to_string()
    }
}

fn listener_on_loopback(number: usize, listener: &mut Value, anywhere: &Value, changes: &mut Vec<String>) {
    let Some(fields) = listener.as_object_mut() else { return };
    fields.insert("address".to_owned(), anywhere.clone());
    fields.entry("name").or_insert_with(|| json!(format!("listener-{number}")));
    let name = fields["name"].as_str().unwrap_or_default().to_owned();
    for field in
        ["access_log", "listener_filters", "bind_to_port", "enable_reuse_port", "additional_addresses"]
    {
        remove(fields, field, &format!("listener {name}: "), changes);
    }
    for chain in items(listener, "filter_chains") {
        let Some(fields) = chain.as_object_mut() else { continue };
        for field in ["filter_chain_match", "transport_socket"] {
            remove(fields, field, &format!("listener {name}: "), changes);
        }
        for filter in items(chain, "filters") {
            let config = &mut filter["typed_config"];
            if config["@type"].as_str().is_some_and(|name| name.ends_with(MANAGER)) {
                manager(&name, config, changes);
            }
        }
    }
}

fn manager(listener: &str, config: &mut Value, changes: &mut Vec<String>) {
    let Some(fields) = config.as_object_mut() else { return };
    for field in [
        "access_log",
        "tracing",
        "codec_type",
        "request_timeout",
        "stream_idle_timeout",
        "delayed_close_timeout",
    ] {
        remove(fields, field, &format!("listener {listener}: "), changes);
    }
    // What a first filter was recorded to see is to be what the first filter sees here: callers from this machine are
    // internal, as they were to the recorded proxies, and nothing is added that stands in the recording already.
    let loopback = json!({ "cidr_ranges": [{ "address_prefix": "127.0.0.0", "prefix_len": 8 }] });
    let put = [
        ("use_remote_address", json!(true)),
        ("internal_address_config", loopback),
        ("skip_xff_append", json!(true)),
        ("preserve_external_request_id", json!(true)),
        // What the upstream sends as `server` is to reach the client, so that it is compared too.
        ("server_header_transformation", json!("PASS_THROUGH")),
        ("http_protocol_options", json!({ "enable_trailers": true })),
    ];
    for (name, value) in put {
        fields.insert(name.to_owned(), value);
    }
    let Some(routes) = fields.get_mut("route_config") else { return };
    for host in items(routes, "virtual_hosts") {
        // One attempt a request: a replay has the last attempt's response and makes one attempt.
        without_retries(host, changes);
        for route in items(host, "routes") {
            without_retries(&mut route["route"], changes);
        }
    }
}

fn without_retries(of: &mut Value, changes: &mut Vec<String>) {
    if let Some(fields) = of.as_object_mut() {
        remove(fields, "retry_policy", "", changes);
    }
}

fn cluster_at(cluster: &mut Value, at: SocketAddr, changes: &mut Vec<String>) {
    let Some(fields) = cluster.as_object_mut() else { return };
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    for field in [
        "transport_socket",
        "transport_socket_matches",
        "http2_protocol_options",
        "health_checks",
        "outlier_detection",
        "dns_lookup_family",
        "cluster_type",
        "eds_cluster_config",
        "circuit_breakers",
    ] {
        remove(fields, field, &format!("cluster {name}: "), changes);
    }
    fields.insert("type".to_owned(), json!("STATIC"));
    let filters =
        fields.get("typed_extension_protocol_options").map(|own| own[HTTP_OPTIONS]["http_filters"].clone());
    let mut options = json!({
        "@type": format!("type.googleapis.com/{HTTP_OPTIONS}"),
        "explicit_http_config": { "http_protocol_options": { "enable_trailers": true } }
    });
    if let Some(filters) = filters.filter(|filters| !filters.is_null()) {
        options["http_filters"] = filters;
    }
    fields.insert("typed_extension_protocol_options".to_owned(), json!({ HTTP_OPTIONS: options }));
    let Some(assignment) = cluster.get_mut("load_assignment") else { return };
    for group in items(assignment, "endpoints") {
        for member in items(group, "lb_endpoints") {
            if let Some(endpoint) = member.get_mut("endpoint").and_then(Value::as_object_mut) {
                let address = json!({ "address": at.ip().to_string(), "port_value": at.port() });
                endpoint.insert("address".to_owned(), json!({ "socket_address": address }));
                endpoint.remove("health_check_config");
            }
        }
    }
}

/// The elements of a list, or nothing.
fn items<'a>(of: &'a mut Value, field: &str) -> Vec<&'a mut Value> {
    of.get_mut(field).and_then(Value::as_array_mut).map(|list| list.iter_mut().collect()).unwrap_or_default()
}

fn remove(fields: &mut Map<String, Value>, field: &str, place: &str, changes: &mut Vec<String>) {
    if fields.remove(field).is_some() {
        let change = format!("{place}{field} is left out");
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
}
