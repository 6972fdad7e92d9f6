//! TO-6: of three Envoys each tells its upstream strictly less than it was told, and a retry is told less than the first try.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::ensure;
use hyper::http::request::Parts;
use serde_json::json;
use wayside_proof::{Answer, Client, Door, Protocol, Upstream, Wasm, chain::Chain, load::get};

const EXPECTED: &str = "x-envoy-expected-rq-timeout-ms";

/// What the last is told, by each request.
type Told = Arc<Mutex<Vec<(u64, Option<u64>)>>>;

fn number(head: &Parts, name: &str) -> Option<u64> {
    head.headers.get(name)?.to_str().ok()?.parse().ok()
}

/// In milliseconds, of a second at the entrance: what is told behind so many Envoys.
async fn told_behind(envoys: usize) -> anyhow::Result<Vec<(u64, Option<u64>)>> {
    let Some(envoy) = crate::envoy("TO-6") else { return Ok(Vec::new()) };
    let told = Told::default();
    let told_to = Arc::clone(&told);
    let bottom = Upstream::start(move |head| {
        let attempt = number(head, "x-envoy-attempt-count").unwrap_or(0);
        told_to.lock().expect("nobody panicked").push((attempt, number(head, EXPECTED)));
        // The first try takes a while and fails.
        let status = if attempt == 1 { 503 } else { 200 };
        Answer::Late(Duration::from_millis(20), Box::new(Answer::Status(status)))
    })
    .await?;
    let door = |at: usize| {
        let timeout = json!({ "timeout": if at == 0 { "1s" } else { "15s" } });
        let nowhere = ([127, 0, 0, 1], 1).into();
        let door = Door::new("hop", nowhere).filters([Wasm::new(&crate::TIMEOUT, "timeout", &timeout)]);
        // The last retries.
        let retries = (at + 1 == envoys).then(|| json!({ "retry_on": "5xx", "num_retries": 1 }));
        Door { inside: at > 0, counts_attempts: true, retries, ..door }
    };
    let doors: Vec<Door> = (0..envoys).map(door).collect();
    let chain = Chain::start(&envoy, &doors, None, bottom.address).await?;
    let reply = Client::new(Protocol::Http1, chain.entrance).send(get("/")).await;
    ensure!(reply.status == Some(200), "{reply:?}");
    let told = told.lock().expect("nobody panicked").clone();
    Ok(told)
}

#[tokio::test(flavor = "multi_thread")]
async fn to_6_each_hop_is_told_less_and_a_retry_less_than_the_first_try() -> anyhow::Result<()> {
    let mut before = 1000;
    for envoys in 1..=3 {
        let told = told_behind(envoys).await?;
        if told.is_empty() {
            return Ok(());
        }
        let [(1, Some(first)), (2, Some(second))] = told[..] else {
            anyhow::bail!("behind {envoys} Envoys: {told:?}")
        };
        ensure!(first < before, "behind {envoys} Envoys {first} ms are left, behind one fewer {before}");
        ensure!(second + 20 <= first, "the first try was told {first} ms, the second {second}");
        before = first;
    }
    Ok(())
}
