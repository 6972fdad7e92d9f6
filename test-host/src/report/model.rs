//! The report's shape, which is also its JSON schema: `wayside.replay/2`.
//!
//! A change that a reader of version 2 could trip over makes it version 3; fields may be added.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    clock::Seed,
    message::NoteKind,
    proxy::{End, TcpEnd},
    replay::{Isolation, Place},
    spans::{SpanId, SpanKind, TraceId},
    trace::{FindingKind, Thread, Usage},
};

/// Name and version of the JSON form.
pub const SCHEMA: &str = "wayside.replay/2";

/// Bytes that are mostly text. In JSON a string, or, where they are not UTF-8, `{"base64": "…"}`; for people, with
/// escapes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(Bytes);

impl From<&Bytes> for Text {
    fn from(bytes: &Bytes) -> Self {
        Text(bytes.clone())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for letter in chunk.valid().chars() {
                if letter.is_control() {
                    write!(f, "{}", letter.escape_default())?
                } else {
                    write!(f, "{letter}")?
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(&self.0) {
            return serializer.serialize_str(text);
        }
        use base64::Engine as _;
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("base64", &base64::engine::general_purpose::STANDARD.encode(&self.0))?;
        map.end()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub seed: Seed,
    /// Whether what filters did to each exchange was kept. Where not, `filters[]` of an exchange lists cost, findings and
    /// faults only.
    pub traced: bool,
    /// What exchanges had in common.
    pub isolation: Isolation,
    pub totals: Totals,
    pub proxies: Vec<ProxyReport>,
    pub exchanges: Vec<ExchangeReport>,
    /// TCP connections.
    pub connections: Vec<ConnectionReport>,
    /// Exchanges and connections of proxies for which there is no configuration.
    pub skipped: Vec<String>,
    /// What the recording's files had wrong or lacked.
    pub notes: Vec<NoteReport>,
    /// What of the configuration was seen but not emulated.
    pub unsupported: Vec<Unsupported>,
    /// What filters exported; absent where no collector stood by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces: Option<TracesReport>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    pub proxies: usize,
    pub exchanges: usize,
    pub skipped: usize,
    /// Exchanges that differ from the recording in anything.
    pub changed: usize,
    /// Exchanges whose client would have noticed.
    pub visible_differences: usize,
    pub hung: usize,
    pub connections: ConnectionTotals,
    /// On exchanges, connections, and outside of both.
    pub faults: usize,
    /// In and outside streams, by kind.
    pub findings: BTreeMap<FindingKind, usize>,
    /// Notes on exchanges; those on files stand apart.
    pub notes: usize,
    /// Replayed statuses, and how many exchanges had them.
    pub statuses: BTreeMap<String, usize>,
    pub filters: BTreeMap<String, FilterTotals>,
}

/// TCP connections, as [`Totals`] counts exchanges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConnectionTotals {
    pub connections: usize,
    /// Other bytes than recorded arrived at either end.
    pub changed: usize,
    /// The client got other bytes.
    pub visible_differences: usize,
    /// The recording has an end of them, and the replay has none.
    pub hung: usize,
}

/// One filter over all proxies, exchanges and connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FilterTotals {
    pub exchanges: usize,
    /// Of a network filter.
    pub connections: usize,
    pub changed: usize,
    pub answered: usize,
    pub paused: usize,
    pub callouts: usize,
    pub log_lines: usize,
    /// Metrics touched, once for each exchange and metric.
    pub counted: usize,
    pub findings: usize,
    pub faults: usize,
    pub cost: Cost,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProxyReport {
    pub name: String,
    pub configuration: String,
    /// How many worker threads it had.
    pub workers: u32,
    pub exchanges: usize,
    pub connections: usize,
    pub filters: Vec<FilterReport>,
    /// At the end, by name.
    pub metrics: Vec<MetricReport>,
    /// Envoy's own counters of plugins, by name.
    pub stats: BTreeMap<String, u64>,
    /// What happened outside streams.
    pub events: Vec<Effect>,
    /// Imports that were called and are only linked, and how often.
    pub unimplemented: BTreeMap<String, u64>,
    /// Drawn from the seeded source. 0: the seed made no difference here.
    pub random_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilterReport {
    pub name: String,
    pub listener: String,
    pub file: String,
    pub sha256: String,
    pub bytes: usize,
    /// Start, configuration, ticks, callouts' answers, over all workers.
    pub outside_streams: Cost,
    /// The same on the main thread and in canaries, where no traffic comes.
    pub outside_workers: Cost,
}

/// What was counted, not timed: the same on every machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Instructions, as the engine's fuel counts them. `None`: they were not counted.
    pub fuel: Option<u64>,
    pub hostcalls: BTreeMap<String, u64>,
    pub bytes_to_guest: u64,
    pub bytes_from_guest: u64,
}

impl From<&Usage> for Cost {
    fn from(usage: &Usage) -> Self {
        Cost {
            fuel: usage.fuel,
            hostcalls: usage.hostcalls.iter().map(|(name, calls)| (name.to_owned(), calls)).collect(),
            bytes_to_guest: usage.bytes_to_guest,
            bytes_from_guest: usage.bytes_from_guest,
        }
    }
}

impl Cost {
    pub(super) fn add(&mut self, other: &Cost) {
        self.fuel = self.fuel.into_iter().chain(other.fuel).reduce(u64::saturating_add);
        self.bytes_to_guest += other.bytes_to_guest;
        self.bytes_from_guest += other.bytes_from_guest;
        for (name, calls) in &other.hostcalls {
            *self.hostcalls.entry(name.clone()).or_default() += calls;
        }
    }

    pub fn calls(&self) -> u64 {
        self.hostcalls.values().sum()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricReport {
    pub name: Text,
    #[serde(flatten)]
    pub value: MetricValue,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum MetricValue {
    Counter { value: u64 },
    Gauge { value: u64 },
    Histogram { count: u64, sum: u128 },
}

impl MetricValue {
    /// Nothing was counted, or it is back at nothing.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            MetricValue::Counter { value } | MetricValue::Gauge { value } => *value == 0,
            MetricValue::Histogram { count, .. } => *count == 0,
        }
    }
}

/// Something that happened at a virtual time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// Microseconds since the replay began.
    pub at_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    pub said: String,
    /// It is a failure: the module broke.
    pub fault: bool,
    /// It is a finding, of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<FindingKind>,
    /// The threads on which it happened; empty where it happened to an exchange.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<Thread>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExchangeReport {
    /// `<proxy>/<direction>/<number>`.
    pub id: String,
    pub origin: String,
    /// The worker that it was on.
    pub worker: Thread,
    pub method: Text,
    pub authority: Text,
    pub path: Text,
    pub started_us: u64,
    pub ended_us: u64,
    pub end: End,
    pub recorded_status: Option<Text>,
    pub replayed_status: Option<Text>,
    /// `response.code_details`.
    pub details: Option<Text>,
    pub route: Option<String>,
    pub cluster: Option<String>,
    /// What each filter did, in the order of the chain.
    pub filters: Vec<FilterStep>,
    /// What the proxy itself did.
    pub proxy: Vec<Effect>,
    /// Against the recording.
    pub differences: Vec<FieldDifference>,
    /// The client would have noticed.
    pub visible: bool,
    pub notes: Vec<NoteReport>,
    /// Trace entries that did not fit.
    pub omitted: u64,
}

/// A TCP connection, after its replay.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConnectionReport {
    /// `<proxy>/tcp/<number>`.
    pub id: String,
    pub origin: String,
    /// The worker that it was on.
    pub worker: Thread,
    pub listener: String,
    /// Its address, where the recording has it.
    pub client: Option<String>,
    pub started_us: u64,
    pub ended_us: u64,
    /// There was a connection to the upstream.
    pub connected: bool,
    pub end: TcpEnd,
    /// The recording has an end of it, and the replay has none.
    pub hung: bool,
    /// As recorded.
    pub from_client: Sent,
    pub from_server: Sent,
    /// As replayed.
    pub to_upstream: Sent,
    pub to_client: Sent,
    /// What each filter did, in the order of the chain.
    pub filters: Vec<FilterStep>,
    /// What the proxy itself did.
    pub proxy: Vec<Effect>,
    /// Against the recording: `to_upstream`, `to_client`.
    pub differences: Vec<FieldDifference>,
    /// The client got other bytes.
    pub visible: bool,
    pub notes: Vec<NoteReport>,
    /// Trace entries that did not fit.
    pub omitted: u64,
}

/// What went one way of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sent {
    pub bytes: u64,
    pub pieces: usize,
    /// And then its end.
    pub ended: bool,
}

