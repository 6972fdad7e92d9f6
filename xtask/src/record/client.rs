//! Clients that send the cases of the mix and insist on what comes back.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response,
    body::{Frame, Incoming},
    client::conn::{http1, http2},
    header::{HOST, HeaderName, HeaderValue},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use super::case::{Body, Case, Over, Until};

type RequestBody = BoxBody<Bytes, Infallible>;

/// Whom the requests are for, as clients name it.
const AUTHORITY: &str = "bookshop.example";
/// Longer than any answer of the mix takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between the parts of a request, so that they arrive apart.
const GAP: Duration = Duration::from_millis(10);

/// One client with a kept-alive connection of each kind.
#[derive(Debug)]
pub(super) struct Client {
    server: SocketAddr,
    http1: Option<http1::SendRequest<RequestBody>>,
    http2: Option<http2::SendRequest<RequestBody>>,
}

impl Client {
    pub(super) fn of(server: SocketAddr) -> Self {
        Client { server, http1: None, http2: None }
    }

    /// Sends a case, as often at once as it says.
    ///
    /// # Errors
    /// When the answer is not the one that the case expects.
    pub(super) async fn run(&mut self, case: &Case) -> anyhow::Result<()> {
        let sent = async {
            match &case.over {
                Over::Socket { parts, statuses } => socket(self.server, parts, statuses).await,
                Over::Http1 if case.at_once > 1 => self.burst_of_connections(case).await,
                Over::Http1 => self.one_http1(case).await,
                Over::Http2 => self.http2(case).await,
            }
        };
        timeout(PATIENCE, sent)
            .await
            .context("no end of it")
            .flatten()
            .with_context(|| format!("case {}", case.name))
    }

    async fn burst_of_connections(&self, case: &Case) -> anyhow::Result<()> {
        let mut burst = JoinSet::new();
        for _ in 0..case.at_once {
            let mut client = Client::of(self.server);
            let case = case.clone();
            burst.spawn(async move { client.one_http1(&case).await });
        }
        all(burst).await
    }

    async fn one_http1(&mut self, case: &Case) -> anyhow::Result<()> {
        let kept = match self.http1.take() {
            Some(mut kept) => kept.ready().await.is_ok().then_some(kept),
            None => None,
        };
        let mut sender = match kept {
            Some(kept) => kept,
            None => {
                let (sender, connection) = http1::handshake(connect(self.server).await?).await?;
                tokio::spawn(connection);
                sender
            }
        };
        let answered = receive(case, sender.send_request(request(case)?)).await;
        // A client that aborts closes the connection, and a broken one is of no more use.
        if case.until == Until::End && answered.is_ok() {
            self.http1 = Some(sender);
        }
        answered
    }

    async fn http2(&mut self, case: &Case) -> anyhow::Result<()> {
        let sender = match &self.http2 {
            Some(kept) if !kept.is_closed() => kept.clone(),
            _ => {
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), connect(self.server).await?).await?;
                tokio::spawn(connection);
                self.http2.insert(sender).clone()
            }
        };
        let mut burst = JoinSet::new();
        for _ in 0..case.at_once {
            let (mut sender, case) = (sender.clone(), case.clone());
            burst.spawn(async move { receive(&case, sender.send_request(request(&case)?)).await });
        }
        all(burst).await
    }
}

async fn all(mut burst: JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    while let Some(done) = burst.join_next().await {
        done??;
    }
    Ok(())
}

async fn connect(server: SocketAddr) -> std::io::Result<TokioIo<TcpStream>> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

fn request(case: &Case) -> anyhow::Result<Request<RequestBody>> {
    let mut request = Request::builder().method(case.method.clone());
    request = match case.over {
        Over::Http2 => request.uri(format!("http://{AUTHORITY}{}", case.path)),
        Over::Http1 | Over::Socket { .. } => request.uri(case.path).header(HOST, AUTHORITY),
    };
    if !case.headers.iter().any(|(name, _)| *name == "user-agent") {
        request = request.header("user-agent", "bookshop-client/1");
    }
    request = request.header(bookshop::CASE_HEADER, case.name);
    for (name, value) in &case.headers {
        request = request.header(*name, HeaderValue::from_bytes(value)?);
    }
    Ok(request.body(body(case)?)?)
}

fn body(case: &Case) -> anyhow::Result<RequestBody> {
    Ok(match &case.body {
        Body::None => Empty::new().boxed(),
        Body::Whole(bytes) => Full::new(bytes.clone()).boxed(),
        Body::Chunks(chunks) => {
            let mut frames: Vec<_> = chunks.iter().cloned().map(Frame::data).collect();
            if !case.trailers.is_empty() {
                let mut trailers = HeaderMap::new();
                for (name, value) in &case.trailers {
                    trailers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
                }
                frames.push(Frame::trailers(trailers));
            }
            let apart = tokio_stream::StreamExt::then(tokio_stream::iter(frames), |frame| async move {
                tokio::time::sleep(GAP).await;
                Ok::<_, Infallible>(frame)
            });
            http_body_util::BodyExt::boxed(StreamBody::new(apart))
        }
    })
}

/// Takes the answer as far as the case says.
async fn receive(
    case: &Case,
    answer: impl Future<Output = hyper::Result<Response<Incoming>>>,
) -> anyhow::Result<()> {
    if let Until::GivenUp(patience) = case.until {
        ensure!(timeout(patience, answer).await.is_err(), "expected no answer");
        return Ok(());
    }
    let answer = answer.await?;
    ensure!(answer.status() == case.status, "expected status {}, found {}", case.status, answer.status());
    let (head, mut body) = answer.into_parts();
    if case.until == Until::FirstBytes {
        ensure!(body.frame().await.is_some_and(|frame| frame.is_ok()), "expected the first bytes of a body");
        return Ok(());
    }
    let collected = match (body.collect().await, case.until) {
        (Err(_), Until::BreaksOff) => return Ok(()),
        (Ok(_), Until::BreaksOff) => bail!("expected a body that breaks off"),
        (collected, _) => collected?,
    };
    if let Some(expected) = case.grpc_status {
        let status = [Some(&head.headers), collected.trailers()]
            .into_iter()
            .flatten()
            .find_map(|headers| headers.get("grpc-status"))
            .context("no grpc-status")?;
        ensure!(
            status.as_bytes() == expected.to_string().as_bytes(),
            "expected grpc-status {expected}, found {status:?}"
        );
    }
    Ok(())
}

/// Writes the parts, reads until the other side closes, and compares the status lines.
async fn socket(server: SocketAddr, parts: &[Bytes], statuses: &[u16]) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    for part in parts {
        stream.write_all(part).await?;
        tokio::time::sleep(GAP).await;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    let found: Vec<u16> =
        text.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok()).collect();
    ensure!(found == statuses, "expected statuses {statuses:?}, found {found:?}");
    Ok(())
}
