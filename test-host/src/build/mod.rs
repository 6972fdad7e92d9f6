//! Builds guests: one call, used by every test, every command and every filter author's own crate, so that what is
//! tested is always what the sources say now.
//!
//! ```no_run
//! let artifact = wayside::build::guest("wayside-timeout")?;
//! println!("{artifact}"); // timeout.wasm  118204 bytes  sha256 9f86d0…
//! # Ok::<(), wayside::build::BuildError>(())
//! ```
//!
//! Cargo is asked about freshness every time a process needs a guest, so a stale file cannot be tested; within one process
//! the answer is remembered. Builds go to `<target>/wayside-guests`, apart from the outer build, under a file lock; the
//! finished module is kept there under its own hash, so a later build cannot swap it beneath a running test.
//!
//! **Profile.** The workspace's `[profile.filter]`. A workspace that has none gets what this one has: release, `panic =
//! "abort"`, fat LTO, one codegen unit, stripped ([`Artifact::note`] says so).
//!
//! **Environment.** This module reads the process's environment and runs programs; nothing else in the library's core
//! does. What a surrounding cargo put there for *native* code (`RUSTFLAGS`, `CARGO_BUILD_TARGET`, `RUSTC_WRAPPER` of a coverage
//! run, profile overrides) does not reach the guest. Flags for guests belong in `.cargo/config.toml`, which counts as always.
//! The home folder of whoever builds is kept out of the module, so one source gives one hash on every machine.

mod artifact;
mod cargo;
mod error;
mod toolchain;
mod workspace;

pub use artifact::{Artifact, Sha256};
pub use error::BuildError;
pub use toolchain::Toolchain;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Builds the package of that name, for [`Target::Unknown`], in the workspace of the running test.
///
/// # Errors
/// See [`BuildError`].
pub fn guest(package: &str) -> Result<Artifact, BuildError> {
    Guest::package(package).build()
}

/// Builds the package the running test belongs to, for [`Target::Unknown`].
///
/// # Errors
/// See [`BuildError`].
pub fn here() -> Result<Artifact, BuildError> {
    Guest::here().build()
}

/// What a guest is compiled for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// `wasm32-unknown-unknown`: the fewest imports and the smallest file.
    #[default]
    Unknown,
    /// `wasm32-wasip1`: what most of the Proxy-Wasm ecosystem uses.
    Wasip1,
}

impl Target {
    /// Every target a guest can be built for.
    pub const ALL: [Self; 2] = [Self::Unknown, Self::Wasip1];

    /// The name rustc knows it by.
    pub fn triple(self) -> &'static str {
        match self {
            Self::Unknown => "wasm32-unknown-unknown",
            Self::Wasip1 => "wasm32-wasip1",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.triple())
    }
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|target| target.triple() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::triple).join(" or ");
            format!("found target {text:?}, expected {known}")
        })
    }
}

/// A guest to be built: which, for what, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guest {
    /// `None`: the package that `manifest_dir` belongs to.
    package: Option<String>,
    example: Option<String>,
    manifest_dir: Option<PathBuf>,
    target: Target,
    profile: String,
    features: Vec<String>,
    toolchain: Toolchain,
}

impl Guest {
    /// A package by its name in the workspace.
    pub fn package(name: impl Into<String>) -> Self {
        Self { package: Some(name.into()), ..Self::here() }
    }

    /// The package of the running test: cargo tells a test through `CARGO_MANIFEST_DIR`; without it, the current directory counts.
    pub fn here() -> Self {
        Self {
            package: None,
            example: None,
            manifest_dir: None,
            target: Target::default(),
            profile: workspace::FILTER_PROFILE.to_owned(),
            features: Vec::new(),
            toolchain: Toolchain::default(),
        }
    }

    /// An example of the package (with `crate-type = ["cdylib"]`) instead of its library.
    #[must_use]
    pub fn example(mut self, name: impl Into<String>) -> Self {
        self.example = Some(name.into());
        self
    }

    /// Where the workspace is looked for, upwards; a test's own package if not set.
    #[must_use]
    pub fn manifest_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.manifest_dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Another target than `wasm32-unknown-unknown`.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Another profile than `filter`.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = profile.into();
        self
    }

    /// Cargo features to switch on besides the default ones.
    #[must_use]
    pub fn features<S: Into<String>>(mut self, features: impl IntoIterator<Item = S>) -> Self {
        self.features.extend(features.into_iter().map(Into::into));
        self
    }

    /// Other programs than those on the search path.
    #[must_use]
    pub fn toolchain(mut self, toolchain: Toolchain) -> Self {
        self.toolchain = toolchain;
        self
    }

    /// The guest as its sources say now; asked again in the same process, the same file without asking cargo again.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(&self) -> Result<Artifact, BuildError> {
        static BUILT: Mutex<BTreeMap<Guest, Artifact>> = Mutex::new(BTreeMap::new());
        // Held over the build: a second thread that wants the same guest waits for it instead of building too.
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(artifact) = built.get(self) {
            return Ok(artifact.clone());
        }
        let artifact = self.rebuild()?;
        built.insert(self.clone(), artifact.clone());
        Ok(artifact)
    }

    /// Like [`build`](Self::build), but asks cargo even if this process has built the guest before: for processes that
    /// live on while sources change.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn rebuild(&self) -> Result<Artifact, BuildError> {
        let dir = match &self.manifest_dir {
            Some(dir) => dir.clone(),
            None => std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from),
        };
        let plan = workspace::plan(self, &dir)?;
        toolchain::ensure_target(&self.toolchain, &plan.workspace_root, self.target)?;
        let store = artifact::Store::open(&plan.guests_dir)?;
        let wasm = cargo::build(self, &plan)?;
        store.keep(self, &plan, &wasm)
    }
}
