//! TE-7: a collector that misbehaves in each way, and the books of the exporter beside its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wayside_collector::{Collector, Manner, Request, RetryAfter};
use wayside_proof::{Answer, Client, Door, Protocol, Proxy, Upstream, Wasm, load::get};

const REQUESTS: u64 = 400;
const AT_ONCE: u64 = 16;

/// What the exporter's counters say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) recorded: u64,
    pub(crate) exported: u64,
    pub(crate) queued: u64,
    /// By reason.
    pub(crate) dropped: BTreeMap<String, u64>,
}

impl Books {
    pub(crate) async fn of(proxy: &Proxy) -> anyhow::Result<Books> {
        let mut books = Books::default();
        for (name, count) in proxy.stats("l7_otlp_").await? {
            match name.rsplit(['.', ';']).next().unwrap_or_default() {
                "l7_otlp_recorded_total" => books.recorded += count,
                "l7_otlp_exported_total" => books.exported += count,
                "l7_otlp_queued" => books.queued += count,
                "l7_otlp_dropped_total" => {
                    let (_, reason) = name.split_once("reason=.=").context("a reason")?;
                    let reason = reason.split(';').next().unwrap_or_default();
                    *books.dropped.entry(reason.to_owned()).or_default() += count;
                }
                other => anyhow::bail!("found the metric {other}"),
            }
        }
        Ok(books)
    }

