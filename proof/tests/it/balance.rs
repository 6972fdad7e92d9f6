//! Many requests through the real module, with failures of each kind and callers who leave: the budget balances to the token, and
//! Envoy's memory does not grow.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::task::JoinSet;
use wayside_proof::{Answer, Client, Door, Protocol, Proxy, Upstream, Wasm, load::get};

/// `WAYSIDE_PROOF_REQUESTS=1000000` has a million of them.
const REQUESTS: u32 = 20_000;
const AT_ONCE: u32 = 32;

fn answer(path: &str) -> Answer {
    match path.len() % 10 {
        0 => Answer::Reset,
        1 | 2 => Answer::Status(503),
        3 => Answer::Late(Duration::from_millis(30), Box::new(Answer::Status(200))),
        _ => Answer::Status(200),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "the figures are of interest where they pass too")]
async fn many_requests_leave_a_budget_balanced_to_the_token_and_memory_flat() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("the balance of many requests") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let asked = std::env::var("WAYSIDE_PROOF_REQUESTS").ok().and_then(|text| text.parse().ok());
    let requests: u32 = asked.unwrap_or(REQUESTS);
    let upstream = Upstream::start(|head| answer(head.uri.path())).await?;
    let budget = json!({ "per_request": { "max_retries": 3 } });
    let policy = json!({ "retry_on": "5xx", "num_retries": 3 });
    let filter = Wasm::new(&crate::RETRY_BUDGET, "retry_budget", &budget);
    let door = Door::new("door", upstream.address).retries(policy).filters([filter]);
    let mut proxy = Proxy::start(&envoy, 2, &[door]).await?;
    // The first part warms up: buffers, connections, V8's heap.
    send(&proxy, requests / 4).await?;
    let before = resident_kib(&proxy)?;
    send(&proxy, requests - requests / 4).await?;
    let grown = resident_kib(&proxy)?.saturating_sub(before);

    let count = async |name: &str| proxy.counted(&format!("l7_retry_budget_{name}_total")).await;
    // Each worker tells once a second.
    let mut flow = [0; 3];
    for _ in 0..100 {
        flow = [count("granted").await?, count("refunded").await?, count("used").await?];
        if flow[0] == flow[1] + flow[2] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let [granted, refunded, used] = flow;
    let retried = proxy.stat("cluster.door.upstream_rq_retry").await?;
    let seen = proxy.stat("http.door.downstream_rq_total").await?;
    eprintln!(
        "{seen} requests: {granted} granted, {refunded} refunded, {used} used, {retried} retried; {grown} KiB more"
    );
    ensure!(granted == refunded + used, "{granted} granted, {refunded} refunded, {used} used");
    ensure!(used == retried, "{used} used, Envoy retried {retried}");
    ensure!(count("overdraft").await? == 0 && count("cas_exhausted").await? == 0, "a budget was passed");
    // A token a request that is lost would be megabytes.
    ensure!(grown < 16 * 1024, "{grown} KiB more than after the first quarter");
    proxy.must_be_well()
}

/// One of both protocols at a time; each seventh caller leaves before a slow answer comes.
async fn send(proxy: &Proxy, requests: u32) -> anyhow::Result<()> {
    let address = proxy.address("door")?;
    let clients = Protocol::BOTH.map(|protocol| Client::new(protocol, address));
    let mut sending = JoinSet::new();
    for first in 0..AT_ONCE {
        let client = clients[first as usize % 2].clone();
        sending.spawn(async move {
            for number in (first..requests).step_by(AT_ONCE as usize) {
                let request = get(&format!("/{}", "x".repeat((number % 101) as usize)));
                let patience = Duration::from_millis(if number % 7 == 0 { 10 } else { 60_000 });
                client.send_for(request, patience).await;
            }
        });
    }
    sending.join_all().await;
    // What was left alone ends too.
    while proxy.stat("http.door.downstream_rq_active").await? > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

pub(crate) fn resident_kib(proxy: &Proxy) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.id().context("no process")?))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    Ok(resident.context("/proc/PID/status: found no VmRSS")?.parse()?)
}
