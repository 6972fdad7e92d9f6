//! What a tap of a socket recorded → [`RecordedConnection`]s. Segments of one connection find one another by its trace id.
//!
//! Seen on Envoy 1.40: an event without bytes is not recorded, so that an end of one side alone rarely is, and a close does not
//! tell who closed. A connection begins with its first event: its own time is nowhere.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{
    super::{
        TrafficError,
        draft::{Spot, since_epoch, socket_address},
        limits::{Budget, ENTRY_OVERHEAD},
        notes::Notes,
        proto::Body,
        sources::Named,
    },
    messages::{SocketBufferedTrace, SocketConnection, SocketEvent, SocketStreamedTraceSegment},
};
use crate::message::{Connection, Note, NoteKind, Origin, Peer, RecordedConnection, TcpEvent, TcpStep};

/// Whose socket was recorded: who sent what the proxy read from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    proxy: Arc<str>,
    reads_from: Peer,
}

/// All connections while they are put together.
#[derive(Debug, Default)]
pub(in crate::traffic) struct Sockets(BTreeMap<Group, OfSocket>);

#[derive(Debug, Default)]
struct OfSocket {
    drafts: Vec<Draft>,
    /// The draft that a trace id means at this point of the files.
    current: HashMap<u64, usize>,
}

/// One end's bytes.
#[derive(Debug, Default)]
struct Sent {
    recorded: u64,
    kept: u64,
    /// The recorder says that it cut them.
    cut: bool,
    /// Recorded as a string with blanks, which stand for what is not UTF-8 too.
    blanks: bool,
    ended: bool,
}

#[derive(Debug)]
struct Draft {
    spot: Spot,
    trace_id: u64,
    connection: SocketConnection,
    /// With times since the epoch.
    steps: Vec<(Option<Duration>, Peer, TcpEvent)>,
    read: Sent,
    written: Sent,
    /// When the socket was closed.
    closed: Option<Option<Duration>>,
    notes: Vec<Note>,
}

impl Sockets {
    pub(in crate::traffic) fn buffered(
        &mut self,
        trace: SocketBufferedTrace,
        named: &Named,
        spot: &Spot,
        budget: &mut Budget,
    ) -> Result<Result<(), String>, TrafficError> {
        let of = self.of(named);
        let draft = of.begin(trace.trace_id, trace.connection.unwrap_or_default(), spot, budget)?;
        for event in trace.events {
            draft.event(named.reads_from, event, budget)?;
        }
        draft.read.cut |= trace.read_truncated;
        draft.written.cut |= trace.write_truncated;
        // A buffered trace is written when the connection closes, and does not say so.
        draft.closed.get_or_insert(draft.steps.last().and_then(|(at, ..)| *at));
        of.current.clear();
        Ok(Ok(()))
    }

    pub(in crate::traffic) fn segment(
        &mut self,
        segment: SocketStreamedTraceSegment,
        named: &Named,
        spot: &Spot,
        budget: &mut Budget,
    ) -> Result<Result<(), String>, TrafficError> {
        let id = segment.trace_id;
        let of = self.of(named);
        let events = match (segment.connection, segment.event, segment.events) {
            (Some(connection), None, None) => {
                return of.begin(id, connection, spot, budget).map(|_| Ok(()));
            }
            (None, Some(event), None) => vec![event],
            (None, None, Some(events)) => events.events,
            _ => {
                let found = format!("found none or several pieces in a socket's segment of trace {id}");
                return Ok(Err(found));
            }
        };
        let Some(draft) = of.current.get(&id).and_then(|index| of.drafts.get_mut(*index)) else {
            return Ok(Err(format!(
                "found a segment of trace {id}, the beginning of whose connection is not in the recording"
            )));
        };
        for event in events {
            draft.event(named.reads_from, event, budget)?;
        }
        Ok(Ok(()))
    }

    fn of(&mut self, named: &Named) -> &mut OfSocket {
        let group = Group { proxy: Arc::clone(&named.group.proxy), reads_from: named.reads_from };
        self.0.entry(group).or_default()
    }

    /// Where both sockets of a proxy were recorded, the client's is what is replayed: the other has the same connections.
    pub(in crate::traffic) fn into_connections(self, notes: &mut Notes) -> Vec<RecordedConnection> {
        let clients: Vec<Arc<str>> = self
            .0
            .iter()
            .filter(|(group, _)| group.reads_from == Peer::Client)
            .map(|(group, _)| Arc::clone(&group.proxy))
            .collect();
        let mut connections = Vec::new();
        for (group, of) in self.0 {
            if group.reads_from == Peer::Server && clients.contains(&group.proxy) {
                if let Some(first) = of.drafts.first() {
                    let text = format!(
                        "{} connections of {}'s upstream: its clients' sockets are recorded too, and replayed instead",
                        of.drafts.len(),
                        group.proxy
                    );
                    notes.add(NoteKind::FileIgnored, first.spot.shown(), text);
                }
                continue;
            }
            connections.extend(of.drafts.into_iter().map(|draft| draft.finished(&group)));
        }
        connections
    }
}

impl OfSocket {
    /// A new connection. Where the trace id had one already, that one is over: Envoy's ids can repeat.
    fn begin(
        &mut self,
        trace_id: u64,
        connection: SocketConnection,
        spot: &Spot,
        budget: &mut Budget,
    ) -> Result<&mut Draft, TrafficError> {
        budget.take_exchange(&spot.file, spot.at)?;
        let mut draft = Draft {
            spot: spot.clone(),
            trace_id,
            connection,
            steps: Vec::new(),
            read: Sent::default(),
            written: Sent::default(),
            closed: None,
            notes: Vec::new(),
        };
        let before = self.current.insert(trace_id, self.drafts.len());
        if before.and_then(|index| self.drafts.get(index)).is_some_and(|before| before.closed.is_none()) {
            let text = format!("trace id {trace_id} was there before: taken for another connection");
            draft.note(NoteKind::TraceIdReused, text);
        }
        Ok(self.drafts.push_mut(draft))
    }
}

