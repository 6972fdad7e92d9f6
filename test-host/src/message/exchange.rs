//! One recorded request and response, with where it came from and what the recording could not tell.

use std::{borrow::Cow, fmt, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Answer, Connection, HeaderMap};

/// A request or a response as it crossed the recorder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub headers: HeaderMap,
    /// The body as it arrived, chunk by chunk. A final empty chunk that only carried the end of the stream is not kept.
    pub body: Vec<Bytes>,
    /// `None` where there were none; an empty map where an empty trailers block was sent.
    pub trailers: Option<HeaderMap>,
}

impl Message {
    pub fn body_len(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }

    /// The body in one piece.
    pub fn whole_body(&self) -> Bytes {
        match &self.body[..] {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => many.concat().into(),
        }
    }
}

/// Which side of a sidecar the traffic was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Inbound,
    Outbound,
    Unspecified,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
            Direction::Unspecified => "unspecified",
        })
    }
}

/// `<proxy>/<direction>/<number>`: stable over replays of the same recording, and what a report names an exchange by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId {
    pub proxy: Arc<str>,
    pub direction: Direction,
    /// Counted from 1 within proxy and direction, in order of time where times are known, else of the file.
    pub number: u32,
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{:04}", self.proxy, self.direction, self.number)
    }
}

/// The file and the place in it that an exchange was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub file: Arc<Path>,
    /// Offset of the first byte of its first record.
    pub offset: u64,
    /// Envoy's number for the stream; 0 where the recording does not carry it (a buffered trace has it in its file's name only).
    pub trace_id: u64,
}

/// When each part was received, since the Unix epoch. `None` where the recording does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    pub request_headers: Option<Duration>,
    pub response_headers: Option<Duration>,
    /// The client began to send and never came to the end of its request. Written by hand only: a recording that breaks off
    /// does not tell whether the client had.
    pub request_stalls: bool,
    /// The upstream broke off where the response's end should be. Written by hand; a recording that lacks the end has a
    /// note instead.
    pub response_breaks_off: bool,
    /// The client goes away after so long, if it has no whole answer then. Written by hand only.
    pub client_patience: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Request,
    Response,
}

/// Something a recording lacks or had wrong, with the place where that shows. Notes are reported, never dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub kind: NoteKind,
    /// File and place (`recording.json:12:3`, `recording.pb_length_delimited@1234`).
    pub place: Arc<str>,
    /// What was found, and what it means for the replay.
    pub text: Cow<'static, str>,
}

/// The closed list of what a note can be about; the machine-readable half of a [`Note`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// The recorder cut a body.
    BodyTruncatedByRecorder,
    /// This program cut a body to keep within its memory limit.
    BodyTruncatedByLimit,
    /// Only a buffered trace exists: headers may show what later filters and the router changed.
    HeadersAfterLaterFilters,
    /// Chunk borders are unknown: the body is one piece.
    NoChunkBorders,
    /// No times: the exchange is placed by its order alone.
    NoTimes,
    /// The recording ends before the request was complete.
    RequestIncomplete,
    /// No response, or not all of it, was recorded.
    ResponseIncomplete,
    /// A record could not be used at all and was left out.
    RecordSkipped,
    /// A stream that was answered before the recorder saw a request: nothing to replay, and nothing lost.
    RefusedBeforeFilters,
    /// The file ends inside a record.
    TornRecord,
    /// A field this program does not know; kept out of the replay.
    UnknownField,
    /// A whole file could not be used.
    FileSkipped,
    /// A file in a folder that is, by its name, no recording; it was not read.
    FileIgnored,
    /// Two streams of one proxy and direction have the same trace id.
    TraceIdReused,
    /// A streamed and a buffered trace were taken for the same exchange by what is in them, and it was not the only
    /// way to pair them.
    PairedByOrder,
    /// Bytes may not be those that were sent: the recorder puts something else for what is not UTF-8.
    BytesReplaced,
    /// How, or by whom, a connection was ended is not in the recording.
    EndUnknown,
}

/// An exchange as it will be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub id: ExchangeId,
    pub origin: Origin,
    pub request: Message,
    /// `None` where the stream ended without one, or none was recorded (a note tells which).
    pub response: Option<Message>,
    /// What the upstream answers to each attempt, the last to all that follow; written by hand only. Without any, `response` is
    /// what came of all attempts together, and none is made again.
    pub answers: Vec<Answer>,
    pub timing: Timing,
    pub connection: Connection,
    pub notes: Vec<Note>,
}

impl Exchange {
    /// The response has no end: the upstream broke off, or the recording did, which cannot be told apart.
    pub fn breaks_off(&self) -> bool {
        let incomplete = |note: &Note| note.kind == NoteKind::ResponseIncomplete;
        self.timing.response_breaks_off || self.notes.iter().any(incomplete)
    }
}

/// What was read from one or more files: the good part, and notes on the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// In the order of [`ExchangeId`] within each proxy and direction.
    pub exchanges: Vec<Exchange>,
    /// TCP connections.
    pub connections: Vec<super::RecordedConnection>,
    /// What concerns a file rather than one exchange.
    pub notes: Vec<Note>,
}
