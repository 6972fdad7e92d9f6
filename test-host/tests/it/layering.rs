//! Who may know whom: every `crate::…` in the sources against one table, and the names that only one layer may speak.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each module of the library, and the modules it may use. `cli` may use everything, and nothing uses `cli`.
const ALLOWED: [(&str, &[&str]); 20] = [
    ("message", &[]),
    ("clock", &[]),
    // What a hostcall carries is messages.
    ("abi", &["message"]),
    // The front for filters that run as Rust of this process; `vm::engine` puts it beside wasmtime's.
    ("native", &["abi"]),
    ("vm", &["abi", "native"]),
    ("stream", &["message"]),
    ("trace", &["abi", "stream"]),
    ("router", &["message"]),
    ("written", &["message"]),
    ("upstream", &["abi", "message", "written"]),
    ("proxy", &["abi", "clock", "message", "router", "stream", "trace", "upstream", "vm"]),
    ("sim", &["clock", "message", "proxy"]),
    ("replay", &["abi", "clock", "message", "proxy", "sim", "trace", "upstream", "vm"]),
    // Of `written` only what a byte is written as.
    ("traffic", &["message", "written"]),
    // Of `proxy` only its specification: checked below.
    ("envoy_config", &["message", "proxy", "router"]),
    (
        "report",
        &["abi", "clock", "envoy_config", "message", "proxy", "replay", "stream", "trace", "upstream"],
    ),
    (
        "scenario",
        &[
            "build",
            "written",
            "clock",
            "envoy_config",
            "message",
            "native",
            "proxy",
            "replay",
            "report",
            "traffic",
            "trace",
            "upstream",
            "vm",
        ],
    ),
    ("parity", &["abi", "envoy_config", "message", "proxy", "replay", "trace", "traffic", "upstream", "vm"]),
    ("build", &[]),
    (
        "cli",
        &[
            "abi",
            "build",
            "clock",
            "envoy_config",
            "message",
            "parity",
            "proxy",
            "replay",
            "report",
            "scenario",
            "trace",
            "traffic",
            "upstream",
            "vm",
        ],
    ),
];

struct Source {
    /// From `src/` on.
    path: PathBuf,
    /// The library's module it is part of.
    module: String,
    /// Without comments and without its own tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).expect("a folder of sources").map(|entry| entry.expect("an entry").path())
        {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs")
                && entry.file_name() != Some("tests.rs".as_ref())
            {
                let text = fs::read_to_string(&entry).expect("a source is text");
                let path = entry.strip_prefix(&root).expect("it lies below").to_owned();
                let first = path.components().next().expect("a part").as_os_str();
                let module = Path::new(first).file_stem().expect("a name").to_string_lossy().into_owned();
                found.push(Source { module, code: code_of(&text), path });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn code_of(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = before_tests.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules that code names as `crate::name` or within `use crate::{…}`.
fn used(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(list) => names.extend(first_names(list)),
            None => names.extend(name_at(after)),
        }
    }
    names
}

/// The first name of each entry of a braced list, up to its closing brace.
fn first_names(list: &str) -> Vec<String> {
    let (mut depth, mut expected, mut names) = (0, true, Vec::new());
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            _ if letter.is_whitespace() => {}
            _ if expected && depth == 0 => {
                names.extend(name_at(&list[at..]));
                expected = false;
            }
            _ => {}
        }
    }
    names
}

fn name_at(text: &str) -> Option<String> {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

#[test]
fn modules_use_only_those_that_the_table_allows() {
    let table: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let mut wrong = Vec::new();
    let mut edges = BTreeSet::new();
    for source in sources() {
        if ["lib", "main"].contains(&source.module.as_str()) {
            continue;
        }
        let Some(allowed) = table.get(source.module.as_str()) else {
            wrong.push(format!("{}: module `{}` is not in the table", source.path.display(), source.module));
            continue;
        };
        for name in used(&source.code)
            .into_iter()
            .filter(|name| *name != source.module && table.contains_key(name.as_str()))
        {
            if !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}: `{}` may not use `{name}`", source.path.display(), source.module));
            }
            edges.insert((source.module.clone(), name));
        }
    }
    assert!(edges.contains(&("proxy".to_owned(), "stream".to_owned())), "edges are found at all");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn names_that_belong_to_one_layer_are_spoken_there_only() {
    let rules: [(&str, &[&str]); 9] = [
        ("wasmtime", &["vm"]),
        ("wayside_sdk", &["native"]),
        ("wasmparser", &["vm"]),
        // Credentials are made for a real gateway, which checks them at a real time.
        ("SystemTime", &["build", "cli"]),
        // A real Envoy runs on the clock of the wall.
        ("Instant::now", &["cli", "parity"]),
        // A filter author's one-line test finds its own crate by it.
        ("std::env", &["build", "cli", "main", "scenario"]),
        ("println!", &["cli"]),
        ("eprintln!", &["cli"]),
        ("process::exit", &["cli", "main"]),
    ];
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, modules) in rules {
            if source.code.contains(name) && !modules.contains(&source.module.as_str()) {
                wrong.push(format!("{}: `{name}` belongs to {modules:?}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn only_the_event_loop_moves_the_clock_and_raw_configuration_stays_in_its_folder() {
    let sources = sources();
    let who = |name: &str| {
        sources
            .iter()
            .filter(|source| source.code.contains(name))
            .map(|s| s.module.as_str())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(who(".advance_to("), BTreeSet::from(["sim"]));
    assert_eq!(who("envoy_config::raw"), BTreeSet::new());
    let configuration = sources.iter().filter(|source| source.module == "envoy_config");
    for source in configuration {
        let beyond = source.code.replace("proxy::spec", "").contains("proxy::");
        assert!(!beyond, "{}: of `proxy` it may use `spec` only", source.path.display());
    }
}

/// The rules above must be able to fail.
#[test]
fn uses_are_found_in_every_form() {
    let code = "use crate::{abi::{LogLevel, X}, clock,\n message::HeaderMap};\nfn f() -> crate::vm::Vm { crate::sim() }";
    let found: Vec<String> = used(code).into_iter().collect();
    assert_eq!(found, ["abi", "clock", "message", "sim", "vm"]);
}
