//! The load: `h2load`, which costs a core of its own little.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use super::rows::Setup;

/// Nine headers of an application; Envoy makes some fifteen of them.
const HEADERS: [&str; 9] = [
    "user-agent: storefront/2.14.1 (linux; x86_64)",
    "accept: application/json",
    "accept-encoding: gzip, br",
    "accept-language: en-GB,en;q=0.8",
    "x-api-key: k-3f9a1c7e5b2d4860",
    "x-timeout-ms: 1500",
    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "cache-control: no-cache",
    "cookie: basket=5a7c2d84",
];
const PATH: &str = "/catalog/books/9780001?currency=EUR&page=2";

/// Which core a process has to itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Proxy,
    Load,
}

/// A program with what keeps it on its core.
pub(super) fn launcher(side: Side, realtime: bool, program: &Path) -> Vec<PathBuf> {
    let mut parts: Vec<PathBuf> = Vec::new();
    if realtime {
        parts.extend(["chrt", "--rr", "10"].map(PathBuf::from));
    }
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        let core = match side {
            Side::Proxy => "0",
            Side::Load => "1",
        };
        parts.extend(["taskset", "--cpu-list", core].map(PathBuf::from));
    }
    parts.push(program.to_owned());
    parts
}

/// How a sample is sent.
#[derive(Debug)]
pub(super) struct Load {
    launcher: Vec<PathBuf>,
    requests: u32,
}

impl Load {
    /// # Errors
    /// When there is no `h2load`.
    pub(super) fn new(requests: u32, realtime: bool) -> anyhow::Result<Self> {
        let there = std::process::Command::new("h2load").arg("--version").stdout(Stdio::null()).status();
        ensure!(
            there.is_ok_and(|status| status.success()),
            "cannot run h2load: it comes with nghttp2 (Debian's package nghttp2-client)"
        );
        Ok(Load { launcher: launcher(Side::Load, realtime, Path::new("h2load")), requests })
    }

    /// Sends a sample and waits for its answers.
    ///
    /// # Errors
    /// When a request is not answered with a status of 200 to 299.
    pub(super) async fn run(&self, setup: Setup, port: u16, more: &[String]) -> anyhow::Result<()> {
        let (program, arguments) = self.launcher.split_first().context("no program to run")?;
        let mut command = Command::new(program);
        command.args(arguments).arg("--requests").arg(self.requests.to_string());
        match setup {
            Setup::Direct => command.args(["--clients", "4", "--max-concurrent-streams", "8"]),
            Setup::Proxied => command.args(["--h1", "--clients", "16"]),
        };
        for header in HEADERS.into_iter().chain(more.iter().map(String::as_str)) {
            command.args(["--header", header]);
        }
        let output = command.arg(format!("http://127.0.0.1:{port}{PATH}")).output().await?;
        let said = String::from_utf8_lossy(&output.stdout);
        let good = format!("status codes: {} 2xx,", self.requests);
        ensure!(
            output.status.success() && said.contains(&good),
            "h2load: expected {good:?}, found:\n{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}
