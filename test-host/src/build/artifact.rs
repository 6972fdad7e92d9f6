//! The finished module: hashed, kept under its hash, and read back only if it is still that.

use super::workspace::Plan;
use super::{BuildError, Guest, Target};
use sha2::Digest;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The hash that names an artefact in reports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

/// A guest that was built. Prints as name, size and sha256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Where the module lies; the folder carries its hash, so another build does not overwrite it.
    pub path: PathBuf,
    /// Of the file at `path`.
    pub sha256: Sha256,
    /// Length in bytes.
    pub len: u64,
    /// The package it was built from.
    pub package: String,
    /// What it was built for.
    pub target: Target,
    /// What the user should know about how it was built.
    pub note: Option<String>,
}

impl Artifact {
    /// The module's bytes, which are those that were built.
    ///
    /// # Errors
    /// If the file is gone or somebody changed it.
    pub fn read(&self) -> Result<Vec<u8>, BuildError> {
        let bytes = read(&self.path)?;
        let found = Sha256::of(&bytes);
        if found != self.sha256 {
            return Err(BuildError::Changed { path: self.path.clone(), found, expected: self.sha256 });
        }
        Ok(bytes)
    }

    /// `timeout.wasm`
    pub fn file_name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or("guest.wasm")
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {} bytes  sha256 {}", self.file_name(), self.len, self.sha256)
    }
}

/// The guests' own target folder, locked: one build at a time on this machine.
#[derive(Debug)]
pub(super) struct Store {
    artifacts: PathBuf,
    /// Unlocks when dropped.
    _lock: File,
}

/// More modules than a working day makes; older ones are deleted.
const KEPT_ARTIFACTS: usize = 512;

impl Store {
    /// Waits until no other process or thread builds guests here.
    pub(super) fn open(guests_dir: &Path) -> Result<Self, BuildError> {
        let artifacts = guests_dir.join("artifacts");
        std::fs::create_dir_all(&artifacts).map_err(|source| BuildError::File {
            path: artifacts.clone(),
            action: "create the folder",
            source,
        })?;
        let path = guests_dir.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|source| BuildError::File { path, action: "lock", source })?;
        Ok(Self { artifacts, _lock: lock })
    }

    /// Copies what cargo built to a place of its own: cargo's file is overwritten by the next build with other features.
    pub(super) fn keep(&self, guest: &Guest, plan: &Plan, wasm: &Path) -> Result<Artifact, BuildError> {
        let mut bytes = read(wasm)?;
        if wayside_postlink::is_unfinished(&bytes) {
            let refused = |source| BuildError::Postlink { package: plan.package.clone(), source };
            bytes = wayside_postlink::finish(&bytes).map_err(refused)?.bytes;
        }
        let sha256 = Sha256::of(&bytes);
        let folder = self.artifacts.join(sha256.to_string());
        let path = folder.join(format!("{}.wasm", plan.crate_name.replace('-', "_")));
        write_whole(&folder, &path, &bytes)?;
        self.prune();
        let artifact = Artifact {
            path,
            sha256,
            len: bytes.len() as u64,
            package: plan.package.clone(),
            target: guest.target,
            note: plan.note.clone(),
        };
        artifact.read()?;
        Ok(artifact)
    }

    /// Forgets the oldest. A failure costs disk space only.
    fn prune(&self) {
        let Ok(entries) = std::fs::read_dir(&self.artifacts) else {
            return;
        };
        let mut folders: Vec<_> = entries
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        folders.sort();
        let surplus = folders.len().saturating_sub(KEPT_ARTIFACTS);
        for (_, folder) in folders.into_iter().take(surplus) {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path).map_err(|source| BuildError::File { path: path.to_owned(), action: "read", source })
}

/// Writes beside and renames, so that a reader in another process never sees half a module.
fn write_whole(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let unfinished = folder.join("unfinished");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&unfinished, bytes))
        .and_then(|()| std::fs::rename(&unfinished, path))
        .map_err(|source| BuildError::File { path: path.to_owned(), action: "write", source })
}
