//! An upstream that answers with the lines it was sent, and requests whose answers are read whole.

use std::net::SocketAddr;

use anyhow::Context as _;
use hyper::Response;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use wayside_proof::{Upstream, load::whole};

/// Each header as a line `name: value`, in the body.
pub(crate) async fn upstream() -> anyhow::Result<Upstream> {
    Upstream::serve(|request| {
        let lines = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        let lines: String = lines.collect();
        async move { Ok(Response::new(whole(lines))) }
    })
    .await
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Name and value, names in lower case
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// What the upstream was sent in this header.
    pub(crate) fn was_sent(&self, name: &str) -> Option<&str> {
        self.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// The answer to a GET with these lines, on a connection of its own.
pub(crate) async fn get(to: SocketAddr, path: &str, lines: &[&str]) -> anyhow::Result<Answer> {
    get_over(TcpStream::connect(to).await?, path, lines).await
}

/// The same on this connection, which ends with it.
pub(crate) async fn get_over(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    path: &str,
    lines: &[&str],
) -> anyhow::Result<Answer> {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n{lines}\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    // The other end may close a TLS connection without a word.
    while let Ok(length @ 1..) = stream.read(&mut part).await {
        answer.extend_from_slice(&part[..length]);
    }
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let mut head = head.split("\r\n");
    let status = head.next().and_then(|line| line.split(' ').nth(1)).context("no status")?.parse()?;
    let header =
        |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Ok(Answer { status, headers: head.filter_map(header).collect(), body: body.to_owned() })
}
