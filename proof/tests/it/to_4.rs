//! TO-4: an upload that stalls or drips is answered at its deadline, over HTTP/1.1 and HTTP/2; Envoy's router does not answer it
//! at all.

use anyhow::ensure;
use wayside_proof::uploads::{Guard, Row, Sending, TICK, Uploads};

const REQUESTS: u32 = 40;
/// Of a machine that others use too: the router's own timer, measured in the same run, is held to no less.
const NOISE_MS: f64 = 250.0;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "the figures are of interest where they pass too")]
async fn to_4_an_upload_that_does_not_end_is_answered_at_its_deadline() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("TO-4") else { return Ok(()) };
    let _alone = crate::QUIET.write().await;
    let mut uploads = Uploads::start(&envoy, &crate::TIMEOUT, 2).await?;
    let mut router: f64 = 0.0;
    for row in Row::all() {
        let native = row.guard == Guard::Router && row.sending != Sending::Complete;
        let measured = uploads.measure(row, if native { REQUESTS / 5 } else { REQUESTS }).await?;
        let (least, late) = (measured.overrun(0.0), measured.overrun(0.99));
        eprintln!("{row:?}: {least:?} to {late:?} ms after the deadline, {} unanswered", measured.unanswered);
        if native {
            ensure!(measured.replies.is_empty(), "{row:?}: the router answers, so there is no need for us");
            continue;
        }
        ensure!(measured.unanswered == 0, "{row:?}: {} unanswered", measured.unanswered);
        let late = late.unwrap_or(f64::INFINITY);
        match row.guard {
            Guard::Router => router = router.max(late),
            Guard::Filter => {
                let most = router + TICK.as_secs_f64() * 1e3 + 5.0 + NOISE_MS;
                ensure!(late <= most, "{row:?}: {late} ms late, the router's own timer {router} ms");
                ensure!(least.is_some_and(|least| least >= -3.0), "{row:?}: {least:?} ms early");
                let named = measured.replies.iter().all(|reply| reply.headers.contains_key("x-deadline"));
                ensure!(named, "{row:?}: an answer that is not the filter's");
            }
        }
    }
    uploads.proxy.must_be_well()
}
