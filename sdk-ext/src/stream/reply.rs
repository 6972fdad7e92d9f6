//! Answers a filter gives itself, as values: what is returned once cannot be sent twice.

use super::waiting;
use crate::body::hold::Hold;
use crate::headers::{HeaderBlock, Name};
use crate::hostcalls::{self, Host, HostError, LocalResponse};
use crate::metrics::Counter;
use crate::panic;
use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Status codes of gRPC (`grpc/grpc`, `doc/statuscodes.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum GrpcCode {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl GrpcCode {
    /// `None` for a number that gRPC does not know.
    #[must_use]
    pub fn of(number: u32) -> Option<GrpcCode> {
        Some(match number {
            0 => GrpcCode::Ok,
            1 => GrpcCode::Cancelled,
            2 => GrpcCode::Unknown,
            3 => GrpcCode::InvalidArgument,
            4 => GrpcCode::DeadlineExceeded,
            5 => GrpcCode::NotFound,
            6 => GrpcCode::AlreadyExists,
            7 => GrpcCode::PermissionDenied,
            8 => GrpcCode::ResourceExhausted,
            9 => GrpcCode::FailedPrecondition,
            10 => GrpcCode::Aborted,
            11 => GrpcCode::OutOfRange,
            12 => GrpcCode::Unimplemented,
            13 => GrpcCode::Internal,
            14 => GrpcCode::Unavailable,
            15 => GrpcCode::DataLoss,
            16 => GrpcCode::Unauthenticated,
            _ => return None,
        })
    }
}

/// A local reply. Sending it is one hostcall that returns nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a reply is sent by returning it"]
pub struct Reply {
    status: u16,
    details: &'static str,
    headers: Vec<(Name, Vec<u8>)>,
    body: Cow<'static, [u8]>,
    grpc: Option<GrpcCode>,
    counted: Option<Counted>,
}

/// Made by [`Reply::counted`] alone, so that modules without it have no code for it.
#[derive(Clone, Copy, Debug)]
struct Counted {
    counter: Counter,
    count: fn(Counter),
}

impl PartialEq for Counted {
    fn eq(&self, other: &Counted) -> bool {
        self.counter == other.counter
    }
}

impl Eq for Counted {}

impl Reply {
    /// `details` becomes Envoy's `%RESPONSE_CODE_DETAILS%`; write it as `filter.reason`, without spaces.
    pub fn new(status: u16, details: &'static str) -> Reply {
        Reply { status, details, headers: Vec::new(), body: Cow::Borrowed(b""), grpc: None, counted: None }
    }

    /// Adds one header.
    pub fn header(mut self, name: Name, value: impl Into<Vec<u8>>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    /// Envoy sends it to gRPC clients as `grpc-message`.
    pub fn body(mut self, body: impl Into<Cow<'static, [u8]>>) -> Reply {
        self.body = body.into();
        self
    }

    /// A problem document of RFC 9457 with the reply's own status. Not for gRPC clients: [`explain`](Reply::explain) tells each what it
    /// understands.
    pub fn json_problem(self, title: &str) -> Reply {
        let document = format!("{{\"status\":{},\"title\":\"{}\"}}", self.status, JsonText(title));
        self.header(crate::name!("content-type"), "application/problem+json").body(document.into_bytes())
    }

    /// `retry-after` in whole seconds, rounded up (RFC 9110 section 10.2.3).
    pub fn retry_after(self, wait: Duration) -> Reply {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        self.header(crate::name!("retry-after"), seconds.to_string())
    }

    /// The status gRPC clients get, as a trailers-only answer; without it Envoy maps the HTTP status.
    pub fn grpc(mut self, code: GrpcCode) -> Reply {
        self.grpc = Some(code);
        self
    }

    /// Counts it when it is sent: one hostcall more, of numbers only.
    pub fn counted(mut self, counter: Counter) -> Reply {
        self.counted = Some(Counted { counter, count: Counter::inc });
        self
    }

    pub(super) fn with_status(self, status: u16) -> Reply {
        Reply { status, ..self }
    }

    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    #[must_use]
    pub fn details(&self) -> &'static str {
        self.details
    }

    #[must_use]
    pub fn grpc_code(&self) -> Option<GrpcCode> {
        self.grpc
    }

    #[must_use]
    pub fn body_bytes(&self) -> &[u8] {
        &self.body
    }

    /// The headers in the order they were given.
    pub fn headers(&self) -> impl Iterator<Item = (Name, &[u8])> {
        self.headers.iter().map(|(name, value)| (*name, value.as_slice()))
    }

    pub(crate) fn send(&self) -> Host<()> {
        let headers =
            HeaderBlock::from_pairs(self.headers().map(|(name, value)| (name.as_str().as_bytes(), value)));
        hostcalls::send_local_response(&LocalResponse {
            status: u32::from(self.status),
            details: self.details.as_bytes(),
            body: &self.body,
            headers: headers.as_pairs(),
            grpc_status: self.grpc.map(|code| code as u32),
        })?;
        if let Some(Counted { counter, count }) = self.counted {
            count(counter);
        }
        Ok(())
    }
}

/// A text within a JSON string (RFC 8259 section 7). serde_json's way there would put its whole writer into every module.
pub(super) struct JsonText<'a>(pub(super) &'a str);

impl fmt::Display for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(f, "\\{c}"),
            '\0'..='\x1f' => write!(f, "\\u{:04x}", u32::from(c)),
            c => f.write_char(c),
        })
    }
}

/// What becomes of the message a callback was called for.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub enum Flow {
    /// On to the next filter.
    Continue,
    /// Ends the stream with this answer; Envoy sends it when the callback has returned.
    Reply(Reply),
    /// Holds the message until something has come: see [`Flow::wait`].
    Wait(Wait),
    /// Holds this part of a body, and shows it again with what comes next, or as [complete](crate::Body::is_complete) when
    /// trailers do. For bodies that are not complete: otherwise, and after a wait, nothing would come, and the stream is ended
    /// with 500 and `wayside.nothing_awaited`.
    Buffer,
    /// Holds the headers: see [`RequestHeaders::hold_for_body`](crate::RequestHeaders::hold_for_body), which alone makes it.
    Hold(Hold),
}

/// For callbacks and flows in which `?` answers the client.
pub type FlowResult = Result<Flow, Reply>;

impl Flow {
    /// Holds the message until `flow` is ready, and does what it then says. While the message is held, its headers can be read
    /// and written by what waits, which owns the phase's token.
    ///
    /// What can be awaited is what this crate sends ([`Call::send`](crate::callout::Call::send)), and a
    /// [time](crate::Stream::sleep_until). A stream that waits when neither is to come for it is ended with 500, and one whose client left is
    /// forgotten with everything it owns.
    ///
    /// Two allocations, and one hostcall when it goes on, nothing returned.
    pub fn wait<F: Into<Flow>>(flow: impl Future<Output = F> + 'static) -> Flow {
        waiting::expect();
        Flow::Wait(Wait { flow: Box::pin(async move { flow.await.into() }), plugin: "" })
    }
}

/// What a stream waits for.
pub struct Wait {
    flow: Pin<Box<dyn Future<Output = Flow>>>,
    /// Whose it is, in a module of several filters.
    plugin: &'static str,
}

impl Wait {
    pub(crate) fn poll(&mut self) -> Poll<Flow> {
        // Nothing is ever woken: whatever may have become ready, the whole is asked again.
        panic::blame(self.plugin);
        let polled = self.flow.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        panic::blame("");
        polled
    }

    pub(crate) fn of_member(self, plugin: &'static str) -> Wait {
        Wait { plugin, ..self }
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wait")
    }
}

impl From<FlowResult> for Flow {
    fn from(result: FlowResult) -> Flow {
        result.unwrap_or_else(Flow::Reply)
    }
}

/// 500 with the details `wayside.host_refused`: what the host was asked for does not exist now, or its configuration forbids it.
impl From<HostError> for Reply {
    fn from(error: HostError) -> Reply {
        crate::log!(Error, "a stream is ended: {error}");
        Reply::new(500, "wayside.host_refused")
    }
}

impl From<Reply> for Flow {
    fn from(reply: Reply) -> Flow {
        Flow::Reply(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_json_whatever_its_title() {
        for title in ["deadline exceeded", "a \"b\" \\ c\n\u{1}", "ключ"] {
            let reply = Reply::new(504, "x").json_problem(title);
            let read: serde_json::Value = serde_json::from_slice(reply.body_bytes()).unwrap();
            assert_eq!(read, serde_json::json!({ "status": 504, "title": title }));
        }
    }
}
