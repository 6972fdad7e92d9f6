//! Properties: what is written is read back as it was, and no damage to a file goes further than the damage.

use std::fs;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::json;

use super::{Limits, load, proto};
use crate::message::{Exchange, Header, HeaderMap, Message, NoteKind, Recording};

fn header() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let name = prop_oneof![
        "[a-z][a-z0-9-]{0,8}".prop_map(String::into_bytes),
        prop::collection::vec(0x80u8.., 1..4)
    ];
    (name, prop::collection::vec(any::<u8>(), 0..12))
}

fn block(least: usize) -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    prop::collection::vec(header(), least..6)
}

#[derive(Clone, Debug)]
struct Sent {
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    chunks: Vec<Vec<u8>>,
    trailers: Option<Vec<(Vec<u8>, Vec<u8>)>>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let chunks = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9), 0..4);
    (block(1), chunks, prop::option::of(block(0))).prop_map(|(headers, chunks, trailers)| Sent {
        headers,
        chunks,
        trailers,
    })
}

fn exchanges() -> impl Strategy<Value = Vec<(Sent, Option<Sent>)>> {
    prop::collection::vec((sent(), prop::option::of(sent())), 1..4)
}

fn values(block: &[(Vec<u8>, Vec<u8>)]) -> Vec<proto::HeaderValue> {
    let value = |(name, value): &(Vec<u8>, Vec<u8>)| proto::HeaderValue {
        key: name.clone().into(),
        raw_value: value.clone().into(),
        ..Default::default()
    };
    block.iter().map(value).collect()
}

fn map(block: &[(Vec<u8>, Vec<u8>)]) -> Option<proto::HeaderMap> {
    Some(proto::HeaderMap { headers: values(block) })
}

fn body(bytes: &[u8]) -> Option<proto::Body> {
    Some(proto::Body { as_bytes: Some(Bytes::copy_from_slice(bytes)), ..Default::default() })
}

/// The segments of exchange `trace_id`, as Envoy would write them.
fn segments(
    trace_id: u64,
    (request, response): &(Sent, Option<Sent>),
) -> Vec<proto::HttpStreamedTraceSegment> {
    let new = || proto::HttpStreamedTraceSegment { trace_id, ..Default::default() };
    let mut all = vec![proto::HttpStreamedTraceSegment { request_headers: map(&request.headers), ..new() }];
    all.extend(
        request
            .chunks
            .iter()
            .map(|c| proto::HttpStreamedTraceSegment { request_body_chunk: body(c), ..new() }),
    );
    all.extend(
        request
            .trailers
            .iter()
            .map(|t| proto::HttpStreamedTraceSegment { request_trailers: map(t), ..new() }),
    );
    if let Some(response) = response {
        all.push(proto::HttpStreamedTraceSegment { response_headers: map(&response.headers), ..new() });
        let chunks = response.chunks.iter();
        all.extend(chunks.map(|c| proto::HttpStreamedTraceSegment { response_body_chunk: body(c), ..new() }));
        let trailers = response.trailers.iter();
        all.extend(trailers.map(|t| proto::HttpStreamedTraceSegment { response_trailers: map(t), ..new() }));
    }
    all
}

/// The segments of all exchanges, taking turns.
fn interleaved(exchanges: &[(Sent, Option<Sent>)]) -> Vec<proto::HttpStreamedTraceSegment> {
    let mut queues: Vec<_> = (1u64..).zip(exchanges).map(|(id, e)| segments(id, e).into_iter()).collect();
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(queues.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}

fn delimited(segments: Vec<proto::HttpStreamedTraceSegment>) -> Vec<Vec<u8>> {
    let wrapped =
        |segment| proto::TraceWrapper { http_streamed_trace_segment: Some(segment), ..Default::default() };
    segments.into_iter().map(|segment| wrapped(segment).encode_length_delimited_to_vec()).collect()
}

/// Names as protobuf's own JSON writers may spell them; keys must be text there.
fn json_text(segment: &proto::HttpStreamedTraceSegment) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let map = |map: &Option<proto::HeaderMap>| {
        map.as_ref().map(|map| {
            let headers = map.headers.iter().map(
                |h| json!({"key": str::from_utf8(&h.key).unwrap(), "rawValue": BASE64_STANDARD.encode(&h.raw_value)}),
            );
            json!({"headers": headers.collect::<Vec<_>>()})
        })
    };
    let body = |body: &Option<proto::Body>| {
        body.as_ref().map(|body| json!({"asBytes": BASE64_STANDARD.encode(body.as_bytes.as_ref().unwrap())}))
    };
    let segment = json!({
        "traceId": segment.trace_id.to_string(),
        "requestHeaders": map(&segment.request_headers),
        "requestBodyChunk": body(&segment.request_body_chunk),
        "requestTrailers": map(&segment.request_trailers),
        "responseHeaders": map(&segment.response_headers),
        "responseBodyChunk": body(&segment.response_body_chunk),
        "responseTrailers": map(&segment.response_trailers),
    });
    serde_json::to_string_pretty(&json!({"httpStreamedTraceSegment": segment})).unwrap()
}

fn read(extension: &str, bytes: &[u8]) -> Option<Recording> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("a.inbound.streamed.{extension}"));
    fs::write(&path, bytes).unwrap();
    load(&[path], &Limits::default()).ok()
}

fn message(sent: &Sent) -> Message {
    Message {
        headers: HeaderMap::from_iter(sent.headers.clone()),
        body: sent.chunks.iter().cloned().map(Bytes::from).collect(),
        trailers: sent.trailers.clone().map(HeaderMap::from_iter),
    }
}

