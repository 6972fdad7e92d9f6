//! AU-6: the list of attacks end to end.

use std::time::SystemTime;

use anyhow::ensure;
use wayside_proof::attacks::{Guard, measure};

/// Tokens are minted for the real Envoy's clock.
#[expect(clippy::disallowed_methods, reason = "a real gateway checks them at a real time")]
fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs())
}

#[tokio::test(flavor = "multi_thread")]
async fn au_6_nothing_of_the_list_is_judged_wrongly_beside_the_native_filters() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("AU-6") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let measured = measure(&envoy, &crate::HEADER_AUTH, now()?).await?;
    for measured in &measured {
        let wrong = |group: &str| measured.report.wrong().filter(|row| row.group == group).count();
        let (tokens, paths) = (wrong("tokens"), wrong("paths"));
        // What Envoy's own filters did when this was written; where they do better one day, the README's table is to be made anew.
        let expected = match measured.guard {
            Guard::Native => (NATIVE_TOKENS[0], 6),
            Guard::NativeStrict => (NATIVE_TOKENS[1], 1),
            Guard::Ours => (0, 0),
        };
        ensure!((tokens, paths) == expected, "{:?}: {}", measured.guard, measured.report);
        let all: Vec<_> = measured.report.wrong().collect();
        ensure!(measured.guard != Guard::Ours || all.is_empty(), "{all:#?}");
        ensure!(measured.report.skipped.is_empty(), "{:?}", measured.report.skipped);
    }
    Ok(())
}

const NATIVE_TOKENS: [usize; 2] = [14, 9];
