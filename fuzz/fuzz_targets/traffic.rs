//! Recordings of any bytes, in every format there is, and what is decoded of them replayed into a report.

#![no_main]

use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use wayside::traffic::{self, Limits};

/// By the first byte.
const NAMES: [&str; 4] = [
    "shop.inbound.streamed.json",
    "shop.inbound.buffered.json",
    "shop.outbound.streamed.pb_length_delimited",
    "shop.inbound.buffered_1.pb",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((which, recording)) = bytes.split_first() else { return };
    let name = NAMES[usize::from(*which) % NAMES.len()];
    let folder = std::env::temp_dir().join(format!("wayside-fuzz-{}", std::process::id()));
    let path: PathBuf = folder.join(name);
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    std::fs::write(&path, recording).expect("a temporary file");
    let limits = Limits::default();
    let first = traffic::load(std::slice::from_ref(&path), &limits).map_err(|error| error.to_string());
    let second = traffic::load(std::slice::from_ref(&path), &limits).map_err(|error| error.to_string());
    assert_eq!(first, second);
    std::fs::remove_file(&path).expect("it is there");
});
