//! The example's configuration, as it stands in `examples/envoy/`, made fit for a comparison.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use wayside::build::{self, Artifact};

/// File in `dist/` and package.
const FILTERS: [(&str, &str); 4] = [
    ("telemetry.wasm", "wayside-telemetry"),
    ("header_auth.wasm", "wayside-header-auth"),
    ("timeout.wasm", "wayside-timeout"),
    ("retry_budget.wasm", "wayside-retry-budget"),
];

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

/// The example with the modules of this build and no port of its own, written to a file.
#[derive(Debug)]
pub(super) struct Bootstrap {
    document: Value,
    /// What is tested.
    pub(super) artifacts: Vec<Artifact>,
}

impl Bootstrap {
    /// Builds the four filters and reads the example.
    pub(super) fn of_example() -> Self {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/envoy/envoy.yaml");
        let text =
            fs::read_to_string(&example).unwrap_or_else(|error| panic!("{}: {error}", example.display()));
        let document =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", example.display()));
        let mut bootstrap = Bootstrap { document, artifacts: Vec::new() };
        for (file, package) in FILTERS {
            let artifact = build::guest(package).unwrap_or_else(|error| panic!("{error}"));
            bootstrap.load_from(file, &artifact);
            bootstrap.artifacts.push(artifact);
        }
        bootstrap.set("/admin/address/socket_address/port_value", json!(0));
        bootstrap.set("/static_resources/listeners/0/address/socket_address/port_value", json!(0));
        bootstrap
    }

    /// What a comparison needs that a gateway at the edge must not have.
    pub(super) fn for_comparison(&mut self, upstream_port: u16) {
        let endpoint = "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint";
        self.set(&format!("{endpoint}/address/socket_address/port_value"), json!(upstream_port));
        // What a first filter was recorded to see is to be what the first filter sees here: callers from this machine are
        // internal, as they were to the recorded proxies, and nothing is added that stands in the recording already.
        let loopback = json!({ "cidr_ranges": [{ "address_prefix": "127.0.0.0", "prefix_len": 8 }] });
        self.put(MANAGER, "internal_address_config", loopback);
        self.put(MANAGER, "skip_xff_append", json!(true));
        self.put(MANAGER, "preserve_external_request_id", json!(true));
        // What the upstream sends as `server` is to reach the client, so that it is compared too.
        self.put(MANAGER, "server_header_transformation", json!("PASS_THROUGH"));
        self.put(MANAGER, "http_protocol_options", json!({ "enable_trailers": true }));
        let options = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http_protocol_options": { "enable_trailers": true } }
            }
        });
        self.put("/static_resources/clusters/0", "typed_extension_protocol_options", options);
        // One attempt a request: a replay has the last attempt's response and makes one attempt.
        let route = format!("{MANAGER}/route_config/virtual_hosts/0/routes/0/route");
        if let Some(route) = self.at(&route).as_object_mut() {
            route.remove("retry_policy");
        }
        // Histograms show what came before the last flush.
        self.put("", "stats_flush_interval", json!("0.1s"));
    }

    /// Adds a field to the configuration of one filter.
    pub(super) fn misspell(&mut self, filter: &str, field: &str) {
        let filters = self.at(&format!("{MANAGER}/http_filters")).as_array_mut().expect("a list of filters");
        let plugin =
            filters.iter_mut().find(|entry| entry["name"] == filter).expect("the example has the filter");
        let value = plugin.pointer_mut("/typed_config/config/configuration/value").expect("a StringValue");
        let mut document: Value = serde_json::from_str(value.as_str().expect("text")).expect("JSON");
        document[field] = json!(1);
        *value = json!(document.to_string());
    }

    /// The names of the Wasm filters in the order of the chain.
    pub(super) fn filters(&self) -> Vec<String> {
        let filters = self.document.pointer(&format!("{MANAGER}/http_filters")).and_then(Value::as_array);
        let wasm = |entry: &&Value| entry.pointer("/typed_config/config/vm_config").is_some();
        filters
            .into_iter()
            .flatten()
            .filter(wasm)
            .filter_map(|entry| Some(entry["name"].as_str()?.to_owned()))
            .collect()
    }

    /// YAML is a superset of JSON, and both sides read both.
    pub(super) fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, self.document.to_string()).expect("the folder is ours");
        path
    }

    fn load_from(&mut self, file: &str, artifact: &Artifact) {
        let filters = self.at(&format!("{MANAGER}/http_filters")).as_array_mut().expect("a list of filters");
        let place = "/typed_config/config/vm_config/code/local/filename";
        let wanted = format!("dist/{file}");
        let mut names = filters.iter_mut().filter_map(|entry| entry.pointer_mut(place));
        let name = names
            .find(|name| **name == json!(wanted))
            .unwrap_or_else(|| panic!("the example does not load {wanted}"));
        *name = json!(artifact.path);
    }

    fn at(&mut self, pointer: &str) -> &mut Value {
        self.document.pointer_mut(pointer).unwrap_or_else(|| panic!("the example has nothing at {pointer}"))
    }

    /// Changes what is there.
    fn set(&mut self, pointer: &str, value: Value) {
        *self.at(pointer) = value;
    }

    fn put(&mut self, parent: &str, field: &str, value: Value) {
        self.at(parent)[field] = value;
    }
}
