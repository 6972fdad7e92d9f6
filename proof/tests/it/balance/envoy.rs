//! In the real Envoy.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::task::JoinSet;
use wayside_proof::{Answer, Client, Door, Protocol, Proxy, Upstream, Wasm, load::get};

use super::Rollout;

const REQUESTS: u32 = 20_000;
/// Of a million.
const PART: u32 = 20_000;
const LEAST_PARTS: usize = 9;
const AT_ONCE: u32 = 32;

fn answer(path: &str) -> Answer {
    match path.len() % 10 {
        0 => Answer::Reset,
        1 | 2 => Answer::Status(503),
        3 => Answer::Late(Duration::from_millis(30), Box::new(Answer::Status(200))),
        _ => Answer::Status(200),
    }
}

fn door(upstream: &Upstream, turn: usize) -> Door {
    let filter = Wasm::new(&crate::RETRY_BUDGET, "retry_budget", &Rollout::turn(turn).defaults());
    let policy = json!({ "retry_on": "5xx", "num_retries": 3 });
    Door::new("door", upstream.address).retries(policy).filters([filter])
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "the figures are of interest where they pass too")]
async fn in_envoy_many_requests_leave_a_budget_balanced_to_the_token_and_memory_flat() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("the balance of many requests") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let requests = super::requests(REQUESTS);
    let upstream = Upstream::start(|head| answer(head.uri.path())).await?;
    let proxy = Proxy::start_reloadable(&envoy, 2, &[door(&upstream, 0)]).await?;
    // Of parts, in each of which another configuration is rolled out. A third of them warms up: buffers, connections, V8's heap, and
    // each configuration once.
    let parts = usize::try_from(requests / PART)?.max(LEAST_PARTS);
    let part = requests / u32::try_from(parts)?;
    let (mut linear, mut resident) = (0, 0);
    for turn in 1..=parts {
        let next = [door(&upstream, turn)];
        let (sent, replaced) = tokio::join!(send(&proxy, part), proxy.replace(&next));
        sent.and(replaced)?;
        if turn == parts / 3 {
            (linear, resident) = (proxy.linear_memory()?, resident_kib(&proxy)?);
        }
    }
    let resident = resident_kib(&proxy)?.saturating_sub(resident);
    let after = proxy.linear_memory()?;

    let count = async |name: &str| proxy.counted(&format!("l7_retry_budget_{name}_total")).await;
    // Each worker tells once a second, and what was replaced when it goes.
    let mut flow = [0; 3];
    for _ in 0..200 {
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
        "{seen} requests, {parts} rollouts: {granted} granted, {refunded} refunded, {used} used, {retried} retried; linear memory \
         {linear} and at the end {after} bytes, {resident} KiB more resident"
    );
    ensure!(granted == refunded + used, "{granted} granted, {refunded} refunded, {used} used");
    ensure!(used == retried && used > 0, "{used} used, Envoy retried {retried}");
    ensure!(count("overdraft").await? == 0 && count("cas_exhausted").await? == 0, "a budget was passed");
    ensure!(linear > 0 && after == linear, "{linear} bytes of linear memory, later {after}");
    // A token a request that is lost would be megabytes.
    ensure!(resident < 16 * 1024, "{resident} KiB more than after a third");
    proxy.must_be_well()
}

/// Nearly all over one connection, and so to one worker, the others over many of both protocols; each seventh caller leaves before a
/// slow answer comes.
async fn send(proxy: &Proxy, requests: u32) -> anyhow::Result<()> {
    let address = proxy.address("door")?;
    let most = Client::of_one_connection(address);
    let others = Protocol::BOTH.map(|protocol| Client::new(protocol, address));
    let mut sending = JoinSet::new();
    for first in 0..AT_ONCE {
        let client = match first {
            0 => others[0].clone(),
            1 => others[1].clone(),
            _ => most.clone(),
        };
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

fn resident_kib(proxy: &Proxy) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.id().context("no process")?))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    Ok(resident.context("/proc/PID/status: found no VmRSS")?.parse()?)
}
