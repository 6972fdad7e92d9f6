//! What stands behind Envoy: takes what it sends, and answers as the behaviour says.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{io::AsyncWriteExt as _, net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::{
    client::Barrier,
    tls::{self, Directions},
    wire::{self, Kind, Reader},
};
use crate::message::Message;

/// One answer.
#[derive(Clone, Debug)]
pub(in crate::parity) struct Answer {
    pub(in crate::parity) message: Message,
    pub(in crate::parity) after: Duration,
    /// The connection ends where the message's end should be; before its head if there is no status.
    pub(in crate::parity) breaks_off: bool,
    pub(in crate::parity) never: bool,
}

/// What a function answers to a request.
pub(in crate::parity) type Answering = Arc<dyn Fn(&Message) -> Option<Answer> + Send + Sync>;

/// What is answered from now on, and what came in since.
#[derive(Default)]
struct Script {
    answers: Answers,
    received: Vec<Message>,
    calls: usize,
    /// By `x-request-id`.
    attempts: BTreeMap<Bytes, usize>,
}

#[derive(Default)]
pub(in crate::parity) enum Answers {
    /// By `x-request-id`, one after the other to the attempts of each, the last to all that follow; what has none of these
    /// gets the first.
    ById(Vec<(String, Vec<Answer>)>),
    /// One after the other, the last for all that follow.
    InOrder(Vec<Answer>),
    /// What a function makes of the request; the connection ends where it makes nothing.
    By(Answering),
    #[default]
    None,
}

/// A server on loopback; it ends with this value.
#[derive(Debug)]
pub(in crate::parity) struct Server {
    pub(in crate::parity) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    barrier: Arc<Mutex<Option<Barrier>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(in crate::parity) async fn start() -> io::Result<Self> {
        Self::start_with(None).await
    }

    /// With TLS.
    pub(in crate::parity) async fn start_with(tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (script, barrier) = (Arc::<Mutex<Script>>::default(), Arc::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, tls, Arc::clone(&script), Arc::clone(&barrier)));
        Ok(Server { address, script, barrier, _tasks: tasks })
    }

    /// Chunks of an answer wait for this between them.
    pub(in crate::parity) fn keep_pace_with(&self, barrier: Barrier) {
        *self.barrier.lock().unwrap_or_else(PoisonError::into_inner) = Some(barrier);
    }

    pub(in crate::parity) fn answer_with(&self, answers: Answers) {
        *lock(&self.script) = Script { answers, ..Script::default() };
    }

    /// What has come in since.
    pub(in crate::parity) fn take_received(&self) -> Vec<Message> {
        std::mem::take(&mut lock(&self.script).received)
    }
}

fn lock(script: &Mutex<Script>) -> std::sync::MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Script {
    fn next(&mut self, request: &Message) -> Option<Answer> {
        self.calls += 1;
        match &self.answers {
            Answers::None => None,
            Answers::By(answer) => answer(request),
            Answers::InOrder(answers) => answers.get(self.calls - 1).or(answers.last()).cloned(),
            Answers::ById(answers) => {
                let id = request.headers.first(b"x-request-id");
                let is_it =
                    |known: &&(String, Vec<Answer>)| id.is_some_and(|id| known.0.as_bytes() == &id[..]);
                let (_, answers) = answers.iter().find(is_it).or(answers.first())?;
                let attempt = self.attempts.entry(id.cloned().unwrap_or_default()).or_default();
                *attempt += 1;
                answers.get(*attempt - 1).or(answers.last()).cloned()
            }
        }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("calls", &self.calls).finish_non_exhaustive()
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    script: Arc<Mutex<Script>>,
    barrier: Arc<Mutex<Option<Barrier>>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, script, barrier) = (tls.clone(), Arc::clone(&script), Arc::clone(&barrier));
        connections.spawn(async move {
            // Each chunk is a packet of its own.
            drop(stream.set_nodelay(true));
            if let Ok(directions) = tls::accepted(stream, tls.as_ref()).await {
                serve(directions, script, barrier).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    (read, mut write): Directions,
    script: Arc<Mutex<Script>>,
    barrier: Arc<Mutex<Option<Barrier>>>,
) {
    let mut reader = Reader::new(read);
    loop {
        let request = match reader.message(Kind::Request).await {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(_) => {
                // Envoy broke the request off: what came of it was seen all the same.
                lock(&script).received.extend(reader.take_part());
                return;
            }
        };
        let to_head = request.headers.first(b":method").is_some_and(|method| &method[..] == b"HEAD");
        let answer = {
            let mut script = lock(&script);
            let answer = script.next(&request);
            script.received.push(request);
            answer
        };
        let Some(answer) = answer else { return };
        if answer.never {
            // Until Envoy gives up.
            drop(reader.message(Kind::Request).await);
            return;
        }
        tokio::time::sleep(answer.after).await;
        if !answer.message.headers.contains(b":status") {
            return;
        }
        let pace = barrier.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let parts = wire::response_parts(&answer.message, to_head, answer.breaks_off);
        for (number, part) in parts.iter().enumerate() {
            if let Some(pace) = pace.as_ref().filter(|_| number > 0) {
                drop(pace.pass().await);
            }
            if write.write_all(part).await.is_err() || write.flush().await.is_err() {
                return;
            }
        }
        if let Some(pace) = pace.as_ref().filter(|_| answer.breaks_off) {
            drop(pace.pass().await);
        }
        if answer.breaks_off {
            return;
        }
    }
}
