//! What can go wrong between a package's name and its `.wasm` file.

use super::{Sha256, Target};
use std::path::PathBuf;

/// Why there is no artefact. Each message says what to do where something can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The folder belongs to no cargo workspace, or cargo cannot read its manifests.
    #[error("cannot read the workspace around {}: {message}", dir.display())]
    Workspace {
        /// Where the search began.
        dir: PathBuf,
        /// Cargo's own words.
        message: String,
    },
    /// The root manifest cannot be read as TOML.
    #[error("{}: {message}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What the parser said, with line and column.
        message: String,
    },
    /// No such package in the workspace.
    #[error("no package `{package}` in the workspace {}; it has these guests: {}", workspace.display(), listed(guests))]
    UnknownPackage {
        /// What was asked for.
        package: String,
        /// Root folder of the workspace.
        workspace: PathBuf,
        /// Packages that can be built as guests.
        guests: Vec<String>,
    },
    /// `here()` was called in the root of a workspace that is no package itself.
    #[error("{} is in the workspace {}, but in no package of it; name the package", dir.display(), workspace.display())]
    NoPackageHere {
        /// Where the search began.
        dir: PathBuf,
        /// Root folder of the workspace.
        workspace: PathBuf,
    },
    /// The package has no library that becomes a `.wasm` file.
    #[error("package `{package}` builds no guest: its [lib] needs crate-type = [\"cdylib\", \"rlib\"]")]
    NotAGuest {
        /// Name of the package.
        package: String,
    },
    /// No such example, or none that becomes a `.wasm` file.
    #[error(
        "package `{package}` has no example `{example}` with crate-type = [\"cdylib\"]; it has these: {}",
        listed(examples)
    )]
    UnknownExample {
        /// Name of the package.
        package: String,
        /// What was asked for.
        example: String,
        /// The examples that would do.
        examples: Vec<String>,
    },
    /// The target's standard library is missing and could not be installed.
    #[error(
        "the standard library for {target} is not installed, and `rustup target add` could not install it ({reason}): \
         run `rustup target add {target}` while online, or install the package of your distribution that holds it \
         (Debian and Ubuntu: libstd-rust-dev-wasm32, as old as their rustc)"
    )]
    MissingTarget {
        /// For what the guest was to be built.
        target: Target,
        /// What rustup said, or why it did not run.
        reason: String,
    },
    /// Cargo or rustc could not be run at all.
    #[error("cannot run `{program}`: {source}; is Rust installed and on the search path?")]
    Program {
        /// What was to be run.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The guest does not compile.
    #[error("guest `{package}` does not compile for {target}\n$ {command}\n{output}")]
    Compile {
        /// Name of the package.
        package: String,
        /// For what it was built.
        target: Target,
        /// The command, to be tried by hand.
        command: String,
        /// All that cargo and rustc printed.
        output: String,
    },
    /// Cargo was content and yet named no `.wasm` file, or an unreadable message.
    #[error("cargo built guest `{package}` but {message}\n$ {command}")]
    Messages {
        /// Name of the package.
        package: String,
        /// The command, to be tried by hand.
        command: String,
        /// What was found.
        message: String,
    },
    /// What was built cannot be made ready for a host.
    #[error("guest `{package}` was built, but its module cannot be finished: {source}")]
    Postlink {
        /// Name of the package.
        package: String,
        /// Why not.
        source: wayside_postlink::PostlinkError,
    },
    /// A file of the build could not be written or read.
    #[error("{}: cannot {action}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The file is not the one that was built.
    #[error("{}: changed since it was built: found sha256 {found}, expected {expected}", path.display())]
    Changed {
        /// The artefact.
        path: PathBuf,
        /// What lies there now.
        found: Sha256,
        /// What was built.
        expected: Sha256,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
