//! Envoy's tap files: one a stream as Envoy writes them, merged into one a tap as they are committed.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use anyhow::{Context as _, bail, ensure};
use bookshop::Service;

use super::tap_proto::{Headers, HttpBufferedTrace, HttpStreamedTraceSegment, Piece, Trace, TraceWrapper};

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
    Ok(Stream { trace_id, segments, buffered, streamed_bytes, buffered_bytes })
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
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
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
    let streamed: Vec<u8> = streams.iter().flat_map(|stream| stream.streamed_bytes.iter().copied()).collect();
    let buffered: Vec<u8> = streams.iter().flat_map(|stream| stream.buffered_bytes.iter().copied()).collect();
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

/// The first value of a header of the request, as the first filter saw it.
pub(super) fn request_header<'a>(stream: &'a Stream, name: &str) -> Option<&'a str> {
    first_value(stream, name, |piece| match piece {
        Piece::RequestHeaders(headers) => Some(headers),
        _ => None,
    })
}

/// The first value of a header of the response, as the first filter saw it.
pub(super) fn response_header<'a>(stream: &'a Stream, name: &str) -> Option<&'a str> {
    first_value(stream, name, |piece| match piece {
        Piece::ResponseHeaders(headers) => Some(headers),
        _ => None,
    })
}

fn first_value<'a>(
    stream: &'a Stream,
    name: &str,
    wanted: fn(&Piece) -> Option<&Headers>,
) -> Option<&'a str> {
    let headers = stream.segments.iter().find_map(|segment| wanted(segment.piece.as_ref()?))?;
    headers.headers.iter().find(|header| header.key == name).map(|header| header.value.as_str())
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::super::{
        recordings,
        tap_proto::{HeaderValue, Message, Timestamp},
    };
    use super::*;

    fn request_id(headers: &[HeaderValue]) -> Option<&str> {
        headers.iter().find(|header| header.key == "x-request-id").map(|header| header.value.as_str())
    }

    /// Two files as Envoy writes them for one stream that started `seconds` after the epoch.
    fn tapped(folder: &Path, trace_id: u64, seconds: i64) {
        let piece = Some(Piece::RequestHeaders(Headers::default()));
        let segment = Trace::HttpStreamedTraceSegment(HttpStreamedTraceSegment { trace_id, piece });
        let time = Some(Timestamp { seconds, nanos: 0 });
        let request = Some(Message { headers: Vec::new(), headers_received_time: time });
        let whole = Trace::HttpBufferedTrace(HttpBufferedTrace { request, response: None });
        for (kind, trace) in [(Kind::Streamed, segment), (Kind::Buffered, whole)] {
            let bytes = TraceWrapper::of(trace).encode_length_delimited_to_vec();
            fs::write(folder.join(format!("stock.inbound.{kind}_{trace_id}.{EXTENSION}")), bytes).unwrap();
        }
    }

    #[test]
    fn streams_are_merged_in_the_order_they_started() {
        let folder = tempfile::tempdir().unwrap();
        for (trace_id, seconds) in [(7, 30), (8, 10), (9, 20)] {
            tapped(folder.path(), trace_id, seconds);
        }
        let streams = read(folder.path(), Service::Stock, Direction::Inbound, 3).unwrap();
        assert_eq!(streams.iter().map(|stream| stream.trace_id).collect::<Vec<_>>(), [8, 9, 7]);
        let written = write(folder.path(), Service::Stock, Direction::Inbound, &streams).unwrap();
        let merged = fs::read(folder.path().join(format!("stock.inbound.streamed.{EXTENSION}"))).unwrap();
        assert_eq!(merged.len(), written.streamed_bytes);
        assert_eq!(TraceWrapper::decode_all(&merged).unwrap().len(), 3);
    }

    #[test]
    fn a_stream_that_one_tap_missed_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        tapped(folder.path(), 7, 10);
        let read = |expected| read(folder.path(), Service::Stock, Direction::Inbound, expected);
        assert!(
            read(2).unwrap_err().to_string().contains("expected 2 streams, found 1 streamed and 1 buffered")
        );
        let file = |id: u64| folder.path().join(format!("stock.inbound.buffered_{id}.{EXTENSION}"));
        fs::rename(file(7), file(8)).unwrap();
        assert!(read(1).unwrap_err().to_string().contains("stream 7 has no buffered trace"));
    }

    #[test]
    fn the_committed_files_join_by_position_and_name_nothing_of_the_machine() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_str().unwrap();
        let mut streams = 0;
        for service in Service::LEAVES_FIRST {
            for direction in Direction::BOTH {
                let file =
                    |kind| recordings().join(format!("bookshop/{service}.{direction}.{kind}.{EXTENSION}"));
                let (Ok(streamed), Ok(buffered)) =
                    (fs::read(file(Kind::Streamed)), fs::read(file(Kind::Buffered)))
                else {
                    assert!(
                        service.calls().is_empty() && direction == Direction::Outbound,
                        "{service}.{direction}"
                    );
                    continue;
                };
                for bytes in [&streamed, &buffered] {
                    assert!(bytes.len() < 1_500_000);
                    let text = String::from_utf8_lossy(bytes);
                    assert!(!text.contains(root) && !text.contains("/tmp"), "{service}.{direction}");
                }
                let mut requests: Vec<(u64, Option<String>)> = Vec::new();
                for trace in TraceWrapper::decode_all(&streamed).unwrap() {
                    let Trace::HttpStreamedTraceSegment(segment) = trace else { panic!("{trace:?}") };
                    if requests.last().is_none_or(|(id, _)| *id != segment.trace_id) {
                        assert!(
                            requests.iter().all(|(id, _)| *id != segment.trace_id),
                            "a stream in two places"
                        );
                        requests.push((segment.trace_id, None));
                    }
                    if let Some(Piece::RequestHeaders(headers)) = segment.piece {
                        requests.last_mut().unwrap().1 = request_id(&headers.headers).map(str::to_owned);
                    }
                }
                let whole = TraceWrapper::decode_all(&buffered).unwrap();
                assert_eq!(requests.len(), whole.len());
                for ((_, streamed), trace) in requests.iter().zip(whole) {
                    let Trace::HttpBufferedTrace(trace) = trace else { panic!("{trace:?}") };
                    let request = trace.request.unwrap_or_default();
                    assert_eq!(streamed.as_deref(), request_id(&request.headers), "{service}.{direction}");
                }
                streams += requests.len();
            }
        }
        assert!(streams >= 300, "{streams}");
    }
}
