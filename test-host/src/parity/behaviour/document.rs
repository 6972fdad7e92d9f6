//! Behaviours → Envoy's configuration: a listener each, on shared clusters, in one document.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::case::{Behaviour, Callout, Filter, Overrides};
use crate::parity::live::{self, manager, on_loopback, with_filters};

/// The cluster that requests go to.
pub(super) const UPSTREAM: &str = "upstream";
/// What the statistics of all listeners are under.
pub(super) const MANAGER: &str = "ingress";

/// A behaviour with the name by which its traces are told from those of others.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) topic: String,
    pub(super) behaviour: Behaviour,
    /// In front of every name that the guest, its log or its metrics may show; empty in a process of its own.
    pub(super) prefix: String,
    pub(super) listener: String,
}

impl Case {
    pub(super) fn new(topic: &str, behaviour: &Behaviour) -> Self {
        let digest = hex::encode(Sha256::digest(format!("{topic}/{}", behaviour.name)));
        let id = digest.get(..8).unwrap_or_default().to_owned();
        let prefix = if behaviour.own_process { String::new() } else { format!("~{id}~") };
        Case { topic: topic.to_owned(), behaviour: behaviour.clone(), prefix, listener: id }
    }

    /// `<topic>: <name>`.
    pub(super) fn title(&self) -> String {
        format!("{}: {}", self.topic, self.behaviour.name)
    }

    /// Of the client's connection.
    pub(super) fn scheme(&self) -> &'static str {
        if self.behaviour.tls.is_some() { "https" } else { "http" }
    }

    /// A text of the behaviour as its guests get it.
    fn substituted(&self, text: &str) -> String {
        text.replace("${id}", &self.prefix)
    }

    /// What was seen, without what tells it from others.
    pub(super) fn stripped(&self, text: &str) -> String {
        if self.prefix.is_empty() { text.to_owned() } else { text.replace(&self.prefix, "") }
    }

    /// How the log begins its lines, filter by filter in the order in which they start.
    pub(super) fn filter_name(&self, number: usize) -> String {
        let mut before = 0;
        for (filters, kind) in self.behaviour.kinds() {
            if let Some(nth) = number.checked_sub(before)
                && let Some(filter) = filters.get(nth)
            {
                let unnamed = || if nth == 0 { kind.to_owned() } else { format!("{kind}-{}", nth + 1) };
                return filter.name.clone().unwrap_or_else(unnamed);
            }
            before += filters.len();
        }
        String::new()
    }

    /// The cluster that requests go to: of its own where it has filters of its own.
    fn upstream(&self) -> String {
        let own = !self.behaviour.upstream_filters.is_empty();
        if own { format!("{}{UPSTREAM}", self.prefix) } else { UPSTREAM.to_owned() }
    }
}

/// Where things are.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    /// By cluster: where a server of the runner listens. What is not there refuses.
    pub(super) servers: BTreeMap<String, SocketAddr>,
    /// Access logs go here.
    pub(super) access_log: PathBuf,
    /// Modules by the guest's name.
    pub(super) guests: BTreeMap<String, PathBuf>,
}

/// The names of the guests that behaviours need.
pub(super) fn guests(behaviours: &[Behaviour]) -> std::collections::BTreeSet<String> {
    let filters = behaviours.iter().flat_map(Behaviour::guests);
    filters.filter(|filter| filter.wat.is_none()).map(|filter| guest_of(filter).to_owned()).collect()
}

fn guest_of(filter: &Filter) -> &str {
    filter.guest.as_deref().unwrap_or("script")
}

