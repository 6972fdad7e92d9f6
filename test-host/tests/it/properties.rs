//! Every attribute in every phase, as the catalogue tells; TLS and other facts of a connection; what a recording lacks.

use std::collections::BTreeMap;

use wayside::{
    message::{Certificate, Connection, Protocol, Security, Tls},
    proxy::{AttributeType, Availability, attributes},
    replay::Replay,
    trace::{FindingKind, What},
};

use crate::support::{chain, get, post, script};

const PHASES: [&str; 12] = [
    "configure",
    "context_create",
    "request_headers",
    "request_body",
    "request_trailers",
    "response_headers",
    "response_body",
    "response_trailers",
    "log",
    "done",
    "delete",
    "tick",
];

fn certificate(name: &str) -> Certificate {
    Certificate {
        subject: format!("CN={name},O=shop"),
        uri_sans: vec![format!("spiffe://shop/{name}"), "spiffe://shop/second".to_owned()],
        dns_sans: vec![format!("{name}.test"), "second.test".to_owned()],
        sha256: "9e24".repeat(16),
        pem: "-----BEGIN CERTIFICATE-----\n".to_owned(),
    }
}

/// mTLS on both sides, and everything else that can be known.
fn connection() -> Connection {
    let tls = |local: &str, peer: &str, version: &str| {
        Security::Tls(Box::new(Tls {
            version: version.to_owned(),
            server_name: "shop.test".to_owned(),
            local: Some(certificate(local)),
            peer: Some(certificate(peer)),
            peer_valid: true,
        }))
    };
    Connection {
        protocol: Some(Protocol::Http2),
        security: tls("proxy", "client", "TLSv1.3"),
        upstream_security: tls("proxy", "server", "TLSv1.2"),
        termination_details: Some("ended".to_owned()),
        transport_failure_reason: Some("failed".to_owned()),
        upstream_transport_failure_reason: String::new(),
        local: Some(([10, 0, 0, 1], 443).into()),
        remote: Some(([10, 0, 0, 2], 4711).into()),
        upstream_local: Some(([10, 0, 0, 1], 50_000).into()),
        upstream_remote: Some(([10, 0, 0, 9], 8080).into()),
    }
}

/// What each line of a phase was answered: `phase path` → answer.
fn answers(replay: &Replay) -> BTreeMap<(String, String), String> {
    let outcome = &replay.proxies[0].outcome;
    let streams = outcome.outcomes.iter().flat_map(|outcome| &outcome.trace.entries);
    let mut phase = String::new();
    let mut found = BTreeMap::new();
    for entry in outcome.trace.entries.iter().chain(streams) {
        let What::Logged { text, .. } = &entry.what else { continue };
        let text = String::from_utf8_lossy(text).into_owned();
        if let Some(name) = text.strip_prefix("in ") {
            phase = name.to_owned();
        } else if let Some((asked, answer)) = text.split_once(" -> ") {
            let path = asked.split_once(' ').map_or(asked, |(_, path)| path);
            found.insert((phase.clone(), path.to_owned()), answer.to_owned());
        }
    }
    found
}

fn is_there(when: Availability, phase: &str) -> bool {
    let from = |first: &str| {
        let place = |name: &str| PHASES.iter().position(|phase| *phase == name);
        phase != "tick" && place(phase) >= place(first)
    };
    match when {
        Availability::Always => true,
        Availability::Stream
        | Availability::Routed
        | Availability::Tls
        | Availability::PeerCertificate
        | Availability::Failed => from("context_create"),
        Availability::RequestHeaders => matches!(phase, "request_headers" | "log"),
        Availability::Upstream | Availability::UpstreamTls => from("request_body"),
        Availability::Answered => from("response_headers"),
        Availability::UpstreamComplete => from("response_trailers"),
        Availability::Ended => from("log"),
    }
}

