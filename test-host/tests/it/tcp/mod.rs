//! TCP: what network filters see of a connection, and what its two ends get. What Envoy does with the same stands in
//! `data/behaviours/tcp.seen.txt`.

mod changed;
mod recorded;

use std::{fmt::Write as _, path::Path, sync::Arc};

use expect_test::expect;
use wayside::{
    envoy_config,
    message::Recording,
    proxy::TcpOutcome,
    replay::{self, Options, Specs},
    trace::What,
    traffic,
    upstream::Services,
};

use crate::support::{MODULES, script};

/// A listener with these scripts as network filters, in front of a tcp_proxy.
fn configuration(scripts: &[&str], more: &str) -> String {
    let filters: Vec<String> = scripts
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let filter = script(text);
            let code = match &filter.spec.vm.code {
                wayside::proxy::spec::CodeSource::File(path) => path.display().to_string(),
                other => panic!("{other:?}"),
            };
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            serde_json::json!({ "name": format!("f{number}"), "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm",
                "config": { "name": format!("f{number}"), "vm_config": { "code": { "local": { "filename": code } } },
                    "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": lines.join("\n") } },
            } })
            .to_string()
        })
        .collect();
    format!(
        r#"
        node: {{ id: edge }}
        static_resources:
          listeners:
            - name: tcp
              address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}
              filter_chains:
                - name: raw
                  filters:
                    - {}
                    - name: tcp_proxy
                      typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: db }}
          clusters:
            - {{ name: db, type: STATIC{more}, load_assignment: {{ cluster_name: db, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 10.0.0.9, port_value: 3306 }} }} }} }}] }}] }} }}
        "#,
        filters.join("\n                    - ")
    )
}

fn replayed(scripts: &[&str], connections: &str) -> Vec<TcpOutcome> {
    let spec =
        envoy_config::from_text(&configuration(scripts, ""), Path::new("edge.yaml"), &Default::default())
            .unwrap_or_else(|errors| panic!("{errors}"))
            .spec;
    let text = format!("connections: {connections}");
    let connections = traffic::connections_from_text(&text, Path::new("connections.yaml"))
        .unwrap_or_else(|error| panic!("{error}"));
    let recording = Recording { connections, ..Recording::default() };
    let specs = Specs::Everywhere(Arc::new(spec));
    let options = Options::default();
    let mut replay = replay::replay(&MODULES, &specs, recording, &options, |_| Services::default())
        .unwrap_or_else(|error| panic!("{error}"));
    replay.proxies.remove(0).outcome.connections
}

fn shown(scripts: &[&str], connections: &str) -> String {
    let mut text = String::new();
    for outcome in replayed(scripts, connections) {
        for entry in &outcome.trace.entries {
            if let (What::Logged { text: logged, .. }, Some(filter)) = (&entry.what, entry.filter) {
                let _ = writeln!(text, "f{}: {}", filter.0, String::from_utf8_lossy(logged));
            }
        }
        let end = |ended: bool| if ended { ", ended" } else { "" };
        let _ = writeln!(text, "upstream: {:?}{}", outcome.upstream, end(outcome.upstream_ended));
        let _ = writeln!(text, "client: {:?}{}", outcome.downstream, end(outcome.downstream_ended));
        let _ = writeln!(text, "end: {:?}", outcome.end);
    }
    text
}

const EVERYTHING: &str = "
    context_create: say created
    new_connection: say new
    downstream_data: told; buffer downstream
    upstream_data: told; buffer upstream
    downstream_close: say closed; told
    upstream_close: say upstream closed; told
    done: say done
    log: say log
    delete: say delete";

const HELLO: &str =
    "[{ steps: [{ client: one }, { server: ONE }, { client: two }, { ends: client }, { ends: server }] }]";