/// The whole document for these behaviours.
pub(super) fn document(cases: &[&Case], around: &Surroundings) -> Result<Value, String> {
    let mut listeners = cases.iter().map(|case| listener(case, around)).collect::<Result<Vec<_>, _>>()?;
    // Last: where a host takes the first listener, it is a behaviour's.
    listeners.push(live::barrier_listener());
    let mut clusters: BTreeMap<String, Value> = BTreeMap::new();
    clusters.insert(UPSTREAM.to_owned(), cluster(UPSTREAM, around.servers.get(UPSTREAM).copied(), true));
    for case in cases {
        for (name, callout) in &case.behaviour.callouts {
            let has_host = !matches!(callout, Callout::Hostless);
            let mut cluster = cluster(name, around.servers.get(name).copied(), has_host);
            if matches!(callout, Callout::Grpc(_)) {
                cluster["typed_extension_protocol_options"][HTTP_OPTIONS]["explicit_http_config"] =
                    json!({ "http2_protocol_options": {} });
            }
            clusters.insert(name.clone(), cluster);
        }
        if case.behaviour.connection.is_some() {
            let name = case.tcp_cluster();
            let server = around.servers.get(&case.listener).copied();
            clusters.insert(name.clone(), cluster(&name, server, true));
        }
        for further in &case.behaviour.envoy.clusters {
            let name = further["name"].as_str().ok_or("envoy.clusters: expected a name")?;
            clusters.insert(name.to_owned(), further.clone());
        }
        if !case.behaviour.upstream_filters.is_empty() {
            let server = around.servers.get(UPSTREAM).copied();
            let mut own =
                cluster(&case.upstream(), server.filter(|_| !case.behaviour.upstream_refuses), true);
            let filters = upstream_filters(case, 0, around)?;
            own["typed_extension_protocol_options"][HTTP_OPTIONS]["http_filters"] = filters;
            clusters.insert(case.upstream(), own);
        }
        if let Some(upstream) = clusters.get_mut(&case.upstream()) {
            if let Some(tls) = &case.behaviour.upstream_tls {
                tls.configure(upstream);
            }
            merge(upstream, &case.behaviour.envoy.cluster);
        }
    }
    let mut document = json!({
        "node": { "id": "parity-node", "cluster": "parity" },
        "admin": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } } },
        "stats_flush_interval": "0.1s",
        "static_resources": { "listeners": listeners, "clusters": clusters.into_values().collect::<Vec<_>>() },
    });
    for case in cases {
        merge(&mut document, &case.behaviour.envoy.bootstrap);
    }
    Ok(document)
}

fn listener(case: &Case, around: &Surroundings) -> Result<Value, String> {
    let mut filters = chain(case, 2, around)?;
    if case.behaviour.connection.is_some() {
        let mut listener = with_filters(&case.listener, super::raw::filters(case, filters));
        merge(&mut listener, &case.behaviour.envoy.listener);
        return Ok(listener);
    }
    let Overrides { router: router_fields, connection_manager, listener: listener_fields, .. } =
        &case.behaviour.envoy;
    let mut router = json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" });
    if !case.behaviour.upstream_filters_of_router.is_empty() {
        router["upstream_http_filters"] = upstream_filters(case, 3, around)?;
    }
    merge(&mut router, router_fields);
    filters.push(json!({ "name": "router", "typed_config": router }));
    let mut manager = manager(MANAGER, filters, virtual_host(case));
    let mut logs = vec![access_log(case, &around.access_log)];
    for mut logger in chain(case, 1, around)? {
        logger["typed_config"]["@type"] =
            json!("type.googleapis.com/envoy.extensions.access_loggers.wasm.v3.WasmAccessLog");
        logs.push(logger);
    }
    manager["access_log"] = json!(logs);
    merge(&mut manager, connection_manager);
    let mut listener = on_loopback(&case.listener, manager);
    if let Some(tls) = &case.behaviour.tls {
        tls.configure(&mut listener);
    }
    merge(&mut listener, listener_fields);
    Ok(listener)
}

/// The filters of one kind.
fn chain(case: &Case, kind: usize, around: &Surroundings) -> Result<Vec<Value>, String> {
    let kinds = case.behaviour.kinds();
    let first = kinds.iter().take(kind).map(|(filters, _)| filters.len()).sum();
    let filters = kinds.get(kind).map(|(filters, _)| *filters).unwrap_or_default();
    (first..).zip(filters).map(|(number, filter)| wasm(case, number, filter, around)).collect()
}

