//! Three Envoys, one behind the other, with services between that work for a while and then call the next: how much the last one
//! works for callers who have stopped waiting.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use hyper::{HeaderMap, Request, Response, body::Incoming, header::HeaderValue};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    Body, Client, Door, Protocol, Proxy, Rate, Upstream, Wasm,
    load::{Reply, get, whole},
    table::Table,
};

/// Envoys in a row; requests go to the first.
#[derive(Debug)]
pub struct Chain {
    /// The last first.
    pub proxies: Vec<Proxy>,
    /// Between them.
    pub services: Vec<Upstream>,
    pub entrance: SocketAddr,
}

impl Chain {
    /// The doors are those of the Envoys, in the order of the requests; where each leads to is the chain's to say. `before` the last
    /// call, each service between two Envoys works so long; without it they follow upon each other.
    ///
    /// # Errors
    /// An Envoy does not start.
    pub async fn start(
        binary: &Path,
        doors: &[Door],
        before: Option<Duration>,
        bottom: SocketAddr,
    ) -> anyhow::Result<Chain> {
        let (mut proxies, mut services, mut next) = (Vec::new(), Vec::new(), bottom);
        for (at, door) in doors.iter().enumerate().rev() {
            let door = Door { upstream: next, ..door.clone() };
            let proxy = Proxy::start(binary, 1, std::slice::from_ref(&door)).await?;
            next = proxy.address(&door.name)?;
            proxies.push(proxy);
            if let Some(before) = before.filter(|_| at > 0) {
                let service = service(next, before).await?;
                next = service.address;
                services.push(service);
            }
        }
        Ok(Chain { proxies, services, entrance: next })
    }
}

/// What services pass on, as those do that know of deadlines and tries.
const PASSED_ON: [&str; 4] =
    ["x-envoy-attempt-count", "x-work-ms", "x-number", "x-envoy-expected-rq-timeout-ms"];
const EXPECTED: &str = "x-envoy-expected-rq-timeout-ms";

/// Works, and then calls the next and tells it what is left of the time, as gRPC's libraries do. It does not notice that its
/// caller has gone, as most do not.
async fn service(next: SocketAddr, before: Duration) -> anyhow::Result<Upstream> {
    let client = Client::new(Protocol::Http1, next);
    Upstream::serve(move |request: Request<Incoming>| {
        let client = client.clone();
        let mut onward = get("/");
        for name in PASSED_ON {
            if let Some(value) = request.headers().get(name) {
                onward.headers_mut().insert(name, value.clone());
            }
        }
        let arrived = Instant::now();
        let working = tokio::spawn(async move {
            sleep(before).await;
            if let Some(left) = number(onward.headers(), EXPECTED) {
                let worked = u64::try_from(arrived.elapsed().as_millis()).unwrap_or(u64::MAX);
                onward.headers_mut().insert(EXPECTED, left.saturating_sub(worked).into());
            }
            client.send(onward).await
        });
        async move { relayed(working.await.map_err(io::Error::other)?) }
    })
    .await
}

fn relayed(reply: Reply) -> io::Result<Response<Body>> {
    let status = reply.status.ok_or_else(|| io::Error::other("the next broke off"))?;
    let mut response = Response::builder().status(status);
    if let Some(value) = reply.headers.get("x-envoy-ratelimited") {
        response = response.header("x-envoy-ratelimited", value);
    }
    response.body(whole("")).map_err(io::Error::other)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// How long the last service worked in all, and how long of that for nobody, in microseconds.
#[derive(Debug, Default)]
pub struct Work {
    all: AtomicU64,
    late: AtomicU64,
}

impl Work {
    /// The share of work that nobody waited for.
    #[must_use]
    pub fn wasted(&self) -> f64 {
        let (all, late) = (self.all.load(Ordering::Relaxed), self.late.load(Ordering::Relaxed));
        if all == 0 { 0.0 } else { late as f64 / all as f64 }
    }

    #[must_use]
    pub fn all(&self) -> Duration {
        Duration::from_micros(self.all.load(Ordering::Relaxed))
    }
}

/// Counts from its making to its end, which may come from without.
struct Working {
    work: Arc<Work>,
    from: Instant,
    deadline: Instant,
}

impl Drop for Working {
    fn drop(&mut self) {
        let now = Instant::now();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.work.all.fetch_add(micros(now - self.from), Ordering::Relaxed);
        let late = now.saturating_duration_since(self.deadline.max(self.from));
        self.work.late.fetch_add(micros(late), Ordering::Relaxed);
    }
}

/// What every caller at the entrance allows, and then goes away.
pub const DEADLINE: Duration = Duration::from_millis(300);
/// What each service between does itself.
const BEFORE: Duration = Duration::from_millis(50);
/// What the last service needs: a third of the requests can be answered in time.
const NEEDED: [u64; 3] = [80, 400, 700];

/// How the Envoys are configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hops {
    /// With Envoy's own 15 s.
    Default,
    /// Each route has the deadline for a timeout.
    Routes,
    /// The timeout filter: the first Envoy's rule sets the deadline.
    Filters,
}

