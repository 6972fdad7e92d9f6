//! The server.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::manner::{Answered, Manner};
use crate::message::{Message, Request};

/// A collector on loopback; it ends with this value.
#[derive(Debug)]
pub struct Collector {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    /// The last one stays for all that come after.
    script: Vec<Manner>,
    told: usize,
    requests: Vec<Request>,
    unreadable: Vec<String>,
}

impl Collector {
    /// Answers its requests as the script says, one after the other, and all that come after as its last manner says. An empty script
    /// takes everything.
    ///
    /// # Errors
    /// There is no port to listen at.
    pub async fn start(script: impl IntoIterator<Item = Manner>) -> anyhow::Result<Collector> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = State {
            script: script.into_iter().collect(),
            told: 0,
            requests: Vec::new(),
            unreadable: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&state)));
        Ok(Collector { address, state, _serving: serving })
    }

    /// From now on, this script.
    pub fn behave(&self, script: impl IntoIterator<Item = Manner>) {
        let mut state = locked(&self.state);
        state.script = script.into_iter().collect();
        state.told = 0;
    }

    /// What it was sent so far, in the order in which it came.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.state).requests.clone()
    }

    /// Why requests could not be read, if any could not. They were answered with 400.
    #[must_use]
    pub fn unreadable(&self) -> Vec<String> {
        locked(&self.state).unreadable.clone()
    }
}

fn locked(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let service = service_fn(move |request| answered(request, Arc::clone(&state)));
        connections.spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            // However a connection ends, it was the exporter's or the manner's to end it.
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answered(
    request: hyper::Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let media_type =
        head.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let message = match head.method {
        Method::POST => Message::read(head.uri.path(), media_type, &body),
        method => Err(anyhow::anyhow!("found the method {method}, expected POST")),
    };
    let message = match message {
        Ok(message) => message,
        Err(error) => {
            locked(&state).unreadable.push(format!("{error:#}"));
            return Response::builder().status(400).body(Full::default()).map_err(io::Error::other);
        }
    };
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let mut manner = {
        let mut state = locked(&state);
        let manner = state.script.get(state.told).or(state.script.last()).cloned().unwrap_or(Manner::Takes);
        state.told += 1;
        state.requests.push(Request {
            path: head.uri.path().to_owned(),
            headers,
            message: message.clone(),
            size: body.len(),
            kept: manner.keeps(),
        });
        manner
    };
    while let Manner::Late(after, then) = manner {
        tokio::time::sleep(after).await;
        manner = *then;
    }
    let answer: Answered = manner
        .answer(&message, media_type == "application/json")
        .context("an answer")
        .map_err(io::Error::other)?;
    match answer {
        Some(response) => Ok(response.map(Full::new)),
        None if manner == Manner::Hangs => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        None => Err(io::Error::other("ended as it should")),
    }
}
