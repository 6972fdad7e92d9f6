//! TE-1: the suite of the W3C, from outside, through two Envoys in a row: harness, door in, relay, door out, harness.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use http_body_util::BodyExt as _;
use hyper::{Request, Response, body::Incoming};
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};
use wayside_proof::{
    Client, Door, Protocol, Proxy, Upstream, Wasm,
    load::{Body, post, whole},
};

const SUITE: &str = "WAYSIDE_TRACE_CONTEXT_TESTS";
/// Where the suite's own harness listens; it asks nobody.
const HARNESS: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 7777));
/// The first 41 tests at level 2, strict.
const TESTS: &str = "Ran 41 tests";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn te_1_the_suite_of_trace_context_passes_whole() -> anyhow::Result<()> {
    let Some(suite) = std::env::var_os(SUITE) else {
        crate::skipped("TE-1", SUITE);
        return Ok(());
    };
    let Some(binary) = crate::envoy("TE-1") else { return Ok(()) };
    for workers in [1, 2] {
        for http2 in [false, true] {
            let told = run(&binary, Path::new(&suite), workers, http2).await?;
            let passed = told.contains(TESTS) && told.trim_end().ends_with("OK");
            ensure!(passed, "{workers} workers, HTTP/2 {http2}:\n{told}");
        }
    }
    Ok(())
}

async fn run(binary: &Path, suite: &Path, workers: u32, http2: bool) -> anyhow::Result<String> {
    let out = Arc::<OnceLock<SocketAddr>>::default();
    let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
    let to = Arc::clone(&out);
    let relay = Upstream::serve(move |request| relay(request, protocol, Arc::clone(&to))).await?;
    let hop = |name: &str| Wasm {
        module: crate::TELEMETRY.clone(),
        vm_id: name.to_owned(),
        configuration: json!({ "version": 1, "sampling": {} }),
    };
    let doors = [
        Door { upstream_http2: http2, ..Door::new("in", relay.address).filters([hop("in")]) },
        Door::new("out", HARNESS).filters([hop("out")]),
    ];
    let mut proxy = Proxy::start(binary, workers, &doors).await?;
    let address = proxy.address("out")?;
    out.get_or_init(|| address);
    let run = Command::new("python3")
        .arg("test.py")
        .current_dir(suite)
        .envs([("SPEC_LEVEL", "2"), ("STRICT_LEVEL", "2")])
        .env("SERVICE_ENDPOINT", format!("http://{}/", proxy.address("in")?))
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(120), run).await.context("the suite does not end")??;
    proxy.must_be_well()?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Calls back whom the harness names, by the door out, with the trace headers that came: no more of a tracer than that.
async fn relay(
    request: Request<Incoming>,
    protocol: Protocol,
    out: Arc<OnceLock<SocketAddr>>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let calls: Vec<Value> = serde_json::from_slice(&body).map_err(io::Error::other)?;
    let out = out.get().ok_or_else(|| io::Error::other("before its time"))?;
    let client = Client::new(protocol, *out);
    for call in calls {
        let url: hyper::Uri = call["url"].as_str().unwrap_or_default().parse().map_err(io::Error::other)?;
        let mut callback = post(url.path(), whole(call["arguments"].to_string()));
        for (name, value) in &head.headers {
            if ["traceparent", "tracestate"].contains(&name.as_str()) {
                callback.headers_mut().append(name, value.clone());
            }
        }
        callback
            .headers_mut()
            .insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
        client.send(callback).await;
    }
    let response = Response::builder().header("content-type", "application/json");
    response.body(whole("{}")).map_err(io::Error::other)
}
