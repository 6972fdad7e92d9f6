//! Clients: what is sent when, and what came back.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{HeaderMap, Method, Request, body::Frame};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    task::JoinSet,
    time::{Instant, Sleep, sleep_until, timeout},
};

use crate::Rate;

/// What a request carries.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Longer than anything takes that is answered at all.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Each with connections of its own, so that all workers have some.
const POOLS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    pub const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// `None`: the connection or the stream was broken off, or nothing came in a minute.
    pub status: Option<u16>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// From the moment it was sent to the head of the answer.
    pub after: Duration,
}

impl Reply {
    fn broken(after: Duration) -> Reply {
        Reply { status: None, headers: HeaderMap::new(), body: Bytes::new(), after }
    }
}

/// Who sends requests to one door.
#[derive(Clone, Debug)]
pub struct Client {
    pools: Arc<[legacy::Client<HttpConnector, Body>]>,
    next: Arc<AtomicUsize>,
    to: SocketAddr,
}

impl Client {
    #[must_use]
    pub fn new(protocol: Protocol, to: SocketAddr) -> Client {
        Client::of_pools(POOLS, protocol, to)
    }

    /// Of HTTP/2, where all goes over one connection and so to one worker.
    #[must_use]
    pub fn of_one_connection(to: SocketAddr) -> Client {
        Client::of_pools(1, Protocol::Http2, to)
    }

    fn of_pools(pools: usize, protocol: Protocol, to: SocketAddr) -> Client {
        let pool = |_| {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            let mut builder = legacy::Client::builder(TokioExecutor::new());
            builder.http2_only(protocol == Protocol::Http2).build(connector)
        };
        Client { pools: (0..pools).map(pool).collect(), next: Arc::default(), to }
    }

    /// The same, by who goes away after some time: `None` if no answer had come by then.
    pub async fn send_for(&self, request: Request<Body>, patience: Duration) -> Option<Reply> {
        timeout(patience, self.answered(request)).await.ok()
    }

    /// Sends one request and waits for the head of its answer, and reads the rest.
    pub async fn send(&self, request: Request<Body>) -> Reply {
        self.send_for(request, PATIENCE).await.unwrap_or_else(|| Reply::broken(PATIENCE))
    }

    async fn answered(&self, mut request: Request<Body>) -> Reply {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        if let Ok(uri) = format!("http://{}{path}", self.to).parse() {
            *request.uri_mut() = uri;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let answered = async {
            let pool = self.pools.get(turn.checked_rem(self.pools.len())?)?;
            let answer = pool.request(request).await.ok()?;
            let after = started.elapsed();
            let (head, body) = answer.into_parts();
            let body = body.collect().await.ok()?.to_bytes();
            Some(Reply { status: Some(head.status.as_u16()), headers: head.headers, body, after })
        };
        answered.await.unwrap_or_else(|| Reply::broken(started.elapsed()))
    }

    /// Sends requests on their schedule, whatever comes back and however slowly.
    pub async fn open_loop(&self, rate: Rate, request: impl Fn(u32) -> Request<Body>) -> Vec<Reply> {
        let replies = self.open_loop_for(rate, PATIENCE, request).await.into_iter();
        replies.map(|reply| reply.unwrap_or_else(|| Reply::broken(PATIENCE))).collect()
    }

    /// The same, by clients who go away after some time: `None` for each of these.
    pub async fn open_loop_for(
        &self,
        rate: Rate,
        patience: Duration,
        request: impl Fn(u32) -> Request<Body>,
    ) -> Vec<Option<Reply>> {
        let start = Instant::now();
        let mut sent = JoinSet::new();
        for number in 0..rate.requests {
            sleep_until(start + Duration::from_secs(1) * number / rate.per_second.max(1)).await;
            let (client, request) = (self.clone(), request(number));
            sent.spawn(async move { client.send_for(request, patience).await });
        }
        sent.join_all().await
    }

    /// Sends as many at a time, each of them the next when its last was answered.
    pub async fn closed_loop<F>(&self, requests: u32, at_once: u32, request: F) -> Vec<Reply>
    where
        F: Fn(u32) -> Request<Body> + Clone + Send + 'static,
    {
        let mut clients = JoinSet::new();
        for first in 0..at_once {
            let (client, request) = (self.clone(), request.clone());
            clients.spawn(async move {
                let mut replies = Vec::new();
                for number in (first..requests).step_by(at_once as usize) {
                    replies.push(client.send(request(number)).await);
                }
                replies
            });
        }
        clients.join_all().await.into_iter().flatten().collect()
    }
}

/// These bytes, and no more.
#[must_use]
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A byte from time to time: so many, or without an end.
#[must_use]
pub fn drips(every: Duration, count: Option<u32>) -> Body {
    let drips = Some((every, Box::pin(sleep_until(Instant::now()))));
    Upload { begun: false, drips, left: count }.boxed_unsync()
}

/// Nothing in it.
#[must_use]
pub fn get(path: &str) -> Request<Body> {
    with_body(path, whole(Bytes::new()))
}

/// A few bytes, and then nothing for ever.
#[must_use]
pub fn stalled(path: &str) -> Request<Body> {
    post(path, Upload { begun: false, drips: None, left: None }.boxed_unsync())
}

/// A byte from time to time, without an end.
#[must_use]
pub fn dripping(path: &str, every: Duration) -> Request<Body> {
    post(path, drips(every, None))
}

/// A request that changes something.
#[must_use]
pub fn post(path: &str, body: Body) -> Request<Body> {
    let mut request = with_body(path, body);
    *request.method_mut() = Method::POST;
    request
}

fn with_body(path: &str, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    request
}

/// A body that takes its time.
#[derive(Debug)]
struct Upload {
    begun: bool,
    /// `None`: there is no end.
    left: Option<u32>,
    drips: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl hyper::body::Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if !self.begun {
            self.begun = true;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"begun")))));
        }
        let this = &mut *self;
        let Some((every, sleep)) = &mut this.drips else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        if let Some(left) = &mut this.left {
            let Some(fewer) = left.checked_sub(1) else { return Poll::Ready(None) };
            *left = fewer;
        }
        let next = sleep.deadline() + *every;
        sleep.as_mut().reset(next);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b".")))))
    }
}
