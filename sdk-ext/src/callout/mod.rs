//! Calls of a stream to other clusters, awaited while the stream is paused: of HTTP here, of gRPC in `grpc`.

mod for_root;
mod grpc;

pub use for_root::Caller;
pub(crate) use for_root::receiver as receiver_for_root;
pub(crate) use grpc::receiver as grpc_receiver;
pub use grpc::{GrpcError, GrpcStatus, PendingUnary, Unary};

use crate::headers::{AsName, HeaderBlock};
use crate::hostcalls::{self, Buffer, Host, HostError, HttpCall, Map};
use crate::log::{self, Level};
use crate::plugin::Table;
use crate::stream::{Stream, StreamId};
use crate::stream::{sleep, waiting};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A cluster of the proxy's configuration. In a filter's configuration: its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    name: String,
    authority: Option<String>,
}

impl Cluster {
    #[must_use]
    pub fn new(name: impl Into<String>) -> Cluster {
        Cluster { name: name.into(), authority: None }
    }

    /// What calls send as `:authority`; the cluster's name if not set.
    #[must_use]
    pub fn with_authority(self, authority: impl Into<String>) -> Cluster {
        Cluster { authority: Some(authority.into()), ..self }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A request to this cluster; nothing happens until it is [sent](Call::send).
    pub fn call<'a>(&'a self, method: &'a str, path: &'a str) -> Call<'a> {
        let authority = self.authority.as_deref().unwrap_or(&self.name);
        let mut headers = Vec::with_capacity(6);
        for (name, value) in [(":method", method), (":path", path), (":authority", authority)] {
            headers.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
        Call { cluster: &self.name, headers, body: &[], timeout: Duration::from_millis(500), read_body: None }
    }
}

impl<'de> Deserialize<'de> for Cluster {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cluster, D::Error> {
        struct ClusterName;
        impl Visitor<'_> for ClusterName {
            type Value = Cluster;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a cluster")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Cluster, E> {
                match name {
                    "" => Err(E::invalid_value(de::Unexpected::Str(name), &self)),
                    name => Ok(Cluster::new(name)),
                }
            }
        }
        deserializer.deserialize_str(ClusterName)
    }
}

/// A request that was not sent yet.
#[derive(Debug)]
#[must_use = "nothing happens until it is sent"]
pub struct Call<'a> {
    cluster: &'a str,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: &'a [u8],
    timeout: Duration,
    read_body: Option<usize>,
}

impl<'a> Call<'a> {
    /// Adds one header. Envoy adds `content-length` and `x-envoy-internal: true` by itself and obeys `x-envoy-retry-on`.
    pub fn header(mut self, name: impl AsName, value: impl AsRef<[u8]>) -> Call<'a> {
        self.headers.push((name.as_name().to_vec(), value.as_ref().to_vec()));
        self
    }

    pub fn body(self, body: &'a [u8]) -> Call<'a> {
        Call { body, ..self }
    }

    /// 500 ms if not set, rounded up to whole milliseconds. Zero is refused: to Envoy it means for ever.
    pub fn timeout(self, timeout: Duration) -> Call<'a> {
        Call { timeout, ..self }
    }

    /// Reads the answer's body; one of more than `max` bytes is [`CallError::TooLarge`]. Without this it is not read.
    pub fn read_body(self, max: usize) -> Call<'a> {
        Call { read_body: Some(max), ..self }
    }

    /// Sends it on behalf of a stream, at once: several calls may be under way together, awaited in any order.
    ///
    /// One hostcall to send; when the answer comes, one for the stream, one that returns bytes for its headers, and one more
    /// with [`read_body`](Self::read_body). Dropping what this returns forgets the call: Envoy cannot take it back.
    pub fn send(self, stream: &Stream) -> Pending {
        Pending(match self.dispatch(stream.id()) {
            Ok(sent) => State::Sent(sent),
            Err(error) => State::Failed(Some(error)),
        })
    }

    fn dispatch(self, stream: StreamId) -> Result<Sent, CallError> {
        if !waiting::runs(stream) {
            return Err(CallError::NotNow);
        }
        let read_body = self.read_body;
        let token = self.start()?;
        let answer = Rc::new(Answer { read_body, result: RefCell::new(None) });
        let call = UnderWay { stream, answer: answer.clone() };
        let before = UNDER_WAY.with_borrow_mut(|calls| calls.insert(token, call));
        drop(before);
        ARRIVED.set(Some(arrived));
        Ok(Sent { token, answer })
    }

    fn start(self) -> Result<u32, CallError> {
        let timeout = millis(self.timeout)?;
        let headers = HeaderBlock::from_pairs(
            self.headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())),
        );
        Ok(hostcalls::http_call(&HttpCall {
            cluster: self.cluster.as_bytes(),
            headers: headers.as_pairs(),
            body: self.body,
            timeout,
        })?)
    }
}

