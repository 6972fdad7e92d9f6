//! gRPC calls of a stream to other clusters: one message there, one back, awaited as HTTP calls are.
//!
//! Envoy tells a filter how such a call ends and nothing else: the answer's message, or a status that is not zero. The answer's
//! metadata is never shown for calls of one message, so there is no way to ask for it.

use super::{CallError, Cluster, current, millis};
use crate::foreign::wire;
use crate::headers::{AsName, HeaderBlock};
use crate::hostcalls::{self, Buffer, GrpcCall};
use crate::plugin::Table;
use crate::stream::reply::GrpcCode;
use crate::stream::waiting;
use crate::stream::{Stream, StreamId};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

impl Cluster {
    /// A call of a gRPC method, as in `auth.grpc("envoy.service.auth.v3.Authorization", "Check")`; nothing happens until it is
    /// [sent](Unary::send).
    pub fn grpc<'a>(&'a self, service: &'a str, method: &'a str) -> Unary<'a> {
        Unary {
            cluster: self,
            service,
            method,
            metadata: Vec::new(),
            message: Cow::Borrowed(&[]),
            timeout: Duration::from_millis(500),
            most: 64 * 1024,
        }
    }
}

/// A gRPC call that was not sent yet.
#[derive(Debug)]
#[must_use = "nothing happens until it is sent"]
pub struct Unary<'a> {
    cluster: &'a Cluster,
    service: &'a str,
    method: &'a str,
    metadata: Vec<(Vec<u8>, Vec<u8>)>,
    message: Cow<'a, [u8]>,
    timeout: Duration,
    most: usize,
}

impl<'a> Unary<'a> {
    /// One piece of metadata. Envoy adds `te`, `content-type` and `grpc-timeout`; what is named `…-bin` must be base64 already.
    pub fn metadata(mut self, name: impl AsName, value: impl AsRef<[u8]>) -> Unary<'a> {
        self.metadata.push((name.as_name().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// The message in protobuf, without gRPC's frame. Empty if not set, which is a message too.
    pub fn message(self, message: impl Into<Cow<'a, [u8]>>) -> Unary<'a> {
        Unary { message: message.into(), ..self }
    }

    /// 500 ms if not set, rounded up to whole milliseconds; the service is told. Zero is refused: to Envoy it means for ever.
    pub fn timeout(self, timeout: Duration) -> Unary<'a> {
        Unary { timeout, ..self }
    }

    /// 64 KiB if not set; an answer of more bytes is [`CallError::TooLarge`] and not read.
    pub fn read_message(self, max: usize) -> Unary<'a> {
        Unary { most: max, ..self }
    }

    /// Sends it on behalf of a stream, at once: calls of gRPC and HTTP may be under way together, awaited in any order.
    ///
    /// One hostcall to send; when it ends, one for the stream and one that returns bytes, for the message or for the status's text.
    /// Dropping what this returns cancels the call, with one hostcall: so does the end of the stream, which drops all that waits.
    pub fn send(self, stream: &Stream) -> PendingUnary {
        PendingUnary(match self.dispatch(stream.id()) {
            Ok(sent) => State::Sent(sent),
            Err(error) => State::Failed(Some(error)),
        })
    }

    /// The same for messages of `prost`: what is no `A` is [`GrpcError::Malformed`].
    #[cfg(any(test, feature = "prost"))]
    pub fn ask<A: prost::Message + Default, Q: prost::Message>(
        self,
        question: &Q,
        stream: &Stream,
    ) -> impl Future<Output = Result<A, GrpcError>> + use<A, Q> {
        let pending = Unary { message: Cow::Owned(question.encode_to_vec()), ..self }.send(stream);
        async move { decoded(pending.await) }
    }

    fn dispatch(self, stream: StreamId) -> Result<Sent, CallError> {
        if !waiting::runs(stream) {
            return Err(CallError::NotNow);
        }
        let timeout = millis(self.timeout)?;
        let pairs = self.metadata.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        let token = hostcalls::grpc_call(&GrpcCall {
            service: &service(&self.cluster.name, self.cluster.authority.as_deref()),
            name: self.service.as_bytes(),
            method: self.method.as_bytes(),
            metadata: HeaderBlock::from_pairs(pairs).as_pairs(),
            message: &self.message,
            timeout,
        })?;
        let answer = Rc::new(RefCell::new(None));
        let call = UnderWay { stream, most: self.most, answer: answer.clone() };
        let before = UNDER_WAY.with_borrow_mut(|calls| calls.insert(token, call));
        drop(before);
        RECEIVER.set(Some(&RECEIVES));
        Ok(Sent { token, answer })
    }
}

/// Envoy's `GrpcService { envoy_grpc { cluster_name, authority } }`. A bare name is taken for such a message where its bytes happen to be
/// one, and Envoy ends for a cluster named `empty`.
fn service(cluster: &str, authority: Option<&str>) -> Vec<u8> {
    let mut inner = Vec::with_capacity(cluster.len().saturating_add(8));
    wire::push_bytes(&mut inner, 1, cluster.as_bytes());
    if let Some(authority) = authority {
        wire::push_bytes(&mut inner, 2, authority.as_bytes());
    }
    let mut outer = Vec::with_capacity(inner.len().saturating_add(8));
    wire::push_bytes(&mut outer, 1, &inner);
    outer
}

/// How a gRPC call ended that brought no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcStatus {
    /// A status that gRPC does not know is [`Unknown`](GrpcCode::Unknown), and one of HTTP stands for one of gRPC. Envoy tells of its
    /// own timeout with the codes 14 and 13: here it is [`DeadlineExceeded`](GrpcCode::DeadlineExceeded), as it is everywhere.
    pub code: GrpcCode,
    /// The service's own text, of any bytes; where Envoy ended the call, what it says of that.
    pub message: Vec<u8>,
}

