//! An exchange while it is being put together from records.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use prost_types::Timestamp;

use super::{
    TrafficError,
    limits::{Budget, ENTRY_OVERHEAD},
    proto,
    record::Place,
};
use crate::message::{Connection, HeaderMap, Note, Timing};

/// The file that records come from and the place of the one in hand.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) file: Arc<Path>,
    pub(super) at: Place,
}

impl Spot {
    pub(super) fn shown(&self) -> String {
        self.at.in_file(&self.file)
    }

    fn take(&self, budget: &mut Budget, bytes: u64) -> Result<(), TrafficError> {
        budget.take(bytes, &self.file, self.at)
    }
}

/// One side of an exchange.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) headers: HeaderMap,
    pub(super) chunks: Vec<Bytes>,
    pub(super) trailers: Option<HeaderMap>,
    /// Length of the body in the recording, of which `kept` bytes are in `chunks`.
    pub(super) recorded: u64,
    pub(super) kept: u64,
    /// The recorder says that it cut the body.
    pub(super) cut: bool,
    /// The body was recorded as a string, and has blanks, which stand for what is not UTF-8 too.
    pub(super) blanks: bool,
    /// The first header whose value has a `!`, which stands for what is not UTF-8 too.
    pub(super) bang: Option<Bytes>,
    /// The body is in one piece because the recording has it so.
    pub(super) borders_lost: bool,
}

impl Part {
    pub(super) fn set_headers(
        &mut self,
        fields: Vec<proto::HeaderValue>,
        spot: &Spot,
        budget: &mut Budget,
    ) -> Result<(), TrafficError> {
        self.headers = self.block(fields, spot, budget)?;
        Ok(())
    }

    pub(super) fn set_trailers(
        &mut self,
        fields: Vec<proto::HeaderValue>,
        spot: &Spot,
        budget: &mut Budget,
    ) -> Result<(), TrafficError> {
        self.trailers = Some(self.block(fields, spot, budget)?);
        Ok(())
    }

    fn block(
        &mut self,
        fields: Vec<proto::HeaderValue>,
        spot: &Spot,
        budget: &mut Budget,
    ) -> Result<HeaderMap, TrafficError> {
        let mut block = HeaderMap::new();
        for field in fields {
            let raw = !field.raw_value.is_empty();
            let value = if raw { field.raw_value } else { field.value };
            spot.take(budget, (field.key.len() + value.len()) as u64 + ENTRY_OVERHEAD)?;
            if self.bang.is_none() && !raw && value.contains(&b'!') && !field.key.starts_with(b":") {
                self.bang = Some(field.key.clone());
            }
            block.push(field.key, value);
        }
        Ok(block)
    }

    /// Adds a chunk, as much of it as the limit leaves room for.
    pub(super) fn push_body(
        &mut self,
        body: proto::Body,
        spot: &Spot,
        budget: &mut Budget,
    ) -> Result<(), TrafficError> {
        self.cut |= body.truncated;
        self.blanks |= body.as_string.as_ref().is_some_and(|text| text.contains(&b' '));
        let chunk = body.as_bytes.or(body.as_string).unwrap_or_default();
        self.recorded = self.recorded.saturating_add(chunk.len() as u64);
        let room = budget.body_bytes().0.saturating_sub(self.kept);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        // What lies behind a cut is not kept either, even where there would be room.
        if self.kept.saturating_add(chunk.len() as u64) < self.recorded || (room == 0 && !chunk.is_empty()) {
            return Ok(());
        }
        let chunk = match chunk.get(..room) {
            Some(head) if head.len() < chunk.len() => Bytes::copy_from_slice(head),
            _ => chunk,
        };
        spot.take(budget, chunk.len() as u64 + ENTRY_OVERHEAD)?;
        self.kept = self.kept.saturating_add(chunk.len() as u64);
        self.chunks.push(chunk);
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Draft {
    /// Of its first record.
    pub(super) spot: Spot,
    pub(super) trace_id: Option<u64>,
    pub(super) request: Part,
    pub(super) response: Option<Part>,
    pub(super) timing: Timing,
    pub(super) connection: Connection,
    pub(super) notes: Vec<Note>,
}

impl Draft {
    pub(super) fn new(spot: Spot, trace_id: Option<u64>) -> Self {
        Self {
            spot,
            trace_id,
            request: Part::default(),
            response: None,
            timing: Timing::default(),
            connection: Connection::default(),
            notes: Vec::new(),
        }
    }

    pub(super) fn buffered(
        trace: proto::HttpBufferedTrace,
        spot: Spot,
        trace_id: Option<u64>,
        budget: &mut Budget,
    ) -> Result<Self, TrafficError> {
        let mut draft = Self::new(spot, trace_id);
        if let Some(message) = trace.request {
            draft.timing.request_headers = since_epoch(message.headers_received_time);
            draft.request = whole(message, &draft.spot, budget)?;
        }
        if let Some(message) = trace.response.filter(|m| !m.headers.is_empty() || m.body.is_some()) {
            draft.timing.response_headers = since_epoch(message.headers_received_time);
            draft.response = Some(whole(message, &draft.spot, budget)?);
        }
        let downstream = trace.downstream_connection.unwrap_or_default();
        let upstream = trace.upstream_connection.unwrap_or_default();
        draft.connection = Connection {
            local: socket_address(downstream.local_address),
            remote: socket_address(downstream.remote_address),
            upstream_local: socket_address(upstream.local_address),
            upstream_remote: socket_address(upstream.remote_address),
            ..Connection::default()
        };
        Ok(draft)
    }
}

/// One side of a buffered trace. A block of trailers with nothing in it cannot be told from none.
fn whole(message: proto::BufferedMessage, spot: &Spot, budget: &mut Budget) -> Result<Part, TrafficError> {
    let mut part = Part::default();
    part.set_headers(message.headers, spot, budget)?;
    if let Some(body) = message.body {
        part.push_body(body, spot, budget)?;
    }
    if !message.trailers.is_empty() {
        part.set_trailers(message.trailers, spot, budget)?;
    }
    part.borders_lost = part.recorded > 0;
    Ok(part)
}

pub(super) fn since_epoch(time: Option<Timestamp>) -> Option<Duration> {
    let time = time?;
    let nanos = u32::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(time.seconds).ok()?, nanos))
}

pub(super) fn socket_address(address: Option<proto::Address>) -> Option<std::net::SocketAddr> {
    let address = address?.socket_address?;
    let ip = str::from_utf8(&address.address).ok()?.parse().ok()?;
    Some(std::net::SocketAddr::new(ip, u16::try_from(address.port_value).ok()?))
}
