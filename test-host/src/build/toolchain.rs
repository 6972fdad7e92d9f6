//! The programs a guest build needs, and the standard library of its target.

use super::{BuildError, Target};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Output};

/// Which programs build guests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Toolchain {
    /// The cargo that runs the calling test, else the one on the search path.
    pub cargo: OsString,
    /// Asked where the target's standard library should be.
    pub rustc: OsString,
    /// Installs a missing target.
    pub rustup: OsString,
}

impl Default for Toolchain {
    fn default() -> Self {
        let from_env = |name, default: &str| std::env::var_os(name).unwrap_or_else(|| default.into());
        Self { cargo: from_env("CARGO", "cargo"), rustc: from_env("RUSTC", "rustc"), rustup: "rustup".into() }
    }
}

/// Variables that say how *this machine* reaches sources and how many jobs it likes. Every other `CARGO_*` variable
/// configures the native build around us and stays out.
const KEPT: [&str; 9] = [
    "CARGO_HOME",
    "CARGO_NET_",
    "CARGO_HTTP_",
    "CARGO_REGISTRY_",
    "CARGO_REGISTRIES_",
    "CARGO_TERM_",
    "CARGO_BUILD_JOBS",
    "CARGO_SOURCE_",
    "CARGO_UNSTABLE_",
];

/// What cargo and coverage tools set for native compilations besides `CARGO_*`.
const DROPPED: [&str; 17] = [
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_LINKER",
    "LLVM_PROFILE_FILE",
    "MAKEFLAGS",
    "MFLAGS",
    "OUT_DIR",
    "TARGET",
    "HOST",
    "PROFILE",
    "OPT_LEVEL",
    "DEBUG",
    "NUM_JOBS",
    "RUSTC_FORCE_INCREMENTAL",
    "CLIPPY_ARGS",
];

/// Whether a guest build may see a variable of our own environment.
pub(super) fn reaches_guest(variable: &OsStr) -> bool {
    // A name that is not UTF-8 is none that cargo reads.
    let Some(name) = variable.to_str() else {
        return true;
    };
    if name.starts_with("CARGO") || name.starts_with("__CARGO") {
        return KEPT.iter().any(|kept| name == *kept || (kept.ends_with('_') && name.starts_with(kept)));
    }
    !DROPPED.contains(&name) && !name.starts_with("DEP_")
}

/// A command whose environment holds nothing of the build around us, run in `dir` so that a `rust-toolchain.toml` there counts.
pub(super) fn command(program: &OsStr, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).stdin(std::process::Stdio::null());
    for (variable, _) in std::env::vars_os() {
        if !reaches_guest(&variable) {
            command.env_remove(variable);
        }
    }
    command
}

/// Makes sure that the target's `core` can be found, installing it through rustup if need be.
pub(super) fn ensure_target(tools: &Toolchain, dir: &Path, target: Target) -> Result<(), BuildError> {
    if has_std(tools, dir, target)? {
        return Ok(());
    }
    let missing = |reason: String| BuildError::MissingTarget { target, reason };
    let output = command(&tools.rustup, dir)
        .args(["target", "add", target.triple()])
        .output()
        .map_err(|error| missing(format!("`{}` does not run: {error}", tools.rustup.display())))?;
    if !output.status.success() {
        return Err(missing(last_line(&output)));
    }
    if has_std(tools, dir, target)? {
        return Ok(());
    }
    Err(missing(
        "rustup was content, but this rustc still does not find it; does rustc belong to rustup?".into(),
    ))
}

fn has_std(tools: &Toolchain, dir: &Path, target: Target) -> Result<bool, BuildError> {
    let output = command(&tools.rustc, dir)
        .args(["--print", "target-libdir", "--target", target.triple()])
        .output()
        .map_err(|source| BuildError::Program { program: tools.rustc.display().to_string(), source })?;
    let folder = String::from_utf8_lossy(&output.stdout);
    // The folder itself can be left over from an uninstalled target.
    let has_core = std::fs::read_dir(folder.trim()).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    });
    Ok(output.status.success() && has_core)
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    match text.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        Some(line) => line.to_owned(),
        None => format!("it ended with {}", output.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_build_settings_do_not_reach_a_guest() {
        for variable in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_BUILD_RUSTC_WRAPPER",
            "CARGO_TARGET_DIR",
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
            "CARGO_PROFILE_FILTER_OPT_LEVEL",
            "CARGO_MANIFEST_DIR",
            "CARGO_MAKEFLAGS",
            "CARGO_LLVM_COV",
            "__CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "LLVM_PROFILE_FILE",
            "DEP_Z_ROOT",
        ] {
            assert!(!reaches_guest(OsStr::new(variable)), "{variable}");
        }
    }

    #[test]
    fn settings_of_the_machine_reach_a_guest() {
        for variable in [
            "PATH",
            "HOME",
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "CARGO_BUILD_JOBS",
            "RUSTUP_TOOLCHAIN",
            "HTTPS_PROXY",
        ] {
            assert!(reaches_guest(OsStr::new(variable)), "{variable}");
        }
    }
}