impl fmt::Display for GrpcStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gRPC status {}: {}", self.code as u32, self.message.escape_ascii())
    }
}

impl GrpcStatus {
    /// From what Envoy tells: the service's text with the details of the response behind it in braces, or details alone.
    fn told(status: u32, text: Vec<u8>) -> GrpcStatus {
        const ANSWERED: &[u8] = b"via_upstream";
        const IN_TIME: &[u8] = b"response_timeout";
        let details = |details: &[u8]| {
            let braced =
                text.strip_suffix(b"}").and_then(|text| text.strip_suffix(details)?.strip_suffix(b"{"));
            braced.or(if text == details { Some(&[][..]) } else { None })
        };
        if let Some(own) = details(ANSWERED) {
            return GrpcStatus {
                code: GrpcCode::of(status).unwrap_or(GrpcCode::Unknown),
                message: percent_decoded(own),
            };
        }
        let code = match details(IN_TIME) {
            Some(_) => Some(GrpcCode::DeadlineExceeded),
            None => GrpcCode::of(status),
        };
        GrpcStatus { code: code.unwrap_or(GrpcCode::Unknown), message: text }
    }
}

/// `grpc-message` is percent-encoded; what is not stays as it is, as gRPC has it.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        let encoded = match *rest {
            [b'%', high, low, ..] => digit(high).zip(digit(low)),
            _ => None,
        };
        match encoded {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest = rest.get(3..).unwrap_or_default();
            }
            None => {
                decoded.push(byte);
                rest = behind;
            }
        }
    }
    decoded
}

#[cfg(any(test, feature = "prost"))]
fn decoded<A: prost::Message + Default>(answer: Result<Vec<u8>, GrpcError>) -> Result<A, GrpcError> {
    A::decode(&*answer?).map_err(|_| GrpcError::Malformed)
}

/// Why a gRPC call brought no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrpcError {
    /// It was not sent, or its answer was not read. A cluster that Envoy does not know and one without a healthy host are both
    /// [`CallError::Dispatch`] with `internal failure`.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What the service answered, or what Envoy made of its silence.
    #[error("{0}")]
    Status(GrpcStatus),
    /// The answer is not the message that was expected.
    #[error("the answer is no such message")]
    Malformed,
}

/// A gRPC call that is under way. Awaited in what is given to [`Flow::wait`](crate::Flow::wait).
#[derive(Debug)]
#[must_use = "what nobody awaits is cancelled"]
pub struct PendingUnary(State);

#[derive(Debug)]
enum State {
    Sent(Sent),
    Failed(Option<CallError>),
}

type Answer = Rc<RefCell<Option<Result<Vec<u8>, GrpcError>>>>;

#[derive(Debug)]
struct Sent {
    token: u32,
    answer: Answer,
}

impl Future for PendingUnary {
    /// The answer's message.
    type Output = Result<Vec<u8>, GrpcError>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let result = match &mut self.0 {
            State::Sent(sent) => sent.answer.take(),
            State::Failed(error) => error.take().map(|error| Err(error.into())),
        };
        result.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if take(self.token).is_some() {
            // The host may know better: then it has ended.
            let _ = hostcalls::grpc_cancel(self.token);
        }
    }
}

#[derive(Debug)]
struct UnderWay {
    stream: StreamId,
    most: usize,
    answer: Answer,
}

/// What takes in how calls end.
pub(crate) struct Receiver {
    /// Token and size of a message.
    pub(crate) message: fn(u32, usize) -> Option<StreamId>,
    /// Token and status.
    pub(crate) closed: fn(u32, u32) -> Option<StreamId>,
    pub(super) outstanding: fn(StreamId) -> bool,
}

static RECEIVES: Receiver = Receiver { message, closed, outstanding };

crate::vm_local! {
    /// By token. An entry lives as long as somebody may await it.
    static UNDER_WAY: RefCell<Table<UnderWay>> = const { RefCell::new(Table::new()) };
}

crate::vm_local! {
    /// Set by the first call: a module that makes none has no code for how they end, and does not export the callbacks.
    static RECEIVER: Cell<Option<&'static Receiver>> = const { Cell::new(None) };
}

/// `None` where no call was made.
pub(crate) fn receiver() -> Option<&'static Receiver> {
    RECEIVER.get()
}

fn take(token: u32) -> Option<UnderWay> {
    UNDER_WAY.with_borrow_mut(|calls| calls.remove(token))
}

