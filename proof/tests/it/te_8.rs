//! TE-8 and TE-10: what clients choose makes no series, and what is counted is what was sent.

use std::time::Duration;

use anyhow::ensure;
use hyper::Method;
use serde_json::json;
use tokio::task::JoinSet;
use wayside_proof::{Answer, Client, Door, Protocol, Proxy, Upstream, Wasm, load::get};

use crate::balance::resident_kib;

const AT_ONCE: u32 = 16;
/// GET and `_OTHER`.
const METHODS: usize = 2;

fn telemetry() -> Wasm {
    let configuration = json!({ "version": 1, "metrics": { "max_series": 100 } });
    Wasm { module: crate::TELEMETRY.clone(), vm_id: "telemetry".to_owned(), configuration }
}

/// Requests with paths, or methods, that are all different.
async fn send(proxy: &Proxy, requests: u32, methods: bool) -> anyhow::Result<()> {
    let client = Client::new(Protocol::Http2, proxy.address("shop")?);
    let mut sending = JoinSet::new();
    for first in 0..AT_ONCE {
        let client = client.clone();
        sending.spawn(async move {
            for number in (first..requests).step_by(AT_ONCE as usize) {
                let mut request = get(&format!("/{number}"));
                if methods && let Ok(method) = Method::from_bytes(format!("M{number}").as_bytes()) {
                    *request.method_mut() = method;
                }
                client.send_for(request, Duration::from_secs(30)).await;
            }
        });
    }
    sending.join_all().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn te_8_fifty_thousand_paths_and_ten_thousand_methods_are_a_handful_of_series() -> anyhow::Result<()> {
    let Some(binary) = crate::envoy("TE-8") else { return Ok(()) };
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let door = Door { upstream_http2: true, ..Door::new("shop", upstream.address).filters([telemetry()]) };
    let mut proxy = Proxy::start(&binary, 2, &[door]).await?;
    // The first part warms up: buffers, connections, V8's heap.
    send(&proxy, 10_000, false).await?;
    let before = resident_kib(&proxy)?;
    send(&proxy, 40_000, false).await?;
    send(&proxy, 10_000, true).await?;
    proxy.must_be_well()?;
    let after = resident_kib(&proxy)?;
    let active = proxy.counted("http_server_active_requests").await?;
    let methods = proxy.series("http_server_active_requests").await?;
    ensure!(active == 0 && methods == METHODS, "{active} active, {methods} series");
    ensure!(proxy.counted("l7_trace_context_total").await? == 60_000, "every request is counted");
    ensure!(proxy.counted("l7_series_overflow").await? == 0, "nothing was beyond the limit");
    ensure!(after < before + 16 * 1024, "{before} KiB, then {after} KiB");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn te_10_after_resets_and_reloads_the_gauge_is_zero_and_the_total_is_true() -> anyhow::Result<()> {
    let Some(binary) = crate::envoy("TE-10") else { return Ok(()) };
    let asked = std::env::var("WAYSIDE_PROOF_REQUESTS").ok().and_then(|text| text.parse().ok());
    let requests: u32 = asked.unwrap_or(10_000);
    let reset = |path: &str| path.ends_with('7');
    let upstream = Upstream::start(move |head| match reset(head.uri.path()) {
        true => Answer::Reset,
        false => Answer::Status(200),
    })
    .await?;
    let doors = |version: u32| {
        let mut wasm = telemetry();
        wasm.configuration["rules"] = json!([{ "name": format!("v{version}") }]);
        [Door { upstream_http2: true, ..Door::new("shop", upstream.address).filters([wasm]) }]
    };
    let mut proxy = Proxy::start_reloadable(&binary, 2, &doors(0)).await?;
    for version in 1..=4 {
        send(&proxy, requests / 4, false).await?;
        proxy.replace_and_drain(&doors(version)).await?;
    }
    proxy.must_be_well()?;
    let active = proxy.counted("http_server_active_requests").await?;
    ensure!(active == 0, "{active} are still active");
    let counted = proxy.counted("l7_trace_context_total").await?;
    ensure!(counted == upstream.requests(), "{counted} counted, {} came", upstream.requests());
    ensure!(counted >= u64::from(requests), "{counted} of {requests}");
    Ok(())
}
