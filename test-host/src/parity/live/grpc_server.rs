//! A gRPC service behind Envoy: HTTP/2, and the moves of a script, one after the other.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Buf as _, Bytes, BytesMut};
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap as Fields, HeaderName, HeaderValue, Request, Response, header::CONTENT_TYPE};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};

use crate::{
    message::{HeaderMap, Message},
    upstream::{GrpcDoes, GrpcMove, framed},
};

#[derive(Debug, Default)]
struct Script {
    moves: Vec<GrpcMove>,
    /// A call each: its head, its messages, and how it ended as trailers.
    received: Vec<Message>,
}

type Shared = Arc<Mutex<Script>>;

/// A server on loopback; it ends with this value.
#[derive(Debug)]
pub(in crate::parity) struct GrpcServer {
    pub(in crate::parity) address: SocketAddr,
    script: Shared,
    _tasks: JoinSet<()>,
}

impl GrpcServer {
    pub(in crate::parity) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let script = Shared::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&script)));
        Ok(GrpcServer { address, script, _tasks: tasks })
    }

    /// Every call from now on is answered by these moves.
    pub(in crate::parity) fn answer_with(&self, moves: &[GrpcMove]) {
        *lock(&self.script) = Script { moves: moves.to_vec(), received: Vec::new() };
    }

    pub(in crate::parity) fn take_received(&self) -> Vec<Message> {
        std::mem::take(&mut lock(&self.script).received)
    }
}

fn lock(script: &Shared) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, script: Shared) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&script)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, script: Shared) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut calls = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (head, body) = request.into_parts();
        let (call, moves) = {
            let mut script = lock(&script);
            script.received.push(head_of(&Request::from_parts(head, ())));
            (script.received.len() - 1, script.moves.clone())
        };
        let (heard, hears) = mpsc::unbounded_channel();
        calls.spawn(listen(body, Arc::clone(&script), call, heard));
        calls.spawn(answer(moves, respond, hears));
        while calls.try_join_next().is_some() {}
    }
}

fn head_of(request: &Request<()>) -> Message {
    let uri = request.uri();
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let mut headers = HeaderMap::from_iter([
        (":method", request.method().to_string()),
        (":path", uri.path_and_query().map(ToString::to_string).unwrap_or_default()),
        (":authority", authority),
        (":scheme", uri.scheme_str().unwrap_or_default().to_owned()),
    ]);
    for (name, value) in request.headers() {
        headers.push(name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes()));
    }
    Message { headers, ..Message::default() }
}

/// What the call brings after its head: `true` for a message, `false` for its end.
async fn listen(mut body: RecvStream, script: Shared, call: usize, heard: mpsc::UnboundedSender<bool>) {
    let mut waiting = BytesMut::new();
    let end = loop {
        match body.data().await {
            Some(Ok(data)) => {
                let _ = body.flow_control().release_capacity(data.len());
                waiting.extend_from_slice(&data);
                while let Some(message) = next_message(&mut waiting) {
                    let mut script = lock(&script);
                    if let Some(received) = script.received.get_mut(call) {
                        received.body.push(message);
                    }
                    let _ = heard.send(true);
                }
            }
            Some(Err(_)) => break "reset",
            None => break "end",
        }
    };
    if let Some(received) = lock(&script).received.get_mut(call) {
        received.trailers = Some(HeaderMap::from_iter([("call", end)]));
    }
    let _ = heard.send(false);
}

fn next_message(from: &mut BytesMut) -> Option<Bytes> {
    let length = u32::from_be_bytes(from.get(1..5)?.try_into().ok()?) as usize;
    if from.len() - 5 < length {
        return None;
    }
    from.advance(5);
    Some(from.split_to(length).freeze())
}

async fn answer(
    moves: Vec<GrpcMove>,
    mut respond: SendResponse<Bytes>,
    mut hears: mpsc::UnboundedReceiver<bool>,
) {
    let mut stream: Option<SendStream<Bytes>> = None;
    let mut ended = false;
    for GrpcMove { after, does } in moves {
        tokio::time::sleep(after).await;
        match does {
            GrpcDoes::AwaitMessage if !ended => ended = hears.recv().await != Some(true),
            GrpcDoes::AwaitMessage => {}
            GrpcDoes::AwaitEnd => {
                while !ended {
                    ended = hears.recv().await != Some(true);
                }
            }
            does => {
                if make(does, &mut respond, &mut stream).is_none() {
                    return;
                }
            }
        }
    }
    // The call stays open until Envoy has had enough of it.
    match &mut stream {
        Some(stream) => drop(std::future::poll_fn(|context| stream.poll_reset(context)).await),
        None => drop(std::future::poll_fn(|context| respond.poll_reset(context)).await),
    }
}

/// Makes one move; `None`: it was the last, or Envoy has gone.
fn make(
    does: GrpcDoes,
    respond: &mut SendResponse<Bytes>,
    stream: &mut Option<SendStream<Bytes>>,
) -> Option<()> {
    let head_of_its_own = matches!(does, GrpcDoes::Message(_) | GrpcDoes::Data(_) | GrpcDoes::End);
    if head_of_its_own && stream.is_none() {
        *stream = respond.send_response(head(200, &HeaderMap::new())?, false).ok();
    }
    let more = match does {
        GrpcDoes::Headers { status, fields, ends } => {
            *stream = Some(respond.send_response(head(status, &fields)?, ends).ok()?);
            !ends
        }
        GrpcDoes::Message(message) => {
            stream.as_mut()?.send_data(framed(&message), false).ok()?;
            true
        }
        GrpcDoes::Data(bytes) => {
            stream.as_mut()?.send_data(bytes, false).ok()?;
            true
        }
        GrpcDoes::End => {
            stream.as_mut()?.send_data(Bytes::new(), true).ok()?;
            false
        }
        GrpcDoes::Trailers(fields) => {
            match stream {
                Some(stream) => stream.send_trailers(named(&fields)?).ok()?,
                None => drop(respond.send_response(head(200, &fields)?, true).ok()?),
            }
            false
        }
        GrpcDoes::Reset => {
            match stream {
                Some(stream) => stream.send_reset(Reason::CANCEL),
                None => respond.send_reset(Reason::CANCEL),
            }
            false
        }
        GrpcDoes::AwaitMessage | GrpcDoes::AwaitEnd => true,
    };
    more.then_some(())
}

fn head(status: u16, fields: &HeaderMap) -> Option<Response<()>> {
    let mut head = Response::builder().status(status).body(()).ok()?;
    if !fields.contains(b"content-type") {
        head.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    }
    head.headers_mut().extend(named(fields)?);
    Some(head)
}

fn named(fields: &HeaderMap) -> Option<Fields> {
    let mut named = Fields::new();
    for field in fields {
        named.append(HeaderName::from_bytes(&field.name).ok()?, HeaderValue::from_bytes(&field.value).ok()?);
    }
    Some(named)
}
