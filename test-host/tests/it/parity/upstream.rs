//! The upstream: takes what Envoy sends, and answers as recorded.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use wayside::message::Message;

use super::wire::{self, Kind, Reader};

/// What is to be answered next, and what came in since.
#[derive(Debug, Default)]
struct Script {
    answer: Message,
    after: Duration,
    received: Vec<Message>,
}

/// A server on loopback; it ends with this value.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    pub(super) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, script) = (listener.local_addr()?, Arc::new(Mutex::new(Script::default())));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&script)));
        Ok(Upstream { address, script, _tasks: tasks })
    }

    /// From now on every request is answered by this, so long after it has come in whole.
    pub(super) fn answer_with(&self, answer: Message, after: Duration) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) =
            Script { answer, after, received: Vec::new() };
    }

    /// What has come in since.
    pub(super) fn take_received(&self) -> Vec<Message> {
        std::mem::take(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner).received)
    }
}

async fn accept(listener: TcpListener, script: Arc<Mutex<Script>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&script)));
    }
}

/// A connection on which Envoy breaks off a request is at its end; the exchange then shows what is missing.
async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    let (read, mut write) = stream.split();
    let mut reader = Reader::new(read);
    while let Ok(Some(request)) = reader.message(Kind::Request).await {
        let to_head = request.headers.first(b":method").is_some_and(|method| &method[..] == b"HEAD");
        let (answer, after) = {
            let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
            script.received.push(request);
            (wire::response(&script.answer, to_head), script.after)
        };
        tokio::time::sleep(after).await;
        if write.write_all(&answer).await.is_err() {
            return;
        }
    }
}
