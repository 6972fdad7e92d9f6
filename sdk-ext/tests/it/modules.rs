//! What a module of this crate is made of.

use crate::behaviours;
use std::fs;
use wayside::build::{Artifact, Guest};
use wayside::vm::module::ModuleInfo;

fn built(example: &str) -> (Artifact, ModuleInfo) {
    let guest =
        Guest::package("wayside-sdk-guests").example(example).manifest_dir(env!("CARGO_MANIFEST_DIR"));
    let artifact = guest.build().unwrap_or_else(|error| panic!("{error}"));
    let bytes = artifact.read().expect("it was just built");
    wayside_postlink::check_imports(&bytes).unwrap_or_else(|error| panic!("{error}"));
    let info = ModuleInfo::parse(&bytes, example).unwrap_or_else(|error| panic!("{error}"));
    (artifact, info)
}

fn callbacks(info: &ModuleInfo) -> Vec<&str> {
    let mut names: Vec<_> =
        info.exports.iter().map(String::as_str).filter(|name| name.starts_with("proxy_on")).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_filter_that_does_nothing_exports_no_callback_of_streams_and_weighs_what_the_layer_weighs() {
    let (artifact, info) = built("empty");
    assert_eq!(
        callbacks(&info),
        ["proxy_on_configure", "proxy_on_context_create", "proxy_on_delete", "proxy_on_tick"]
    );
    assert!(artifact.len <= 34_000, "{} bytes", artifact.len);
}

#[test]
fn a_filter_exports_the_callbacks_it_overrides() {
    let (_, info) = built("api-key");
    let callbacks = callbacks(&info);
    assert!(callbacks.contains(&"proxy_on_request_headers"), "{callbacks:?}");
    // It waits: what comes meanwhile must be held, or Envoy may let it go on.
    assert!(callbacks.contains(&"proxy_on_request_body"), "{callbacks:?}");
    assert!(callbacks.contains(&"proxy_on_request_trailers"), "{callbacks:?}");
    for unused in ["proxy_on_response_headers", "proxy_on_log", "proxy_on_done", "proxy_on_grpc_receive"] {
        assert!(!callbacks.contains(&unused), "{callbacks:?}");
    }
    assert!(!info.exports.iter().any(|export| export.starts_with("wayside:")), "{:?}", info.exports);
}

/// What is told of calls is exported by those that make them; what is only told of streams of messages, by nobody.
#[test]
fn a_filter_that_makes_grpc_calls_exports_how_they_end() {
    let (_, info) = built("grpc");
    let callbacks = callbacks(&info);
    let of_calls: Vec<_> =
        callbacks.into_iter().filter(|name| name.contains("call") || name.contains("grpc")).collect();
    assert_eq!(of_calls, ["proxy_on_grpc_close", "proxy_on_grpc_receive", "proxy_on_http_call_response"]);
    let imports = info.imports.iter().any(|import| import.name == "proxy_grpc_cancel");
    assert!(imports, "{:?}", info.imports);
}

/// Of the crate it is written on, which panics with its own places.
#[test]
fn a_module_names_crates_and_not_where_they_were_fetched_from() {
    let bytes = fs::read(behaviours::module("api-key-proxy-wasm")).expect("it was just built");
    let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("/crates/proxy-wasm-"));
    assert!(!holds("registry/src") && !holds("index."));
}