impl Draft {
    fn event(
        &mut self,
        reads_from: Peer,
        event: SocketEvent,
        budget: &mut Budget,
    ) -> Result<(), TrafficError> {
        let at = since_epoch(event.timestamp);
        if let Some(connection) = event.connection {
            self.connection = connection;
        }
        let writes_for = other(reads_from);
        if let Some(data) = event.read.and_then(|read| read.data) {
            self.data(at, reads_from, data, true, budget)?;
        }
        if let Some(write) = event.write {
            if let Some(data) = write.data {
                self.data(at, writes_for, data, false, budget)?;
            }
            if write.end_stream && !std::mem::replace(&mut self.written.ended, true) {
                self.steps.push((at, writes_for, TcpEvent::End));
            }
        }
        if event.closed.is_some() {
            self.closed = Some(at);
        }
        Ok(())
    }

    /// Keeps as much as the limit leaves room for; what lies behind a cut is not kept either.
    fn data(
        &mut self,
        at: Option<Duration>,
        from: Peer,
        body: Body,
        is_read: bool,
        budget: &mut Budget,
    ) -> Result<(), TrafficError> {
        let sent = if is_read { &mut self.read } else { &mut self.written };
        sent.cut |= body.truncated;
        sent.blanks |= body.as_string.as_ref().is_some_and(|text| text.contains(&b' '));
        let mut data = body.as_bytes.or(body.as_string).unwrap_or_default();
        let whole = sent.kept == sent.recorded;
        sent.recorded = sent.recorded.saturating_add(data.len() as u64);
        let room = usize::try_from(budget.body_bytes().0.saturating_sub(sent.kept)).unwrap_or(usize::MAX);
        if !whole || data.is_empty() || room == 0 {
            return Ok(());
        }
        if data.len() > room {
            data = bytes::Bytes::copy_from_slice(data.get(..room).unwrap_or_default());
        }
        budget.take(data.len() as u64 + ENTRY_OVERHEAD, &self.spot.file, self.spot.at)?;
        sent.kept = sent.kept.saturating_add(data.len() as u64);
        self.steps.push((at, from, TcpEvent::Data(data)));
        Ok(())
    }

    fn note(&mut self, kind: NoteKind, text: impl Into<Cow<'static, str>>) {
        self.notes.push(Note { kind, place: self.spot.shown().into(), text: text.into() });
    }

    fn finished(mut self, group: &Group) -> RecordedConnection {
        self.end(group.reads_from);
        for (sent, what) in
            [(std::mem::take(&mut self.read), "read from"), (std::mem::take(&mut self.written), "written to")]
        {
            self.note_losses(&sent, what);
        }
        let began = self.steps.iter().find_map(|(at, ..)| *at);
        let mut last = Duration::ZERO;
        let steps = self.steps.into_iter().map(|(at, from, event)| {
            let at = at.zip(began).map_or(last, |(at, began)| at.saturating_sub(began));
            last = last.max(at);
            TcpStep { at: last, from, event }
        });
        let (local, remote) =
            (socket_address(self.connection.local_address), socket_address(self.connection.remote_address));
        RecordedConnection {
            proxy: Arc::clone(&group.proxy),
            number: 0,
            origin: Origin {
                file: self.spot.file.clone(),
                offset: self.spot.at.offset(),
                trace_id: self.trace_id,
            },
            listener: None,
            began,
            connection: match group.reads_from {
                Peer::Client => Connection { local, remote, ..Connection::default() },
                Peer::Server => {
                    Connection { upstream_local: local, upstream_remote: remote, ..Connection::default() }
                }
            },
            refused: false,
            steps: steps.collect(),
            notes: self.notes,
        }
    }

    /// Both ends are over when the socket is closed.
    fn end(&mut self, reads_from: Peer) {
        let Some(at) = self.closed else {
            return self.note(NoteKind::EndUnknown, "the recording ends before the connection does");
        };
        // The end that was recorded came first, else the client's is taken for it.
        let written_by = other(reads_from);
        let mut order = [Peer::Client, Peer::Server];
        if self.written.ended {
            order = [written_by, reads_from];
        } else {
            let text = "the recording does not tell which end closed the connection: taken for the client";
            self.note(NoteKind::EndUnknown, text);
        }
        for peer in order.into_iter().filter(|peer| !(self.written.ended && *peer == written_by)) {
            self.steps.push((at, peer, TcpEvent::End));
        }
    }

    fn note_losses(&mut self, sent: &Sent, what: &str) {
        if sent.cut {
            let option =
                if what.starts_with("read") { "max_buffered_rx_bytes" } else { "max_buffered_tx_bytes" };
            let text = format!(
                "the recorder cut what was {what} the socket and kept {} bytes of it; raise `{option}` of the tap",
                sent.recorded
            );
            self.note(NoteKind::BodyTruncatedByRecorder, text);
        }
        if sent.kept < sent.recorded {
            let text = format!("kept {} of {} bytes that were {what} the socket", sent.kept, sent.recorded);
            self.note(NoteKind::BodyTruncatedByLimit, text);
        }
        if sent.blanks {
            let text = format!(
                "what was {what} the socket is recorded as a string, where a blank stands for every byte that is not UTF-8; record with JSON_BODY_AS_BYTES"
            );
            self.note(NoteKind::BytesReplaced, text);
        }
    }
}

fn other(peer: Peer) -> Peer {
    match peer {
        Peer::Client => Peer::Server,
        Peer::Server => Peer::Client,
    }
}
