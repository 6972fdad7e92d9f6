//! Recordings in: what Envoy's taps wrote becomes exchanges, and what is broken becomes notes that say where.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use expect_test::expect;
use wayside::{
    message::{Exchange, HeaderMap, Message, NoteKind, Recording},
    traffic::{self, ByteSize, Limits, Summary, TrafficError},
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tap").join(name)
}

fn load(paths: &[PathBuf]) -> Recording {
    traffic::load(paths, &Limits::default()).unwrap()
}

fn load_data(names: &[&str]) -> Recording {
    load(&names.iter().map(|name| data(name)).collect::<Vec<_>>())
}

fn error(paths: &[PathBuf]) -> String {
    traffic::load(paths, &Limits::default()).unwrap_err().to_string()
}

/// A file to spoil, and the folder that goes away with it.
fn file(name: &str, bytes: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn kinds(exchange: &Exchange) -> Vec<NoteKind> {
    let mut kinds: Vec<_> = exchange.notes.iter().map(|note| note.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn path_of(exchange: &Exchange) -> String {
    exchange.request.headers.first(b":path").unwrap().escape_ascii().to_string()
}

fn block(headers: &HeaderMap) -> String {
    headers.iter().map(|header| format!("{header:?}\n")).collect()
}

const STREAMED: [&str; 2] = ["streamed-json", "streamed-delimited"];
const BUFFERED: [&str; 2] = ["buffered-json", "buffered-delimited"];

#[test]
fn duplicates_order_and_empty_values_are_as_the_client_sent_them() {
    let recording = load_data(&["streamed-delimited"]);
    let exchange = &recording.exchanges[0];
    let shown = block(&exchange.request.headers).replace(
        &exchange.request.headers.first(b"x-request-id").unwrap().escape_ascii().to_string(),
        "<id>",
    );
    expect![[r#"
        :authority: app
        :path: /plain
        :method: GET
        :scheme: http
        x-dup: 1
        x-dup: 2
        x-empty: 
        x-dup: 1
        x-forwarded-proto: http
        x-request-id: <id>
    "#]]
    .assert_eq(&shown);
    let cookies: Vec<_> = exchange.response.as_ref().unwrap().headers.all(b"set-cookie").collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
}

/// A message without what its form cannot tell: chunk borders, and what Envoy does to headers behind the first filter.
fn comparable(message: &Message) -> (HeaderMap, Vec<u8>, Option<HeaderMap>) {
    let mut headers = message.headers.clone();
    for changed in [&b"x-envoy-expected-rq-timeout-ms"[..], b"date", b"server", b"transfer-encoding"] {
        headers.remove(changed);
    }
    (headers, message.whole_body().to_vec(), message.trailers.clone())
}

#[test]
fn all_forms_of_the_same_traffic_give_the_same_exchanges() {
    let first = load_data(&["streamed-json"]);
    assert_eq!(first.exchanges.len(), 10);
    for form in STREAMED.iter().chain(&BUFFERED) {
        let recording = load_data(&[form]);
        assert_eq!(recording.notes, [], "{form}");
        assert_eq!(recording.exchanges.len(), 10, "{form}");
        for (one, other) in first.exchanges.iter().zip(&recording.exchanges) {
            assert_eq!(one.id, other.id);
            assert_eq!(comparable(&one.request), comparable(&other.request), "{form} {}", one.id);
            let responses = (one.response.as_ref().map(comparable), other.response.as_ref().map(comparable));
            assert_eq!(responses.0, responses.1, "{form} {}", one.id);
        }
    }
}

#[test]
fn both_encodings_of_a_form_are_alike_to_the_last_field() {
    for (json, delimited) in
        [STREAMED, BUFFERED].map(|[json, delimited]| (load_data(&[json]), load_data(&[delimited])))
    {
        for (one, other) in json.exchanges.into_iter().zip(delimited.exchanges) {
            assert_eq!(kinds(&one), kinds(&other));
            // Each tap reads the clock for itself.
            assert_eq!(one.timing.request_headers.is_some(), other.timing.request_headers.is_some());
            let other = Exchange {
                origin: one.origin.clone(),
                notes: one.notes.clone(),
                timing: one.timing,
                ..other
            };
            assert_eq!(one, other);
        }
    }
}

#[test]
fn every_exchange_says_what_its_recording_lacks() {
    let told = |name: &str| -> String {
        let recording = load_data(&[name]);
        recording.exchanges.iter().map(|e| format!("{} {} {:?}\n", e.id, path_of(e), kinds(e))).collect()
    };
    expect![[r#"
        front/outbound/0001 /plain [NoTimes]
        front/outbound/0002 /bytes [NoTimes, BytesReplaced]
        front/outbound/0003 /chunked [NoTimes]
        front/outbound/0004 /trailers [NoTimes]
        front/outbound/0005 /large [BodyTruncatedByRecorder, NoTimes]
        front/outbound/0006 /unicode [NoTimes]
        front/outbound/0007 /head [NoTimes]
        front/outbound/0008 /missing [NoTimes]
        front/outbound/0009 /reset [NoTimes]
        front/outbound/0010 /cut [NoTimes, ResponseIncomplete]
    "#]]
    .assert_eq(&told("streamed-json"));
    expect![[r#"
        front/outbound/0001 /plain [HeadersAfterLaterFilters, NoChunkBorders]
        front/outbound/0002 /bytes [HeadersAfterLaterFilters, NoChunkBorders, BytesReplaced]
        front/outbound/0003 /chunked [HeadersAfterLaterFilters, NoChunkBorders]
        front/outbound/0004 /trailers [HeadersAfterLaterFilters, NoChunkBorders]
        front/outbound/0005 /large [BodyTruncatedByRecorder, HeadersAfterLaterFilters, NoChunkBorders]
        front/outbound/0006 /unicode [HeadersAfterLaterFilters, NoChunkBorders]
        front/outbound/0007 /head [HeadersAfterLaterFilters]
        front/outbound/0008 /missing [HeadersAfterLaterFilters]
        front/outbound/0009 /reset [HeadersAfterLaterFilters, NoChunkBorders]
        front/outbound/0010 /cut [HeadersAfterLaterFilters, NoChunkBorders, ResponseIncomplete]
    "#]]
    .assert_eq(&told("buffered-json"));
    expect![[r#"
        front/outbound/0001 /plain [NoTimes]
        front/outbound/0002 /bytes [NoTimes, BytesReplaced]
        front/outbound/0003 /chunked [NoTimes]
        front/outbound/0004 /trailers [NoTimes]
        front/outbound/0005 /large [BodyTruncatedByRecorder, NoTimes, BytesReplaced]
        front/outbound/0006 /unicode [NoTimes]
        front/outbound/0007 /head [NoTimes]
        front/outbound/0008 /missing [NoTimes]
        front/outbound/0009 /reset [NoTimes, BytesReplaced]
        front/outbound/0010 /cut [NoTimes, ResponseIncomplete, BytesReplaced]
    "#]]
    .assert_eq(&told("streamed-json-string"));
}

#[test]
fn a_streamed_and_a_buffered_recording_are_one_with_chunk_borders_and_times() {
    for forms in [["streamed-json", "buffered-delimited"], ["buffered-json", "streamed-delimited"]] {
        let recording = load_data(&forms);
        assert_eq!(recording.exchanges.len(), 10);
        for exchange in &recording.exchanges {
            assert!(!kinds(exchange).contains(&NoteKind::HeadersAfterLaterFilters));
            assert!(!kinds(exchange).contains(&NoteKind::NoTimes));
            assert!(!exchange.request.headers.contains(b"x-envoy-expected-rq-timeout-ms"));
            let (request, response) = (exchange.timing.request_headers, exchange.timing.response_headers);
            assert!(request.unwrap() < response.unwrap());
            assert!(request.unwrap() > Duration::from_secs(1_700_000_000));
            assert!(exchange.connection.remote.unwrap().ip().is_loopback());
            assert!(exchange.connection.upstream_remote.unwrap().ip().is_loopback());
        }
        let chunked = recording.exchanges.iter().find(|e| path_of(e) == "/chunked").unwrap();
        assert_eq!(chunked.request.body, ["first", "second"]);
        assert_eq!(chunked.response.as_ref().unwrap().body, ["one", "two"]);
    }
}

#[test]
fn files_as_envoy_names_them_are_joined_by_the_trace_id_in_the_name() {
    let recording = load_data(&["per-trace"]);
    let [exchange] = &recording.exchanges[..] else { panic!("{recording:?}") };
    assert_eq!(exchange.id.to_string(), "front/outbound/0001");
    assert_eq!(exchange.origin.trace_id, trace_id_of("per-trace"));
    assert_eq!(kinds(exchange), []);
}

fn trace_id_of(folder: &str) -> u64 {
    let entry = fs::read_dir(data(folder)).unwrap().next().unwrap().unwrap();
    let stem = entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
    stem.rsplit_once('_').unwrap().1.parse().unwrap()
}

#[test]
fn one_message_a_file_is_read_and_text_protobuf_is_refused_by_name() {
    let recording = load_data(&["buffered-binary"]);
    assert_eq!(path_of(&recording.exchanges[0]), "/plain");
    let found = error(&[data("buffered-text")]);
    assert!(found.contains("front.outbound.buffered.pb_text@0: found text protobuf"), "{found}");
    assert!(found.contains("PROTO_BINARY_LENGTH_DELIMITED"), "{found}");
}

#[test]
fn trailers_that_were_sent_twice_are_there_twice() {
    let recording = load_data(&["streamed-json"]);
    let exchange = recording.exchanges.iter().find(|e| path_of(e) == "/trailers").unwrap();
    assert_eq!(block(exchange.request.trailers.as_ref().unwrap()), "x-sum: 7\n");
    let response = exchange.response.as_ref().unwrap();
    assert_eq!(block(response.trailers.as_ref().unwrap()), "x-after: 1\nx-after: 2\n");
}

#[test]
fn a_torn_last_record_leaves_the_others_and_says_where_it_begins() {
    for name in [
        "streamed-json/front.outbound.streamed.json",
        "buffered-delimited/front.outbound.buffered.pb_length_delimited",
    ] {
        let whole = fs::read(data(name)).unwrap();
        let (_folder, path) = file(name.rsplit_once('/').unwrap().1, &whole[..whole.len() - 3]);
        let recording = load(std::slice::from_ref(&path));
        let [note] = &recording.notes[..] else { panic!("{:?}", recording.notes) };
        assert_eq!(note.kind, NoteKind::TornRecord);
        if name.ends_with("json") {
            let torn = recording.exchanges.iter().filter(|e| kinds(e).contains(&NoteKind::TornRecord));
            assert_eq!(torn.map(path_of).collect::<Vec<_>>(), ["/cut"]);
        }
        let before = load(&[data(name)]);
        let last_whole = if name.ends_with("json") { 10 } else { 9 };
        assert_eq!(recording.exchanges.len(), last_whole);
        for (one, other) in recording.exchanges.iter().zip(&before.exchanges).take(9) {
            assert_eq!(one.request, other.request);
            assert_eq!(one.response, other.response);
        }
        let place = note.place.strip_prefix(path.to_str().unwrap()).unwrap();
        assert!(place.starts_with(if name.ends_with("json") { ":8" } else { "@" }), "{place}");
    }
}

#[test]
fn what_cannot_be_used_at_all_is_an_error_with_file_and_position() {
    let missing = error(&["/nowhere/at.json".into()]);
    assert!(missing.starts_with("/nowhere/at.json: cannot be read"), "{missing}");
    let (_folder, empty) = file("empty.json", "");
    assert_eq!(
        error(std::slice::from_ref(&empty)),
        format!(
            "no exchange and no connection could be read:\n  {}:1:1: found an empty file, expected Envoy tap traces (JSON or protobuf)",
            empty.display()
        )
    );
    let (_folder, har) = file("site.har", r#"{"log": {"version": "1.2", "entries": []}}"#);
    let found = error(std::slice::from_ref(&har));
    assert!(
        found.contains("site.har:1:1: left out: found a record with no trace in it but `log`"),
        "{found}"
    );
    let (_folder, yaml) = file("envoy.yaml", "static_resources: {}");
    let found = error(&[yaml]);
    assert!(found.contains("static_resources") && found.contains("connections"), "{found}");
    assert_eq!(error(&[]), "no exchange and no connection could be read: no file was given");
}

#[test]
fn a_bad_file_beside_a_good_one_is_a_note() {
    let (folder, _) = file("empty.json", "");
    fs::write(folder.path().join("README.md"), "about").unwrap();
    fs::write(folder.path().join("picture.bin"), b"\x89PNG\r\n").unwrap();
    let good = data("streamed-json/front.outbound.streamed.json");
    fs::create_dir(folder.path().join("inner")).unwrap();
    fs::copy(good, folder.path().join("inner/front.outbound.streamed.json")).unwrap();
    let recording = load(&[folder.path().to_owned()]);
    assert_eq!(recording.exchanges.len(), 10);
    let notes: String = recording
        .notes
        .iter()
        .map(|n| {
            format!("{:?} {} {}\n", n.kind, n.place.replace(folder.path().to_str().unwrap(), ""), n.text)
        })
        .collect();
    expect![[r#"
        FileIgnored /README.md not read: by its name no recording
        FileSkipped /empty.json:1:1 found an empty file, expected Envoy tap traces (JSON or protobuf)
        FileSkipped /picture.bin@0 found bytes that begin with `\x89PNG\r\n`, expected Envoy tap traces (JSON or protobuf)
    "#]].assert_eq(&notes);
}

#[test]
fn an_object_that_is_no_trace_is_left_out_with_line_and_column() {
    let good = fs::read_to_string(data("streamed-json/front.outbound.streamed.json")).unwrap();
    let bad = "{\n \"http_streamed_trace_segment\": {\n  \"trace_id\": \"x\"\n }\n}\n";
    let (_folder, path) = file("a.json", format!("{bad}{good}, {good}"));
    let recording = load(std::slice::from_ref(&path));
    let notes: String =
        recording.notes.iter().map(|n| format!("{:?} {} {}\n", n.kind, n.place, n.text)).collect();
    let notes = notes.replace(path.to_str().unwrap(), "a.json");
    expect![[r#"
        RecordSkipped a.json:3:17 left out: a record that is not a TraceWrapper: invalid value: string "x", expected a number that is not negative, or a string of one
        RecordSkipped a.json:841:1 found `,`, expected a JSON object; left out up to line 841, column 3
    "#]].assert_eq(&notes);
    // The same ids again: another ten exchanges, not one merged with the other.
    assert_eq!(recording.exchanges.len(), 20);
    assert_eq!(
        recording.exchanges.iter().filter(|e| kinds(e).contains(&NoteKind::TraceIdReused)).count(),
        10
    );
}

#[test]
fn segments_of_many_streams_may_lie_between_one_another() {
    let segment =
        |id: u64, piece: &str| format!(r#"{{"httpStreamedTraceSegment":{{"traceId":"{id}",{piece}}}}}"#);
    let headers = |side: &str, key: &str, value: &str| {
        format!(r#""{side}Headers":{{"headers":[{{"key":"{key}","value":"{value}"}}]}}"#)
    };
    let lines = [
        segment(1, &headers("request", ":path", "/one")),
        segment(u64::MAX, &headers("request", ":path", "/two")),
        segment(1, r#""requestBodyChunk":{"asBytes":"_-8"}"#),
        segment(u64::MAX, &headers("response", ":status", "202")),
        segment(1, &headers("response", ":status", "201")),
        segment(u64::MAX, r#""requestBodyChunk":{"asString":"late"}"#),
        segment(7, r#""responseBodyChunk":{"asString":"whose?"}"#),
    ];
    let (_folder, path) = file("taps.json", lines.join("\n"));
    let recording = load(&[path]);
    let shown: String = recording
        .exchanges
        .iter()
        .map(|e| {
            let status = e.response.as_ref().unwrap().headers.first(b":status").unwrap().clone();
            format!("{} {} {:?} {:?} {}\n", e.id, path_of(e), e.request.body, status, e.origin.trace_id)
        })
        .collect();
    expect![[r#"
        taps/unspecified/0001 /one [b"\xff\xef"] b"201" 1
        taps/unspecified/0002 /two [b"late"] b"202" 18446744073709551615
    "#]]
    .assert_eq(&shown);
    assert!(recording.notes[0].place.ends_with("taps.json:7:1"));
    assert!(recording.notes[0].text.contains("trace 7"));
}

#[test]
fn a_lying_length_allocates_nothing() {
    let (_folder, good) =
        file("good.json", fs::read(data("streamed-json/front.outbound.streamed.json")).unwrap());
    // 2^60 bytes, and a length of eleven bytes.
    for lie in [&b"\x80\x80\x80\x80\x80\x80\x80\x80\x10\x12\x02\x08\x01"[..], &[0xff; 12]] {
        let (_folder, path) = file("lie.pb_length_delimited", lie);
        let recording = load(&[good.clone(), path.clone()]);
        assert_eq!(recording.exchanges.len(), 10);
        assert!(
            recording.notes.iter().any(|n| *n.place == format!("{}@0", path.display())),
            "{:?}",
            recording.notes
        );
    }
}

/// One segment, length-delimited, built by hand: field 2 of the wrapper, its trace id, and one field of it.
fn segment(trace_id: u8, field: u8, inner: &[u8]) -> Vec<u8> {
    let piece = [&[0x08, trace_id, field << 3 | 2][..], &varint(inner.len()), inner].concat();
    let wrapper = [&[0x12][..], &varint(piece.len()), &piece].concat();
    [&varint(wrapper.len())[..], &wrapper].concat()
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn request_headers() -> Vec<u8> {
    let header = b"\x0a\x05:path\x12\x01/";
    [&[0x0a, header.len() as u8][..], header].concat()
}

#[test]
fn a_body_of_100_mb_is_cut_at_the_limit_and_says_so() {
    const CHUNK: usize = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.outbound.streamed.pb_length_delimited");
    let mut out = std::io::BufWriter::new(fs::File::create(&path).unwrap());
    out.write_all(&segment(1, 2, &request_headers())).unwrap();
    let body = [&[0x0a][..], &varint(CHUNK), &vec![b'x'; CHUNK]].concat();
    let chunk = segment(1, 3, &body);
    for _ in 0..100 {
        out.write_all(&chunk).unwrap();
    }
    out.write_all(&segment(2, 2, &request_headers())).unwrap();
    out.into_inner().unwrap().sync_all().unwrap();

    let recording = load(&[path]);
    let [big, other] = &recording.exchanges[..] else { panic!("{} exchanges", recording.exchanges.len()) };
    assert_eq!(big.request.body_len(), 16 << 20);
    assert_eq!(other.request.body_len(), 0);
    let cut = big.notes.iter().find(|n| n.kind == NoteKind::BodyTruncatedByLimit).unwrap();
    assert_eq!(cut.text, "kept 16777216 of 104857600 bytes of the request body (limit: 16 MiB)");
    assert!(cut.place.ends_with("big.outbound.streamed.pb_length_delimited@0"));
}

#[test]
fn a_record_of_100_mb_is_read_past() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read(data("streamed-json/front.outbound.streamed.json")).unwrap();
    let path = folder.path().join("big.json");
    let mut out = std::io::BufWriter::new(fs::File::create(&path).unwrap());
    out.write_all(br#"{"http_buffered_trace":{"request":{"body":{"as_string":""#).unwrap();
    let part = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        out.write_all(&part).unwrap();
    }
    out.write_all(b"\"}}}}\n").unwrap();
    out.write_all(&good).unwrap();
    out.into_inner().unwrap().sync_all().unwrap();

    let recording = load(std::slice::from_ref(&path));
    assert_eq!(recording.exchanges.len(), 10);
    let [note] = &recording.notes[..] else { panic!("{:?}", recording.notes) };
    assert_eq!(note.kind, NoteKind::RecordSkipped);
    assert_eq!(*note.place, *format!("{}:1:1", path.display()));
    assert_eq!(note.text, "left out: an object of 104857661 bytes, where a record may have 64 MiB");
}

#[test]
fn a_recording_beyond_the_limits_is_an_error_that_says_where() {
    let good = data("streamed-delimited/front.outbound.streamed.pb_length_delimited");
    let limits = Limits { total_bytes: ByteSize::kib(8), ..Limits::default() };
    let error = traffic::load(std::slice::from_ref(&good), &limits).unwrap_err();
    assert!(matches!(error, TrafficError::TooLarge { limit, .. } if limit == ByteSize::kib(8)));
    assert!(error.to_string().starts_with(&format!("{}@", good.display())), "{error}");
    let limits = Limits { exchanges: 3, ..Limits::default() };
    let error = traffic::load(&[good], &limits).unwrap_err();
    assert!(matches!(error, TrafficError::TooMany { limit: 3, .. }), "{error}");
}

#[test]
fn fields_that_are_not_known_are_told() {
    let (_folder, path) = file(
        "a.json",
        r#"{"http_buffered_trace":{"request":{"headers":[{"key":":path","value":"/","color":1}],"weight":{}}}}"#,
    );
    let recording = load(&[path]);
    let told: Vec<_> = recording.notes.iter().map(|n| (n.kind, &n.text[..])).collect();
    let text = |field: &str| {
        format!(
            "field `http_buffered_trace.request.{field}` is not read (1 times in this file; this is the first)"
        )
    };
    assert_eq!(
        told,
        [
            (NoteKind::UnknownField, &text("headers.[].color")[..]),
            (NoteKind::UnknownField, &text("weight")[..])
        ]
    );
}

#[test]
fn a_recording_can_be_summed_up() {
    let loaded =
        traffic::load_with_files(&[data("streamed-json"), data("buffered-delimited")], &Limits::default())
            .unwrap();
    let mut summary = Summary::of(&loaded.recording, &loaded.files);
    let (first, last) = summary.span.take().unwrap();
    assert!(first < last);
    expect![[r#"
        {
          "exchanges": 10,
          "groups": [
            {
              "proxy": "front",
              "direction": "outbound",
              "exchanges": 10,
              "without_response": 0,
              "with_times": 10,
              "requests": {
                "total": 2063,
                "largest": 2048
              },
              "responses": {
                "total": 2181,
                "largest": 2048
              }
            }
          ],
          "connections": [],
          "formats": {
            "json": 1,
            "length_delimited": 1
          },
          "notes": {
            "body_truncated_by_recorder": 2,
            "response_incomplete": 1,
            "bytes_replaced": 2
          },
          "span": null
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&summary).unwrap());
}

#[test]
fn an_exchange_says_that_a_part_of_it_was_left_out() {
    let limits = Limits { record_bytes: ByteSize::kib(2), ..Limits::default() };
    for form in STREAMED {
        let recording = traffic::load(&[data(form)], &limits).unwrap();
        let large = recording.exchanges.iter().find(|e| path_of(e) == "/large").unwrap();
        assert!(kinds(large).contains(&NoteKind::RecordSkipped), "{:?}", large.notes);
        assert_eq!(large.request.body_len(), 0);
    }
}

#[test]
fn zeros_at_the_end_of_a_file_are_one_note() {
    let mut bytes = fs::read(data("streamed-delimited/front.outbound.streamed.pb_length_delimited")).unwrap();
    let end = bytes.len();
    bytes.resize(end + 100_000, 0);
    let (_folder, path) = file("a.pb_length_delimited", bytes);
    let recording = load(std::slice::from_ref(&path));
    assert_eq!(recording.exchanges.len(), 10);
    let [note] = &recording.notes[..] else { panic!("{:?}", recording.notes) };
    assert_eq!(*note.place, *format!("{}@{end}", path.display()));
    assert_eq!(note.text, "left out: 100000 bytes of zero, expected a record");
}

#[test]
fn concurrent_exchanges_with_one_request_id_are_paired_by_all_that_they_say() {
    let streamed = |id: u64, path: &str| {
        format!(
            r#"{{"http_streamed_trace_segment":{{"trace_id":{id},"request_headers":{{"headers":[
            {{"key":":path","value":"{path}"}},{{"key":"x-request-id","value":"same"}}]}}}}}}"#
        )
    };
    let buffered = |path: &str, second: u8| {
        format!(
            r#"{{"http_buffered_trace":{{"request":{{"headers":[{{"key":":path","value":"{path}"}},
            {{"key":"x-request-id","value":"same"}}],"headers_received_time":"2026-01-01T00:00:0{second}.5Z"}}}}}}"#
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let write =
        |name: &str, records: &[String]| fs::write(folder.path().join(name), records.concat()).unwrap();
    write(
        "a.inbound.streamed.json",
        &[streamed(1, "/one"), streamed(2, "/two"), streamed(3, "/same"), streamed(4, "/same")],
    );
    write(
        "a.inbound.buffered.json",
        &[buffered("/same", 4), buffered("/two", 1), buffered("/same", 3), buffered("/one", 2)],
    );
    let recording = load(&[folder.path().to_owned()]);
    let shown: String = recording
        .exchanges
        .iter()
        .map(|e| {
            let second = e.timing.request_headers.unwrap().as_secs() % 60;
            format!("{} {} {second}s trace {} {:?}\n", e.id, path_of(e), e.origin.trace_id, kinds(e))
        })
        .collect();
    expect![[r#"
        a/inbound/0001 /two 1s trace 2 [ResponseIncomplete]
        a/inbound/0002 /one 2s trace 1 [ResponseIncomplete]
        a/inbound/0003 /same 3s trace 3 [ResponseIncomplete, PairedByOrder]
        a/inbound/0004 /same 4s trace 4 [ResponseIncomplete, PairedByOrder]
    "#]]
    .assert_eq(&shown);
}

/// Segments of one stream, by hand; `None`: the one with nothing in it.
fn segments(id: u64, pieces: &[Option<(&str, &str)>]) -> String {
    let one = |piece: &Option<(&str, &str)>| match piece {
        None => format!(r#"{{"http_streamed_trace_segment":{{"trace_id":{id}}}}}"#),
        Some((piece, header)) => {
            let (key, value) = header.split_once('=').unwrap();
            format!(
                r#"{{"http_streamed_trace_segment":{{"trace_id":{id},"{piece}":{{"headers":[{{"key":"{key}","value":"{value}"}}]}}}}}}"#
            )
        }
    };
    pieces.iter().map(one).collect::<Vec<_>>().join("\n") + "\n"
}

fn told(recording: &Recording, folder: &tempfile::TempDir) -> String {
    let one = |n: &wayside::message::Note| format!("{:?} {} {}\n", n.kind, n.place, n.text);
    let notes: String = recording.notes.iter().map(one).collect();
    notes.replace(folder.path().to_str().unwrap(), "")
}

#[test]
fn a_stream_answered_before_the_tap_saw_a_request_is_told_once_and_is_no_loss() {
    let refused = [None, Some(("response_headers", ":status=400")), Some(("response_trailers", "x=1"))];
    let served = [Some(("request_headers", ":path=/")), Some(("response_headers", ":status=200"))];
    // Neither a request nor a response: what that was, nobody can tell.
    let empty = [None];
    let streamed =
        segments(1, &refused) + &segments(2, &served) + &segments(3, &empty) + &segments(4, &refused);
    let (folder, _) = file("a.inbound.streamed.json", streamed);
    let buffered = |header: &str, side: &str| {
        let (key, value) = header.split_once('=').unwrap();
        format!(
            r#"{{"http_buffered_trace":{{"{side}":{{"headers":[{{"key":"{key}","value":"{value}"}}]}}}}}}"#
        )
    };
    let twice = [
        buffered(":status=400", "response"),
        buffered(":path=/", "request"),
        buffered(":status=400", "response"),
    ];
    fs::write(folder.path().join("a.inbound.buffered.json"), twice.join("\n")).unwrap();
    // Of another proxy, with a buffered trace only.
    fs::write(folder.path().join("b.inbound.buffered.json"), twice[..2].join("\n")).unwrap();
    let recording = load(&[folder.path().to_owned()]);
    assert_eq!(
        recording.exchanges.iter().map(|e| e.id.to_string()).collect::<Vec<_>>(),
        ["a/inbound/0001", "b/inbound/0001"]
    );
    expect![[r#"
        RefusedBeforeFilters /a.inbound.streamed.json:1:1 answered before any recorded filter saw the request, as the connection manager does with one that it refuses (HTTP/1.0, no host): not replayed
        RecordSkipped /a.inbound.streamed.json:6:1 left out: found a stream with neither request nor response, expected a segment with a part of one
        RefusedBeforeFilters /a.inbound.streamed.json:7:1 answered before any recorded filter saw the request, as the connection manager does with one that it refuses (HTTP/1.0, no host): not replayed
        RefusedBeforeFilters /b.inbound.buffered.json:1:1 answered before any recorded filter saw the request, as the connection manager does with one that it refuses (HTTP/1.0, no host): not replayed
    "#]].assert_eq(&told(&recording, &folder));
}

#[test]
fn an_empty_segment_with_an_unknown_field_is_not_taken_for_a_refusal() {
    let odd = r#"{"http_streamed_trace_segment":{"trace_id":9,"request_metadata":{}}}"#;
    let good = segments(2, &[Some(("request_headers", ":path=/"))]);
    let (folder, path) = file("a.json", format!("{odd}\n{good}"));
    let recording = load(&[path]);
    expect![[r#"
        RecordSkipped /a.json:1:1 left out: found no message piece in segment of trace 9 but `http_streamed_trace_segment.request_metadata`, expected a trace or a segment of an exchange or of a socket
    "#]].assert_eq(&told(&recording, &folder));
}

/// Four requests alike, answered alike, one second apart.
fn alike(times: [u8; 4], paths: [&str; 4]) -> Recording {
    let streamed: String = (1..)
        .zip(["/", "/", "/", "/last"])
        .map(|(id, path)| segments(id, &[Some(("request_headers", &format!(":path={path}")))]))
        .collect();
    let (folder, _) = file("a.inbound.streamed.json", streamed);
    let buffered = |(path, second): (&str, u8)| {
        format!(
            r#"{{"http_buffered_trace":{{"request":{{"headers":[{{"key":":path","value":"{path}"}}],"headers_received_time":"2026-01-01T00:00:0{second}Z"}}}}}}"#
        )
    };
    let buffered: String = paths.into_iter().zip(times).map(buffered).collect();
    fs::write(folder.path().join("a.inbound.buffered.json"), buffered).unwrap();
    load(&[folder.path().to_owned()])
}

#[test]
fn two_files_in_step_are_paired_place_by_place_without_a_guess() {
    let shown = |recording: &Recording| -> Vec<_> {
        let one = |e: &Exchange| {
            (
                e.origin.trace_id,
                e.timing.request_headers.unwrap().as_secs() % 60,
                kinds(e).contains(&NoteKind::PairedByOrder),
            )
        };
        recording.exchanges.iter().map(one).collect()
    };
    let in_order = [(1, 1, false), (2, 2, false), (3, 3, false), (4, 4, false)];
    assert_eq!(shown(&alike([1, 2, 3, 4], ["/", "/", "/", "/last"])), in_order);
    // Written as they ended, the times tell how they began.
    assert_eq!(shown(&alike([3, 1, 4, 2], ["/", "/", "/last", "/"])), in_order);
    // The last of one file is not the last of the other: alike ones are a guess again.
    let guessed = shown(&alike([1, 2, 3, 4], ["/last", "/", "/", "/"]));
    assert_eq!(guessed, [(4, 1, false), (1, 2, true), (2, 3, true), (3, 4, true)]);
}
