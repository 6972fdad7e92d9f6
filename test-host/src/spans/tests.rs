use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{self as otlp, ResourceSpans, ScopeSpans},
};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::{
    abi::HttpCallout,
    message::HeaderMap,
    upstream::{CalloutAnswer, Services},
};

fn span(id: u8, parent: Option<u8>, started: u64) -> Span {
    Span {
        trace: TraceId([7; 16]),
        id: SpanId([id; 8]),
        parent: parent.map(|parent| SpanId([parent; 8])),
        proxy: "front".into(),
        service: "shop".to_owned(),
        name: format!("hop {id}"),
        kind: SpanKind::Server,
        started: Duration::from_millis(started),
        ended: Duration::from_millis(started + 10),
        failed: false,
    }
}

fn told(trace: &Trace) -> String {
    let line = |hop: &Hop| {
        format!("{}{}{}", "-".repeat(hop.depth), hop.span.id.0[0], if hop.parent_missing { "?" } else { "" })
    };
    trace.hops.iter().map(line).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_request_is_followed_over_all_hops_whoever_exports_first() {
    // The client's span is nobody's here; 1 calls 2, which is tried twice (3, 4).
    let mut spans =
        vec![span(4, Some(2), 30), span(3, Some(2), 20), span(1, Some(9), 0), span(2, Some(1), 10)];
    let all = traces(&spans);
    assert_eq!(all.iter().map(told).collect::<Vec<_>>(), ["1? -2 --3 --4"]);
    assert_eq!((all[0].lasted(), all[0].missing(), all[0].repeated), (Duration::from_millis(40), 1, 0));
    spans.reverse();
    assert_eq!(traces(&spans), all);
}

#[test]
fn what_was_exported_twice_is_one_hop() {
    let all = traces(&[span(1, None, 0), span(2, Some(1), 5), span(1, None, 0)]);
    assert_eq!((told(&all[0]).as_str(), all[0].repeated), ("1 -2", 1));
}

#[test]
fn parents_in_a_circle_lose_no_span() {
    let all = traces(&[span(1, Some(2), 0), span(2, Some(1), 5), span(3, Some(3), 5)]);
    assert_eq!(told(&all[0]), "1? -2 3?");
}

fn chain_or_bush() -> impl Strategy<Value = Vec<Span>> {
    let parent = (1..=24u8, prop::option::of(1..=24u8), 0..50u64);
    prop::collection::vec(parent.prop_map(|(id, parent, at)| span(id, parent, at)), 0..24)
}

proptest! {
    #[test]
    fn every_span_has_one_place_behind_its_parent(spans in chain_or_bush()) {
        let all = traces(&spans);
        let hops: Vec<&Hop> = all.iter().flat_map(|trace| &trace.hops).collect();
        let known: std::collections::BTreeSet<SpanId> = spans.iter().map(|span| span.id).collect();
        let placed: Vec<SpanId> = hops.iter().map(|hop| hop.span.id).collect();
        prop_assert_eq!(placed.len(), known.len());
        for (at, hop) in hops.iter().enumerate() {
            let above = hops[..at].iter().rev().find(|above| above.depth < hop.depth);
            if hop.depth > 0 {
                prop_assert_eq!(above.map(|above| above.span.id), hop.span.parent);
            }
        }
    }
}

fn request(span: otlp::Span) -> ExportTraceServiceRequest {
    let name = AnyValue { value: Some(Value::StringValue("shop".to_owned())) };
    let named = KeyValue { key: "service.name".to_owned(), value: Some(name), ..KeyValue::default() };
    let resource = Resource { attributes: vec![named], ..Resource::default() };
    let spans = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let of_resource =
        ResourceSpans { resource: Some(resource), scope_spans: vec![spans], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![of_resource] }
}

fn exported() -> otlp::Span {
    otlp::Span {
        trace_id: vec![7; 16],
        span_id: vec![1; 8],
        name: "GET /cart".to_owned(),
        kind: otlp::span::SpanKind::Server.into(),
        start_time_unix_nano: 5_000,
        end_time_unix_nano: 9_000,
        ..otlp::Span::default()
    }
}

/// What a collector answers to one request, and what it has then received.
fn post(content_type: &'static str, path: &'static str, body: Vec<u8>) -> (String, Received) {
    let collector = Collector::new();
    let mut services = Services::default().with("otel", collector.of_proxy("front"));
    let headers = [(":method", "POST"), (":path", path), ("content-type", content_type)];
    let callout = HttpCallout {
        cluster: "otel".into(),
        headers: HeaderMap::from_iter(headers),
        body: body.into(),
        timeout: None,
    };
    let status = match services.answer("otel", &callout) {
        Some(CalloutAnswer::Response { message, .. }) => message.headers.first(b":status").cloned(),
        _ => None,
    };
    (String::from_utf8_lossy(&status.unwrap_or_default()).into_owned(), collector.received())
}

#[test]
fn both_encodings_tell_the_same() {
    let protobuf = post("application/x-protobuf", "/v1/traces", request(exported()).encode_to_vec());
    let json = serde_json::to_vec(&request(exported())).expect("it is JSON");
    assert_eq!(protobuf, post("application/json; charset=utf-8", "/otlp/v1/traces", json));
    let expected = Span {
        parent: None,
        name: "GET /cart".to_owned(),
        started: Duration::from_nanos(5_000),
        ended: Duration::from_nanos(9_000),
        ..span(1, None, 0)
    };
    assert_eq!(protobuf, ("200".to_owned(), Received { spans: vec![expected], refused: Vec::new() }));
}

#[test]
fn what_is_no_export_is_refused_and_told() {
    let zero = otlp::Span { span_id: vec![0; 8], ..exported() };
    let refusals = [
        post("text/plain", "/v1/traces", Vec::new()),
        post("application/x-protobuf", "/v2/traces", Vec::new()),
        post("application/x-protobuf", "/v1/traces", vec![0xff]),
        post("application/x-protobuf", "/v1/traces", request(zero).encode_to_vec()),
    ];
    let told = refusals.map(|(status, received)| format!("{status} {}", received.refused.join("; ")));
    assert_eq!(
        told[0],
        "415 front: found another content-type than application/x-protobuf and application/json"
    );
    assert_eq!(told[1], "404 front: found the path /v2/traces");
    assert!(told[2].starts_with("400 front: "), "{}", told[2]);
    assert_eq!(told[3], "400 front: span_id: found 0000000000000000, expected 8 bytes that are not all zero");
}

#[test]
fn metrics_and_logs_are_taken_and_are_no_spans() {
    for path in ["/v1/metrics", "/v1/logs"] {
        assert_eq!(post("application/json", path, b"{}".to_vec()), ("200".to_owned(), Received::default()));
    }
}
