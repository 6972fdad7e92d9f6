//! The modules of the benchmark, as their sources say now: the shipped filters, and sketches of the same jobs on the plain SDK.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use wayside::build::{Guest, Target};

/// Paths by name: `timeout`, …, of what is shipped; `sketch/…` of what is not.
pub(super) type Modules = BTreeMap<String, PathBuf>;

const SKETCHES: [&str; 6] = ["header-auth", "timeout", "retry-budget", "telemetry", "fused", "noop"];

/// Exports of the SDK's no-op that a host can do without: it looks at request headers alone.
const UNUSED: [&str; 19] = [
    "proxy_on_done",
    "proxy_on_downstream_close",
    "proxy_on_downstream_data",
    "proxy_on_foreign_function",
    "proxy_on_grpc_close",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_http_call_response",
    "proxy_on_log",
    "proxy_on_new_connection",
    "proxy_on_queue_ready",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_body",
    "proxy_on_response_headers",
    "proxy_on_response_trailers",
    "proxy_on_upstream_close",
    "proxy_on_upstream_data",
];

pub(super) fn build(folder: &Path) -> anyhow::Result<Modules> {
    let mut modules = Modules::new();
    for artifact in crate::wasm::build(Target::default())? {
        let name = artifact.path.file_stem().context("a module without a name")?;
        modules.insert(name.to_string_lossy().into_owned(), artifact.path);
    }
    for sketch in SKETCHES {
        let guest = Guest::package("wayside-probes").example(format!("bench-{sketch}"));
        modules.insert(format!("sketch/{sketch}"), guest.manifest_dir(crate::root()).build()?.path);
    }
    let empty = Guest::package("wayside-sdk-guests").example("noop").manifest_dir(crate::root()).build()?;
    modules.insert("noop".to_owned(), empty.path);

    let whole = std::fs::read(&modules["sketch/noop"])?;
    let stripped = wayside_postlink::without(&whole, &UNUSED).context("the SDK's no-op")?;
    let path = folder.join("sdk-noop-stripped.wasm");
    std::fs::write(&path, stripped)?;
    modules.insert("sketch/noop-stripped".to_owned(), path);
    Ok(modules)
}
