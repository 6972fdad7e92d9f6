//! TE-6: what the filter sends, read by somebody else's collector.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use wayside_collector::Collector;
use wayside_proof::{Answer, Door, Proxy, Upstream};

use crate::te_7::{Books, send, telemetry};

/// The command of a collector that takes OTLP/HTTP at `{in}` and hands it on, over OTLP/HTTP, to `{out}`: both an address with its port.
const COMMAND: &str = "WAYSIDE_OTLP_COLLECTOR";

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn hands_on(encoding: &str) -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("TE-6") else { return Ok(()) };
    let Ok(command) = std::env::var(COMMAND) else {
        crate::skipped("TE-6 through another collector", COMMAND);
        return Ok(());
    };
    let _busy = crate::QUIET.read().await;
    let behind = Collector::start([]).await?;
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let command = command.replace("{in}", &free.to_string()).replace("{out}", &behind.address.to_string());
    let mut words = command.split_whitespace();
    let program = words.next().context("a command")?;
    let child = Command::new(program).args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let _running = Running(child);
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(free).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let filter = telemetry("telemetry", &json!({ "encoding": encoding, "timeout": "5s" }), &json!({}));
    let doors = [Door::new("shop", upstream.address).filters([filter]), Door::new("otel", free)];
    let mut proxy = Proxy::start(&envoy, 2, &doors).await?;
    send(&proxy, "shop", 300).await?;
    let books = Books::settled(&proxy, 300).await?;
    ensure!(books.exported + books.lost() == 300 && books.exported > 0, "{books:?}");
    let spans = || behind.requests().iter().map(|request| request.message.spans().len() as u64).sum::<u64>();
    for _ in 0..400 {
        if spans() == books.exported {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(spans() == books.exported, "{} came through, {books:?}", spans());
    let requests = behind.requests();
    let span = requests.iter().flat_map(|request| request.message.spans()).next().context("a span")?;
    ensure!(
        span.trace_id.len() == 16 && span.kind == 2 && span.end_time_unix_nano > span.start_time_unix_nano,
        "{span:?}"
    );
    ensure!(span.attributes.iter().any(|attribute| attribute.key == "url.path"), "{span:?}");
    proxy.must_be_well()
}

#[tokio::test(flavor = "multi_thread")]
async fn te_6_another_collector_takes_what_is_sent_in_protobuf() -> anyhow::Result<()> {
    hands_on("protobuf").await
}

#[tokio::test(flavor = "multi_thread")]
async fn te_6_another_collector_takes_what_is_sent_in_json() -> anyhow::Result<()> {
    hands_on("json").await
}