/// What one filter did to one exchange or connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FilterStep {
    pub name: String,
    pub changed: Vec<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answer>,
    /// Callbacks after which the stream stopped here.
    pub paused: usize,
    pub resumed: usize,
    pub callouts: Vec<Callout>,
    pub logged: Vec<LogLine>,
    pub counted: Vec<Count>,
    /// Properties set, by path.
    pub properties: Vec<Text>,
    pub random_bytes: u64,
    pub findings: Vec<Finding>,
    pub faults: Vec<String>,
    pub cost: Cost,
}

/// What the filter's author should know.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub kind: FindingKind,
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.text)
    }
}

/// An edit of a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub place: &'static str,
    pub kind: ChangeKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Text>,
    /// Of a body edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Added,
    Replaced,
    Removed,
    Rewritten,
    Prepended,
    Appended,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    pub status: u32,
    pub details: Text,
    pub body_bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Callout {
    pub token: u32,
    pub cluster: Text,
    pub method: Text,
    pub path: Text,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogLine {
    pub level: crate::abi::LogLevel,
    pub text: Text,
}

/// A metric that was counted, set or recorded in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Count {
    pub metric: Text,
    #[serde(rename = "type")]
    pub kind: crate::abi::MetricType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldDifference {
    pub what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    pub recorded: Vec<Text>,
    pub replayed: Vec<Text>,
}

impl FieldDifference {
    /// As [`crate::replay::Difference::is_visible_to_client`].
    pub(super) fn is_visible(&self) -> bool {
        self.place.is_none_or(|place| place >= Place::ResponseHeaders)
    }

    /// What differs, for people; a field's name stands beside it.
    pub(super) fn label(&self) -> &'static str {
        match (self.what, self.place) {
            ("header", Some(Place::RequestHeaders)) => "request header",
            ("header", Some(Place::RequestTrailers)) => "request trailer",
            ("header", Some(Place::ResponseHeaders)) => "response header",
            ("header", Some(Place::ResponseTrailers)) => "response trailer",
            (_, Some(Place::RequestBody)) => "request body",
            (_, Some(Place::ResponseBody)) => "response body",
            ("not_forwarded", _) => "request",
            ("to_upstream", _) => "bytes to the upstream",
            ("to_client", _) => "bytes to the client",
            (what, _) => what,
        }
    }
}

/// What a collector received of the filters of all proxies.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TracesReport {
    /// In the order in which they began.
    pub traces: Vec<TraceReport>,
    /// Exports that were refused: by whom, and why.
    pub refused: Vec<String>,
}

/// The path of a request, as those tell it who exported spans of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceReport {
    pub trace_id: TraceId,
    /// From the begin of the first span to the end of the last.
    pub lasted_us: u64,
    /// Spans that came more than once; each is listed once.
    pub repeated: usize,
    /// Each behind its parent, with all that lies below it.
    pub hops: Vec<HopReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HopReport {
    pub span_id: SpanId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<SpanId>,
    /// How many of its forebears were exported too.
    pub depth: usize,
    /// Its parent was not: the trace came from outside, or that span was lost or not sampled.
    pub parent_missing: bool,
    pub proxy: String,
    pub service: Text,
    pub name: Text,
    pub kind: SpanKind,
    /// Since the trace began.
    pub started_us: u64,
    pub lasted_us: u64,
    pub failed: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoteReport {
    pub kind: NoteKind,
    pub place: String,
    pub text: String,
}

/// A part of the configuration that was seen but not emulated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unsupported {
    pub place: String,
    pub what: String,
    pub weight: crate::envoy_config::Weight,
}
