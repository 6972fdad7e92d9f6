//! Whole requests, and text of strangers.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use wayside_otlp::{Attribute, Encoding, Kind, LogRecord, Metric, Origin, Signal, Span, SpanContext, Value};

use crate::official::{attributes, borrowed, official_attributes};

fn span(number: u8, attributes: &[Attribute<'_>], encoding: Encoding) -> Vec<u8> {
    let context = SpanContext { trace_id: [7; 16], span_id: [number; 8], flags: 1, trace_state: b"" };
    let span = Span {
        context,
        parent: None,
        parent_is_remote: false,
        name: b"GET book",
        kind: Kind::Server,
        start_ns: 1,
        end_ns: 2,
        attributes,
        links: &[],
        is_error: false,
    };
    span.encode(encoding)
}

proptest! {
    #[test]
    fn te_6_a_request_holds_its_resource_its_scope_and_all_items(
        of_resource in attributes(),
        given in attributes(),
        numbers in vec(1..=u8::MAX, 0..20),
    ) {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let origin = borrowed(&of_resource, |resource| Origin::new(encoding, resource, "wayside", "0.1.0"));
            let items: Vec<Vec<u8>> =
                borrowed(&given, |given| numbers.iter().map(|number| span(*number, given, encoding)).collect());
            let body = origin.request(Signal::Traces, items.iter().map(Vec::as_slice));
            let request = match encoding {
                Encoding::Protobuf => ExportTraceServiceRequest::decode(&*body).unwrap(),
                Encoding::Json => serde_json::from_slice(&body).unwrap(),
            };
            let [resource_spans] = &request.resource_spans[..] else { panic!("{request:?}") };
            let resource = resource_spans.resource.as_ref().unwrap();
            prop_assert_eq!(&resource.attributes, &official_attributes(&of_resource));
            let [scope_spans] = &resource_spans.scope_spans[..] else { panic!("{request:?}") };
            let scope = scope_spans.scope.as_ref().unwrap();
            prop_assert_eq!((&*scope.name, &*scope.version), ("wayside", "0.1.0"));
            let ids: Vec<u8> = scope_spans.spans.iter().map(|span| span.span_id[0]).collect();
            prop_assert_eq!(&ids, &numbers);
            for span in &scope_spans.spans {
                prop_assert_eq!(&span.attributes, &official_attributes(&given));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_told_as_such_and_nothing_is_lost(bytes in vec(any::<u8>(), 0..80)) {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let item = span(1, &[Attribute::new("a", Value::Text(&bytes))], encoding);
            let origin = Origin::new(encoding, &[], "", "");
            let body = origin.request(Signal::Traces, [&*item].into_iter());
            let request: ExportTraceServiceRequest = match encoding {
                Encoding::Protobuf => ExportTraceServiceRequest::decode(&*body).unwrap(),
                Encoding::Json => serde_json::from_slice(&body).unwrap(),
            };
            let value = request.resource_spans[0].scope_spans[0].spans[0].attributes[0].value.clone();
            let Some(AnyValue::StringValue(text)) = value.unwrap().value else { panic!("no text") };
            prop_assert_eq!(unescaped(&text), unescaped_where_valid(&bytes));
        }
    }
}

/// `\xNN` of a byte that could not stand in a text becomes it again.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = rest.strip_prefix(b"\\x").and_then(|digits| {
            let digits = std::str::from_utf8(digits.get(..2)?).ok()?;
            u8::from_str_radix(digits, 16).ok().filter(|byte| *byte >= 0x80)
        });
        match escaped {
            Some(byte) => {
                out.push(byte);
                rest = &rest[4..];
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

/// The same for what came, in case it looked like an escape.
fn unescaped_where_valid(bytes: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    unescaped(&text)
}

#[test]
fn logs_and_metrics_are_requests_of_their_own() {
    let record = LogRecord {
        time_ns: 5,
        observed_ns: 6,
        is_error: false,
        body: b"hello",
        attributes: &[],
        trace_id: [0; 16],
        span_id: [0; 8],
        flags: 0,
    };
    let metric = Metric { name: "m", unit: "s", start_ns: 1, end_ns: 2, edges: &[], points: &[] };
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let origin = Origin::new(encoding, &[], "wayside", "1");
        let body = origin.request(Signal::Logs, [&*record.encode(encoding)].into_iter());
        let logs: ExportLogsServiceRequest = match encoding {
            Encoding::Protobuf => ExportLogsServiceRequest::decode(&*body).unwrap(),
            Encoding::Json => serde_json::from_slice(&body).unwrap(),
        };
        let told = &logs.resource_logs[0].scope_logs[0].log_records[0];
        assert_eq!((told.time_unix_nano, told.observed_time_unix_nano, &*told.trace_id), (5, 6, &[][..]));
        let body = origin.request(Signal::Metrics, [&*metric.encode(encoding)].into_iter());
        let metrics: ExportMetricsServiceRequest = match encoding {
            Encoding::Protobuf => ExportMetricsServiceRequest::decode(&*body).unwrap(),
            Encoding::Json => serde_json::from_slice(&body).unwrap(),
        };
        assert_eq!(metrics.resource_metrics[0].scope_metrics[0].metrics[0].name, "m");
    }
}

#[test]
fn json_has_ids_in_hexadecimal_large_numbers_in_quotes_and_kinds_as_numbers() {
    let attributes = [Attribute::new("n", Value::Int(-3)), Attribute::new("ms", Value::Thousandths(12_340))];
    let json = String::from_utf8(span(0xab, &attributes, Encoding::Json)).unwrap();
    assert_eq!(
        json,
        r#"{"traceId":"07070707070707070707070707070707","spanId":"abababababababab","name":"GET book","kind":2,"startTimeUnixNano":"1","endTimeUnixNano":"2","attributes":[{"key":"n","value":{"intValue":"-3"}},{"key":"ms","value":{"doubleValue":12.34}}],"flags":257}"#
    );
}
