//! RB-11: three Envoys, each with a budget of its own, and nothing alive behind them: retries add up and do not multiply.

use std::path::Path;

use anyhow::ensure;
use serde_json::json;
use wayside_proof::{Answer, Client, Door, Protocol, Proxy, Rate, Upstream, Wasm, chain::Chain, load::get};

const RATE: Rate = Rate { requests: 500, per_second: 500 };

/// As an Envoy in the mesh has it; only the first is for outsiders.
fn door(at: usize, propagate: bool) -> Door {
    let defaults = json!({
        "budget": { "deposit_on": "request", "retry_ratio": 0.2, "min_retries_per_second": 0 },
        "per_request": { "max_retries": 3 },
        "pushback": { "propagate": propagate },
    });
    let nowhere = ([127, 0, 0, 1], 1).into();
    let policy = json!({
        "retry_on": "5xx", "num_retries": 3,
        "retry_back_off": { "base_interval": "0.001s", "max_interval": "0.001s" },
    });
    let filter = Wasm::new(&crate::RETRY_BUDGET, "retry_budget", &defaults);
    let door = Door::new("hop", nowhere).retries(policy).filters([filter]);
    Door { inside: at > 0, counts_attempts: true, ..door }
}

#[tokio::test(flavor = "multi_thread")]
async fn rb_11_three_layers_with_nothing_alive_behind_them_add_up_and_do_not_multiply() -> anyhow::Result<()>
{
    let Some(envoy) = crate::envoy("RB-11") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    // Each layer retries first tries only. Envoy writes its own count over the one it was told, so the filter tells of a retry by
    // `grpc-previous-rpc-attempts` as well.
    let of = u64::from(RATE.requests);
    let without = of + 3 * (of / 5);
    at_the_bottom(&envoy, false, without).await?;
    // The lowest layer says that it has none left, and nobody above it asks again.
    at_the_bottom(&envoy, true, of + of / 5).await
}

/// With and without forged counts.
#[expect(clippy::print_stderr, reason = "the figures are of interest where they pass too")]
async fn at_the_bottom(envoy: &Path, propagate: bool, most: u64) -> anyhow::Result<()> {
    let bottom = Upstream::always(Answer::Status(503)).await?;
    let doors: Vec<Door> = (0..3).map(|at| door(at, propagate)).collect();
    let mut chain = Chain::start(envoy, &doors, None, bottom.address).await?;
    let client = Client::new(Protocol::Http1, chain.entrance);
    let before = bottom.requests();
    client.open_loop(RATE, |_| get("/")).await;
    let honest = bottom.requests() - before;
    client
        .open_loop(RATE, |number| {
            let mut request = get("/");
            let forged = ["0", "1", "7", "-1", "4294967296"][number as usize % 5];
            for name in ["x-envoy-attempt-count", "grpc-previous-rpc-attempts", "x-envoy-max-retries"] {
                request.headers_mut().insert(name, forged.parse().expect("a header's value"));
            }
            request
        })
        .await;
    let forged = bottom.requests() - before - honest;
    eprintln!(
        "propagate {propagate}: {honest} requests at the bottom of {}, with forged counts {forged}",
        RATE.requests
    );
    for requests in [honest, forged] {
        ensure!(requests <= most, "{requests} requests at the bottom, at most {most}");
        ensure!(requests * 100 >= most * 95, "{requests} of {most}: what a client forges takes retries away");
    }
    chain.proxies.iter_mut().try_for_each(Proxy::must_be_well)
}
