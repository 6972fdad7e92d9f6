//! Builds the filters into `dist/`, from where Envoy loads them.

use anyhow::Context;
use indicatif::ProgressBar;
use std::path::PathBuf;
use std::time::Duration;
use wayside::build::{Artifact, Guest, Target};

/// What to build for.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// wasm32-unknown-unknown (what ships) or wasm32-wasip1 (goes to a folder of its own in dist/)
    #[arg(long, default_value_t)]
    target: Target,
}

/// Builds all filters and prints name, size and hash of each file.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    for (artifact, path) in install(args.target)? {
        let shown = path.strip_prefix(crate::root()).unwrap_or(&path).display();
        println!("{shown}  {} bytes  sha256 {}", artifact.len, artifact.sha256);
        if let Some(note) = &artifact.note {
            eprintln!("note: {note}");
        }
    }
    Ok(())
}

/// Builds all filters, checks that Envoy would link them, and copies them to where configurations look for them.
pub(crate) fn install(target: Target) -> anyhow::Result<Vec<(Artifact, PathBuf)>> {
    let mut folder = crate::root().join("dist");
    if target != Target::default() {
        folder.push(target.triple());
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut installed = Vec::new();
    for artifact in build(target)? {
        let bytes = artifact.read()?;
        gate(&artifact, &bytes)?;
        wayside::vm::module::ModuleInfo::parse(&bytes, artifact.file_name())?;
        // Renamed into place: an Envoy that watches the file never loads half of it.
        let (path, unfinished) = (folder.join(shipped_name(&artifact)), folder.join(".unfinished"));
        std::fs::write(&unfinished, &bytes)
            .and_then(|()| std::fs::rename(&unfinished, &path))
            .with_context(|| format!("cannot write {}", path.display()))?;
        installed.push((artifact, path));
    }
    Ok(installed)
}

/// `wayside_bundle.wasm` is shipped as `wayside.wasm`: a library of that name would be taken for the test host's.
fn shipped_name(artifact: &Artifact) -> &str {
    match artifact.file_name() {
        "wayside_bundle.wasm" => "wayside.wasm",
        name => name,
    }
}

/// What a shipped module may want from a host, and weigh: `max-bytes` in the package's `[package.metadata.wayside]`.
fn gate(artifact: &Artifact, bytes: &[u8]) -> anyhow::Result<()> {
    // For the other target Rust's standard library imports four calls of WASI more, and weighs more.
    if artifact.target != Target::default() {
        return Ok(());
    }
    let name = artifact.file_name();
    wayside_postlink::check_imports(bytes).with_context(|| name.to_owned())?;
    let metadata = cargo_metadata::MetadataCommand::new()
        .current_dir(crate::root())
        .no_deps()
        .exec()
        .context("cannot read the workspace")?;
    let package = metadata.packages.iter().find(|package| *package.name == artifact.package);
    let allowed = package
        .and_then(|package| package.metadata.pointer("/wayside/max-bytes")?.as_u64())
        .with_context(|| format!("{}: found no max-bytes in [package.metadata.wayside]", artifact.package))?;
    wayside_postlink::check_size(bytes, usize::try_from(allowed)?).with_context(|| name.to_owned())?;
    Ok(())
}

/// Builds all filters. The bar shows on a terminal only.
pub(crate) fn build(target: Target) -> anyhow::Result<Vec<Artifact>> {
    let packages = packages()?;
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(100));
    let mut artifacts = Vec::new();
    for package in packages {
        bar.set_message(format!("building {package} for {target}"));
        artifacts.push(Guest::package(&package).manifest_dir(crate::root()).target(target).build()?);
    }
    bar.finish_and_clear();
    Ok(artifacts)
}

/// The packages of the shipped filters: one for each folder in `filters/`.
pub(crate) fn packages() -> anyhow::Result<Vec<String>> {
    let folder = crate::root().join("filters");
    let mut packages = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            packages.push(format!("wayside-{}", entry.file_name().to_string_lossy()));
        }
    }
    packages.sort();
    Ok(packages)
}
