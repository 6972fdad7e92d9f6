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
}
