//! The host with a chain of the benchmark's guests, as `wayside replay` sets it up: an Envoy configuration and a recording.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};
use wayside::{
    build::Guest,
    envoy_config,
    message::{Exchange, Recording},
    proxy::Outcome,
    replay::{self, Options, Specs},
    traffic,
    upstream::Services,
    vm::Modules,
};

use crate::{measure, traffic as made};

/// A guest of the benchmark (`probes/examples/bench`), as its sources say now.
pub(crate) fn guest(name: &str) -> PathBuf {
    let guest = Guest::package("wayside-probes").example(format!("bench-{name}"));
    guest.manifest_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("probes")).build().expect("it builds").path
}

/// An Envoy configuration with these filters (module, configuration) in front of one cluster.
pub(crate) fn configuration(filters: &[(PathBuf, &str)]) -> Vec<u8> {
    let wasm = |(at, (path, text)): (usize, &(PathBuf, &str))| {
        let name = format!("filter-{at}");
        let configuration =
            json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text });
        json!({ "name": name, "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": { "name": name, "configuration": configuration, "vm_config": {
                "vm_id": name, "runtime": "envoy.wasm.runtime.v8", "code": { "local": { "filename": path } },
            } },
        } })
    };
    let mut chain: Vec<Value> = filters.iter().enumerate().map(wasm).collect();
    chain.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    }));
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "http_filters": chain,
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
            { "name": "every", "match": { "prefix": "/" }, "route": { "cluster": "app" } },
        ] }] },
    });
    let address = |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    let endpoint = json!({ "endpoint": { "address": address(8080) } });
    let bootstrap = json!({ "node": { "id": "front" }, "static_resources": {
        "listeners": [{ "name": "in", "address": address(80), "filter_chains": [{ "filters": [
            { "name": "envoy.filters.network.http_connection_manager", "typed_config": manager },
        ] }] }],
        "clusters": [{ "name": "app", "type": "STATIC", "load_assignment": {
            "cluster_name": "app", "endpoints": [{ "lb_endpoints": [endpoint] }],
        } }],
    } });
    bootstrap.to_string().into_bytes()
}

/// A folder with a configuration and a recording.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new(filters: &[(PathBuf, &str)], exchanges: usize) -> Self {
        let folder = Folder(tempfile::tempdir().expect("a temporary folder"));
        std::fs::write(folder.envoy(), configuration(filters)).expect("it can be written");
        std::fs::write(folder.recording(), made::recording(exchanges)).expect("it can be written");
        folder
    }

    pub(crate) fn envoy(&self) -> PathBuf {
        self.0.path().join("envoy.json")
    }

    pub(crate) fn recording(&self) -> PathBuf {
        self.0.path().join("front.inbound.streamed.pb_length_delimited")
    }
}

/// A chain and a recording, ready to be replayed.
pub(crate) struct Host {
    modules: Arc<Modules>,
    recording: Recording,
    specs: Specs,
    options: Options,
    exchanges: usize,
}

/// Exchanges that differ in where they lie in memory: they stay in the processor's cache, as the yardstick's one does.
const DISTINCT: usize = 4;

/// So many exchanges: these, one after the other, and again from the first.
fn over_and_over(recorded: &[Exchange], exchanges: usize) -> Vec<Exchange> {
    let numbered = recorded.iter().cycle().cloned().zip(1..).map(|(mut exchange, number)| {
        exchange.id.number = number;
        exchange
    });
    numbered.take(exchanges).collect()
}

fn is_answered(outcome: &Outcome) -> bool {
    let response = outcome.downstream_response.as_ref();
    response.and_then(|response| response.headers.first(b":status")).is_some_and(|s| &s[..] == b"200")
}

impl Host {
    pub(crate) fn new(
        modules: &Arc<Modules>,
        filters: &[(PathBuf, &str)],
        exchanges: usize,
        options: Options,
    ) -> Self {
        let folder = Folder::new(filters, DISTINCT);
        let loaded = envoy_config::load(&folder.envoy()).expect("a configuration");
        let specs = Specs::Everywhere(Arc::new(loaded.spec));
        let mut recording =
            traffic::load(&[folder.recording()], &traffic::Limits::default()).expect("a recording");
        recording.exchanges = over_and_over(&recording.exchanges, exchanges);
        Host { modules: Arc::clone(modules), recording, specs, options, exchanges }
    }

    /// A recording in memory is replayed; what became of every exchange is told whole, looked at, and dropped. Reading the
    /// recording is not measured.
    pub(crate) fn replay(&self) -> f64 {
        let recording = self.recording.clone();
        measure::each(self.exchanges, || {
            let mut passed = 0;
            let ended = |_, outcome: Outcome| passed += usize::from(is_answered(&outcome));
            let (modules, services) = (&self.modules, |_: &str| Services::default());
            replay::replay_each(modules, &self.specs, &[], recording, &self.options, services, ended)
                .expect("the guests start");
            assert_eq!(passed, self.exchanges, "every exchange passes");
        })
    }
}
