//! Servers that stand behind Envoy and fail in each way. They speak HTTP/1.1 and HTTP/2, as they are spoken to, and count.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper::{Request, Response, body::Incoming, http::request::Parts, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinSet,
};

use crate::load::{Body, whole};

/// What an upstream does with a request it has read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Status(u16),
    /// The connection ends instead; of HTTP/2 the stream.
    Reset,
    Never,
    Late(Duration, Box<Answer>),
}

/// A server on loopback; it ends with this value.
#[derive(Debug)]
pub struct Upstream {
    pub address: SocketAddr,
    requests: Arc<AtomicU64>,
    _serving: JoinSet<()>,
}

impl Upstream {
    /// Answers each request as a function of its head says, once it is whole.
    ///
    /// # Errors
    /// There is no port to listen at.
    pub async fn start(
        answer: impl Fn(&Parts) -> Answer + Send + Sync + 'static,
    ) -> anyhow::Result<Upstream> {
        Upstream::serve(move |request: Request<Incoming>| {
            let (head, body) = request.into_parts();
            let answer = answer(&head);
            async move {
                body.collect().await.map_err(io::Error::other)?;
                carried_out(answer).await
            }
        })
        .await
    }

    /// Always the same.
    ///
    /// # Errors
    /// There is no port to listen at.
    pub async fn always(answer: Answer) -> anyhow::Result<Upstream> {
        Upstream::start(move |_| answer.clone()).await
    }

    /// Does as a function says, which is dropped when the caller goes away; the connection (of HTTP/2 the stream) ends with an
    /// error.
    ///
    /// # Errors
    /// There is no port to listen at.
    pub async fn serve<S, F>(service: S) -> anyhow::Result<Upstream>
    where
        S: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<Response<Body>>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let requests = Arc::<AtomicU64>::default();
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::new(service), Arc::clone(&requests)));
        Ok(Upstream { address, requests, _serving: serving })
    }

    /// How many requests have come in, each attempt for itself; those count whose body has not ended.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn accept<S, F>(listener: TcpListener, service: Arc<S>, requests: Arc<AtomicU64>)
where
    S: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<Response<Body>>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (service, requests) = (Arc::clone(&service), Arc::clone(&requests));
        let service = service_fn(move |request| {
            requests.fetch_add(1, Ordering::Relaxed);
            service(request)
        });
        connections.spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            drop(stream.set_nodelay(true));
            // However a connection ends, it was Envoy's or the answer's to end it.
            drop(builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn carried_out(mut answer: Answer) -> io::Result<Response<Body>> {
    while let Answer::Late(after, then) = answer {
        tokio::time::sleep(after).await;
        answer = *then;
    }
    match answer {
        Answer::Status(status) => {
            Response::builder().status(status).body(whole("of the upstream")).map_err(io::Error::other)
        }
        Answer::Never => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        Answer::Reset | Answer::Late(..) => Err(io::Error::other("ended as it should")),
    }
}

/// A port nobody listens at, and nobody else can take while this value lives.
#[derive(Debug)]
pub struct Refusing {
    pub address: SocketAddr,
    _bound: TcpSocket,
}

impl Refusing {
    /// # Errors
    /// There is no port.
    pub fn new() -> io::Result<Refusing> {
        let bound = TcpSocket::new_v4()?;
        bound.bind(([127, 0, 0, 1], 0).into())?;
        Ok(Refusing { address: bound.local_addr()?, _bound: bound })
    }
}
