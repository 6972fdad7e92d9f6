//! TO-2: what gRPC and Connect say of deadlines, end to end: all kinds of calls, what the service is told, and what the client gets.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use hyper::{HeaderMap, Request};
use serde_json::{Value, json};
use wayside_proof::{
    Answer, Body, Client, Door, Protocol, Proxy, Reply, Upstream, Wasm,
    load::{dripping, post, stalled, whole},
};

struct Calls {
    client: Client,
    told: Arc<Mutex<Vec<HeaderMap>>>,
    proxy: Proxy,
    _service: Upstream,
}

impl Calls {
    async fn start() -> anyhow::Result<Option<Calls>> {
        let Some(envoy) = crate::envoy("TO-2") else { return Ok(None) };
        let told = Arc::<Mutex<Vec<HeaderMap>>>::default();
        let told_to = Arc::clone(&told);
        let service = Upstream::start(move |head| {
            told_to.lock().expect("nobody panicked").push(head.headers.clone());
            if head.uri.path().ends_with("/Never") { Answer::Never } else { Answer::Status(200) }
        })
        .await?;
        let filter = Wasm::new(&crate::TIMEOUT, "timeout", &json!({ "timeout": "10s" }));
        let door = Door::new("edge", service.address).filters([filter]);
        let proxy = Proxy::start(&envoy, 2, &[Door { upstream_http2: true, ..door }]).await?;
        let client = Client::new(Protocol::Http2, proxy.address("edge")?);
        Ok(Some(Calls { client, told, proxy, _service: service }))
    }

    /// The answer, and what the service was told under a name, if the call came to it.
    async fn call(
        &self,
        mut request: Request<Body>,
        headers: &[(&'static str, &str)],
        told: &str,
    ) -> anyhow::Result<(Reply, Option<Option<String>>)> {
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse()?);
        }
        let reply = self.client.send_for(request, Duration::from_secs(8)).await.context("no answer")?;
        let head = self.told.lock().expect("nobody panicked").pop();
        let value = |head: HeaderMap| Some(head.get(told)?.to_str().ok()?.to_owned());
        Ok((reply, head.map(value)))
    }
}

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];
const CONNECT: [(&str, &str); 2] = [("content-type", "application/proto"), ("connect-protocol-version", "1")];
const STREAM: [(&str, &str); 1] = [("content-type", "application/connect+proto")];

fn grpc_status(reply: &Reply) -> Option<&str> {
    reply.headers.get("grpc-status")?.to_str().ok()
}

/// Of gRPC's form, in milliseconds.
fn millis(timeout: &str) -> Option<f64> {
    let (digits, unit) = timeout.split_at_checked(timeout.len().checked_sub(1)?)?;
    let each = match unit {
        "S" => 1e3,
        "m" => 1.0,
        "u" => 1e-3,
        "n" => 1e-6,
        _ => return None,
    };
    digits.parse::<f64>().ok().map(|number| number * each)
}

#[tokio::test(flavor = "multi_thread")]
async fn to_2_grpcs_deadlines_are_passed_on_and_kept_for_all_kinds_of_calls() -> anyhow::Result<()> {
    let Some(mut calls) = Calls::start().await? else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    for (sent, most) in [(Some("2S"), 2e3), (Some("3000m"), 3e3), (None, 1e4), (Some("1H"), 1e4)] {
        let timeout = sent.map(|sent| ("grpc-timeout", sent));
        let headers: Vec<_> = GRPC.into_iter().chain(timeout).collect();
        let (reply, told) = calls.call(post("/a.B/Now", whole("x")), &headers, "grpc-timeout").await?;
        ensure!(reply.status == Some(200) && grpc_status(&reply).is_none(), "{sent:?}: {reply:?}");
        let told = told.flatten().context("the service was told nothing")?;
        let left = millis(&told).with_context(|| format!("the service was told {told}"))?;
        ensure!(left > 0.0 && left < most, "{sent:?}: the service was told {told}");
    }
    // Unary, and streams whose client has more to send.
    let drip = Duration::from_millis(20);
    for request in [post("/a.B/Never", whole("x")), stalled("/a.B/Never"), dripping("/a.B/Never", drip)] {
        let headers: Vec<_> = GRPC.into_iter().chain([("grpc-timeout", "200m")]).collect();
        let (reply, told) = calls.call(request, &headers, "grpc-timeout").await?;
        ensure!(told.is_some(), "the call did not come to the service");
        ensure!(reply.status == Some(200) && grpc_status(&reply) == Some("4"), "{reply:?}");
        ensure!(reply.body.is_empty() && reply.after >= Duration::from_millis(195), "{reply:?}");
    }
    let headers: Vec<_> = GRPC.into_iter().chain([("grpc-timeout", "1n")]).collect();
    let (reply, told) = calls.call(post("/a.B/Now", whole("x")), &headers, "grpc-timeout").await?;
    ensure!(told.is_none() && grpc_status(&reply) == Some("4"), "{told:?} {reply:?}");
    calls.proxy.must_be_well()
}

#[tokio::test(flavor = "multi_thread")]
async fn to_2_connects_deadlines_are_passed_on_and_kept_for_all_kinds_of_calls() -> anyhow::Result<()> {
    let Some(mut calls) = Calls::start().await? else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    for kind in [&CONNECT[..], &STREAM[..]] {
        let headers: Vec<_> = kind.iter().copied().chain([("connect-timeout-ms", "2000")]).collect();
        let (reply, told) = calls.call(post("/a.B/Now", whole("x")), &headers, "connect-timeout-ms").await?;
        ensure!(reply.status == Some(200), "{reply:?}");
        let left: u64 = told.flatten().context("the service was told nothing")?.parse()?;
        ensure!(left > 0 && left < 2000, "the service was told {left}");
    }
    let deadline = [("connect-timeout-ms", "200")];
    let drip = Duration::from_millis(20);
    for request in [post("/a.B/Never", whole("x")), stalled("/a.B/Never")] {
        let headers: Vec<_> = CONNECT.into_iter().chain(deadline).collect();
        let (reply, told) = calls.call(request, &headers, "connect-timeout-ms").await?;
        ensure!(told.is_some() && reply.status == Some(504), "{told:?} {reply:?}");
        let error: Value = serde_json::from_slice(&reply.body)?;
        ensure!(error["code"] == "deadline_exceeded", "{error}");
    }
    for request in [post("/a.B/Never", whole("x")), dripping("/a.B/Never", drip)] {
        let headers: Vec<_> = STREAM.into_iter().chain(deadline).collect();
        let (reply, told) = calls.call(request, &headers, "connect-timeout-ms").await?;
        ensure!(told.is_some() && reply.status == Some(200), "{told:?} {reply:?}");
        // The end of a stream: a flag, a length of four bytes, and JSON.
        let (head, end) = reply.body.split_at_checked(5).context("no end of the stream")?;
        let error: Value = serde_json::from_slice(end)?;
        ensure!(head[0] == 2 && error["error"]["code"] == "deadline_exceeded", "{head:?} {error}");
    }
    let headers: Vec<_> = CONNECT.into_iter().chain([("connect-timeout-ms", "0")]).collect();
    let (reply, told) = calls.call(post("/a.B/Now", whole("x")), &headers, "connect-timeout-ms").await?;
    ensure!(told.is_none() && reply.status == Some(504), "{told:?} {reply:?}");
    calls.proxy.must_be_well()
}
