//! TO-6, its second half: a retry is told what is left then, which is less than its first try was told.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{
    Request,
    body::{Body as HttpBody, Frame},
    http::request::Parts,
};
use serde_json::json;
use tokio::time::{Sleep, sleep};
use wayside_proof::{Answer, Body, Client, Door, Protocol, Proxy, Upstream, Wasm};

const UPLOAD: Duration = Duration::from_millis(300);

/// A body that takes its time.
struct Slow {
    until: Pin<Box<Sleep>>,
    sent: bool,
}

impl HttpBody for Slow {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.sent {
            return Poll::Ready(None);
        }
        std::task::ready!(self.until.as_mut().poll(cx));
        self.sent = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"at last")))))
    }
}

/// What an attempt was told.
#[derive(Debug)]
struct Told {
    request: String,
    text: String,
    leaked: bool,
}

impl Told {
    fn of(head: &Parts) -> Told {
        let header = |name| {
            head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let grpc = header("grpc-timeout");
        Told {
            request: header("x-number"),
            text: if grpc.is_empty() { header("connect-timeout-ms") } else { grpc },
            leaked: head.headers.contains_key("x-envoy-upstream-rq-timeout-ms"),
        }
    }

    /// In whole nanoseconds.
    fn time(&self) -> anyhow::Result<u64> {
        let digits = self.text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
        let number: u64 = digits.parse().with_context(|| format!("{self:?}"))?;
        let unit = match self.text.strip_prefix(digits) {
            Some("n") => 1,
            Some("u") => 1_000,
            Some("m" | "") => 1_000_000,
            _ => anyhow::bail!("{self:?}"),
        };
        Ok(number * unit)
    }
}

fn request(number: u32, protocol: &str) -> anyhow::Result<Request<Body>> {
    let request = Request::post("/shop.Books/Get").header("x-number", number);
    let request = match protocol {
        "connect" => request
            .header("content-type", "application/json")
            .header("connect-protocol-version", "1")
            .header("connect-timeout-ms", "5000"),
        // Of these the router is told no limit, and so marks nothing that it sends.
        "stream" => request
            .header("content-type", "application/grpc")
            .header("grpc-timeout", "5S")
            .header("accept", "text/event-stream"),
        _ => request.header("content-type", "application/grpc").header("grpc-timeout", "5S"),
    };
    let body = Slow { until: Box::pin(sleep(UPLOAD)), sent: false };
    Ok(request.body(body.boxed_unsync())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn to_6_a_retry_sees_less_than_the_first_try() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("TO-6") else { return Ok(()) };
    let seen = Arc::new(Mutex::new(Vec::<Told>::new()));
    let noting = Arc::clone(&seen);
    let upstream = Upstream::start(move |head| {
        noting.lock().map(|mut seen| seen.push(Told::of(head))).ok();
        Answer::Late(Duration::from_millis(20), Box::new(Answer::Status(503)))
    })
    .await?;
    let timeout = |vm_id: &str| Wasm {
        module: crate::TIMEOUT.clone(),
        vm_id: vm_id.to_owned(),
        configuration: json!({ "version": 1 }),
    };
    let retries = json!({ "retry_on": "5xx", "num_retries": 2 });
    let door = |name: &str, upstream_filters: Vec<Wasm>| Door {
        upstream_filters,
        ..Door::new(name, upstream.address).filters([timeout("one")]).retries(retries.clone())
    };
    // The last: without the companion every attempt is told the same, or there would be nothing to show here.
    let doors = [
        door("together", vec![timeout("one")]),
        door("apart", vec![timeout("other")]),
        door("without", vec![]),
    ];
    let mut proxy = Proxy::start(&envoy, 2, &doors).await?;
    for (nth, (name, protocol)) in [
        ("together", "grpc"),
        ("together", "connect"),
        ("together", "stream"),
        ("apart", "grpc"),
        ("without", "grpc"),
    ]
    .into_iter()
    .enumerate()
    {
        let client = Client::new(Protocol::BOTH[nth % 2], proxy.address(name)?);
        seen.lock().map(|mut seen| seen.clear()).ok();
        for number in 0..24 {
            client.send(request(number, protocol)?).await;
        }
        let seen: Vec<Told> = seen.lock().map(|mut seen| std::mem::take(&mut *seen)).unwrap_or_default();
        ensure!(seen.len() == 24 * 3, "{name}, {protocol}: {} attempts", seen.len());
        ensure!(!seen.iter().any(|told| told.leaked), "{name}, {protocol}: {seen:?}");
        for of_one in seen.chunks(3) {
            let [first, second, third] = of_one else { continue };
            ensure!(first.request == third.request, "{of_one:?}");
            let times = [first.time()?, second.time()?, third.time()?];
            let falls = times[0] > times[1] && times[1] > times[2];
            ensure!(falls == (name != "without"), "{name}, {protocol}: {of_one:?}");
            // The first requests of a VM are measured by the router, which counts from the end of the upload.
            let number: u32 = first.request.parse()?;
            let known = name == "together" && number >= 16;
            ensure!(!known || times[1] <= 4_700_000_000, "{name}, {protocol}: {of_one:?}");
        }
    }
    proxy.must_be_well()
}
