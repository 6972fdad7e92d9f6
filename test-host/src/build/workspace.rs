//! From a name to a plan: which workspace, which package, which target of it, into which folder.

use super::{BuildError, Guest, toolchain};
use cargo_metadata::{CrateType, Metadata, Package, TargetKind};
use std::path::{Path, PathBuf};

/// The profile guests are built with.
pub(super) const FILTER_PROFILE: &str = "filter";

/// What `[profile.filter]` means to a workspace that has none: the settings of a module fit to ship.
const DEFAULT_FILTER_PROFILE: [&str; 6] = [
    "profile.filter.inherits=\"release\"",
    "profile.filter.opt-level=3",
    "profile.filter.panic=\"abort\"",
    "profile.filter.lto=true",
    "profile.filter.codegen-units=1",
    "profile.filter.strip=true",
];

/// Everything cargo has to be told.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) workspace_root: PathBuf,
    /// `<target>/wayside-guests`
    pub(super) guests_dir: PathBuf,
    pub(super) package: String,
    /// Cargo's own identifier: unambiguous even when a dependency has the same name.
    pub(super) package_id: String,
    /// The library's or example's name, as the compiler's messages give it.
    pub(super) crate_name: String,
    /// `--config` values.
    pub(super) config: Vec<String>,
    pub(super) note: Option<String>,
}

pub(super) fn plan(guest: &Guest, dir: &Path) -> Result<Plan, BuildError> {
    let metadata = read_metadata(guest, dir)?;
    let package = find_package(guest, dir, &metadata)?;
    let workspace_root = metadata.workspace_root.clone().into_std_path_buf();
    let (config, note) = profile_settings(&guest.profile, &workspace_root)?;
    Ok(Plan {
        guests_dir: metadata.target_directory.join("wayside-guests").into_std_path_buf(),
        package: package.name.to_string(),
        package_id: package.id.repr.clone(),
        crate_name: find_crate(guest, package)?,
        workspace_root,
        config,
        note,
    })
}

fn read_metadata(guest: &Guest, dir: &Path) -> Result<Metadata, BuildError> {
    let failed = |message: String| BuildError::Workspace { dir: dir.to_owned(), message };
    if !dir.is_dir() {
        return Err(failed("there is no such folder".into()));
    }
    let mut command = toolchain::command(&guest.toolchain.cargo, dir);
    // The user's choice of a target folder holds for guests too.
    if let Some(folder) = std::env::var_os("CARGO_TARGET_DIR") {
        command.env("CARGO_TARGET_DIR", folder);
    }
    let output =
        command.args(["metadata", "--no-deps", "--format-version", "1"]).output().map_err(|source| {
            BuildError::Program { program: guest.toolchain.cargo.display().to_string(), source }
        })?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    cargo_metadata::MetadataCommand::parse(String::from_utf8_lossy(&output.stdout))
        .map_err(|error| failed(error.to_string()))
}

fn find_package<'a>(guest: &Guest, dir: &Path, metadata: &'a Metadata) -> Result<&'a Package, BuildError> {
    let packages = metadata.workspace_packages();
    let workspace = metadata.workspace_root.clone().into_std_path_buf();
    match &guest.package {
        Some(name) => packages.iter().copied().find(|package| *package.name == *name).ok_or_else(|| {
            let mut guests: Vec<_> = packages
                .iter()
                .filter(|package| guest_library(package).is_some())
                .map(|p| p.name.to_string())
                .collect();
            guests.sort();
            BuildError::UnknownPackage { package: name.clone(), workspace, guests }
        }),
        None => {
            let folder = std::fs::canonicalize(dir).map_err(|source| BuildError::File {
                path: dir.to_owned(),
                action: "find",
                source,
            })?;
            // The innermost package whose folder holds `dir`.
            packages
                .into_iter()
                .filter_map(|package| {
                    Some((package, std::fs::canonicalize(package.manifest_path.parent()?).ok()?))
                })
                .filter(|(_, package_dir)| folder.starts_with(package_dir))
                .max_by_key(|(_, package_dir)| package_dir.components().count())
                .map(|(package, _)| package)
                .ok_or_else(|| BuildError::NoPackageHere { dir: dir.to_owned(), workspace })
        }
    }
}

fn guest_library(package: &Package) -> Option<&str> {
    package
        .targets
        .iter()
        .find(|target| target.kind.contains(&TargetKind::CDyLib))
        .map(|target| target.name.as_str())
}

fn find_crate(guest: &Guest, package: &Package) -> Result<String, BuildError> {
    let Some(example) = &guest.example else {
        return guest_library(package)
            .map(str::to_owned)
            .ok_or_else(|| BuildError::NotAGuest { package: package.name.to_string() });
    };
    let examples: Vec<_> = package
        .targets
        .iter()
        .filter(|target| {
            target.kind.contains(&TargetKind::Example) && target.crate_types.contains(&CrateType::CDyLib)
        })
        .map(|target| target.name.clone())
        .collect();
    if examples.contains(example) {
        return Ok(example.clone());
    }
    Err(BuildError::UnknownExample { package: package.name.to_string(), example: example.clone(), examples })
}

/// `--config` values that stand in for a `filter` profile the workspace does not define, and the note that says so.
fn profile_settings(
    profile: &str,
    workspace_root: &Path,
) -> Result<(Vec<String>, Option<String>), BuildError> {
    if profile != FILTER_PROFILE {
        return Ok((Vec::new(), None));
    }
    let path = workspace_root.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).map_err(|source| BuildError::File {
        path: path.clone(),
        action: "read",
        source,
    })?;
    let manifest: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| BuildError::Manifest { path, message: error.to_string() })?;
    let defined = manifest.get("profile").and_then(|profiles| profiles.get(FILTER_PROFILE)).is_some();
    if defined {
        return Ok((Vec::new(), None));
    }
    let note = "the workspace has no [profile.filter]: built as release with panic = \"abort\", lto, codegen-units = 1, strip";
    Ok((DEFAULT_FILTER_PROFILE.map(str::to_owned).to_vec(), Some(note.to_owned())))
}
