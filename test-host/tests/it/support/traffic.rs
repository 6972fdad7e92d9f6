//! Exchanges as a recording would hold them.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use wayside::message::{
    Connection, Direction, Exchange, ExchangeId, HeaderMap, Message, Origin, Protocol, Security, Timing,
};

/// Wall time of the first exchange: 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

#[derive(Clone)]
pub(crate) struct Traffic {
    request: Message,
    response: Option<Message>,
    at: Option<Duration>,
    latency: Duration,
    connection: Option<Connection>,
}

/// A request without a body; the upstream answers 200 at once.
pub(crate) fn get(path: &str) -> Traffic {
    Traffic::new("GET", path)
}

pub(crate) fn post<const N: usize>(path: &str, body: [&str; N]) -> Traffic {
    let mut traffic = Traffic::new("POST", path);
    traffic.request.body = chunks(body);
    traffic
}

fn chunks<const N: usize>(body: [&str; N]) -> Vec<Bytes> {
    body.into_iter().map(|chunk| Bytes::copy_from_slice(chunk.as_bytes())).collect()
}

impl Traffic {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        let request = [(":authority", "shop"), (":path", path), (":method", method), (":scheme", "http")];
        let mut traffic = Traffic {
            request: Message { headers: HeaderMap::from_iter(request.map(owned)), ..Message::default() },
            response: None,
            at: None,
            latency: Duration::ZERO,
            connection: None,
        };
        traffic = traffic.answered(200);
        traffic
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<Bytes>) -> Self {
        self.request.headers.push(name, value);
        self
    }

    pub(crate) fn chunks(mut self, chunks: &[Vec<u8>]) -> Self {
        self.request.body = chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk)).collect();
        self
    }

    pub(crate) fn trailer(mut self, name: &'static str, value: &'static str) -> Self {
        self.request.trailers.get_or_insert_default().push(name, value);
        self
    }

    pub(crate) fn answered(mut self, status: u16) -> Self {
        let headers = [(":status".to_owned(), status.to_string())].into_iter().collect();
        self.response = Some(Message { headers, ..Message::default() });
        self
    }

    pub(crate) fn answered_by(mut self, change: impl FnOnce(&mut Message)) -> Self {
        change(self.response.as_mut().expect("it is answered"));
        self
    }

    pub(crate) fn answer_header(self, name: &'static str, value: &'static str) -> Self {
        self.answered_by(|response| response.headers.push(name, value))
    }

    pub(crate) fn answer_body<const N: usize>(self, body: [&str; N]) -> Self {
        self.answered_by(|response| response.body = chunks(body))
    }

    pub(crate) fn answer_trailer(self, name: &'static str, value: &'static str) -> Self {
        self.answered_by(|response| response.trailers.get_or_insert_default().push(name, value))
    }

    /// No response was recorded.
    pub(crate) fn unanswered(mut self) -> Self {
        self.response = None;
        self
    }

    /// Begins this long after the first one, in milliseconds.
    pub(crate) fn at(mut self, millis: u64) -> Self {
        self.at = Some(Duration::from_millis(millis));
        self
    }

    /// Comes on the connection from this port.
    pub(crate) fn on_port(self, port: u16) -> Self {
        let remote = Some(([10, 0, 0, 2], port).into());
        self.over(Connection { remote, ..known() })
    }

    /// Over a connection of which this is known.
    pub(crate) fn over(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }

    /// The upstream takes this long, in milliseconds.
    pub(crate) fn after(mut self, millis: u64) -> Self {
        self.latency = Duration::from_millis(millis);
        self
    }

    pub(super) fn exchange(&self, number: u32) -> Exchange {
        let begins = EPOCH + self.at.unwrap_or(Duration::from_secs(u64::from(number) - 1));
        Exchange {
            id: ExchangeId { proxy: Arc::from("shop"), direction: Direction::Inbound, number },
            origin: Origin { file: Path::new("written by hand").into(), offset: 0, trace_id: number.into() },
            request: self.request.clone(),
            response: self.response.clone(),
            timing: Timing {
                request_headers: Some(begins),
                response_headers: Some(begins + self.latency),
                ..Timing::default()
            },
            connection: self.connection.clone().unwrap_or_else(known),
            answers: Vec::new(),
            notes: Vec::new(),
        }
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn known() -> Connection {
    Connection {
        local: Some(([10, 0, 0, 1], 80).into()),
        remote: Some(([10, 0, 0, 2], 4711).into()),
        protocol: Some(Protocol::Http11),
        security: Security::Plain,
        upstream_security: Security::Plain,
        ..Connection::default()
    }
}
