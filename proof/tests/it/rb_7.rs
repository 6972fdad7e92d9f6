//! RB-7: what Envoy's own retry budget does with an upstream that fails at once, by each of its settings, and what becomes of it with
//! ours before it.

use anyhow::ensure;
use serde_json::{Value, json};
use wayside_proof::{
    Protocol, Rate,
    amplification::{Row, Rows, ours},
};

const RATE: Rate = Rate { requests: 300, per_second: 300 };

/// The cluster's thresholds, and what the upstream gets at least and at most of a hundred requests.
fn settings() -> [(&'static str, Value, u64, u64); 6] {
    let budget = |least: u32| json!({ "budget_percent": { "value": 20 }, "min_retry_concurrency": least });
    let mut over_an_interval = budget(0);
    over_an_interval["budget_interval"] = json!("10s");
    [
        ("no limit", json!({}), 400, 400),
        // Of what is active, which is next to nothing.
        ("interval off, at least 0", json!({ "retry_budget": budget(0) }), 100, 105),
        ("interval off, at least 3", json!({ "retry_budget": budget(3) }), 121, 400),
        // Still counts only retries that run at the same time.
        ("interval on", json!({ "retry_budget": over_an_interval }), 200, 400),
        ("no retries at all", json!({ "max_retries": 0 }), 100, 100),
        // Overrides it.
        ("a budget and no retries", json!({ "max_retries": 0, "retry_budget": budget(3) }), 121, 400),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn rb_7_envoys_own_budget_bounds_no_rate_and_ours_does_under_each_of_its_settings() -> anyhow::Result<()>
{
    let Some(envoy) = crate::envoy("RB-7") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let native = settings().map(|(name, limits, ..)| Row::native(name, limits).fast());
    let bounded =
        settings().map(|(name, limits, ..)| Row { limits, ..Row::ours(name, &ours("per_second", 0)) }.fast());
    let rows: Vec<Row> = native.into_iter().chain(bounded).collect();
    let mut running = Rows::start(&envoy, &crate::RETRY_BUDGET, 2, &rows).await?;
    for (at, (name, _, least, most)) in settings().into_iter().enumerate() {
        let native = running.measure(at, RATE, Protocol::Http1).await?;
        let per_hundred = native.upstream * 100 / native.requests;
        ensure!(per_hundred >= least && per_hundred <= most, "{name}: {per_hundred} of {least} to {most}");
        let ours = running.measure(at + settings().len(), RATE, Protocol::Http1).await?;
        let fits = ours.upstream * 10 <= ours.requests * 12;
        ensure!(fits, "{name}, with ours: {} of {}", ours.upstream, ours.requests);
    }
    running.proxy().must_be_well()
}