    fn since(&self, before: &Books) -> Books {
        let mut dropped = self.dropped.clone();
        for (reason, count) in &before.dropped {
            *dropped.entry(reason.clone()).or_default() -= count;
        }
        dropped.retain(|_, count| *count > 0);
        Books {
            recorded: self.recorded - before.recorded,
            exported: self.exported - before.exported,
            queued: self.queued,
            dropped,
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Waits until so many were recorded and none of them is queued any more.
    pub(crate) async fn settled(proxy: &Proxy, recorded: u64) -> anyhow::Result<Books> {
        for _ in 0..600 {
            let books = Books::of(proxy).await?;
            if books.recorded == recorded && books.queued == 0 {
                return Ok(books);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("half a minute later: {:?}", Books::of(proxy).await?)
    }
}

pub(crate) fn telemetry(vm_id: &str, export: &Value, more: &Value) -> Wasm {
    let mut configuration = json!({
        "version": 1,
        "sampling": { "kind": "always" },
        "export": {
            "cluster": "otel", "interval": "100ms", "batch": 20, "max_queue": 60, "timeout": "300ms", "max_attempts": 2,
        },
        "resource": { "service.name": "shop" },
    });
    for (name, value) in export.as_object().into_iter().flatten() {
        configuration["export"][name] = value.clone();
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        configuration[name] = value.clone();
    }
    Wasm { module: crate::TELEMETRY.clone(), vm_id: vm_id.to_owned(), configuration }
}

pub(crate) async fn send(proxy: &Proxy, door: &str, requests: u64) -> anyhow::Result<()> {
    let client = Client::new(Protocol::Http1, proxy.address(door)?);
    let mut sending = JoinSet::new();
    for first in 0..AT_ONCE {
        let client = client.clone();
        sending.spawn(async move {
            for number in (first..requests).step_by(AT_ONCE as usize) {
                client.send_for(get(&format!("/{number}")), Duration::from_secs(30)).await;
            }
        });
    }
    sending.join_all().await;
    Ok(())
}

fn ids(requests: &[Request]) -> BTreeSet<Vec<u8>> {
    let kept = requests.iter().filter(|request| request.kept);
    kept.flat_map(|request| request.message.spans()).map(|span| span.span_id.clone()).collect()
}

/// What the books must be beside what the collector has.
fn check(manner: &Manner, books: &Books, requests: &[Request]) -> anyhow::Result<()> {
    let all = REQUESTS;
    ensure!(books.recorded == all, "{} recorded of {all}", books.recorded);
    ensure!(books.recorded == books.exported + books.lost() + books.queued, "the law");
    let kept = ids(requests).len() as u64;
    let dropped = |reason: &str| books.dropped.get(reason).copied().unwrap_or(0);
    // Of a collector that answers what it does, both books are the same; the queue is large enough for none to be lost there.
    let (exported, lost) = match manner {
        Manner::Takes | Manner::Junk => (kept, 0),
        Manner::Rejects(_) => (kept - dropped("rejected"), dropped("rejected")),
        Manner::Status(400 | 500) => (0, dropped("client_error")),
        // It took them, and said so in a way that the protocol has nobody read.
        Manner::Huge => (0, dropped("client_error")),
        _ => {
            let unsure = dropped("exhausted") + dropped("queue_full");
            ensure!(books.lost() == unsure, "{:?}", books.dropped);
            ensure!(kept >= books.exported, "{kept} kept, {} exported", books.exported);
            return Ok(());
        }
    };
    ensure!(books.exported == exported, "{} exported, the collector has {exported}", books.exported);
    ensure!(books.lost() == lost + dropped("queue_full"), "{:?}", books.dropped);
    if let Manner::Rejects(each) = manner {
        let rejected: u64 = requests.iter().map(|request| (request.message.items() as u64).min(*each)).sum();
        ensure!(dropped("rejected") == rejected, "{rejected} were rejected");
    }
    Ok(())
}

async fn misbehave(workers: u32, encoding: &str) -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("TE-7") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let collector = Collector::start([]).await?;
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let filter = telemetry("telemetry", &json!({ "encoding": encoding }), &json!({}));
    let shop = Door::new("shop", upstream.address).filters([filter]);
    let otel = Door::new("otel", collector.address);
    let mut proxy = Proxy::start(&envoy, workers, &[shop, otel]).await?;
    let mut before = Books::default();
    for manner in [
        Manner::Takes,
        Manner::Rejects(3),
        Manner::Status(400),
        Manner::Status(500),
        Manner::Throttles(RetryAfter::Seconds(1)),
        Manner::Throttles(RetryAfter::Date("Sun, 06 Nov 1994 08:49:37 GMT".to_owned())),
        Manner::Throttles(RetryAfter::Junk),
        Manner::Status(503),
        Manner::Hangs,
        Manner::Resets,
        Manner::Junk,
        Manner::Huge,
    ] {
        let told = collector.requests().len();
        collector.behave([manner.clone()]);
        send(&proxy, "shop", REQUESTS).await?;
        let waits =
            matches!(manner, Manner::Throttles(_) | Manner::Status(503) | Manner::Hangs | Manner::Resets);
        if waits {
            collector.behave([manner.clone(), manner.clone(), Manner::Takes]);
        }
        let books = Books::settled(&proxy, before.recorded + REQUESTS).await?;
        let unreadable = collector.unreadable();
        ensure!(unreadable.is_empty(), "{unreadable:?}");
        check(&manner, &books.since(&before), &collector.requests()[told..])
            .with_context(|| format!("{manner:?}: {:?}", books.since(&before)))?;
        before = books;
    }
    proxy.must_be_well()
}

#[tokio::test(flavor = "multi_thread")]
async fn te_7_the_law_holds_to_the_item_whatever_the_collector_does_with_one_worker() -> anyhow::Result<()> {
    misbehave(1, "protobuf").await
}

#[tokio::test(flavor = "multi_thread")]
async fn te_7_the_law_holds_to_the_item_whatever_the_collector_does_with_two_workers() -> anyhow::Result<()> {
    misbehave(2, "json").await
}

/// Spans wait for longer than the test takes.
fn slow(vm_id: &str) -> Wasm {
    telemetry(vm_id, &json!({ "interval": "10m", "batch": 60 }), &json!({}))
}

#[tokio::test(flavor = "multi_thread")]
async fn te_7_what_waits_is_sent_before_another_configuration_takes_its_place() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("TE-7") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let collector = Collector::start([]).await?;
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let doors = |filter: Wasm| {
        [Door::new("shop", upstream.address).filters([filter]), Door::new("otel", collector.address)]
    };
    let proxy = Proxy::start_reloadable(&envoy, 2, &doors(slow("telemetry"))).await?;
    send(&proxy, "shop", 40).await?;
    ensure!(collector.requests().is_empty(), "nothing was due");
    // The same VM with another configuration: the old one is told of its end while the new one is there already.
    let mut other = slow("telemetry");
    other.configuration["resource"]["service.name"] = json!("other");
    proxy.replace_and_drain(&doors(other)).await?;
    let books = Books::settled(&proxy, 40).await?;
    ensure!(books.exported == 40 && books.lost() == 0, "{books:?}");
    ensure!(ids(&collector.requests()).len() == 40, "the collector has {}", ids(&collector.requests()).len());
    proxy.must_be_well()
}

#[tokio::test(flavor = "multi_thread")]
async fn te_7_what_dies_with_its_vm_is_counted() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("TE-7") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let collector = Collector::start([]).await?;
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let shop = Door::new("shop", upstream.address);
    let otel = Door::new("otel", collector.address);
    let told = [shop.clone().filters([slow("telemetry")]), otel.clone()];
    let proxy = Proxy::start_reloadable(&envoy, 2, &told).await?;
    send(&proxy, "shop", 40).await?;
    proxy.replace_and_drain(&[shop, otel]).await?;
    let books = Books::settled(&proxy, 40).await?;
    ensure!(books.dropped.get("shutdown") == Some(&40), "{books:?}");
    ensure!(collector.requests().is_empty(), "nobody sent them");
    proxy.must_be_well()
}
