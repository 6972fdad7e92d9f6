//! TO-7: an outsider sends each control header, in each spelling: no deadline becomes longer, no retry is unlocked, and nothing goes
//! on as it was sent.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use hyper::HeaderMap;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use wayside_proof::{Answer, Door, Proxy, Upstream, Wasm};

/// What steers timeouts.
const TIMEOUTS: [&str; 8] = [
    "grpc-timeout",
    "connect-timeout-ms",
    "request-timeout",
    "x-request-deadline",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
];
/// What steers retries.
const RETRIES: [&str; 8] = [
    "x-envoy-max-retries",
    "x-envoy-retry-on",
    "x-envoy-retry-grpc-on",
    "x-envoy-retriable-status-codes",
    "x-envoy-retriable-header-names",
    "x-envoy-attempt-count",
    "grpc-previous-rpc-attempts",
    "x-envoy-hedge-on-per-try-timeout",
];
/// Five seconds and more, where they are read at all; and what should not be.
const VALUES: [&str; 17] = [
    "0",
    "5000",
    "60",
    "9S",
    "99999999H",
    "0H",
    "+1S",
    "-1",
    "18446744073709551616",
    "  7000  ",
    "8000,9000",
    "8S, 9S",
    "4102444800000",
    "2099-01-01T00:00:00Z",
    "5xx,reset,connect-failure",
    "503",
    "unavailable,internal",
];
const DEADLINE_MS: u64 = 300;
/// Shorter than any value that would lengthen it.
const PATIENCE: Duration = Duration::from_secs(4);
/// Which protocol a request seems to be of.
const KINDS: [&str; 4] = [
    "",
    "content-type: application/grpc\r\nte: trailers\r\n",
    "connect-protocol-version: 1\r\ncontent-type: application/proto\r\n",
    "content-type: application/connect+proto\r\n",
];

/// Requests under way at once.
const AT_ONCE: usize = 48;

