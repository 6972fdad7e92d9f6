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