fn assert_as_sent(read: &[Exchange], sent: &[(Sent, Option<Sent>)]) {
    assert_eq!(read.len(), sent.len());
    for (read, (request, response)) in read.iter().zip(sent) {
        assert_eq!(read.request, message(request));
        assert_eq!(read.response, response.as_ref().map(message));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back_byte_for_byte(exchanges in exchanges()) {
        let bytes = delimited(interleaved(&exchanges)).concat();
        let recording = read("pb_length_delimited", &bytes).unwrap();
        prop_assert_eq!(&recording.notes, &[]);
        assert_as_sent(&recording.exchanges, &exchanges);
    }

    #[test]
    fn json_is_read_back_byte_for_byte(mut exchanges in exchanges()) {
        for block in exchanges.iter_mut().flat_map(|(request, response)| {
            [Some(request), response.as_mut()].into_iter().flatten().flat_map(|s| [Some(&mut s.headers), s.trailers.as_mut()])
        }).flatten() {
            block.iter_mut().for_each(|(name, _)| *name = name.escape_ascii().to_string().into_bytes());
        }
        let text: Vec<_> = interleaved(&exchanges).iter().map(json_text).collect();
        let recording = read("json", text.concat().as_bytes()).unwrap();
        prop_assert_eq!(&recording.notes, &[]);
        assert_as_sent(&recording.exchanges, &exchanges);
    }

    #[test]
    fn whatever_a_file_holds_it_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), form in 0..4usize) {
        let extension = ["json", "pb", "pb_length_delimited", ""][form];
        let _ = read(extension, &bytes);
    }

    #[test]
    fn flipped_bytes_never_panic(exchanges in exchanges(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let segments = interleaved(&exchanges);
        let json: Vec<_> = segments.iter().filter(|s| s.encoded_len() > 0).map(lossy_json).collect();
        for (extension, mut bytes) in [("pb_length_delimited", delimited(segments).concat()), ("json", json.concat().into_bytes())] {
            for (at, byte) in &flips {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let _ = read(extension, &bytes);
        }
    }
}

fn lossy_json(segment: &proto::HttpStreamedTraceSegment) -> String {
    let mut segment = segment.clone();
    let maps = [
        &mut segment.request_headers,
        &mut segment.request_trailers,
        &mut segment.response_headers,
        &mut segment.response_trailers,
    ];
    for header in maps.into_iter().flatten().flat_map(|map| &mut map.headers) {
        header.key = String::from_utf8_lossy(&header.key).into_owned().into();
    }
    json_text(&segment)
}

/// Every length of a file, of both encodings: no panic, and every exchange whose records are whole is there.
#[test]
fn a_file_cut_anywhere_keeps_every_whole_record_before_the_cut() {
    let header = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let one = |path: &str| {
        let request =
            Sent { headers: vec![header(":path", path)], chunks: vec![b"{}\"\\".to_vec()], trailers: None };
        (request.clone(), Some(Sent { headers: vec![header(":status", "200")], ..request }))
    };
    let exchanges = [one("/a"), one("/b{\"")];
    let segments: Vec<_> = (1u64..).zip(&exchanges).flat_map(|(id, e)| segments(id, e)).collect();
    let json: Vec<_> = segments.iter().map(|segment| json_text(segment).into_bytes()).collect();
    for (extension, records) in [("pb_length_delimited", delimited(segments)), ("json", json)] {
        let whole = records.concat();
        let mut ends = vec![0];
        for record in &records {
            ends.push(ends.last().unwrap() + record.len());
        }
        for cut in 0..whole.len() {
            let complete = ends.iter().rposition(|end| *end <= cut).unwrap();
            let Some(recording) = read(extension, &whole[..cut]) else {
                assert_eq!(complete, 0, "{extension} cut at {cut}");
                continue;
            };
            let parts: usize = recording.exchanges.iter().map(parts).sum();
            assert_eq!(parts, complete, "{extension} cut at {cut}");
            let torn = recording.notes.iter().filter(|n| n.kind == NoteKind::TornRecord).count();
            assert_eq!(
                torn,
                usize::from(!ends.contains(&cut)),
                "{extension} cut at {cut}: {:?}",
                recording.notes
            );
        }
    }
}

/// How many segments an exchange came from.
fn parts(exchange: &Exchange) -> usize {
    let of = |message: &Message| 1 + message.body.len() + usize::from(message.trailers.is_some());
    of(&exchange.request) + exchange.response.as_ref().map_or(0, of)
}

#[test]
fn a_block_of_headers_without_end_is_refused() {
    let headers = vec![proto::HeaderValue { key: "a".into(), ..Default::default() }; 100_000];
    let request_headers = Some(proto::HeaderMap { headers });
    let segment = proto::HttpStreamedTraceSegment { trace_id: 1, request_headers, ..Default::default() };
    assert!(read("json", json_text(&segment).as_bytes()).is_none());
    assert!(read("pb_length_delimited", &delimited(vec![segment]).concat()).is_none());
}

#[test]
fn raw_bytes_win_over_text() {
    let value = |raw: &'static [u8]| proto::HeaderValue {
        key: "X".into(),
        value: "!!".into(),
        raw_value: raw.into(),
    };
    let request_headers = Some(proto::HeaderMap { headers: vec![value(b"\xff\xfe"), value(b"")] });
    let segment = proto::HttpStreamedTraceSegment { trace_id: 1, request_headers, ..Default::default() };
    let recording = read("pb_length_delimited", &delimited(vec![segment]).concat()).unwrap();
    let shown: Vec<&Header> = recording.exchanges[0].request.headers.iter().collect();
    assert_eq!(format!("{shown:?}"), r"[x: \xff\xfe, x: !!]");
    let replaced = recording.exchanges[0].notes.iter().filter(|n| n.kind == NoteKind::BytesReplaced);
    assert_eq!(replaced.count(), 1);
}
