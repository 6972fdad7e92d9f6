//! A folder with what a user would have there: configurations, recordings, modules; and the command run in it.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf, process::Command};

use serde_json::{Value, json};

pub(crate) struct Folder(tempfile::TempDir);

/// What the command left behind.
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder");
        fs::write(path, bytes).expect("it can be written");
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).expect("JSON")
    }

    /// An Envoy configuration with these filters in front of the router.
    pub(crate) fn envoy(&self, name: &str, filters: &[Filter]) -> &Self {
        let mut chain: Vec<Value> = filters.iter().map(|filter| filter.0.clone()).collect();
        chain.push(json!({
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        }));
        let manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "in",
            // What waits, waits to the end.
            "stream_idle_timeout": "0s",
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
        self.write(name, serde_json::to_vec_pretty(&bootstrap).expect("JSON"))
    }

    /// A recording of exchanges, one segment a line.
    pub(crate) fn recording(&self, name: &str, exchanges: &[Recorded]) -> &Self {
        let text: String = (1..).zip(exchanges).map(|(id, exchange)| exchange.segments(id)).collect();
        self.write(name, text)
    }

    pub(crate) fn module(&self, name: &str, wat: &str) -> PathBuf {
        self.write(name, wat::parse_str(wat).expect("the test's own text is WebAssembly"));
        self.path(name)
    }

    /// Runs `wayside` here. Arguments are split at blanks.
    pub(crate) fn wayside(&self, arguments: &str) -> Run {
        self.wayside_with(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn wayside_with(&self, arguments: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_wayside"))
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .expect("the command starts");
        let text =
            |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8").replace(&self.shown(), "<folder>");
        Run {
            status: output.status.code().expect("it ends by itself"),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// The folder's name as messages have it.
    fn shown(&self) -> String {
        self.0.path().display().to_string()
    }
}

/// An entry of `http_filters`.
pub(crate) struct Filter(Value);

impl Filter {
    pub(crate) fn new(name: &str, module: &Path, configuration: Option<Value>) -> Self {
        let mut config = json!({ "name": name, "root_id": name, "vm_config": {
            "vm_id": name, "runtime": "envoy.wasm.runtime.v8", "code": { "local": { "filename": module } },
        } });
        if let Some(configuration) = configuration {
            config["configuration"] = json!({
                "@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration.to_string(),
            });
        }
        Filter(json!({ "name": name, "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", "config": config,
        } }))
    }

    /// With the answer of `wayside inspect --capabilities` in the plugin's configuration.
    pub(crate) fn allowed(mut self, capabilities: &str) -> Self {
        let fields: BTreeMap<String, Value> = serde_saphyr::from_str(capabilities).expect("YAML");
        let config = self.0["typed_config"]["config"].as_object_mut().expect("a plugin's configuration");
        config.extend(fields);
        self
    }

    /// One of ours, as its sources say now.
    pub(crate) fn built(name: &str, configuration: Value) -> Self {
        let artifact = wayside::build::guest(&format!("wayside-{name}")).expect("it builds");
        Self::new(name, &artifact.path, Some(configuration))
    }
}

/// A request with its response, as bytes.
#[derive(Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) request: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) response: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    pub(crate) body: Vec<u8>,
}

impl Recorded {
    pub(crate) fn get(path: impl AsRef<[u8]>) -> Self {
        let field = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
        Recorded {
            request: vec![
                field(":method", b"GET"),
                field(":scheme", b"http"),
                field(":authority", b"app"),
                field(":path", path.as_ref()),
            ],
            ..Recorded::default()
        }
    }

    pub(crate) fn with(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.request.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn answered(mut self, status: u16, body: impl AsRef<[u8]>) -> Self {
        let field = |name: &str, value: String| (name.as_bytes().to_vec(), value.into_bytes());
        self.body = body.as_ref().to_vec();
        self.response = Some(vec![
            field(":status", status.to_string()),
            field("content-length", self.body.len().to_string()),
        ]);
        self
    }

    fn segments(&self, id: u64) -> String {
        use base64::Engine as _;
        let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let block = |fields: &[(Vec<u8>, Vec<u8>)]| {
            // A JSON key is text; all that these tests need.
            let field = |(name, value): &(Vec<u8>, Vec<u8>)| json!({ "key": String::from_utf8_lossy(name), "raw_value": base64(value) });
            json!({ "headers": fields.iter().map(field).collect::<Vec<_>>() })
        };
        let segment = |piece: &str, value: Value| {
            let mut segment = json!({ "trace_id": id.to_string() });
            segment[piece] = value;
            format!("{}\n", json!({ "http_streamed_trace_segment": segment }))
        };
        let mut out = segment("request_headers", block(&self.request));
        if let Some(response) = &self.response {
            out += &segment("response_headers", block(response));
            if !self.body.is_empty() {
                out += &segment("response_body_chunk", json!({ "as_bytes": base64(&self.body) }));
            }
        }
        out
    }
}
