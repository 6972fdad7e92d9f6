//! TO-12: what lives longer than `timeout` on purpose does: event streams, gRPC calls both ways, web sockets; one that falls silent
//! is ended.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use hyper::Response;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use wayside_proof::{
    Client, Door, Protocol, Proxy, Upstream, Wasm,
    load::{drips, get, post, stalled},
};

const DEADLINE: Duration = Duration::from_millis(300);
const DRIP: Duration = Duration::from_millis(100);
/// In all three times the deadline.
const DRIPS: u32 = 9;
const PATIENCE: Duration = Duration::from_secs(20);

fn filter() -> Wasm {
    let defaults = json!({
        "timeout": format!("{}ms", DEADLINE.as_millis()),
        // Longer than a busy machine takes for a drip.
        "phases": { "response_idle": "2s" },
        "streaming": { "content_types": ["text/event-stream"], "grpc_methods": ["/a.B/Talk"] },
    });
    Wasm::new(&crate::TIMEOUT, "timeout", &defaults)
}

/// Events for who asks for events, drips for gRPC, and for `/silent` one event and then nothing.
async fn streaming() -> anyhow::Result<Upstream> {
    Upstream::serve(|request| async move {
        let (kind, body) = match request.uri().path() {
            "/a.B/Talk" | "/a.B/Once" => ("application/grpc", drips(DRIP, Some(DRIPS))),
            "/silent" => ("text/event-stream", stalled("/").into_body()),
            "/plain" => ("text/plain", drips(DRIP, Some(DRIPS))),
            _ => ("text/event-stream", drips(DRIP, Some(DRIPS))),
        };
        Response::builder().header("content-type", kind).body(body).map_err(std::io::Error::other)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn to_12_streams_outlive_the_deadline_and_silent_ones_do_not() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("TO-12") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let upstream = streaming().await?;
    let door = Door::new("door", upstream.address).filters([filter()]);
    let mut proxy = Proxy::start(&envoy, 2, &[Door { upstream_http2: true, ..door }]).await?;
    let client = Client::new(Protocol::Http2, proxy.address("door")?);
    let whole_length = b"begun".len() + DRIPS as usize;
    let talk = |path| post(path, drips(DRIP, Some(DRIPS)));
    let events = [("accept", "text/event-stream")];
    let grpc = [("content-type", "application/grpc")];
    for (mut request, headers, lives) in [
        (get("/events"), events, true),
        (talk("/a.B/Talk"), grpc, true),
        // The controls: the same without being exempt.
        (get("/plain"), [("accept", "text/plain")], false),
        (talk("/a.B/Once"), grpc, false),
        (get("/silent"), events, false),
    ] {
        let path = request.uri().path().to_owned();
        for (name, value) in headers {
            request.headers_mut().insert(name, value.parse()?);
        }
        let sent = Instant::now();
        let reply = client.send_for(request, PATIENCE).await.with_context(|| format!("{path}: no end"))?;
        let complete = reply.status == Some(200) && reply.body.len() == whole_length;
        ensure!(complete == lives, "{path}: {reply:?}");
        if path == "/silent" {
            ensure!(sent.elapsed() >= Duration::from_secs(2), "{path}: ended after {:?}", sent.elapsed());
        }
    }
    proxy.must_be_well()
}

#[tokio::test(flavor = "multi_thread")]
async fn to_12_a_web_socket_outlives_the_deadline() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("TO-12") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let echo = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut buffer = [0; 4096];
        let _head = stream.read(&mut buffer).await?;
        stream
            .write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            )
            .await?;
        loop {
            let length = stream.read(&mut buffer).await?;
            let Some(said) = buffer.get(..length).filter(|said| !said.is_empty()) else {
                return std::io::Result::Ok(());
            };
            stream.write_all(said).await?;
        }
    });
    let door = Door::new("door", address).filters([filter()]);
    let mut proxy = Proxy::start(&envoy, 1, &[door]).await?;
    let mut socket = TcpStream::connect(proxy.address("door")?).await?;
    socket
        .write_all(b"GET / HTTP/1.1\r\nhost: proof\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        .await?;
    let mut head = vec![0; 4096];
    let length = timeout(PATIENCE, socket.read(&mut head)).await??;
    let head = String::from_utf8_lossy(head.get(..length).unwrap_or_default()).into_owned();
    ensure!(head.starts_with("HTTP/1.1 101"), "{head:?}");
    sleep(DEADLINE * 3).await;
    socket.write_all(b"still there").await?;
    let mut said = [0; 11];
    timeout(PATIENCE, socket.read_exact(&mut said)).await??;
    ensure!(&said == b"still there", "{said:?}");
    drop(socket);
    echo.abort();
    proxy.must_be_well()
}
