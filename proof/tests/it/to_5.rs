//! TO-5: the router's timeout, the filter's deadline and a client that leaves, all within the same 10 ms, ten thousand times.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};
use wayside_proof::{
    Answer, Client, Door, Protocol, Proxy, Upstream, Wasm,
    load::{get, stalled},
};

const RACES: u64 = 10_000;
/// As many are begun before one looks how many came to Envoy: on a busy machine some clients leave before their request is on its
/// way.
const ROUND: u32 = 2_000;
const MOST_ROUNDS: u32 = 20;
const AT_ONCE: u32 = 100;
/// What the filter allows, and tells the router to allow.
const DEADLINE_MS: u64 = 120;

/// The one that comes first is another each time.
fn patience(number: u32) -> Duration {
    let spread = u64::from(number.wrapping_mul(7919) % 1200);
    Duration::from_millis(DEADLINE_MS - 2) + Duration::from_micros(spread * 10)
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "how the races ended is of interest where they pass too")]
async fn to_5_router_filter_and_client_in_the_same_moment_break_nothing() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("TO-5") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let upstream = Upstream::start(|head| match head.uri.path() {
        "/never" => Answer::Never,
        _ => Answer::Status(200),
    })
    .await?;
    let defaults = json!({ "timeout": format!("{DEADLINE_MS}ms"), "hop_margin": "0ms", "tick": "1ms" });
    let filter = Wasm::new(&crate::TIMEOUT, "timeout", &defaults);
    let door = Door::new("door", upstream.address).filters([filter]);
    let mut proxy = Proxy::start(&envoy, 2, &[door]).await?;
    let vms = proxy.vms().await?;
    let clients = Protocol::BOTH.map(|protocol| Client::new(protocol, address(&proxy)));
    let (mut answered, mut left, mut seen, mut rounds) = (0, 0, 0, 0);
    while seen < RACES {
        rounds += 1;
        ensure!(rounds <= MOST_ROUNDS, "only {seen} requests came to Envoy in {rounds} rounds");
        let (one, other) = race(&clients).await?;
        answered += one;
        left += other;
        proxy.must_be_well()?;
        seen = proxy.stat("http.door.downstream_rq_total").await?;
    }
    ensure!(proxy.vms().await? == vms, "a VM died: {:?}", proxy.log());
    for client in &clients {
        let after = client.closed_loop(200, 20, |_| get("/")).await;
        let other = after.iter().find(|reply| reply.status != Some(200));
        ensure!(other.is_none(), "afterwards: {other:?}");
    }
    proxy.must_be_well()?;
    let enforced =
        async |phase: &str| proxy.counted(&format!("l7_phase=.=.*{phase}.*l7_timeout_enforced_total")).await;
    let (upload, wait, router) =
        (enforced("request").await?, enforced("upstream").await?, enforced("router").await?);
    let cancelled = proxy.counted("l7_timeout_cancelled_total").await?;
    eprintln!(
        "{answered} answered, {left} gone: {upload} and {wait} ended by the filter, {router} by the router, {cancelled} by the client"
    );
    for (who, count) in [("filter", upload + wait), ("router", router), ("client", cancelled)] {
        ensure!(count >= RACES / 100, "the {who} won only {count} of {RACES}: that was no race");
    }
    let all = async || proxy.stats("l7_timeout|http.door.*rq_").await;
    let (named, failed) = (upload + wait + router, proxy.stat("http.door.downstream_rq_5xx").await?);
    ensure!(failed + cancelled == seen, "{failed} and {cancelled} are not {seen}: {:#?}", all().await?);
    // A router whose event loop was held up for long reads an old clock: its answer comes too early to be known for a timeout.
    ensure!(named <= failed && named * 10 >= failed * 9, "{named} of {failed} known: {:#?}", all().await?);
    Ok(())
}

fn address(proxy: &Proxy) -> std::net::SocketAddr {
    proxy.address("door").expect("its door is open")
}

/// How many were answered, and how many clients left before that. A quarter of all never sends its last byte, which the
/// router's timer waits for.
async fn race(clients: &[Client; 2]) -> anyhow::Result<(u32, u32)> {
    let (mut racing, mut answered, mut left) = (JoinSet::new(), 0, 0);
    for first in 0..AT_ONCE {
        let client = clients[first as usize % 2].clone();
        racing.spawn(async move {
            let (mut answered, mut left) = (0, 0);
            for number in (first..ROUND).step_by(AT_ONCE as usize) {
                let request =
                    if (number / AT_ONCE).is_multiple_of(4) { stalled("/never") } else { get("/never") };
                match timeout(patience(number), client.send(request)).await {
                    Ok(reply) => {
                        ensure!(matches!(reply.status, Some(504)), "{reply:?}");
                        answered += 1;
                    }
                    Err(_) => left += 1,
                }
            }
            Ok((answered, left))
        });
    }
    while let Some(done) = racing.join_next().await {
        let (one, other) = done??;
        answered += one;
        left += other;
    }
    Ok((answered, left))
}
