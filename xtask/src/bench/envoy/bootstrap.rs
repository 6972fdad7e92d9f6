//! Envoy's configuration: a listener for each row.

use serde_json::{Value, json};

use super::rows::{Row, Setup, Stage};

/// The proxy under measurement. Its listeners have the rows' names, and ports the system picks.
pub(super) fn proxy(rows: &[Row], upstream: u16) -> Value {
    let bases = Setup::ALL.map(|setup| listener(setup.base(), setup, Vec::new()));
    let measured = rows.iter().map(|row| {
        let once = row.chain.iter().enumerate();
        let chain = once.map(|(at, stage)| filter(&format!("{} {at}", row.name), stage));
        let chain: Vec<Value> = chain.collect();
        listener(&row.name, row.setup, std::iter::repeat_n(chain, row.copies).flatten().collect())
    });
    let listeners: Vec<Value> = bases.into_iter().chain(measured).collect();
    let cluster = json!({
        "name": "upstream",
        "type": "STATIC",
        "load_assignment": { "cluster_name": "upstream", "endpoints": [{ "lb_endpoints": [
            { "endpoint": { "address": address(upstream) } },
        ] }] },
    });
    json!({ "admin": { "address": address(0) }, "static_resources": { "listeners": listeners, "clusters": [cluster] } })
}

/// What proxied rows are proxied to.
pub(super) fn upstream() -> Value {
    let listener = listener("upstream", Setup::Direct, Vec::new());
    json!({ "admin": { "address": address(0) }, "static_resources": { "listeners": [listener] } })
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

fn listener(name: &str, setup: Setup, mut chain: Vec<Value>) -> Value {
    chain.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    }));
    let route = match setup {
        Setup::Direct => json!({
            "name": "every", "match": { "prefix": "/" },
            "direct_response": { "status": 200, "body": { "inline_string": "ok\n" } },
        }),
        Setup::Proxied => {
            json!({ "name": "every", "match": { "prefix": "/" }, "route": { "cluster": "upstream" } })
        }
    };
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "http_filters": chain,
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route] }] },
    });
    json!({ "name": name, "address": address(0), "filter_chains": [{ "filters": [
        { "name": "envoy.filters.network.http_connection_manager", "typed_config": manager },
    ] }] })
}

/// Equal filters of one listener share a VM, as they would anywhere.
fn filter(name: &str, stage: &Stage) -> Value {
    let (module, text) = match stage {
        Stage::Native(config) => return json!({ "name": name, "typed_config": config }),
        Stage::Wasm { module, configuration } => (module, configuration),
    };
    json!({ "name": "envoy.filters.http.wasm", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": name,
            "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text },
            "vm_config": {
                "vm_id": name,
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": module } },
            },
        },
    } })
}
