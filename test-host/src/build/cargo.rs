//! Runs cargo for a guest and reads from its messages which file came out.

use super::workspace::Plan;
use super::{BuildError, Guest, toolchain};
use cargo_metadata::{CrateType, Message};
use std::path::PathBuf;
use std::process::Command;

/// Builds and returns the `.wasm` file cargo names, be it new or fresh. The caller holds the lock.
pub(super) fn build(guest: &Guest, plan: &Plan) -> Result<PathBuf, BuildError> {
    let mut command = command(guest, plan);
    let shown = shown(&command);
    let output = command.output().map_err(|source| BuildError::Program {
        program: guest.toolchain.cargo.display().to_string(),
        source,
    })?;
    if !output.status.success() {
        return Err(BuildError::Compile {
            package: plan.package.clone(),
            target: guest.target,
            command: shown,
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    let failed = |message: String| BuildError::Messages {
        package: plan.package.clone(),
        command: shown.clone(),
        message,
    };
    find_wasm(&output.stdout, plan)
        .map_err(|error| failed(format!("its messages are unreadable: {error}")))?
        .ok_or_else(|| {
            let printed = String::from_utf8_lossy(&output.stderr);
            failed(format!("named no .wasm file for `{}`; it printed:\n{printed}", plan.crate_name))
        })
}

fn command(guest: &Guest, plan: &Plan) -> Command {
    let mut command = toolchain::command(&guest.toolchain.cargo, &plan.workspace_root);
    // A library that is an rlib too, which its own tests need, would be linked without optimisation across crates.
    match &guest.example {
        Some(example) => command.args(["build", "--example", example]),
        None => command.args(["rustc", "--lib", "--crate-type", "cdylib"]),
    };
    command.args(["--package", &plan.package_id, "--target", guest.target.triple()]);
    command.args([
        "--profile",
        &guest.profile,
        "--message-format",
        "json-render-diagnostics",
        "--target-dir",
    ]);
    command.arg(&plan.guests_dir);
    if !guest.features.is_empty() {
        command.args(["--features", &guest.features.join(",")]);
    }
    for setting in plan.config.iter().chain(&nameless_paths()) {
        command.args(["--config", setting]);
    }
    command
}

/// Keeps the home folder of whoever builds out of panic messages, and the registry their crates came from, and so the module's
/// hash the same on every machine. `cargo metadata` has fetched all crates by now. The setting yields to a `target.<triple>.rustflags` of the workspace and adds to its `build.rustflags`.
fn nameless_paths() -> Option<String> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")))?;
    let mut crates: Vec<_> = std::fs::read_dir(home.join("registry/src"))
        .into_iter()
        .flatten()
        .filter_map(|registry| Some(registry.ok()?.path()))
        .collect();
    crates.sort();
    // Of several that fit rustc takes the last.
    let known = std::iter::once((&home, "/cargo")).chain(crates.iter().map(|registry| (registry, "/crates")));
    let flags: Option<Vec<_>> =
        known.map(|(path, shown)| Some(format!("--remap-path-prefix={}={shown}", path.to_str()?))).collect();
    Some(format!("build.rustflags={}", serde_json::to_string(&flags?).ok()?))
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().display().to_string()];
    words.extend(command.get_args().map(|word| {
        let word = word.display().to_string();
        if word.contains([' ', '"', '#', '\'']) { format!("'{word}'") } else { word }
    }));
    words.join(" ")
}

fn find_wasm(messages: &[u8], plan: &Plan) -> std::io::Result<Option<PathBuf>> {
    let mut wasm = None;
    for message in Message::parse_stream(messages) {
        let Message::CompilerArtifact(artifact) = message? else {
            continue;
        };
        let is_guest = artifact.package_id.repr == plan.package_id
            && artifact.target.name == plan.crate_name
            && artifact.target.crate_types.contains(&CrateType::CDyLib);
        if is_guest {
            wasm = artifact.filenames.into_iter().find(|file| file.extension() == Some("wasm"));
        }
    }
    Ok(wasm.map(cargo_metadata::camino::Utf8PathBuf::into_std_path_buf))
}
