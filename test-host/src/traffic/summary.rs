//! A recording in numbers, for `wayside inspect`.

use std::{collections::BTreeMap, time::Duration};

use super::{ByteSize, FileRead, Format};
use crate::message::{Direction, Message, NoteKind, Peer, Recording};

/// What a recording holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    pub exchanges: u64,
    /// By proxy, then direction.
    pub groups: Vec<GroupSummary>,
    /// TCP connections, by proxy.
    pub connections: Vec<ConnectionsSummary>,
    /// How many files there are of each format.
    pub formats: BTreeMap<Format, u64>,
    /// How many notes there are of each kind, those on files and those on exchanges together.
    pub notes: BTreeMap<NoteKind, u64>,
    /// When the first and the last request arrived, since the Unix epoch; `None` where no exchange has a time.
    pub span: Option<(Duration, Duration)>,
}

/// What one proxy recorded in one direction.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GroupSummary {
    pub proxy: String,
    pub direction: Direction,
    pub exchanges: u64,
    pub without_response: u64,
    pub with_times: u64,
    pub requests: Bodies,
    pub responses: Bodies,
}

/// TCP connections of one proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ConnectionsSummary {
    pub proxy: String,
    pub connections: u64,
    /// What the two ends sent, as far as it was kept.
    pub client: ByteSize,
    pub server: ByteSize,
}

impl ConnectionsSummary {
    fn of(recording: &Recording) -> Vec<Self> {
        let mut summaries: BTreeMap<&str, Self> = BTreeMap::new();
        for connection in &recording.connections {
            let summary = summaries.entry(&connection.proxy).or_default();
            summary.proxy = connection.proxy.to_string();
            summary.connections += 1;
            summary.client.0 = summary.client.0.saturating_add(connection.bytes_of(Peer::Client));
            summary.server.0 = summary.server.0.saturating_add(connection.bytes_of(Peer::Server));
        }
        summaries.into_values().collect()
    }
}

/// Sizes of the bodies, as far as they were kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Bodies {
    pub total: ByteSize,
    pub largest: ByteSize,
}

impl Bodies {
    fn add(&mut self, message: &Message) {
        let length = message.body_len() as u64;
        self.total = ByteSize(self.total.0.saturating_add(length));
        self.largest = self.largest.max(ByteSize(length));
    }
}

impl Summary {
    pub fn of(recording: &Recording, files: &[FileRead]) -> Self {
        let mut summary = Self::default();
        for format in files.iter().filter_map(|file| file.format) {
            *summary.formats.entry(format).or_default() += 1;
        }
        let on_exchanges = recording.exchanges.iter().flat_map(|exchange| &exchange.notes);
        let on_connections = recording.connections.iter().flat_map(|connection| &connection.notes);
        for note in recording.notes.iter().chain(on_exchanges).chain(on_connections) {
            *summary.notes.entry(note.kind).or_default() += 1;
        }
        let mut groups: BTreeMap<_, GroupSummary> = BTreeMap::new();
        for exchange in &recording.exchanges {
            summary.exchanges += 1;
            let id = &exchange.id;
            let group = groups.entry((&id.proxy, id.direction)).or_insert_with(|| GroupSummary {
                proxy: id.proxy.to_string(),
                direction: id.direction,
                exchanges: 0,
                without_response: 0,
                with_times: 0,
                requests: Bodies::default(),
                responses: Bodies::default(),
            });
            group.exchanges += 1;
            group.requests.add(&exchange.request);
            match &exchange.response {
                Some(response) => group.responses.add(response),
                None => group.without_response += 1,
            }
            if let Some(time) = exchange.timing.request_headers {
                group.with_times += 1;
                let (first, last) = summary.span.unwrap_or((time, time));
                summary.span = Some((first.min(time), last.max(time)));
            }
        }
        summary.groups = groups.into_values().collect();
        summary.connections = ConnectionsSummary::of(recording);
        summary
    }
}
