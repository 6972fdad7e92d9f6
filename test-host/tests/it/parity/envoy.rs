//! The real Envoy, where there is one.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{process::Command, time::timeout};
use wayside::parity;

/// Envoy compiles four modules; it needs seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);

/// The binary: what `ENVOY_BIN` names, else what `cargo xtask envoy` has installed. `None`: there is none, and nobody
/// insists on one (`WAYSIDE_REQUIRE_ENVOY=1`).
pub(crate) fn binary() -> Option<PathBuf> {
    let named = env::var_os("ENVOY_BIN").map(PathBuf::from);
    let is_named = named.is_some();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("");
    match parity::find_envoy(named, &target) {
        Ok(binary) => Some(binary),
        Err(error) => {
            let required = env::var_os("WAYSIDE_REQUIRE_ENVOY").is_some_and(|value| value == "1");
            assert!(!is_named && !required, "{error}");
            super::say(&format!("skipped: {error}"));
            None
        }
    }
}

/// `envoy --mode validate`.
pub(super) async fn validate(binary: &Path, config: &Path) -> io::Result<Output> {
    let command = Command::new(binary)
        .args(["--mode", "validate", "--log-level", "warning", "--config-path"])
        .arg(config)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    timeout(LIMIT, command).await.map_err(|_| io::Error::other("envoy --mode validate does not end"))?
}
