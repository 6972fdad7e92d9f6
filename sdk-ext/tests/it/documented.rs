//! Every public method says what it costs: how many hostcalls, and whether they return bytes.

use std::fs;
use std::path::{Path, PathBuf};

/// Calls of the crate's own that have a host return bytes to the guest.
const RETURNING_BYTES: [&str; 6] =
    ["header_pairs(", "header(", "buffer(", "property(", "shared_data(", "foreign("];

struct Method {
    place: String,
    documentation: String,
    signature: String,
    body: String,
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

fn methods(path: &Path) -> Vec<Method> {
    let text = fs::read_to_string(path).expect("a source");
    let all: Vec<&str> = text.lines().take_while(|line| *line != "mod tests {").collect();
    let begins = |line: &str| {
        let line = line.trim_start();
        ["pub fn ", "pub const fn ", "pub async fn "].iter().any(|start| line.starts_with(start))
    };
    let mut found = Vec::new();
    for (at, line) in all.iter().enumerate().filter(|(_, line)| begins(line)) {
        let above = all[..at].iter().rev().take_while(|line| {
            let line = line.trim_start();
            line.starts_with("///") || line.starts_with("#[")
        });
        let mut documentation: Vec<&str> = above.map(|line| line.trim_start()).collect();
        documentation.reverse();
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let rest: Vec<&str> = all[at..].iter().copied().take_while(|line| *line != end).collect();
        let opens = rest.iter().position(|line| line.ends_with('{') || line.ends_with(';')).unwrap_or(0);
        found.push(Method {
            place: format!("{}:{}", path.display(), at + 1),
            documentation: documentation.join(" ").replace("/// ", ""),
            signature: rest[..=opens].join(" "),
            body: rest[opens + 1..].join("\n"),
        });
    }
    found
}

#[test]
fn a_public_method_that_makes_hostcalls_says_how_many_and_whether_they_return_bytes() {
    let mut paths = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut paths);
    paths.sort();
    let ours = |path: &PathBuf| {
        !["/native/", "/hostcalls/"].iter().any(|of| path.display().to_string().contains(of))
    };
    let (mut calling, mut wrong) = (0, Vec::new());
    for method in paths.iter().filter(|path| ours(path)).flat_map(|path| methods(path)) {
        let Method { place, documentation, signature, body } = method;
        let calls = body.contains("hostcalls::") || signature.contains("Host<");
        let bytes = RETURNING_BYTES.iter().any(|call| body.contains(&format!("hostcalls::{call}")));
        let says = documentation.to_lowercase();
        calling += usize::from(calls);
        if calls && !says.contains("hostcall") {
            wrong.push(format!("{place}: how many hostcalls? {documentation}"));
        }
        let told =
            ["bytes", "number", "nothing", "no hostcall", "none"].iter().any(|word| says.contains(word));
        if says.contains("hostcall") && !told || bytes && !says.contains("bytes") {
            wrong.push(format!("{place}: do they return bytes? {documentation}"));
        }
    }
    assert!(calling > 30, "{calling}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
