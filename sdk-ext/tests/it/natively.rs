//! What holds of filters that run as Rust, beyond what they share with their modules.

use std::fs;
use std::path::Path;
use wayside::scenario;
use wayside_sdk_guests::api_key;

const NO_KEY: &str = "
about: Who shows no key is answered by the filter, which asks the host for the headers and nothing else.
chain: [{ module: api_key, config: { keys: [secret], introspect: auth } }]
exchanges: [{ request: GET /books }]
";

/// The smallest native test there is: no module, no file, no Envoy.
#[test]
fn a_request_without_a_key_is_refused() {
    let replay = scenario::natively(NO_KEY, &[("api_key", api_key::wayside_vm)]).expect("a scenario");
    let refused = replay.outcomes().next().and_then(|outcome| outcome.details.as_deref());
    assert_eq!(refused, Some(&b"api_key.missing"[..]));
    let cost =
        [("proxy_get_header_map_pairs", 1), ("proxy_increment_metric", 1), ("proxy_send_local_response", 1)];
    replay.assert_hostcalls("api_key", &cost);
    replay.assert_hostcalls_of("api_key", "on_request_headers", &cost);
    replay.assert_bytes_are_returned_once_a_callback();
}

#[test]
#[should_panic(expected = "* proxy_increment_metric             0      1")]
fn a_hostcall_too_many_is_told_beside_what_was_expected() {
    let replay = scenario::natively(NO_KEY, &[("api_key", api_key::wayside_vm)]).expect("a scenario");
    replay
        .assert_hostcalls("api_key", &[("proxy_get_header_map_pairs", 1), ("proxy_send_local_response", 1)]);
}

#[test]
fn every_guest_is_there_as_rust_too() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/examples");
    let files = fs::read_dir(folder).expect("the guests").map(|entry| entry.expect("an entry").path());
    let mut modules: Vec<_> =
        files.filter_map(|path| Some(path.file_stem()?.to_str()?.replace('-', "_"))).collect();
    modules.sort();
    assert_eq!(modules, wayside_sdk_guests::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}

/// Natively all VMs of a test are on one thread.
#[test]
fn what_a_vm_keeps_in_statics_is_declared_with_vm_local() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![sources.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("sources").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if fs::read_to_string(&path).expect("a source").contains("\nthread_local!") {
                found.push(path.strip_prefix(&sources).expect("below").display().to_string());
            }
        }
    }
    found.sort();
    // What runs on this thread, and a model of several for tests.
    assert_eq!(found, ["hostcalls/model.rs", "native/entered.rs"]);
}