fn outstanding(stream: StreamId) -> bool {
    UNDER_WAY.with_borrow(|calls| calls.iter().any(|(_, call)| call.stream == stream))
}

/// Keeps the message, which can be read in this callback only. `None` when nobody awaits it any more.
fn message(token: u32, size: usize) -> Option<StreamId> {
    let call = take(token)?;
    let result = match size > call.most {
        true => Err(CallError::TooLarge(size)),
        false => hostcalls::buffer(Buffer::GrpcMessage, 0, size).map_err(CallError::Unreadable),
    };
    call.over(result.map(Option::unwrap_or_default).map_err(GrpcError::Call))
}

/// Also told of calls that [were refused](GrpcError::Call) when they were sent, under a number that nobody got.
fn closed(token: u32, status: u32) -> Option<StreamId> {
    let call = take(token)?;
    let text = hostcalls::status_text().unwrap_or_default();
    call.over(Err(GrpcError::Status(GrpcStatus::told(status, text))))
}

impl UnderWay {
    fn over(self, result: Result<Vec<u8>, GrpcError>) -> Option<StreamId> {
        self.answer.replace(Some(result));
        current(self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    #[test]
    fn the_service_is_what_protobuf_makes_of_it() {
        assert_eq!(service("auth", None), b"\x0a\x06\x0a\x04auth");
        assert_eq!(service("greeter", Some("auth1")), b"\x0a\x10\x0a\x07greeter\x12\x05auth1");
        let long = "c".repeat(300);
        let expected = [&b"\x0a\xaf\x02\x0a\xac\x02"[..], long.as_bytes()].concat();
        assert_eq!(service(&long, None), expected);
    }

    /// The texts are those of the host's behaviours, seen in Envoy.
    #[test]
    fn a_status_is_what_the_service_said_or_what_envoy_says() {
        let told = |status, text: &str| GrpcStatus::told(status, text.into());
        let status = |code, message: &str| GrpcStatus { code, message: message.into() };
        assert_eq!(told(7, "no%20way{via_upstream}"), status(GrpcCode::PermissionDenied, "no way"));
        assert_eq!(told(5, "via_upstream"), status(GrpcCode::NotFound, ""));
        assert_eq!(told(u32::MAX, "via_upstream"), status(GrpcCode::Unknown, ""));
        assert_eq!(told(13, ""), status(GrpcCode::Internal, ""));
        for late in ["upstream request timeout{response_timeout}", "response_timeout"] {
            assert_eq!(told(14, late), status(GrpcCode::DeadlineExceeded, late));
        }
        let reset = "upstream_reset_after_response_started{remote_reset}";
        assert_eq!(told(13, reset), status(GrpcCode::Internal, reset));
        // What a service says is never taken for what Envoy does.
        let forged = told(14, "x{response_timeout}{via_upstream}");
        assert_eq!(forged, status(GrpcCode::Unavailable, "x{response_timeout}"));
    }

    #[test]
    fn what_is_not_percent_encoded_stays() {
        for (text, decoded) in
            [("a%20b", "a b"), ("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("100%25", "100%"), ("%%41", "%A")]
        {
            assert_eq!(percent_decoded(text.as_bytes()), decoded.as_bytes(), "{text}");
        }
    }

    #[test]
    fn an_answer_is_a_message_of_prost_or_malformed() {
        #[derive(Clone, PartialEq, prost::Message)]
        struct Greeting {
            #[prost(string, tag = "1")]
            text: String,
        }
        let greeting = Greeting { text: "hi".into() };
        assert_eq!(decoded::<Greeting>(Ok(prost::Message::encode_to_vec(&greeting))), Ok(greeting.clone()));
        assert_eq!(decoded::<Greeting>(Ok(vec![0xff])), Err(GrpcError::Malformed));
        let asked = pin!(
            Cluster::new("auth")
                .grpc("a", "B")
                .ask::<Greeting, _>(&greeting, &Stream::new(StreamId(1), 1, "t"))
        );
        let polled = asked.poll(&mut Context::from_waker(std::task::Waker::noop()));
        assert_eq!(polled, Poll::Ready(Err(GrpcError::Call(CallError::NotNow))));
    }

    #[test]
    fn what_cannot_be_sent_is_an_error_value() {
        let _running = waiting::Running::own_callback(StreamId(1));
        let cluster = Cluster::new("auth");
        let stream = |id| Stream::new(StreamId(id), 1, "test");
        let poll = |mut pending: PendingUnary| {
            Pin::new(&mut pending).poll(&mut Context::from_waker(std::task::Waker::noop()))
        };
        let refused = |error| Poll::Ready(Err(GrpcError::Call(error)));
        let never = cluster.grpc("a", "B").timeout(Duration::ZERO).send(&stream(1));
        assert_eq!(poll(never), refused(CallError::NoTimeout));
        assert_eq!(poll(cluster.grpc("a", "B").send(&stream(2))), refused(CallError::NotNow));
        let without_host = poll(cluster.grpc("a", "B").send(&stream(1)));
        assert!(matches!(without_host, Poll::Ready(Err(GrpcError::Call(CallError::Dispatch(_))))));
    }
}