#[test]
fn a_connection_is_shown_from_its_beginning_to_its_end() {
    expect![[r#"
        f0: created
        f0: new
        f0: told -> 3
        f0: buffer downstream -> "one"
        f0: told -> 3
        f0: buffer upstream -> "ONE"
        f0: told -> 3
        f0: buffer downstream -> "two"
        f0: told -> 0
        f0: buffer downstream -> ""
        f0: told -> 0
        f0: buffer upstream -> ""
        f0: upstream closed
        f0: told -> 0
        f0: closed
        f0: told -> 1
        f0: done
        f0: log
        f0: delete
        upstream: [b"one", b"two"], ended
        client: [b"ONE"], ended
        end: Local
    "#]]
    .assert_eq(&shown(&[EVERYTHING], HELLO));
}

#[test]
fn what_a_filter_stops_at_comes_again_with_what_follows() {
    expect![[r#"
        f0: told -> 3
        f0: buffer downstream -> "one"
        f1: told -> 3
        f0: told -> 6
        f0: buffer downstream -> "onetwo"
        f1: told -> 6
        upstream: [b"onetwo"]
        client: [b"ONE"]
        end: Open
    "#]]
    .assert_eq(&shown(
        &["downstream_data: told; buffer downstream", "downstream_data: told; call 1; return 1"],
        "[{ steps: [{ client: one }, { server: ONE }, { client: two, after_ms: 5 }] }]",
    ));
}

#[test]
fn a_filter_that_stops_a_new_connection_keeps_the_proxy_from_connecting() {
    let text = shown(&["new_connection: return 1\ndownstream_data: told"], HELLO);
    assert_eq!(text, "upstream: []\nclient: []\nend: Open\n");
}

#[test]
fn a_connection_goes_on_from_a_tick() {
    expect![[r#"
        f0: tick 10 -> ok
        f0: effective stream -> ok
        f0: continue downstream -> ok
        f0: tick 0 -> ok
        f0: told -> 3
        upstream: [b"one"]
        client: []
        end: Open
    "#]]
    .assert_eq(
        &shown(
            &["new_connection: tick 10; return 1\ntick: effective stream; continue downstream; tick 0\ndownstream_data: told"],
            "[{ steps: [{ client: one }] }]",
        ),
    );
}

#[test]
fn both_directions_can_be_rewritten() {
    expect![[r#"
        f0: write downstream 0 99 X -> ok
        f0: write downstream 0 0 pre -> ok
        f0: write downstream 99 0 post -> ok
        f0: write downstream 2 1 mid -> bad_argument
        f0: buffer_status downstream -> ok 8 0
        f0: write upstream 0 0 u -> bad_argument
        f0: write upstream 0 1 up -> ok
        upstream: [b"preXpost"]
        client: [b"upNE"]
        end: Open
    "#]]
    .assert_eq(&shown(
        &["
            downstream_data: write downstream 0 99 X; write downstream 0 0 pre; write downstream 99 0 post; write downstream 2 1 mid; buffer_status downstream; write upstream 0 0 u
            upstream_data: write upstream 0 1 up"],
        "[{ steps: [{ client: one }, { server: ONE }] }]",
    ));
}

#[test]
fn a_filter_closes_the_connection_and_nothing_goes_on() {
    for side in ["downstream", "upstream"] {
        let text = shown(&[&format!("downstream_data: close {side}\ndownstream_close: told")], HELLO);
        assert_eq!(
            text,
            format!("f0: close {side} -> ok\nf0: told -> 1\nupstream: []\nclient: []\nend: Local\n")
        );
    }
}

#[test]
fn an_upstream_that_refuses_ends_the_connection() {
    let text = shown(&[EVERYTHING], "[{ refused: true, steps: [{ client: one }] }]");
    expect![[r#"
        f0: created
        f0: new
        f0: closed
        f0: told -> 1
        f0: done
        f0: log
        f0: delete
        upstream: []
        client: []
        end: Local
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_guest_that_breaks_closes_its_connection() {
    let text = shown(&["downstream_data: panic\ndownstream_close: told"], HELLO);
    assert_eq!(text, "upstream: []\nclient: []\nend: Local\n");
}

#[test]
fn written_connections_tell_of_tls() {
    let tls = "[{ tls: { server_name: db.test, version: TLSv1.2, peer: { subject: CN=client, dns_sans: [client.test] } }, steps: [{ client: a }] }]";
    let text = shown(
        &[
            "downstream_data: property connection.mtls; property connection.tls_version; property connection.requested_server_name; property connection.dns_san_peer_certificate; property upstream.tls_version",
        ],
        tls,
    );
    expect![[r#"
        f0: property connection.mtls -> "\x01"
        f0: property connection.tls_version -> "TLSv1.2"
        f0: property connection.requested_server_name -> "db.test"
        f0: property connection.dns_san_peer_certificate -> "client.test"
        f0: property upstream.tls_version -> not_found
        upstream: [b"a"]
        client: []
        end: Open
    "#]]
    .assert_eq(&text);
}

#[test]
fn what_is_wrong_with_written_connections_is_told_with_its_place() {
    let error = |text: &str| {
        traffic::connections_from_text(text, Path::new("c.yaml")).expect_err("it is wrong").to_string()
    };
    assert_eq!(
        error("connections: [{ steps: [{ client: a }, { client: a, ends: client }] }]"),
        "c.yaml /connections/0/steps/1: found none or several of client, server, ends and resets, expected one"
    );
    assert!(error("connections: [{ stepz: [] }]").contains("stepz"));
    assert!(
        error("connections: [{ tls: { peer: none.pem } }]")
            .starts_with("c.yaml /connections/0/tls: peer: none.pem: ")
    );
}
