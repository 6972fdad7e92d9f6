//! The real Envoy as a process: found, started, asked, and ended on every path.

use std::{
    env, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    time::timeout,
};
use wayside::message::{HeaderMap, Message};

use super::{client, wire::Spelling};

/// Envoy compiles four modules at its start; it needs seconds on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Between two questions to a process that gives no sign of its own.
const POLL: Duration = Duration::from_millis(20);

/// The binary: what `ENVOY_BIN` names, else what `cargo xtask envoy` has installed. `None`: there is none, and nobody
/// insists on one (`WAYSIDE_REQUIRE_ENVOY=1`).
pub(crate) fn binary() -> Option<PathBuf> {
    if let Some(named) = env::var_os("ENVOY_BIN").map(PathBuf::from) {
        assert!(named.is_file(), "ENVOY_BIN is {}, expected the path of an Envoy binary", named.display());
        return Some(named);
    }
    let binary = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("envoy/1.40.0/envoy/_bin/envoy");
    if binary.is_file() {
        return Some(binary);
    }
    let required = env::var_os("WAYSIDE_REQUIRE_ENVOY").is_some_and(|value| value == "1");
    assert!(
        !required,
        "WAYSIDE_REQUIRE_ENVOY=1, but {} is no file: run `cargo xtask envoy`, or set ENVOY_BIN",
        binary.display()
    );
    super::say("skipped: no Envoy (run `cargo xtask envoy`, or set ENVOY_BIN)");
    None
}

/// A running Envoy. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Envoy {
    /// Where its one listener takes requests.
    pub(super) listener: SocketAddr,
    admin: SocketAddr,
    process: Child,
    log: PathBuf,
}

impl Envoy {
    /// Starts Envoy with a configuration in `folder` and waits until it takes requests.
    ///
    /// # Errors
    /// It ended, or was not ready in time. The message holds its log.
    pub(super) async fn start(binary: &Path, folder: &Path, config: &Path) -> io::Result<Self> {
        let (address, log) = (folder.join("admin-address"), folder.join("envoy.log"));
        let mut process = Command::new(binary)
            .arg("--config-path")
            .arg(config)
            .arg("--admin-address-path")
            .arg(&address)
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        let ready = tokio::select! {
            ready = timeout(START_LIMIT, ready(&address)) => ready.map_err(|_| io::Error::other("Envoy is not ready in time")),
            ended = process.wait() => Err(io::Error::other(format!("Envoy ended at its start: {}", ended?))),
        };
        let (admin, listener) =
            ready.map_err(|error| io::Error::other(format!("{error}\n{}", said(&log))))?;
        Ok(Envoy { listener, admin, process, log })
    }

    /// What the administration interface answers.
    pub(super) async fn ask(&self, path: &str) -> io::Result<String> {
        ask(self.admin, path).await
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    pub(super) fn log(&self) -> String {
        said(&self.log)
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
    timeout(START_LIMIT, command).await.map_err(|_| io::Error::other("envoy --mode validate does not end"))?
}

/// Envoy writes the address of its administration interface to a file, and says there when it is live.
async fn ready(file: &Path) -> (SocketAddr, SocketAddr) {
    let mut poll = tokio::time::interval(POLL);
    loop {
        poll.tick().await;
        let Some(admin) = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()) else {
            continue;
        };
        if !ask(admin, "/ready").await.is_ok_and(|answer| answer.trim() == "LIVE") {
            continue;
        }
        let Ok(listeners) = ask(admin, "/listeners").await else {
            continue;
        };
        // `<name>::<address>`
        let address = listeners.lines().next().and_then(|line| line.split_once("::")?.1.trim().parse().ok());
        if let Some(listener) = address {
            return (admin, listener);
        }
    }
}

async fn ask(admin: SocketAddr, path: &str) -> io::Result<String> {
    let headers = HeaderMap::from_iter(
        [(":method", "GET"), (":path", path), (":authority", "admin")].map(|(n, v)| (n, v.to_owned())),
    );
    let answer = client::send(admin, &Message { headers, ..Message::default() }, Spelling::LowerCase).await?;
    let answer = answer.ok_or_else(|| io::Error::other("the administration interface does not answer"))?;
    Ok(String::from_utf8_lossy(&answer.whole_body()).into_owned())
}

fn said(log: &Path) -> String {
    format!("Envoy's log:\n{}", fs::read_to_string(log).unwrap_or_else(|error| error.to_string()))
}