/// A header in one of its spellings.
#[derive(Clone, Debug)]
struct Case {
    name: &'static str,
    value: &'static str,
    spelling: Spelling,
    kind: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Spelling {
    Once,
    Twice,
    Capitals,
}

impl Case {
    /// With one that steers nothing.
    fn headers(&self) -> String {
        let Case { name, value, kind, .. } = self;
        let lines = match self.spelling {
            Spelling::Once => format!("{name}: {value}\r\n"),
            Spelling::Twice => format!("{name}: {value}\r\n{name}: {value}\r\n"),
            Spelling::Capitals => format!("{}: {value}\r\n", name.to_uppercase()),
        };
        format!("{kind}x-other: 5000\r\n{lines}")
    }
}

fn cases(names: &[&'static str]) -> Vec<Case> {
    let mut all = Vec::new();
    for name in names {
        for value in VALUES {
            for spelling in [Spelling::Once, Spelling::Twice, Spelling::Capitals] {
                all.extend(KINDS.map(|kind| Case { name, value, spelling, kind }));
            }
        }
    }
    all
}

/// The status of the answer; `None` if there is none in time.
async fn status(to: SocketAddr, path: &str, headers: &str) -> anyhow::Result<Option<u16>> {
    let answered = async {
        let mut stream = TcpStream::connect(to).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: proof\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.with_context(|| format!("found {text:?}, expected an answer"))
    };
    timeout(PATIENCE, answered).await.ok().transpose()
}

struct Edge {
    proxy: Proxy,
    _upstream: Upstream,
    seen: Arc<Mutex<Vec<(String, HeaderMap)>>>,
}

impl Edge {
    async fn start() -> anyhow::Result<Option<Edge>> {
        let Some(envoy) = crate::envoy("TO-7") else { return Ok(None) };
        let seen = Arc::<Mutex<Vec<(String, HeaderMap)>>>::default();
        let seen_by = Arc::clone(&seen);
        let upstream = Upstream::start(move |head| {
            seen_by.lock().expect("nobody panicked").push((head.uri.path().to_owned(), head.headers.clone()));
            if head.uri.path().starts_with("/never") { Answer::Never } else { Answer::Status(503) }
        })
        .await?;
        let deadline = json!({
            "timeout": format!("{DEADLINE_MS}ms"),
            "sources": ["grpc", "connect", "envoy", "request-timeout", "x-request-deadline"],
        });
        // The route retries nothing.
        let budget = json!({ "budget": { "deposit_on": "request", "retry_ratio": 10, "min_retries_per_second": 100 } });
        let door = Door::new("edge", upstream.address).filters([
            Wasm::new(&crate::TIMEOUT, "timeout", &deadline),
            Wasm::new(&crate::RETRY_BUDGET, "retry_budget", &budget),
        ]);
        let proxy = Proxy::start(&envoy, 2, &[door]).await?;
        Ok(Some(Edge { proxy, _upstream: upstream, seen }))
    }
}

/// Sends all, some at a time, each to a path of its own behind `path`; the statuses.
async fn send_all(
    to: SocketAddr,
    path: &'static str,
    cases: &Arc<Vec<Case>>,
) -> anyhow::Result<Vec<Option<u16>>> {
    let mut sending = JoinSet::new();
    for first in 0..AT_ONCE {
        let cases = Arc::clone(cases);
        sending.spawn(async move {
            let mut statuses = Vec::new();
            for (number, case) in cases.iter().enumerate().skip(first).step_by(AT_ONCE) {
                statuses.push((number, status(to, &format!("{path}/{number}"), &case.headers()).await?));
            }
            anyhow::Ok(statuses)
        });
    }
    let mut all = vec![None; cases.len()];
    while let Some(done) = sending.join_next().await {
        for (number, status) in done?? {
            all[number] = status;
        }
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn to_7_what_an_outsider_sends_unlocks_no_retry_and_goes_nowhere_as_it_was_sent() -> anyhow::Result<()>
{
    let Some(mut edge) = Edge::start().await? else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let names: Vec<&str> = TIMEOUTS.into_iter().chain(RETRIES).collect();
    let cases = Arc::new(cases(&names));
    let statuses = send_all(edge.proxy.address("edge")?, "/503", &cases).await?;
    let seen = std::mem::take(&mut *edge.seen.lock().expect("nobody panicked"));
    let mut passed = 0;
    for (number, case) in cases.iter().enumerate() {
        ensure!(statuses[number].is_some(), "{case:?}: no answer");
        let tries: Vec<_> = seen.iter().filter(|(path, _)| *path == format!("/503/{number}")).collect();
        ensure!(tries.len() <= 1, "{case:?}: {} tries", tries.len());
        passed += tries.len();
        for (_, headers) in tries {
            ensure!(headers.get("x-other").is_some_and(|value| value == "5000"), "{case:?}: {headers:?}");
            for value in headers.get_all(case.name) {
                let value = String::from_utf8_lossy(value.as_bytes());
                ensure!(value != case.value.trim(), "{case:?}: the upstream sees it as it was sent");
            }
        }
    }
    ensure!(passed * 2 > cases.len(), "only {passed} of {} were let through", cases.len());
    edge.proxy.must_be_well()
}

#[tokio::test(flavor = "multi_thread")]
async fn to_7_what_an_outsider_sends_makes_no_deadline_longer() -> anyhow::Result<()> {
    let Some(mut edge) = Edge::start().await? else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let cases = Arc::new(cases(&TIMEOUTS));
    let statuses = send_all(edge.proxy.address("edge")?, "/never", &cases).await?;
    for (case, status) in cases.iter().zip(statuses) {
        // gRPC's refusals and those of Connect's streams are 200.
        ensure!(matches!(status, Some(504 | 200)), "{case:?}: {status:?}");
    }
    edge.proxy.must_be_well()
}