/// What Envoy takes for a timeout.
fn millis(timeout: Duration) -> Result<u32, CallError> {
    match u32::try_from(timeout.as_nanos().div_ceil(1_000_000)) {
        Ok(0) => Err(CallError::NoTimeout),
        Ok(millis) if millis <= i32::MAX.cast_unsigned() => Ok(millis),
        _ => Ok(i32::MAX.cast_unsigned()),
    }
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResponse {
    /// An answer that Envoy made itself looks no different: 503 when nobody could be reached, 504 on a timeout.
    pub headers: HeaderBlock,
    /// Empty unless it was asked for.
    pub body: Vec<u8>,
}

impl CallResponse {
    /// `:status`; 0 when the answer has none.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.headers.status().unwrap_or(0)
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The host did not send it: `bad argument` for a cluster it does not know, `internal failure` for one without a
    /// healthy host.
    #[error("not sent: {0}")]
    Dispatch(#[from] HostError),
    /// The answer broke off, or its body was beyond Envoy's own limit.
    #[error("the answer broke off")]
    Reset,
    #[error("the answer's body has {0} bytes, which is more than is read")]
    TooLarge(usize),
    /// The answer came and could not be read.
    #[error("the answer cannot be read: {0}")]
    Unreadable(HostError),
    #[error("a timeout of zero would be none")]
    NoTimeout,
    /// The stream a call was for is not the one whose callback runs.
    #[error("calls are sent from the callbacks of their own stream")]
    NotNow,
}

/// A call that is under way. Awaited in what is given to [`Flow::wait`](crate::Flow::wait).
#[derive(Debug)]
#[must_use = "an answer that nobody awaits is forgotten"]
pub struct Pending(State);

#[derive(Debug)]
enum State {
    Sent(Sent),
    Failed(Option<CallError>),
}

#[derive(Debug)]
struct Sent {
    token: u32,
    answer: Rc<Answer>,
}

#[derive(Debug)]
struct Answer {
    read_body: Option<usize>,
    result: RefCell<Option<Result<CallResponse, CallError>>>,
}

impl Future for Pending {
    type Output = Result<CallResponse, CallError>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let result = match &mut self.0 {
            State::Sent(sent) => sent.answer.result.take(),
            State::Failed(error) => error.take().map(Err),
        };
        result.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let call = UNDER_WAY.with_borrow_mut(|calls| calls.remove(self.token));
        drop(call);
    }
}

#[derive(Debug)]
struct UnderWay {
    stream: StreamId,
    answer: Rc<Answer>,
}

crate::vm_local! {
    /// By token. An entry lives as long as somebody may await it.
    static UNDER_WAY: RefCell<Table<UnderWay>> = const { RefCell::new(Table::new()) };
}

type Arrived = fn(u32, u32, usize) -> Option<StreamId>;

crate::vm_local! {
    /// Set by the first call: a module that makes none has no code for answers, and does not export the callback.
    static ARRIVED: Cell<Option<Arrived>> = const { Cell::new(None) };
}

/// What takes in an answer; `None` where none can come.
pub(crate) fn receiver() -> Option<Arrived> {
    ARRIVED.get()
}

/// Whether an answer is still to come for this stream, or a time.
pub(crate) fn outstanding(stream: StreamId) -> bool {
    UNDER_WAY.with_borrow(|calls| calls.iter().any(|(_, call)| call.stream == stream))
        || grpc_receiver().is_some_and(|receiver| (receiver.outstanding)(stream))
        || sleep::used().is_some_and(|used| (used.sleeps)(stream))
}

/// Keeps an answer, which can be read in this callback only, and makes its stream the one that hostcalls are for. `None` when
/// nobody awaits it any more.
fn arrived(token: u32, headers: u32, body_size: usize) -> Option<StreamId> {
    let call = UNDER_WAY.with_borrow_mut(|calls| calls.remove(token))?;
    let result = match headers {
        0 => Err(CallError::Reset),
        _ => read(call.answer.read_body, body_size),
    };
    call.answer.result.replace(Some(result));
    current(call.stream)
}

/// Makes this stream the one that hostcalls are for, if it is there.
pub(crate) fn current(stream: StreamId) -> Option<StreamId> {
    match hostcalls::set_effective_context(stream.0) {
        Ok(()) => Some(stream),
        Err(error) => {
            // Of no stream: not with `log!`, which would have its code in modules that log nothing.
            if log::enabled(Level::Debug) {
                log::write(Level::Debug, format_args!("what came for a stream came too late: {error}"));
            }
            None
        }
    }
}

fn read(read_body: Option<usize>, size: usize) -> Result<CallResponse, CallError> {
    let headers = read_headers().map_err(CallError::Unreadable)?;
    let body = match read_body {
        Some(max) if size > max => return Err(CallError::TooLarge(size)),
        Some(_) if size > 0 => hostcalls::buffer(Buffer::CallResponseBody, 0, size)
            .map_err(CallError::Unreadable)?
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    Ok(CallResponse { headers, body })
}

fn read_headers() -> Host<HeaderBlock> {
    HeaderBlock::from_host(hostcalls::header_pairs(Map::CallResponseHeaders)?)
}

/// Awaits both. What is sent is under way from the moment it was sent, so this is for what has steps of its own.
pub async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut first, mut second) = (None, None);
    std::future::poll_fn(move |cx| {
        if first.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(cx)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(cx)
        {
            second = Some(output);
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (one, other) => {
                (first, second) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn join_waits_for_the_slower_and_asks_neither_twice() {
        fn after(polls: u32) -> impl Future<Output = u32> {
            let mut left = polls;
            std::future::poll_fn(move |_| match left.checked_sub(1) {
                Some(rest) => {
                    left = rest;
                    Poll::Pending
                }
                None => {
                    assert_eq!(std::mem::replace(&mut left, 99), 0, "asked again");
                    Poll::Ready(polls)
                }
            })
        }
        for (a, b) in [(0, 0), (1, 3), (3, 1), (2, 2)] {
            let mut joined = pin!(join(after(a), after(b)));
            let mut polls = 0;
            let both = loop {
                match joined.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(both) => break both,
                    Poll::Pending => polls += 1,
                }
            };
            assert_eq!((both, polls), ((a, b), a.max(b)));
        }
    }

    #[test]
    fn what_cannot_be_sent_is_an_error_value() {
        let _running = waiting::Running::own_callback(StreamId(1));
        let cluster = Cluster::new("auth");
        let stream = |id| Stream::new(StreamId(id), 1, "test");
        let poll =
            |mut pending: Pending| Pin::new(&mut pending).poll(&mut Context::from_waker(Waker::noop()));
        let never = cluster.call("GET", "/").timeout(Duration::ZERO).send(&stream(1));
        assert_eq!(poll(never), Poll::Ready(Err(CallError::NoTimeout)));
        let another = cluster.call("GET", "/").send(&stream(2));
        assert_eq!(poll(another), Poll::Ready(Err(CallError::NotNow)));
        let without_host = cluster.call("GET", "/").send(&stream(1));
        assert!(matches!(poll(without_host), Poll::Ready(Err(CallError::Dispatch(_)))));
    }
}
