//! The examples that the protocol's own repository publishes, by `WAYSIDE_OTLP_EXAMPLES`: its folder `examples`.

use std::path::PathBuf;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use prost::Message as _;
use wayside_otlp::{Attribute, Encoding, Kind, Origin, Signal, Span, SpanContext, Value};

/// Attributes whose values are texts, as those of the example are.
fn attributes(official: &[KeyValue]) -> Vec<Attribute<'_>> {
    official
        .iter()
        .map(|attribute| {
            let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
            let Some(AnyValue::StringValue(text)) = value else { panic!("{value:?}") };
            Attribute::new(&attribute.key, Value::Text(text.as_bytes()))
        })
        .collect()
}

#[test]
#[expect(clippy::print_stderr, reason = "what is skipped is said")]
fn te_6_the_published_trace_is_written_as_it_stands_there() {
    let Some(folder) = std::env::var_os("WAYSIDE_OTLP_EXAMPLES").map(PathBuf::from) else {
        eprintln!("skipped: TE-6's examples: WAYSIDE_OTLP_EXAMPLES is not set");
        return;
    };
    let text = std::fs::read(folder.join("trace.json")).unwrap();
    let mut official: ExportTraceServiceRequest = serde_json::from_slice(&text).unwrap();
    let resource_spans = &mut official.resource_spans[0];
    // What we say of a scope is its name and version.
    resource_spans.scope_spans[0].scope.as_mut().unwrap().attributes.clear();
    // The example says nothing of the parent's whereabouts; we always do.
    resource_spans.scope_spans[0].spans[0].flags = 0x100;
    let given = official.resource_spans[0].clone();
    let (span, scope) = (&given.scope_spans[0].spans[0], given.scope_spans[0].scope.clone().unwrap());
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let ours = Span {
            context: SpanContext {
                trace_id: span.trace_id.as_slice().try_into().unwrap(),
                span_id: span.span_id.as_slice().try_into().unwrap(),
                flags: 0,
                trace_state: span.trace_state.as_bytes(),
            },
            parent: Some(span.parent_span_id.as_slice().try_into().unwrap()),
            parent_is_remote: false,
            name: span.name.as_bytes(),
            kind: Kind::Server,
            start_ns: span.start_time_unix_nano,
            end_ns: span.end_time_unix_nano,
            attributes: &attributes(&span.attributes),
            links: &[],
            is_error: false,
        };
        let resource = attributes(&given.resource.as_ref().unwrap().attributes);
        let origin = Origin::new(encoding, &resource, &scope.name, &scope.version);
        let body = origin.request(Signal::Traces, [&*ours.encode(encoding)].into_iter());
        let read: ExportTraceServiceRequest = match encoding {
            Encoding::Protobuf => ExportTraceServiceRequest::decode(&*body).unwrap(),
            Encoding::Json => serde_json::from_slice(&body).unwrap(),
        };
        assert_eq!(read, official);
    }
}
