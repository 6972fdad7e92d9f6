//! One request of the mix as data: what is sent, how, and what has to come back.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use prost::Message as _;

/// A request, or several of the same at once.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Sent along as `x-bookshop-case`.
    pub(super) name: &'static str,
    pub(super) over: Over,
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) headers: Vec<(&'static str, &'static [u8])>,
    pub(super) body: Body,
    pub(super) trailers: Vec<(&'static str, &'static str)>,
    pub(super) until: Until,
    pub(super) status: StatusCode,
    pub(super) grpc_status: Option<u32>,
    pub(super) at_once: usize,
}

/// What carries a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The client's kept-alive HTTP/1.1 connection.
    Http1,
    /// The client's HTTP/2 connection, without TLS.
    Http2,
    /// Bytes written as they are, each part in a packet of its own, on a connection that the server closes.
    Socket { parts: Vec<Bytes>, statuses: Vec<u16> },
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    None,
    /// Sent with `content-length`.
    Whole(Bytes),
    /// Sent in parts, without a length.
    Chunks(Vec<Bytes>),
}

/// When the client is done with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// It is complete.
    End,
    /// It breaks off: an error that has to come.
    BreaksOff,
    /// The first bytes of its body are here; the client closes the connection.
    FirstBytes,
    /// Nothing has come for so long; the client closes the connection.
    GivenUp(Duration),
}

impl Case {
    pub(super) fn new(name: &'static str, method: Method, path: &'static str) -> Self {
        Case {
            name,
            over: Over::Http1,
            method,
            path,
            headers: Vec::new(),
            body: Body::None,
            trailers: Vec::new(),
            until: Until::End,
            status: StatusCode::OK,
            grpc_status: None,
            at_once: 1,
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value.as_bytes()));
        self
    }

    pub(super) fn raw_header(mut self, name: &'static str, value: &'static [u8]) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn fault(self, fault: &'static str) -> Self {
        self.header(bookshop::FAULT_HEADER, fault)
    }

    pub(super) fn h2(mut self) -> Self {
        self.over = Over::Http2;
        self
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::Whole(body.into());
        self
    }

    pub(super) fn chunks(mut self, chunks: impl IntoIterator<Item = Bytes>) -> Self {
        self.body = Body::Chunks(chunks.into_iter().collect());
        self
    }

    pub(super) fn trailer(mut self, name: &'static str, value: &'static str) -> Self {
        self.trailers.push((name, value));
        self
    }

    pub(super) fn status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
        self
    }

    pub(super) fn grpc_status(mut self, status: u32) -> Self {
        self.grpc_status = Some(status);
        self
    }

    pub(super) fn until(mut self, until: Until) -> Self {
        self.until = until;
        self
    }

    pub(super) fn at_once(mut self, count: usize) -> Self {
        self.at_once = count;
        self
    }
}

pub(super) fn get(name: &'static str, path: &'static str) -> Case {
    Case::new(name, Method::GET, path)
}

pub(super) fn post(name: &'static str, path: &'static str) -> Case {
    Case::new(name, Method::POST, path)
}

/// `parts` as they are; `statuses` are those of the answers that have to come, one behind the other.
pub(super) fn socket<const N: usize, const M: usize>(
    name: &'static str,
    parts: [&'static [u8]; N],
    statuses: [u16; M],
) -> Case {
    let parts = parts.into_iter().map(Bytes::from_static).collect();
    Case { over: Over::Socket { parts, statuses: statuses.into() }, ..get(name, "/") }
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Copies {
    #[prost(string, tag = "1")]
    isbn: String,
    #[prost(uint32, tag = "2")]
    count: u32,
}

/// A gRPC call of the stock service that ends with `status`.
pub(super) fn grpc(name: &'static str, method: &'static str, isbn: &str, count: u32, status: u32) -> Case {
    let message = Copies { isbn: isbn.to_owned(), count }.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend(message);
    post(name, method)
        .h2()
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "grpc-bookshop/1")
        .chunks([frame.into()])
        .grpc_status(status)
}
