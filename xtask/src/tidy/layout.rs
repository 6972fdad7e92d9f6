//! Rules for folders: how much one may hold, what each filter brings, which test files cargo really compiles.

use super::Finding;
use super::files::Tree;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = check_folders(&tree.files);
    findings.extend(check_filters(tree));
    findings.extend(check_test_files(tree));
    findings
}

/// Entries of a source folder, as many as are still seen at one glance, and how deep folders may go below `src/`.
const MAX_ENTRIES: usize = 20;
const MAX_DEPTH: usize = 3;

fn check_folders(files: &[PathBuf]) -> Vec<Finding> {
    let mut folders: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let Some(src) = file.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "src"))
        else {
            continue;
        };
        let depth = file.components().count() - src.components().count();
        if depth > MAX_DEPTH {
            findings
                .push(Finding::of_file(file, format!("lies {depth} levels below src/, {MAX_DEPTH} at most")));
        }
        for entry in file.ancestors().take_while(|entry| *entry != src) {
            if let Some(folder) = entry.parent() {
                folders.entry(folder).or_default().insert(entry);
            }
        }
    }
    for (folder, entries) in folders {
        // What `mod.rs` says about a folder is no entry to find one's way among.
        let found = entries.iter().filter(|entry| !entry.ends_with("mod.rs")).count();
        if found > MAX_ENTRIES {
            findings.push(Finding::of_file(folder, format!("holds {found} entries, {MAX_ENTRIES} at most")));
        }
    }
    findings
}

fn check_filters(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in
        tree.files.iter().filter(|file| file.starts_with("filters") && file.ends_with("Cargo.toml"))
    {
        let Some(filter) = manifest.parent() else { continue };
        for needed in ["README.md", "example.json"] {
            if !tree.files.contains(&filter.join(needed)) {
                findings.push(Finding::of_file(filter, format!("lacks its {needed}")));
            }
        }
        let example = filter.join("example.json");
        if tree.files.contains(&example)
            && let Err(error) = serde_json::from_str::<serde_json::Value>(&tree.text(&example))
        {
            findings.push(Finding::at(&example, error.line(), error.to_string()));
        }
    }
    findings
}

/// A test file that nobody declares is never compiled, and looks as if it passed.
fn check_test_files(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for main in tree.files.iter().filter(|file| file.ends_with("tests/it/main.rs")) {
        let Some(folder) = main.parent() else { continue };
        let text = tree.text(main);
        for file in tree.with_extension("rs") {
            let Ok(inside) = file.strip_prefix(folder) else {
                continue;
            };
            let module = match inside.components().collect::<Vec<_>>().as_slice() {
                [file] if file.as_os_str() != "main.rs" => Path::new(file.as_os_str()).file_stem(),
                [folder, file] if file.as_os_str() == "mod.rs" => Some(folder.as_os_str()),
                _ => None,
            };
            let Some(module) = module else { continue };
            let declaration = format!("mod {};", module.display());
            if !text.lines().any(|line| line.trim().ends_with(&declaration)) {
                findings.push(Finding::of_file(
                    file,
                    format!("is not compiled: {} lacks `{declaration}`", main.display()),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (file, text) in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        let tree = Tree::read(dir.path()).expect("it is readable");
        (dir, tree)
    }

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        check(&tree(files).1).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_test_file_nobody_declares_is_found() {
        let main = ("host/tests/it/main.rs", "mod streaming;\npub(crate) mod world;\n");
        let found = messages(&[
            main,
            ("host/tests/it/streaming.rs", ""),
            ("host/tests/it/world/mod.rs", ""),
            ("host/tests/it/world/part.rs", ""),
            ("host/tests/it/forgotten.rs", ""),
        ]);
        assert_eq!(
            found,
            ["host/tests/it/forgotten.rs: is not compiled: host/tests/it/main.rs lacks `mod forgotten;`"]
        );
    }

    #[test]
    fn a_filter_without_readme_or_with_a_broken_example_is_found() {
        let found = messages(&[
            ("filters/timeout/Cargo.toml", ""),
            ("filters/timeout/example.json", "{\n  \"mode\": enforce\n}"),
        ]);
        assert_eq!(
            found,
            [
                "filters/timeout: lacks its README.md",
                "filters/timeout/example.json:2: expected value at line 2 column 11",
            ]
        );
    }

    #[test]
    fn deep_and_crowded_folders_are_found_and_built_ones_are_not_looked_at() {
        let mut files: Vec<(String, &str)> = (0..20).map(|i| (format!("a/src/noun{i}.rs"), "")).collect();
        files.push(("a/src/b/c/d/e.rs".into(), ""));
        files.push(("a/target/src/b/c/d/e.rs".into(), ""));
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        assert_eq!(
            messages(&files),
            ["a/src/b/c/d/e.rs: lies 4 levels below src/, 3 at most", "a/src: holds 21 entries, 20 at most"]
        );
    }
}
