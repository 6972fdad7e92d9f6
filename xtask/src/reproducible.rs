//! The same sources in another folder give the same modules, byte for byte: what is in `dist/` can be built anew and compared.

use anyhow::{Context, bail};
use std::fs;
use std::path::Path;
use wayside::build::{Guest, Target};

/// Builds all filters here, and from a copy of the sources that shares no file with them. The copy's folder has another name,
/// another depth and a target folder of its own.
pub(crate) fn run() -> anyhow::Result<()> {
    let copy = tempfile::Builder::new().prefix("wayside-elsewhere-").tempdir()?;
    let root = copy.path().join("some/where/else");
    copy_sources(crate::root().as_path(), &root)?;
    let mut different = Vec::new();
    for artifact in crate::wasm::build(Target::default())? {
        let elsewhere = Guest::package(&artifact.package).manifest_dir(&root).build()?;
        println!("{}  sha256 {}", artifact.file_name(), artifact.sha256);
        if elsewhere.sha256 != artifact.sha256 {
            let place = first_difference(&artifact.read()?, &elsewhere.read()?);
            different.push(format!(
                "{}: sha256 {} from a copy, {place}",
                artifact.file_name(),
                elsewhere.sha256
            ));
        }
    }
    if different.is_empty() { Ok(()) } else { bail!("not reproducible\n{}", different.join("\n")) }
}

/// What the repository holds, and nothing that was built from it.
fn copy_sources(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if name == "target" || name == ".git" || name == "dist" {
            continue;
        }
        let copy = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy_sources(&path, &copy)?;
        } else {
            fs::copy(&path, &copy).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// For who has to find out why: the place, and what stands there.
fn first_difference(here: &[u8], elsewhere: &[u8]) -> String {
    let at = here.iter().zip(elsewhere).take_while(|(one, other)| one == other).count();
    let shown = |bytes: &[u8]| {
        let around = at.saturating_sub(40)..at.saturating_add(60).min(bytes.len());
        bytes.get(around).unwrap_or_default().escape_ascii().to_string()
    };
    format!("first at byte {at}:\n  here:      {}\n  elsewhere: {}", shown(here), shown(elsewhere))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_two_modules_differ_is_told() {
        assert_eq!(
            first_difference(b"same one", b"same two!"),
            "first at byte 5:\n  here:      same one\n  elsewhere: same two!"
        );
    }
}
