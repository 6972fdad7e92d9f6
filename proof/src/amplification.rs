//! How many requests an upstream that fails gets for each that comes in: with Envoy's own settings, and with retry-budget.

use std::{net::SocketAddr, path::Path};

use anyhow::ensure;
use serde_json::{Value, json};

use crate::{
    Answer, Client, Door, Protocol, Proxy, Rate, Refusing, Upstream, Wasm,
    load::{Reply, get},
    table::Table,
};

/// How an upstream fails, all of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Status503,
    Reset,
    Refused,
    /// It never answers, and each try has 20 ms.
    PerTryTimeout,
}

impl Failure {
    pub const ALL: [Failure; 4] =
        [Failure::Status503, Failure::Reset, Failure::Refused, Failure::PerTryTimeout];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Failure::Status503 => "503 at once",
            Failure::Reset => "reset",
            Failure::Refused => "connection refused",
            Failure::PerTryTimeout => "per-try timeout",
        }
    }
}

/// One configuration under one failure.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub failure: Failure,
    /// Envoy's default is 25 ms, growing.
    pub fast_back_off: bool,
    /// The cluster's thresholds.
    pub limits: Value,
    /// What the filter is configured with, if there is one.
    pub filter: Option<Value>,
    pub attempt_mode: bool,
}

impl Row {
    #[must_use]
    pub fn native(name: &str, limits: Value) -> Row {
        Row {
            name: format!("native: {name}"),
            failure: Failure::Status503,
            fast_back_off: false,
            limits,
            filter: None,
            attempt_mode: false,
        }
    }

    /// Nothing of Envoy's own limits.
    #[must_use]
    pub fn ours(name: &str, defaults: &Value) -> Row {
        let configuration = json!({ "version": 1, "defaults": defaults });
        Row { name: format!("**{name}**"), filter: Some(configuration), ..Row::native("", json!({})) }
    }

    #[must_use]
    pub fn failing(self, failure: Failure) -> Row {
        Row { failure, ..self }
    }

    #[must_use]
    pub fn fast(self) -> Row {
        Row { fast_back_off: true, ..self }
    }
}

/// With deposits of requests, as peers do it: those of successes would grant nothing where nothing succeeds.
#[must_use]
pub fn ours(floor_style: &str, floor: u32) -> Value {
    json!({
        "budget": {
            "retry_ratio": 0.2, "window": "10s", "deposit_on": "request",
            "min_retries_per_second": floor, "floor_style": floor_style,
        },
        "per_request": { "max_retries": 3 },
    })
}

/// What came of a row.
#[derive(Clone, Debug)]
pub struct Measured {
    pub row: Row,
    pub requests: u64,
    /// What reached the upstream; where it refuses connections, how often the router tried.
    pub upstream: u64,
    pub replies: Vec<Reply>,
}

impl Measured {
    #[must_use]
    pub fn amplification(&self) -> f64 {
        self.upstream as f64 / self.requests as f64
    }
}

enum Behind {
    Server(Upstream),
    Nobody(Refusing),
}

impl Behind {
    async fn new(failure: Failure) -> anyhow::Result<Behind> {
        Ok(match failure {
            Failure::Status503 => Behind::Server(Upstream::always(Answer::Status(503)).await?),
            Failure::Reset => Behind::Server(Upstream::always(Answer::Reset).await?),
            Failure::PerTryTimeout => Behind::Server(Upstream::always(Answer::Never).await?),
            Failure::Refused => Behind::Nobody(Refusing::new()?),
        })
    }

    fn address(&self) -> SocketAddr {
        match self {
            Behind::Server(server) => server.address,
            Behind::Nobody(refusing) => refusing.address,
        }
    }
}

/// Rows in one Envoy, each with an upstream of its own.
#[derive(Debug)]
pub struct Rows {
    rows: Vec<Row>,
    behind: Vec<Behind>,
    proxy: Proxy,
}

impl Rows {
    /// # Errors
    /// Envoy does not start.
    pub async fn start(binary: &Path, module: &Path, workers: u32, rows: &[Row]) -> anyhow::Result<Rows> {
        let mut behind = Vec::new();
        for row in rows {
            behind.push(Behind::new(row.failure).await?);
        }
        let doors = rows.iter().zip(&behind).enumerate();
        let doors: Vec<Door> =
            doors.map(|(at, (row, behind))| row.door(at, behind.address(), module)).collect();
        let proxy = Proxy::start(binary, workers, &doors).await?;
        Ok(Rows { rows: rows.to_vec(), behind, proxy })
    }

    /// Sends a row its requests, on their schedule.
    ///
    /// # Errors
    /// Envoy counted other requests than were sent, or a client got no answer.
    pub async fn measure(&self, at: usize, rate: Rate, protocol: Protocol) -> anyhow::Result<Measured> {
        let (row, name) = (&self.rows[at], door_name(at));
        let count = async || -> anyhow::Result<(u64, u64)> {
            let requests = self.proxy.stat(&format!("http.{name}.downstream_rq_total")).await?;
            let upstream = match &self.behind[at] {
                Behind::Server(server) => server.requests(),
                // Tries that wait for one connection fail together: failed connections would be too few.
                Behind::Nobody(_) => {
                    requests + self.proxy.stat(&format!("cluster.{name}.upstream_rq_retry")).await?
                }
            };
            Ok((requests, upstream))
        };
        let client = Client::new(protocol, self.proxy.address(&name)?);
        let before = count().await?;
        let replies = client.open_loop(rate, |_| get("/")).await;
        let after = count().await?;
        let (requests, upstream) = (after.0 - before.0, after.1 - before.1);
        let sent = u64::from(rate.requests);
        ensure!(requests == sent, "{}: sent {sent} requests, Envoy saw {requests}", row.name);
        let unanswered = replies.iter().filter(|reply| reply.status.is_none()).count();
        ensure!(unanswered == 0, "{}: {unanswered} requests had no answer", row.name);
        Ok(Measured { row: row.clone(), requests, upstream, replies })
    }

