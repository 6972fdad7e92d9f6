//! The lints for filters: what LINTS.md has authors copy is what is used here, and each of it fires.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each lint is there for: one function that it refuses.
const BAD: &str = r#"#![crate_type = "lib"]
pub fn unwrap_used(value: Option<u8>) -> u8 { value.unwrap() }
pub fn expect_used(value: Option<u8>) -> u8 { value.expect("a value") }
pub fn indexing_slicing(bytes: &[u8], at: usize) -> u8 { bytes[at] }
pub fn string_slice(text: &str, at: usize) -> &str { &text[at..] }
pub fn arithmetic_side_effects(a: u64, b: u64) -> u64 { a * b }
pub fn cast_possible_truncation(a: u64) -> u32 { a as u32 }
pub fn cast_sign_loss(a: i64) -> u64 { a as u64 }
pub fn disallowed_methods() { std::thread::sleep(std::time::Duration::ZERO) }
pub fn disallowed_types(_: std::collections::HashMap<u8, u8>) {}
pub fn clocks() { let _ = (std::time::Instant::now(), std::time::SystemTime::now()); }
"#;

/// [`BAD`], and each macro that only panics.
fn bad() -> String {
    let macros = ["panic", "unreachable", "todo", "unimplemented"];
    macros.iter().fold(BAD.to_owned(), |bad, name| bad + &format!("pub fn {name}() {{ {name}!() }}\n"))
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(here(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The table that LINTS.md shows, as lines of TOML.
fn table() -> Vec<String> {
    let page = text("LINTS.md");
    let (_, rest) = page.split_once("```toml\n").expect("the page has a table");
    let (table, _) = rest.split_once("```").expect("the table ends");
    table.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

fn lints() -> BTreeSet<String> {
    table().iter().filter_map(|line| Some(line.split_once(" =")?.0.to_owned())).collect()
}

#[test]
fn guests_are_held_to_the_table_that_the_page_shows() {
    let manifest = text("guests/Cargo.toml");
    let shown = table();
    assert_eq!(shown.first().map(String::as_str), Some("[lints.clippy]"));
    for line in &shown {
        assert!(manifest.lines().any(|own| own == line), "{line} is not in guests/Cargo.toml");
    }
    assert_eq!(text("clippy.toml"), text("../filters/clippy.toml"));
}

/// Clippy over a crate as a stranger would set it up: which lint refused which function.
fn refused() -> BTreeMap<String, Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = format!(
        "[package]\nname = \"bad\"\nedition = \"2024\"\n[lib]\npath = \"bad.rs\"\n[workspace]\n{}\n",
        table().join("\n")
    );
    fs::write(folder.path().join("Cargo.toml"), manifest).expect("the folder is ours");
    fs::write(folder.path().join("bad.rs"), bad()).expect("the folder is ours");
    fs::copy(here("clippy.toml"), folder.path().join("clippy.toml")).expect("the folder is ours");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut clippy = Command::new(cargo);
    clippy.args(["clippy", "--offline", "--target", "wasm32-unknown-unknown", "--message-format", "json"]);
    // What surrounds this test is not this crate's, but the toolchain is.
    clippy.current_dir(folder.path()).env("CARGO_TARGET_DIR", folder.path().join("target"));
    for name in ["CLIPPY_CONF_DIR", "RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
        clippy.env_remove(name);
    }
    let toolchain = text("../rust-toolchain.toml");
    fs::write(folder.path().join("rust-toolchain.toml"), toolchain).expect("the folder is ours");
    let output = clippy.output().expect("cargo runs");
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).expect("cargo writes JSON");
        let Some(code) = message.pointer("/message/code/code").and_then(|code| code.as_str()) else {
            continue;
        };
        let told = message.pointer("/message/rendered").and_then(|told| told.as_str()).unwrap_or_default();
        found.entry(code.trim_start_matches("clippy::").to_owned()).or_default().push(told.to_owned());
    }
    assert!(!found.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "what is refused must not build");
    found
}

#[test]
fn each_lint_refuses_what_it_is_there_for_and_says_what_to_use() {
    let refused = refused();
    for lint in lints() {
        let told = refused.get(&lint).map(|told| told.join("\n")).unwrap_or_default();
        let function =
            if told.contains("bad.rs") { bad().contains(&format!("pub fn {lint}(")) } else { false };
        assert!(function, "{lint} refused nothing: {:?}", refused.keys());
        assert!(!told.contains("warning:"), "{lint} only warns: {told}");
    }
    let of = |lint: &str| refused.get(lint).map(|told| told.join("\n")).unwrap_or_default();
    for instead in ["wayside_sdk::Monotonic::now", "wayside_sdk::Wall::now", "wayside_sdk::Stream::at"] {
        assert!(of("disallowed_methods").contains(instead), "{instead}: {}", of("disallowed_methods"));
    }
    assert!(of("disallowed_types").contains("std::collections::BTreeMap"), "{}", of("disallowed_types"));
}
