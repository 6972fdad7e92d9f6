//! Envoy's tap files: one a stream as Envoy writes them, merged into one a tap as they are committed.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use anyhow::{Context as _, bail, ensure};
use bookshop::Service;

use super::tap_proto::{HttpBufferedTrace, HttpStreamedTraceSegment, Piece, Trace, TraceWrapper};

/// Which listener of a sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Inbound,
    Outbound,
}

impl Direction {
    pub(super) const BOTH: [Direction; 2] = [Direction::Inbound, Direction::Outbound];

    pub(super) fn name(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which of the two taps of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Streamed,
    Buffered,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Streamed => "streamed",
            Kind::Buffered => "buffered",
        })
    }
}

/// What Envoy calls a file of length-delimited `TraceWrapper` messages.
const EXTENSION: &str = "pb_length_delimited";

/// One stream as both taps of a listener saw it.
#[derive(Debug)]
pub(super) struct Stream {
    /// Envoy's number, the same for both taps. The buffered trace holds it in its file's name only.
    pub(super) trace_id: u64,
    pub(super) segments: Vec<HttpStreamedTraceSegment>,
    pub(super) buffered: HttpBufferedTrace,
    streamed_bytes: Vec<u8>,
    buffered_bytes: Vec<u8>,
}

impl Stream {
    /// When its first headers came, in nanoseconds since the epoch. A request that Envoy refuses before the first
    /// filter has a response only.
    fn start(&self) -> Option<(i64, i32)> {
        let time = |message: &Option<super::tap_proto::Message>| message.as_ref()?.headers_received_time;
        let time = time(&self.buffered.request).or_else(|| time(&self.buffered.response))?;
        Some((time.seconds, time.nanos))
    }
}

/// All streams of one listener, in the order they started.
///
/// # Errors
/// When a file is no series of whole messages, or the two taps did not see the same `expected` streams.
pub(super) fn read(
    folder: &Path,
    service: Service,
    direction: Direction,
    expected: usize,
) -> anyhow::Result<Vec<Stream>> {
    let streamed = files(folder, service, direction, Kind::Streamed)?;
    let mut buffered = files(folder, service, direction, Kind::Buffered)?;
    let place = format!("{service}.{direction}");
    ensure!(
        streamed.len() == expected && buffered.len() == expected,
        "{place}: expected {expected} streams, found {} streamed and {} buffered",
        streamed.len(),
        buffered.len()
    );
    let mut streams = Vec::new();
    for (trace_id, streamed_bytes) in streamed {
        let buffered_bytes = buffered
            .remove(&trace_id)
            .with_context(|| format!("{place}: stream {trace_id} has no buffered trace"))?;
        let stream = stream(trace_id, streamed_bytes, buffered_bytes)
            .with_context(|| format!("{place}: stream {trace_id}"))?;
        ensure!(stream.start().is_some(), "{place}: stream {trace_id} has no time");
        streams.push(stream);
    }
    streams.sort_by_key(|stream| (stream.start(), stream.trace_id));
    Ok(streams)
}

fn stream(trace_id: u64, streamed_bytes: Vec<u8>, buffered_bytes: Vec<u8>) -> anyhow::Result<Stream> {
    let mut segments = Vec::new();
    for trace in TraceWrapper::decode_all(&streamed_bytes)? {
        match trace {
            Trace::HttpStreamedTraceSegment(segment) if segment.trace_id == trace_id => {
                segments.push(segment)
            }
            other => bail!("expected a segment of it, found {other:?}"),
        }
    }
    let buffered = match TraceWrapper::decode_all(&buffered_bytes)?.pop() {
        Some(Trace::HttpBufferedTrace(trace)) => trace,
        other => bail!("expected a buffered trace, found {other:?}"),
    };
    Ok(Stream {
        trace_id,
        segments,
        buffered,
        streamed_bytes,
        buffered_bytes,
    })
}

/// The content of every `<service>.<direction>.<kind>_<trace id>.<extension>`.
fn files(
    folder: &Path,
    service: Service,
    direction: Direction,
    kind: Kind,
) -> anyhow::Result<BTreeMap<u64, Vec<u8>>> {
    let prefix = format!("{service}.{direction}.{kind}_");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some(rest) = name.strip_prefix(&prefix) else {
            continue;
        };
        let trace_id = rest
            .strip_suffix(EXTENSION)
            .and_then(|id| id.strip_suffix('.')?.parse().ok())
            .with_context(|| format!("{name}: expected {prefix}<number>.{EXTENSION}"))?;
        found.insert(trace_id, fs::read(&path)?);
    }
    Ok(found)
}

/// What was written of one listener.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) service: Service,
    pub(super) direction: Direction,
    pub(super) streams: usize,
    pub(super) streamed_bytes: usize,
    pub(super) buffered_bytes: usize,
}

/// Writes `streams` into one file a tap. The n-th trace of the one file is the n-th of the other.
pub(super) fn write(
    folder: &Path,
    service: Service,
    direction: Direction,
    streams: &[Stream],
) -> anyhow::Result<Written> {
    let streamed: Vec<u8> = streams
        .iter()
        .flat_map(|stream| stream.streamed_bytes.iter().copied())
        .collect();
    let buffered: Vec<u8> = streams
        .iter()
        .flat_map(|stream| stream.buffered_bytes.iter().copied())
        .collect();
    for (kind, bytes) in [(Kind::Streamed, &streamed), (Kind::Buffered, &buffered)] {
        let path = folder.join(format!("{service}.{direction}.{kind}.{EXTENSION}"));
        // A service that calls nobody has no outbound streams, and an empty file would only be in the way.
        if bytes.is_empty() && path.exists() {
            fs::remove_file(path)?;
        } else if !bytes.is_empty() {
            fs::write(path, bytes)?;
        }
    }
    Ok(Written {
        service,
        direction,
        streams: streams.len(),
        streamed_bytes: streamed.len(),
        buffered_bytes: buffered.len(),
    })
}

/// The first value of a header in the response headers of a stream, as the first filter saw it.
pub(super) fn response_header<'a>(stream: &'a Stream, name: &str) -> Option<&'a str> {
    stream.segments.iter().find_map(|segment| match &segment.piece {
        Some(Piece::ResponseHeaders(headers)) => headers
            .headers
            .iter()
            .find(|header| header.key == name)
            .map(|header| header.value.as_str()),
        _ => None,
    })
}
