//! TCP connections from taps of sockets and from files written by hand, through the command into every form of report.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use expect_test::expect;
use wayside::{
    message::{RecordedConnection, TcpEvent},
    traffic::{self, Limits},
};

use super::configuration;
use crate::folder::{Folder, Run};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tap/sockets").join(name)
}

fn loaded(names: &[&str]) -> wayside::message::Recording {
    let paths: Vec<_> = names.iter().map(|name| fixture(name)).collect();
    traffic::load(&paths, &Limits::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// What was recorded, without times.
fn shown(connections: &[RecordedConnection]) -> String {
    let mut text = String::new();
    for connection in connections {
        let _ = write!(text, "{}/{}:", connection.proxy, connection.number);
        for step in &connection.steps {
            let _ = match &step.event {
                TcpEvent::Data(data) if data.len() > 20 => {
                    write!(text, " {:?} {} bytes", step.from, data.len())
                }
                TcpEvent::Data(data) => write!(text, " {:?} {}", step.from, data.escape_ascii()),
                event => write!(text, " {:?} {event:?}", step.from),
            };
        }
        let kinds: Vec<_> = connection.notes.iter().map(|note| note.kind).collect();
        let _ = writeln!(text, " {kinds:?}");
    }
    text
}

#[test]
fn the_listeners_socket_shows_what_the_client_sent_and_got() {
    let recording = loaded(&["edge.downstream.streamed.json"]);
    expect![[r#"
        edge/1: Server ready\n Client one Server \xffONE Client two\x00\xff Server \xffTWO\x00\xff Client bye Client End Server End [EndUnknown]
        edge/2: Server ready\n Client half Server \xffHALF Client End Server End [EndUnknown]
        edge/3: Server ready\n Client gone Server \xffGONE Client End Server End [EndUnknown]
        edge/4: Server ready\n Client reset Client End Server End [EndUnknown]
        edge/5: Server ready\n Client large Server 2048 bytes Client End Server End [EndUnknown, BodyTruncatedByRecorder]
    "#]].assert_eq(&shown(&recording.connections));
    let first = &recording.connections[0];
    let places = (first.connection.local.is_some(), first.connection.remote.is_some());
    assert_eq!(places, (true, true), "its addresses are known");
    assert!(first.steps.windows(2).all(|two| two[0].at <= two[1].at));
    assert!(first.steps.last().is_some_and(|last| last.at.as_millis() > 200), "its times are recorded");
    assert_eq!(recording.notes, Vec::new());
}

#[test]
fn a_buffered_trace_shows_the_same() {
    let recording = loaded(&["edge.downstream.buffered.pb_length_delimited"]);
    expect![[r#"
        edge/1: Server ready\n Client one Server \xffONE Client two\x00\xff Server \xffTWO\x00\xff Client bye Client End Server End [EndUnknown]
        edge/2: Server ready\n Client half Server \xffHALF Client End Server End [EndUnknown]
        edge/3: Server ready\n Client gone Server \xffGONE Client End Server End [EndUnknown]
        edge/4: Server ready\n Client reset Client End Server End [EndUnknown]
        edge/5: Server ready\n Client large Server 2042 bytes Client End Server End [EndUnknown, BodyTruncatedByRecorder]
    "#]].assert_eq(&shown(&recording.connections));
}

#[test]
fn the_clusters_socket_shows_it_from_the_other_side() {
    let recording = loaded(&["edge.upstream.streamed.json"]);
    expect![[r#"
        edge/1: Server ready\n Client one Server \xffONE Client two\x00\xff Server \xffTWO\x00\xff Client bye Client End Server End [EndUnknown]
        edge/2: Server ready\n Client half Server \xffHALF Client End Server End [EndUnknown]
        edge/3: Server ready\n Client gone Server \xffGONE Client End Server End [EndUnknown]
        edge/4: Server ready\n Client reset Client End Server End [EndUnknown]
        edge/5: Server ready\n Client large Server 2048 bytes Client End Server End [EndUnknown, BodyTruncatedByRecorder]
    "#]].assert_eq(&shown(&recording.connections));
}

#[test]
fn where_both_sockets_are_recorded_the_clients_is_replayed_and_the_other_told() {
    let recording = loaded(&["edge.downstream.streamed.json", "edge.upstream.streamed.json"]);
    assert_eq!(recording.connections.len(), 5);
    let texts: Vec<_> = recording.notes.iter().map(|note| &note.text[..]).collect();
    assert_eq!(
        texts,
        ["5 connections of edge's upstream: its clients' sockets are recorded too, and replayed instead"]
    );
}

const REPLAY: &str = "replay --envoy edge.yaml --json r.json --html r.html --junit r.xml --each --traffic";

fn replayed(scripts: &[&str], traffic: &str) -> (Folder, Run) {
    let folder = Folder::new();
    folder.write("edge.yaml", configuration(scripts, ""));
    for name in ["edge.downstream.streamed.json", "edge.downstream.buffered.pb_length_delimited"] {
        folder.write(name, std::fs::read(fixture(name)).expect("a fixture"));
    }
    let written =
        "connections: [{ steps: [{ client: hi }, { server: HI }, { ends: client }, { ends: server }] }]";
    folder.write("edge.connections.yaml", written);
    let run = folder.wayside(&format!("{REPLAY} {traffic}"));
    (folder, run)
}

/// From one line on, to the next empty one.
fn block<'a>(text: &'a str, first: &str) -> &'a str {
    let from = text.find(first).unwrap_or_else(|| panic!("no {first:?} in {text}"));
    let rest = &text[from..];
    &rest[..rest.find("\n\n").unwrap_or(rest.len())]
}

#[test]
fn what_changes_nothing_is_told_as_such() {
    let script = "new_connection: say new\ndownstream_data: told\ndownstream_close: told";
    let (folder, run) = replayed(&[script], "edge.downstream.streamed.json");
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
    let text = regex::Regex::new(r"127\.0\.0\.1:\d+|\d+\.\d{3} ms").expect("a pattern");
    expect![[r#"
        edge/tcp/0001  tcp from …
          at …, took …: 11 bytes to the upstream, 16 bytes to the client; closed by the proxy
          f0             logged info: new
                         logged info: told -> 3
                         logged info: told -> 5
                         logged info: told -> 3
                         logged info: told -> 0
                         logged info: told -> 1
          note           the recording does not tell which end closed the connection: taken for the client"#]]
    .assert_eq(&text.replace_all(block(&run.out, "edge/tcp/0001"), "…"));
    assert!(run.out.ends_with("0 exchanges and 5 connections from 1 proxy: 0 changed, 0 as a client would notice; 0 hung, 0 failed\n"), "{}", run.out);
    let report = folder.json("r.json");
    assert_eq!(report["schema"], "wayside.replay/2");
    assert_eq!(report["connections"][0]["id"], "edge/tcp/0001");
    assert_eq!(report["connections"][0]["to_client"]["bytes"], 16);
    assert_eq!(report["totals"]["connections"]["connections"], 5);
    assert_eq!(report["totals"]["filters"]["f0"]["connections"], 5);
    assert!(folder.read("r.html").contains("edge/tcp/0005"));
    let xml = folder.read("r.xml");
    assert!(xml.contains(r#"<testcase name="0001 TCP tcp" classname="edge.tcp"/>"#), "{xml}");
    assert!(xml.contains(r#"tests="5""#) && xml.contains(r#"failures="0""#), "{xml}");
}

#[test]
fn what_a_client_would_notice_fails_in_every_form() {
    let script = "upstream_data: write upstream 0 2 XYZ";
    let (folder, run) = replayed(&[script], "edge.connections.yaml");
    assert_eq!(run.status, 1, "{}{}", run.out, run.err);
    expect![[r#"
        edge/tcp/0001  tcp
          at 0.000 ms, took 0.000 ms: 2 bytes to the upstream, 2 → 6 bytes to the client; closed by the proxy
          f0             from server: replaced (3 bytes)
                         from server: replaced (3 bytes)
                         logged info: write upstream 0 2 XYZ -> ok
                         logged info: write upstream 0 2 XYZ -> ok"#]]
    .assert_eq(block(&run.out, "edge/tcp/0001"));
    let report = folder.json("r.json");
    let connection = &report["connections"][0];
    assert_eq!(
        (&connection["visible"], &connection["differences"][0]["what"]),
        (&true.into(), &"to_client".into())
    );
    assert!(folder.read("r.html").contains("client notices"));
    let xml = folder.read("r.xml");
    assert!(xml.contains(r#"type="difference""#) && xml.contains("2 → 6 bytes to the client"), "{xml}");
}

#[test]
fn a_filter_that_holds_a_connection_for_ever_is_told_as_hung_and_one_that_breaks_as_failed() {
    let (folder, run) = replayed(&["downstream_data: return 1"], "edge.connections.yaml");
    assert_eq!(run.status, 1, "{}{}", run.out, run.err);
    assert!(run.out.contains("1 connection: 1 changed, 1 as a client would notice; 1 hung"), "{}", run.out);
    assert!(folder.read("r.xml").contains(r#"type="hung""#));
    let (folder, run) = replayed(&["downstream_data: panic"], "edge.connections.yaml");
    assert_eq!(run.status, 1, "{}{}", run.out, run.err);
    assert!(folder.read("r.xml").contains(r#"type="fault""#));
    assert!(folder.read("r.html").contains("filter failed"));
}

#[test]
fn inspect_tells_what_is_recorded() {
    let folder = Folder::new();
    for name in ["edge.downstream.streamed.json", "edge.downstream.buffered.pb_length_delimited"] {
        folder.write(name, std::fs::read(fixture(name)).expect("a fixture"));
    }
    let run = folder.wayside("inspect edge.downstream.streamed.json");
    expect![[r#"
        edge.downstream.streamed.json: a recording, 0 exchanges and 5 connections from 1 proxies
          edge           tcp             5 connections; 29 bytes from clients, 2098 bytes from servers
        note BodyTruncatedByRecorder × 1
        note EndUnknown × 5
    "#]]
    .assert_eq(&run.out);
    folder.write("connections.yaml", "connections: [{ proxy: a, steps: [{ client: hi }] }, { proxy: b }]");
    let run = folder.wayside("inspect connections.yaml");
    expect![[r#"
        connections.yaml: a recording, 0 exchanges and 2 connections from 2 proxies
          a              tcp             1 connections; 2 bytes from clients, 0 bytes from servers
          b              tcp             1 connections; 0 bytes from clients, 0 bytes from servers
    "#]]
    .assert_eq(&run.out);
}

#[test]
fn events_without_a_beginning_are_left_out_and_told() {
    let folder = Folder::new();
    let segment = |id: u64, piece: &str| {
        format!(r#"{{"socket_streamed_trace_segment": {{"trace_id": "{id}", {piece}}}}}"#) + "\n"
    };
    let read = r#""event": {"timestamp": "2026-01-01T00:00:01Z", "read": {"data": {"as_bytes": "aGk="}}}"#;
    let lines = [
        segment(1, r#""connection": {}"#),
        segment(1, read),
        segment(2, read),
        segment(1, r#""events": {"events": []}"#),
    ];
    folder.write("edge.json", lines.concat());
    let recording = traffic::load(&[folder.path("edge.json")], &Limits::default()).expect("one is usable");
    assert_eq!(shown(&recording.connections), "edge/1: Client hi [EndUnknown]\n");
    let texts: Vec<_> = recording.notes.iter().map(|note| &note.text[..]).collect();
    expect!["left out: found a segment of trace 2, the beginning of whose connection is not in the recording, expected a trace or a segment of an exchange or of a socket"].assert_eq(&texts.join("\n"));
}