impl Hops {
    pub const ALL: [Hops; 3] = [Hops::Default, Hops::Routes, Hops::Filters];

    fn name(self) -> &'static str {
        match self {
            Hops::Default => "native: as it is by default",
            Hops::Routes => "native: the deadline as every route's `timeout`",
            Hops::Filters => "**timeout**, the deadline in the first Envoy's rule",
        }
    }

    fn door(self, at: usize, module: &Path) -> Door {
        // Replaced by the chain.
        let nowhere = ([127, 0, 0, 1], 1).into();
        let door = Door { inside: at > 0, ..Door::new("hop", nowhere) };
        let limit = if at == 0 { DEADLINE } else { Duration::from_secs(15) };
        match self {
            Hops::Default => door,
            Hops::Routes => Door { timeout: Some(format!("{}s", DEADLINE.as_secs_f64())), ..door },
            Hops::Filters => {
                let timeout = json!({ "timeout": format!("{}ms", limit.as_millis()) });
                door.filters([Wasm::new(module, "timeout", &timeout)])
            }
        }
    }
}

/// What came of requests through a chain.
#[derive(Debug)]
pub struct Measured {
    pub answered: usize,
    pub reached: u64,
    pub work: Arc<Work>,
}

/// # Errors
/// An Envoy does not start, or has ended.
pub async fn measure(binary: &Path, module: &Path, hops: Hops, rate: Rate) -> anyhow::Result<Measured> {
    let work = Arc::<Work>::default();
    // When each request must be answered, by its number.
    let start = Instant::now();
    let deadlines: Arc<Vec<AtomicU64>> = Arc::new((0..rate.requests).map(|_| AtomicU64::new(0)).collect());
    let bottom = bottom(Arc::clone(&work), start, Arc::clone(&deadlines)).await?;
    let doors: Vec<Door> = (0..3).map(|at| hops.door(at, module)).collect();
    let mut chain = Chain::start(binary, &doors, Some(BEFORE), bottom.address).await?;
    let client = Client::new(Protocol::Http1, chain.entrance);
    let sent = client.open_loop_for(rate, DEADLINE, |number| {
        let deadline = u64::try_from((start.elapsed() + DEADLINE).as_micros()).unwrap_or(u64::MAX);
        if let Some(slot) = deadlines.get(number as usize) {
            slot.store(deadline, Ordering::Relaxed);
        }
        let mut request = get("/");
        let needed = NEEDED[number as usize % NEEDED.len()];
        request.headers_mut().insert("x-work-ms", HeaderValue::from(needed));
        request.headers_mut().insert("x-number", HeaderValue::from(number));
        request
    });
    let answered = sent.await.into_iter().flatten().filter(|reply| reply.status == Some(200)).count();
    // What is still being worked on for nobody.
    sleep(Duration::from_millis(NEEDED[2]) + BEFORE * 2 + Duration::from_secs(1)).await;
    chain.proxies.iter_mut().try_for_each(Proxy::must_be_well)?;
    Ok(Measured { answered, reached: bottom.requests(), work })
}

async fn bottom(work: Arc<Work>, start: Instant, deadlines: Arc<Vec<AtomicU64>>) -> anyhow::Result<Upstream> {
    Upstream::serve(move |request: Request<Incoming>| {
        let number = |name| number(request.headers(), name);
        let deadline = number("x-number").and_then(|at| deadlines.get(usize::try_from(at).ok()?));
        let deadline = deadline.map_or(0, |deadline| deadline.load(Ordering::Relaxed));
        let working = Working {
            work: Arc::clone(&work),
            from: Instant::now(),
            deadline: start + Duration::from_micros(deadline),
        };
        let needed = Duration::from_millis(number("x-work-ms").unwrap_or(0));
        async move {
            sleep(needed).await;
            drop(working);
            Response::builder().body(whole("")).map_err(io::Error::other)
        }
    })
    .await
}

/// # Errors
/// An Envoy does not start, or has ended.
pub async fn table(binary: &Path, module: &Path, rate: Rate) -> anyhow::Result<Table> {
    let mut rows = Vec::new();
    for hops in Hops::ALL {
        let measured = measure(binary, module, hops, rate).await.context(hops.name())?;
        rows.push(vec![
            hops.name().to_owned(),
            format!("{} of {}", measured.answered, rate.requests),
            measured.reached.to_string(),
            format!("{:.1} s", measured.work.all().as_secs_f64()),
            format!("{:.2} %", measured.work.wasted() * 100.0),
        ]);
    }
    let Rate { requests, per_second } = rate;
    let caption = format!(
        "`cargo xtask bench chain --requests {requests} --rate {per_second}`: {requests} requests on a schedule, {per_second} a second; callers wait \
         {} ms, two services work {} ms each before they call the next, the last needs {} ms in turn. Wasted is its work after the caller's deadline.",
        DEADLINE.as_millis(),
        BEFORE.as_millis(),
        NEEDED.map(|needed| needed.to_string()).join(", "),
    );
    let columns = ["Envoys", "answered", "reached the last service", "its work", "wasted"];
    Ok(Table { caption, columns: columns.map(str::to_owned).to_vec(), rows })
}
