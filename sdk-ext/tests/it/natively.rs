//! What holds of filters that run as Rust, beyond what they share with their modules.

use std::fs;
use std::path::Path;

#[test]
fn every_guest_is_there_as_rust_too() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/examples");
    let files = fs::read_dir(folder).expect("the guests").map(|entry| entry.expect("an entry").path());
    let mut modules: Vec<_> =
        files.filter_map(|path| Some(path.file_stem()?.to_str()?.replace('-', "_"))).collect();
    modules.sort();
    assert_eq!(modules, wayside_sdk_guests::ALL.map(|(name, _)| name));
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
