//! Limits that also hold for an answer that has begun (`phases.total`, and a hard deadline where the router's timer began later): HTTP/1.1 and
//! HTTP/2 clients see it broken off, a slow reader of an answer that has come to its end is left alone, and Envoy lives on, whatever else
//! ends a stream at that moment.

#![allow(clippy::print_stderr, reason = "a test says what it skipped")]

use std::{env, net::SocketAddr, path::PathBuf, time::Duration};

use bytes::Bytes;
use h2::{Reason, RecvStream, client::SendRequest};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep},
};
use wayside::parity::{Envoy, Launch};

const TOTAL: Duration = Duration::from_millis(300);
/// More than the clients' windows of HTTP/2, and less than Envoy takes from an upstream in advance.
const WHOLE: usize = 200 * 1024;
/// More than Envoy takes in advance.
const ENDLESS: usize = 32 * 1024 * 1024;

/// Answers by path: `/silent` begins and never ends, `/whole` and `/endless` send that many bytes, all else is 204.
async fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

async fn serve(mut stream: TcpStream) {
    let mut read = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut bytes).await else { return };
        read.extend_from_slice(&bytes[..count]);
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        read.drain(..end + 4);
        let long = |count: usize| {
            [format!("HTTP/1.1 200 OK\r\ncontent-length: {count}\r\n\r\n").into_bytes(), vec![b'x'; count]]
                .concat()
        };
        let answer = match head.split(' ').nth(1) {
            Some("/silent") => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n".to_vec(),
            Some("/whole") => long(WHOLE),
            Some("/endless") => long(ENDLESS),
            _ => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

async fn http1(to: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(to).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the end of the connection");
    answer
}

/// Windows of 64 KiB.
async fn http2(to: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(to).await.expect("a connection");
    let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    client.ready().await.expect("HTTP/2")
}

async fn get(client: &SendRequest<Bytes>, path: &str) -> Result<RecvStream, h2::Error> {
    let request = http::Request::get(format!("http://shop{path}")).body(()).expect("a request");
    let (answer, _) = client.clone().ready().await?.send_request(request, true)?;
    Ok(answer.await?.into_body())
}

/// How many bytes came, and how it ended.
async fn read(mut body: RecvStream) -> (usize, Option<h2::Error>) {
    let mut count = 0;
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                count += data.len();
                body.flow_control().release_capacity(data.len()).expect("what was received");
            }
            Err(error) => return (count, Some(error)),
        }
    }
    (count, None)
}

fn configuration(upstream: SocketAddr) -> Value {
    let module = wayside::build::here().unwrap_or_else(|error| panic!("{error}")).path;
    let defaults = json!({ "version": 1, "defaults": { "phases": { "total": "300ms" } } });
    let socket = |at: SocketAddr| json!({ "socket_address": { "address": at.ip().to_string(), "port_value": at.port() } });
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let filter = json!({ "name": "timeout", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": defaults.to_string() },
            "vm_config": { "runtime": "envoy.wasm.runtime.v8", "code": { "local": { "filename": module } } },
        },
    } });
    let router = json!({ "name": "router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
    } });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "hard",
        "http_filters": [filter, router],
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
            { "match": { "prefix": "/" }, "route": { "cluster": "upstream" } },
        ] }] },
    });
    json!({
        "admin": { "address": socket(nowhere) },
        "static_resources": {
            "listeners": [{ "name": "hard", "address": socket(nowhere), "filter_chains": [{ "filters": [
                { "name": "http", "typed_config": manager },
            ] }] }],
            "clusters": [{ "name": "upstream", "type": "STATIC", "load_assignment": { "cluster_name": "upstream", "endpoints": [
                { "lb_endpoints": [{ "endpoint": { "address": socket(upstream) } }] },
            ] } }],
        },
    })
}

/// Ends with the test.
async fn envoy() -> Option<(Envoy, SocketAddr, TempDir)> {
    let Some(binary) = env::var_os("ENVOY_BIN").map(PathBuf::from) else {
        assert!(env::var_os("WAYSIDE_REQUIRE_ENVOY").is_none(), "no ENVOY_BIN");
        eprintln!("skipped: no ENVOY_BIN, so answers that have begun were not broken off");
        return None;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("envoy.json");
    std::fs::write(&config, configuration(upstream().await).to_string()).expect("the folder is ours");
    let launch = Launch {
        command: &[&binary],
        config: &config,
        folder: folder.path(),
        name: "envoy",
        workers: 2,
        wasm_level: "warning",
    };
    let envoy = Envoy::start(&launch).await.unwrap_or_else(|error| panic!("{error}"));
    let address = envoy.listeners.get("hard").copied().expect("a listener");
    Some((envoy, address, folder))
}

fn must_be_well(envoy: &mut Envoy) {
    assert!(envoy.is_running(), "Envoy has ended: {:?}", envoy.log());
    let bad = envoy.log().into_iter().find(|line| line.level == "critical" || line.text.contains("Caught "));
    assert!(bad.is_none(), "{bad:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_has_begun_is_broken_off_by_its_limit_and_envoy_lives_on() {
    let Some((mut proxy, to, _folder)) = envoy().await else { return };

    let started = Instant::now();
    let answer = http1(to, "/silent").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("1\r\na\r\n"), "cut off: {answer:?}");
    assert!(started.elapsed() >= TOTAL - Duration::from_millis(5), "{:?}", started.elapsed());

    let client = http2(to).await;
    let (count, error) = read(get(&client, "/silent").await.expect("headers")).await;
    let error = error.expect("a reset");
    assert!(count == 1 && error.is_reset() && error.is_remote(), "{count} bytes, {error}");
    assert!(matches!(error.reason(), Some(Reason::INTERNAL_ERROR | Reason::NO_ERROR)), "{error}");

    // All of it has passed the filter, and waits in Envoy for a client that does not read: there is nothing left to end, nor to count.
    let slow = get(&client, "/whole").await.expect("headers");
    let endless = get(&client, "/endless").await.expect("headers");
    sleep(TOTAL * 2).await;
    let (count, error) = read(slow).await;
    assert!(count == WHOLE && error.is_none(), "{count} bytes, {error:?}");
    let (count, error) = read(endless).await;
    assert!(count < ENDLESS && error.is_some_and(|error| error.is_reset()), "{count} bytes");
    let enforced: u64 = proxy.stats("l7_timeout_enforced_total$").await.expect("statistics").values().sum();
    assert_eq!(enforced, 3, "the one that was whole was not ended");
    must_be_well(&mut proxy);
}

/// Clients that leave, before, at and after the limit, and slow readers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_at_the_same_moment_do_no_harm() {
    let Some((mut proxy, to, _folder)) = envoy().await else { return };
    for _ in 0..4 {
        let mut clients = JoinSet::new();
        for n in 0..200_u32 {
            clients.spawn(async move {
                let client = http2(to).await;
                let path = ["/silent", "/endless", "/whole", "/silent"][n as usize % 4];
                let Ok(body) = get(&client, path).await else { return };
                sleep(TOTAL - Duration::from_millis(30) + Duration::from_micros(250) * n).await;
                drop(body);
            });
        }
        clients.join_all().await;
    }
    let client = http2(to).await;
    for _ in 0..20 {
        let body = get(&client, "/quick").await.expect("an answer");
        assert!(read(body).await.1.is_none());
    }
    must_be_well(&mut proxy);
}