#[test]
fn every_attribute_is_there_in_the_phases_that_the_catalogue_tells() {
    let asked: Vec<String> = attributes()
        .iter()
        .map(|attribute| match attribute.kind {
            AttributeType::Int | AttributeType::Uint | AttributeType::Duration | AttributeType::Timestamp => {
                format!("number {}", attribute.path)
            }
            _ => format!("property {}", attribute.path),
        })
        .collect();
    let lines = PHASES.map(|phase| format!("{phase}: say in {phase}; {}", asked.join("; ")));
    let text = format!("configure: tick 20\n{}\ntick: tick 0", lines.join("\n"));
    let exchange = post("/a?b=c", ["body"])
        .header("referer", "r")
        .header("user-agent", "u")
        .header("x-request-id", "i")
        .trailer("t", "1")
        .after(50)
        .answered_by(|response| {
            response.body = vec!["body".into()];
            response.trailers.get_or_insert_default().push("t", "1");
        })
        .over(connection());
    let replay = chain([script(&text)]).on(exchange).run().expect("the script starts");
    let answers = answers(&replay);
    let mut wrong = Vec::new();
    for phase in PHASES {
        for attribute in attributes() {
            let answer = answers.get(&(phase.to_owned(), attribute.path.clone()));
            let Some(answer) = answer else {
                wrong.push(format!("{phase}: {} was not asked for", attribute.path));
                continue;
            };
            let has_right_form = match attribute.kind {
                AttributeType::Int
                | AttributeType::Uint
                | AttributeType::Duration
                | AttributeType::Timestamp => answer.parse::<i64>().is_ok(),
                AttributeType::Bool => answer == r#""\x00""# || answer == r#""\x01""#,
                AttributeType::Text | AttributeType::Map | AttributeType::Message => {
                    answer.starts_with('"') || answer == "serialization_failure"
                }
            };
            let expected = is_there(attribute.when, phase);
            if (expected && !has_right_form) || (!expected && answer != "not_found") {
                wrong.push(format!("{phase}: {} ({:?}): {answer}", attribute.path, attribute.when));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(answers.len() > 900, "{} answers", answers.len());
}

fn logged(ops: &str, connection: Connection) -> String {
    let text = format!("response_headers: {ops}");
    let outcomes = chain([script(&text)]).on(get("/").over(connection)).outcomes();
    let lines = outcomes[0].trace.entries.iter().filter_map(|entry| match &entry.what {
        What::Logged { text, .. } => Some(format!("{}\n", String::from_utf8_lossy(text))),
        _ => None,
    });
    lines.collect()
}

/// As Envoy 1.40 told of such certificates.
#[test]
fn certificates_are_told_of_both_connections() {
    expect_test::expect![[r#"
        property connection.mtls -> "\x01"
        property connection.requested_server_name -> "shop.test"
        property connection.tls_version -> "TLSv1.3"
        property connection.subject_local_certificate -> "CN=proxy,O=shop"
        property connection.subject_peer_certificate -> "CN=client,O=shop"
        property connection.uri_san_peer_certificate -> "spiffe://shop/client"
        property connection.dns_san_peer_certificate -> "client.test"
        property connection.peer_certificate -> "-----BEGIN CERTIFICATE-----\n"
        property connection.server_name -> not_found
        property upstream.tls_version -> "TLSv1.2"
        property upstream.server_name -> "shop.test"
        property upstream.subject_peer_certificate -> "CN=server,O=shop"
        property upstream.dns_san_local_certificate -> "proxy.test"
        property request.protocol -> "HTTP/2"
    "#]]
    .assert_eq(&logged(
        "property connection.mtls; property connection.requested_server_name; property connection.tls_version; property connection.subject_local_certificate; property connection.subject_peer_certificate; property connection.uri_san_peer_certificate; property connection.dns_san_peer_certificate; property connection.peer_certificate; property connection.server_name; property upstream.tls_version; property upstream.server_name; property upstream.subject_peer_certificate; property upstream.dns_san_local_certificate; property request.protocol",
        connection(),
    ));
}

#[test]
fn a_client_without_a_certificate_has_an_empty_subject_and_nothing_else() {
    let tls = Tls { version: "TLSv1.3".to_owned(), local: Some(certificate("proxy")), ..Tls::default() };
    let connection = Connection {
        security: Security::Tls(Box::new(tls)),
        upstream_security: Security::Plain,
        ..connection()
    };
    expect_test::expect![[r#"
        property connection.mtls -> "\x00"
        property connection.requested_server_name -> ""
        property connection.subject_peer_certificate -> ""
        property connection.uri_san_peer_certificate -> not_found
        property connection.sha256_peer_certificate_digest -> not_found
        property connection.peer_certificate -> not_found
        property upstream.tls_version -> not_found
    "#]]
    .assert_eq(&logged(
        "property connection.mtls; property connection.requested_server_name; property connection.subject_peer_certificate; property connection.uri_san_peer_certificate; property connection.sha256_peer_certificate_digest; property connection.peer_certificate; property upstream.tls_version",
        connection,
    ));
}

#[test]
fn what_the_recording_does_not_tell_is_found_once_and_read_as_absent() {
    let text = "request_headers: property connection.tls_version; property connection.mtls; property source.address; property request.protocol";
    let outcomes = chain([script(text)]).on(get("/").over(Connection::default())).outcomes();
    let found: Vec<String> = outcomes[0]
        .trace
        .entries
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Finding { kind: FindingKind::NotRecorded, text } => Some(text.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(
        found,
        [
            "a property asked for whether the client's connection was TLS, which the recording does not tell",
            "a property asked for the client's address, which the recording does not tell",
            "a property asked for the version of HTTP, which the recording does not tell",
        ]
    );
}