    #[must_use]
    pub fn proxy(&mut self) -> &mut Proxy {
        &mut self.proxy
    }
}

impl std::fmt::Debug for Behind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address().fmt(f)
    }
}

fn door_name(at: usize) -> String {
    format!("row-{at}")
}

impl Row {
    fn door(&self, at: usize, upstream: SocketAddr, module: &Path) -> Door {
        let mut policy = json!({ "retry_on": "5xx", "num_retries": 3 });
        if self.fast_back_off {
            policy["retry_back_off"] = json!({ "base_interval": "0.001s", "max_interval": "0.001s" });
        }
        if self.failure == Failure::PerTryTimeout {
            policy["per_try_timeout"] = json!("0.02s");
        }
        let name = door_name(at);
        let filters: Vec<Wasm> = self
            .filter
            .iter()
            .map(|configuration| Wasm {
                module: module.to_owned(),
                vm_id: name.clone(),
                configuration: configuration.clone(),
            })
            .collect();
        let upstream_filters = if self.attempt_mode { filters.clone() } else { Vec::new() };
        let door = Door::new(&name, upstream).retries(policy).limits(self.limits.clone());
        Door { upstream_filters, ..door.filters(filters) }
    }
}

/// All that a reader would compare.
#[must_use]
pub fn rows() -> Vec<Row> {
    let budget = |min: u32| json!({ "budget_percent": { "value": 20 }, "min_retry_concurrency": min });
    let limit = |budget: Value| json!({ "retry_budget": budget });
    let mut with_interval = budget(0);
    with_interval["budget_interval"] = json!("10s");
    let native = [
        Row::native("retries without limit", json!({})),
        Row::native("`max_retries: 3`, the default", json!({ "max_retries": 3 })),
        Row::native("`retry_budget` 20 %, at least 3, its default", limit(budget(3))),
        Row::native("`retry_budget` 20 %, at least 0", limit(budget(0))),
        Row::native("`retry_budget` 20 %, at least 0, `budget_interval` 10 s", limit(with_interval)),
    ];
    let mut rows: Vec<Row> = native.into_iter().flat_map(|row| [row.clone(), row.fast()]).collect();
    let refused = Row::native("`retry_budget` 20 %, at least 3, its default", limit(budget(3)));
    rows.push(refused.failing(Failure::Refused).fast());
    let reserve = Row::ours("reserve, 20 %, no floor", &ours("per_second", 0));
    rows.extend(Failure::ALL.map(|failure| reserve.clone().failing(failure)));
    rows.push(reserve.fast());
    rows.push(Row::ours("reserve, 20 %, floor of 10 a second, window style", &ours("window", 10)));
    let mut by_attempt = ours("per_second", 0);
    by_attempt["enforcement"] = json!("attempt");
    let by_attempt = Row { attempt_mode: true, ..Row::ours("attempt, 20 %, no floor", &by_attempt) };
    rows.extend(Failure::ALL.map(|failure| by_attempt.clone().failing(failure)));
    let defaults = Row::ours("reserve, as it is by default", &json!({ "per_request": { "max_retries": 3 } }));
    rows.push(defaults);
    rows
}

/// The rows one after the other, in one run of one Envoy for each number of workers.
///
/// # Errors
/// Envoy does not start, or a row could not be measured.
pub async fn table(binary: &Path, module: &Path, rate: Rate, workers: &[u32]) -> anyhow::Result<Table> {
    let rows = rows();
    let mut lines: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let back_off = if row.fast_back_off { "1 ms" } else { "25 ms, growing" };
            vec![row.name.clone(), row.failure.name().to_owned(), back_off.to_owned()]
        })
        .collect();
    let mut columns = vec!["configuration".to_owned(), "upstream".to_owned(), "back-off".to_owned()];
    for workers in workers {
        columns.push(format!("upstream requests, {workers} workers"));
        columns.push("amplification".to_owned());
        let running = Rows::start(binary, module, *workers, &rows).await?;
        for (at, line) in lines.iter_mut().enumerate() {
            let measured = running.measure(at, rate, Protocol::Http1).await?;
            line.push(measured.upstream.to_string());
            line.push(format!("{:.4}", measured.amplification()));
        }
    }
    let Rate { requests, per_second } = rate;
    let workers: Vec<String> = workers.iter().map(u32::to_string).collect();
    let seconds = requests / per_second.max(1);
    let caption = format!(
        "`cargo xtask bench amplification --seconds {seconds} --rate {per_second} --workers {}`: {requests} requests on a schedule, \
         {per_second} a second whatever comes back; every attempt fails; the route allows three retries.",
        workers.join(",")
    );
    Ok(Table { caption, columns, rows: lines })
}