/// A chain of upstream filters with its end.
fn upstream_filters(case: &Case, kind: usize, around: &Surroundings) -> Result<Value, String> {
    const CODEC: &str = "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec";
    let mut filters = chain(case, kind, around)?;
    filters.push(json!({ "name": "codec", "typed_config": { "@type": CODEC } }));
    Ok(json!(filters))
}

fn virtual_host(case: &Case) -> Value {
    let overrides = &case.behaviour.envoy;
    let mut action = json!({ "cluster": case.upstream() });
    merge(&mut action, &overrides.route);
    let routes = match &overrides.routes {
        Value::Null => json!([{ "name": "main", "match": { "prefix": "/" }, "route": action }]),
        routes => routes.clone(),
    };
    let mut host = json!({ "name": "host", "domains": ["*"], "routes": routes });
    merge(&mut host, &overrides.virtual_host);
    host
}

/// One line a request; the client's port tells which.
fn access_log(case: &Case, path: &Path) -> Value {
    json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": { "json_format": {
                "listener": case.listener,
                "client": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
                "code": "%RESPONSE_CODE%",
                "details": "%RESPONSE_CODE_DETAILS%",
                "flags": "%RESPONSE_FLAGS%",
            } },
        },
    })
}

fn wasm(case: &Case, number: usize, filter: &Filter, around: &Surroundings) -> Result<Value, String> {
    let code = match &filter.wat {
        Some(text) => {
            let module = wat::parse_str(text).map_err(|error| format!("filters[{number}].wat: {error}"))?;
            json!({ "inline_bytes": BASE64_STANDARD.encode(module) })
        }
        None => {
            let name = guest_of(filter);
            let path = around
                .guests
                .get(name)
                .ok_or_else(|| format!("filters[{number}].guest: no guest {name:?}"))?;
            json!({ "filename": path })
        }
    };
    let text = |text: &str| json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": case.substituted(text) });
    let mut vm = json!({
        "vm_id": format!("{}{}", case.prefix, filter.vm_id),
        "runtime": "envoy.wasm.runtime.v8",
        "code": { "local": code },
    });
    if let Some(configuration) = &filter.vm_configuration {
        vm["configuration"] = text(configuration);
    }
    if !filter.environment.is_empty() {
        vm["environment_variables"] = json!({ "key_values": filter.environment });
    }
    let mut plugin = json!({
        "name": format!("{}{}", case.prefix, case.filter_name(number)),
        "root_id": filter.root_id,
        "vm_config": vm,
    });
    if let Some(configuration) = filter.script.as_ref().or(filter.configuration.as_ref()) {
        plugin["configuration"] = text(configuration);
    }
    if let Some(policy) = &filter.failure_policy {
        plugin["failure_policy"] = json!(policy);
    }
    if let Some(interval) = &filter.reload_interval {
        plugin["reload_config"] = json!({ "backoff": { "base_interval": interval } });
    }
    if filter.fail_open {
        plugin["fail_open"] = json!(true);
    }
    if filter.allow_on_headers_stop_iteration {
        plugin["allow_on_headers_stop_iteration"] = json!(true);
    }
    if let Some(names) = &filter.allowed_capabilities {
        let allowed: Map<String, Value> = names.iter().map(|name| (name.clone(), json!({}))).collect();
        plugin["capability_restriction_config"] = json!({ "allowed_capabilities": allowed });
    }
    Ok(json!({
        "name": case.filter_name(number),
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": plugin,
        },
    }))
}

/// Port 9 of loopback, where nothing listens, stands for what refuses.
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

fn cluster(name: &str, server: Option<SocketAddr>, has_host: bool) -> Value {
    let port = server.map_or(9, |address| address.port());
    let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    let endpoints = if has_host { json!([{ "endpoint": { "address": address } }]) } else { json!([]) };
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": endpoints }] },
        "typed_extension_protocol_options": { HTTP_OPTIONS: {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": { "http_protocol_options": { "enable_trailers": true } },
        } },
    })
}

/// Objects field by field; `null` leaves what is there.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (_, Value::Null) => {}
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
