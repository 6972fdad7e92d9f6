//! How long after its deadline a request is answered whose client is still sending: by Envoy's router, whose timer starts with the
//! last byte of a request, and by the timeout filter. Beside them the router's own precision, with requests that are complete.

use std::{path::Path, time::Duration};

use anyhow::ensure;
use hyper::Request;
use serde_json::json;

use crate::{
    Answer, Body, Client, Door, Protocol, Proxy, Reply, Upstream, Wasm,
    load::{dripping, get, stalled},
    table::Table,
};

/// What all requests are given.
pub const DEADLINE: Duration = Duration::from_millis(200);
/// How often the filter looks.
pub const TICK: Duration = Duration::from_millis(10);
/// How long the client waits for an answer that does not come.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two bytes: more than a tick, less than the deadline.
const DRIP: Duration = Duration::from_millis(23);
const AT_ONCE: u32 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// It has sent everything.
    Complete,
    Stalled,
    Dripping,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The route's `timeout`.
    Router,
    Filter,
}

/// What is sent where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub guard: Guard,
    pub sending: Sending,
    pub protocol: Protocol,
}

/// What came of a row.
#[derive(Clone, Debug)]
pub struct Measured {
    pub row: Row,
    /// Requests that nobody answered while the client waited.
    pub unanswered: usize,
    /// The answers, soonest first.
    pub replies: Vec<Reply>,
}

impl Row {
    /// All that a reader would compare.
    #[must_use]
    pub fn all() -> Vec<Row> {
        let mut rows = Vec::new();
        for (guard, sending) in [
            (Guard::Router, Sending::Complete),
            (Guard::Router, Sending::Stalled),
            (Guard::Router, Sending::Dripping),
            (Guard::Filter, Sending::Stalled),
            (Guard::Filter, Sending::Dripping),
        ] {
            rows.extend(Protocol::BOTH.map(|protocol| Row { guard, sending, protocol }));
        }
        rows
    }

    fn request(self) -> Request<Body> {
        match self.sending {
            Sending::Complete => get("/"),
            Sending::Stalled => stalled("/"),
            Sending::Dripping => dripping("/", DRIP),
        }
    }
}

impl Measured {
    /// Milliseconds after the deadline; negative before it. `share` of the answers came no later.
    #[must_use]
    pub fn overrun(&self, share: f64) -> Option<f64> {
        let last = self.replies.len().checked_sub(1)?;
        let at = (last as f64 * share).round() as usize;
        let after = self.replies.get(at)?.after;
        Some((after.as_secs_f64() - DEADLINE.as_secs_f64()) * 1e3)
    }
}

/// One Envoy with a door for each guard, and an upstream that never answers.
#[derive(Debug)]
pub struct Uploads {
    pub proxy: Proxy,
    _upstream: Upstream,
}

impl Uploads {
    /// # Errors
    /// Envoy does not start.
    pub async fn start(binary: &Path, module: &Path, workers: u32) -> anyhow::Result<Uploads> {
        let upstream = Upstream::always(Answer::Never).await?;
        let router = Door {
            timeout: Some(format!("{}s", DEADLINE.as_secs_f64())),
            ..Door::new(Guard::Router.door(), upstream.address)
        };
        let defaults = json!({
            "timeout": format!("{}ms", DEADLINE.as_millis()), "hop_margin": "0ms",
            "tick": format!("{}ms", TICK.as_millis()),
        });
        let filter = Wasm::new(module, "timeout", &defaults);
        let filtered = Door::new(Guard::Filter.door(), upstream.address).filters([filter]);
        let proxy = Proxy::start(binary, workers, &[router, filtered]).await?;
        Ok(Uploads { proxy, _upstream: upstream })
    }

    /// Sends as many requests, some at once.
    ///
    /// # Errors
    /// There is no such door, or an answer is another than that of a timeout.
    pub async fn measure(&self, row: Row, requests: u32) -> anyhow::Result<Measured> {
        let client = Client::new(row.protocol, self.proxy.address(row.guard.door())?);
        // Connections are made before anything is measured.
        client.closed_loop(AT_ONCE, AT_ONCE, |_| get("/")).await;
        let mut running = tokio::task::JoinSet::new();
        for first in 0..AT_ONCE {
            let client = client.clone();
            running.spawn(async move {
                let mut replies = Vec::new();
                for _ in (first..requests).step_by(AT_ONCE as usize) {
                    replies.push(client.send_for(row.request(), PATIENCE).await);
                }
                replies
            });
        }
        let all: Vec<Option<Reply>> = running.join_all().await.into_iter().flatten().collect();
        let sent = all.len();
        let mut replies: Vec<Reply> = all.into_iter().flatten().collect();
        replies.sort_by_key(|reply| reply.after);
        let other = replies.iter().find(|reply| reply.status != Some(504));
        ensure!(other.is_none(), "{row:?}: {other:?}");
        Ok(Measured { row, unanswered: sent - replies.len(), replies })
    }
}

impl Guard {
    fn door(self) -> &'static str {
        match self {
            Guard::Router => "router",
            Guard::Filter => "filter",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Guard::Router => "native: the route's `timeout`",
            Guard::Filter => "**timeout**",
        }
    }
}

/// # Errors
/// Envoy does not start, or answered something else than 504.
pub async fn table(binary: &Path, module: &Path, requests: u32) -> anyhow::Result<Table> {
    let uploads = Uploads::start(binary, module, 2).await?;
    let mut lines = Vec::new();
    for row in Row::all() {
        let measured = uploads.measure(row, requests).await?;
        let shown = |share: f64| {
            let overrun = measured.overrun(share);
            overrun.map_or_else(|| "-".to_owned(), |overrun| format!("{overrun:.1} ms"))
        };
        let sending = match row.sending {
            Sending::Complete => "complete",
            Sending::Stalled => "stalled upload",
            Sending::Dripping => "dripping upload",
        };
        let protocol = match row.protocol {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
        };
        let answered = format!("{} of {requests}", measured.replies.len());
        lines.push(vec![
            row.guard.name().to_owned(),
            sending.to_owned(),
            protocol.to_owned(),
            answered,
            shown(0.0),
            shown(0.5),
            shown(0.99),
        ]);
    }
    let caption = format!(
        "`cargo xtask bench uploads --requests {requests}`: a deadline of {} ms, a tick of {} ms, two workers, {AT_ONCE} requests at a time, \
         an upstream that never answers, clients that wait for {} s. Overrun is what the client saw after the deadline.",
        DEADLINE.as_millis(),
        TICK.as_millis(),
        PATIENCE.as_secs()
    );
    let columns = ["guard", "request", "protocol", "answered", "least overrun", "median", "99th percentile"];
    Ok(Table { caption, columns: columns.map(str::to_owned).to_vec(), rows: lines })
}
