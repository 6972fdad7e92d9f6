//! RB-12: VMs die in the middle of the load; nothing is granted twice for that, and within one window the budget is what it was.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use wayside_proof::{Answer, Client, Door, Protocol, Proxy, Rate, Upstream, Wasm, load::get};

const WINDOW_S: u32 = 2;
const PER_SECOND: u32 = 400;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "the figures are of interest where they pass too")]
async fn rb_12_a_budget_whose_vm_died_is_right_again_within_one_window() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("RB-12") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let module = crate::module("wayside-proof-mortal");
    let failing = Answer::Late(Duration::from_millis(20), Box::new(Answer::Status(503)));
    let upstream = Upstream::always(failing).await?;
    let budget = json!({ "version": 1, "defaults": {
        "budget": {
            "deposit_on": "request", "retry_ratio": 0.2, "min_retries_per_second": 0,
            "window": format!("{WINDOW_S}s"), "slots": 4,
        },
        "per_request": { "max_retries": 3 },
    } });
    let filter = Wasm {
        module,
        vm_id: "mortal".to_owned(),
        configuration: json!({ "mortal": {}, "retry_budget": budget }),
    };
    let policy = json!({ "retry_on": "5xx", "num_retries": 3 });
    let door = Door::new("door", upstream.address).retries(policy).filters([filter]);
    let proxy = Proxy::start(&envoy, 2, &[door]).await?;
    let (client, vms) = (Client::new(Protocol::Http1, proxy.address("door")?), proxy.vms().await?);
    let second = Rate { requests: PER_SECOND, per_second: PER_SECOND };

    client.open_loop(second, |_| get("/")).await;
    let dying = client.open_loop(second, |number| {
        let mut request = get("/");
        if number % 40 == 20 {
            request.headers_mut().insert("x-die", "now".parse().expect("a header's value"));
        }
        request
    });
    dying.await;
    let window = Rate { requests: PER_SECOND * WINDOW_S, per_second: PER_SECOND };
    client.open_loop(window, |_| get("/")).await;
    // Envoy makes no new VM within a second of the last.
    let died = proxy.vms().await? - vms;
    ensure!(died >= 2, "{died} VMs died, and each worker was asked to have one die");

    let before = upstream.requests();
    client.open_loop(window, |_| get("/")).await;
    let after = upstream.requests() - before;
    let (sent, all) = (u64::from(window.requests), u64::from(second.requests * 2 + window.requests * 2));
    eprintln!("{died} VMs died; a window later {after} requests reached the upstream for {sent}");
    ensure!(after * 100 >= sent * 114, "{after} of {sent}: the budget has not come back");
    ensure!(upstream.requests() * 10 <= all * 12, "{} of {all}: granted twice", upstream.requests());
    Ok(())
}
