//! RB-8: whatever fails and however fast, the upstream gets no more than the ratio and the floor allow, with one, two and four
//! workers.

use anyhow::ensure;
use serde_json::json;
use tokio::time::Instant;
use wayside_proof::{
    Protocol, Rate,
    amplification::{Failure, Measured, Row, Rows, ours},
};

const RATE: Rate = Rate { requests: 400, per_second: 800 };

#[tokio::test(flavor = "multi_thread")]
async fn rb_8_total_failure_costs_no_request_more_than_ratio_and_floor_allow() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("RB-8") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let reserve = Row::ours("no floor", &ours("per_second", 0));
    let mut rows: Vec<Row> = Failure::ALL.iter().map(|failure| reserve.clone().failing(*failure)).collect();
    rows.push(reserve.fast());
    rows.push(Row::ours("window floor", &ours("window", 10)));
    rows.push(Row::ours("bucket", &ours("per_second", 7)));
    rows.push(Row::ours("fed by success", &json!({})));
    for workers in [1, 2, 4] {
        let mut running = Rows::start(&envoy, &crate::RETRY_BUDGET, workers, &rows).await?;
        let started = Instant::now();
        let mut measured = Vec::new();
        for at in 0..rows.len() {
            let protocol = Protocol::BOTH[at % 2];
            measured.push(running.measure(at, RATE, protocol).await?);
        }
        let seconds = started.elapsed().as_secs() + 1;
        running.proxy().must_be_well()?;
        for (at, one) in measured.iter().enumerate() {
            // What the floor gave meanwhile, bursts included.
            let floor = match at {
                5 => 10 * 10,
                6 => 21 + 7 * seconds,
                7 => 3 + seconds,
                _ => 0,
            };
            let ratio = if at == 7 { 0 } else { one.requests / 5 };
            bounded(workers, one, ratio, floor)?;
        }
    }
    Ok(())
}

fn bounded(workers: u32, one: &Measured, ratio: u64, floor: u64) -> anyhow::Result<()> {
    let (name, failure) = (&one.row.name, one.row.failure);
    let most = one.requests + ratio + floor;
    let shown = format!("{name}, {failure:?}, {workers} workers: {} of at most {most}", one.upstream);
    ensure!(one.upstream <= most, "{shown}");
    // Each worker may keep what makes no whole retry; and by attempt, what it reserves where there is no answer, for a while.
    let least = one.requests + if one.row.attempt_mode { ratio / 10 } else { ratio / 2 };
    ensure!(one.upstream >= least, "{shown}: the budget is not used");
    let failed = |status: Option<u16>| matches!(status, Some(503 | 504));
    ensure!(one.replies.iter().all(|reply| failed(reply.status)), "{shown}: an answer that is no failure");
    Ok(())
}

/// Retries are granted attempt by attempt here, by the second instance among the upstream's filters.
#[tokio::test(flavor = "multi_thread")]
async fn rb_8_by_attempt_the_bound_is_the_same_and_no_request_loses_its_own_error() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("RB-8") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let by_attempt = Row::ours("by attempt", &by_attempt());
    let rows: Vec<Row> = Failure::ALL
        .iter()
        .map(|failure| Row { attempt_mode: true, ..by_attempt.clone().failing(*failure) })
        .collect();
    for workers in [1, 2, 4] {
        let mut running = Rows::start(&envoy, &crate::RETRY_BUDGET, workers, &rows).await?;
        for at in 0..rows.len() {
            let one = running.measure(at, RATE, Protocol::BOTH[at % 2]).await?;
            // Envoy has asked for a retry's connection before it can be refused; what is on its way when the first one fails is charged later.
            let late = if one.row.failure == Failure::Refused { one.requests / 4 } else { 0 };
            bounded(workers, &one, one.requests / 5, late)?;
            if one.row.failure == Failure::Status503 {
                // The upstream's answers have no type, Envoy's and the filter's have.
                let own = one.replies.iter().filter(|reply| !reply.headers.contains_key("content-type"));
                ensure!(own.count() == one.replies.len(), "{workers} workers: a request lost its own error");
            }
        }
        running.proxy().must_be_well()?;
    }
    Ok(())
}

fn by_attempt() -> serde_json::Value {
    let mut defaults = ours("per_second", 0);
    defaults["enforcement"] = json!("attempt");
    defaults
}
