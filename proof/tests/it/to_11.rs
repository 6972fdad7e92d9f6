//! TO-11: one answer in a hundred takes a second, the others 10 ms. Hedged, that tail is gone, for at most 5 % more requests to the
//! upstream. Beside it the same traffic without hedging. The bar of 60 ms for 99 of 100 is printed, since a busy machine misses it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::ensure;
use serde_json::json;
use wayside_proof::{Answer, Client, Door, Protocol, Proxy, Rate, Upstream, Wasm, load};

const SLOW: Duration = Duration::from_secs(1);
const USUAL: Duration = Duration::from_millis(10);
/// What is learnt first, and what is measured then.
const WARM_UP: Rate = Rate { requests: 500, per_second: 100 };
const MEASURED: Rate = Rate { requests: 2_000, per_second: 100 };

/// The first try of every hundredth request is slow.
async fn upstream() -> anyhow::Result<Upstream> {
    let tries = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    Upstream::start(move |head| {
        let path = head.uri.path().to_owned();
        let slow = path.ends_with("00");
        let nth = tries.lock().map_or(0, |mut tries| {
            let nth = tries.entry(path).or_default();
            *nth += 1;
            *nth
        });
        let time = if slow && nth == 1 { SLOW } else { USUAL };
        Answer::Late(time, Box::new(Answer::Status(200)))
    })
    .await
}

fn door(name: &str, upstream: &Upstream, hedge: bool) -> Door {
    let hedge = if hedge { json!({ "ratio": 0.05 }) } else { json!(null) };
    let configuration = json!({ "version": 1, "defaults": {
        "timeout": "5s", "adaptive": { "floor": "5s", "min_samples": 100 }, "hedge": hedge,
    } });
    let module = crate::TIMEOUT.clone();
    Door::new(name, upstream.address).filters([Wasm { module, vm_id: name.to_owned(), configuration }])
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "the figures are of interest where they pass too")]
async fn to_11_hedging_takes_the_tail_away_for_five_in_a_hundred_requests_more() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("TO-11") else { return Ok(()) };
    let _quiet = crate::QUIET.write().await;
    let (hedged, plain) = (upstream().await?, upstream().await?);
    let doors = [door("hedged", &hedged, true), door("plain", &plain, false)];
    let mut proxy = Proxy::start(&envoy, 2, &doors).await?;
    let mut tails = Vec::new();
    for (name, upstream) in [("hedged", &hedged), ("plain", &plain)] {
        let client = Client::new(Protocol::Http1, proxy.address(name)?);
        client.open_loop(WARM_UP, |number| load::get(&format!("/{name}/warm/{number}"))).await;
        let before = upstream.requests();
        let replies = client.open_loop(MEASURED, |number| load::get(&format!("/{name}/{number:04}"))).await;
        ensure!(replies.iter().all(|reply| reply.status == Some(200)), "{name}: an answer that is none");
        let mut times: Vec<Duration> = replies.iter().map(|reply| reply.after).collect();
        times.sort_unstable();
        let p99 = times[times.len() * 99 / 100 - 1];
        let slow = times.iter().filter(|time| **time > SLOW / 2).count();
        let extra = upstream.requests() - before - u64::from(MEASURED.requests);
        tails.push((name, p99, slow, extra));
    }
    let shown = format!("{tails:?}");
    eprintln!("99th percentile, slower than half a second, extra requests: {shown}");
    let [(_, _, slow, extra), (_, _, plainly_slow, none)] = tails[..] else { unreachable!() };
    // On a busy machine other requests are slow as well, and are hedged in the place of these.
    ensure!(slow * 2 <= plainly_slow, "{shown}: the tail is still there");
    ensure!(extra > 0 && extra * 20 <= u64::from(MEASURED.requests), "{shown}");
    ensure!(none == 0 && plainly_slow >= 20, "{shown}: nothing to be hedged");
    ensure!(proxy.counted("timeout_hedged_total").await? >= extra, "{shown}");
    proxy.must_be_well()
}
