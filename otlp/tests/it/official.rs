//! TE-6: spans, log records and metrics beside the official messages: in protobuf byte for byte, in JSON by what they decode to.

use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::logs::v1 as logs;
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::trace::v1 as trace;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use wayside_otlp::{
    Attribute, Buckets, Encoding, Exemplar, Kind, LogRecord, Metric, Span, SpanContext, Value,
};

/// A value that owns what it is.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    Text(String),
    Texts(Vec<String>),
    Bool(bool),
    Int(i64),
    Thousandths(u64),
    Id(Vec<u8>),
}

pub(crate) type Named = (String, Given);

pub(crate) fn attributes() -> impl Strategy<Value = Vec<Named>> {
    let value = prop_oneof![
        4 => ".{0,40}".prop_map(Given::Text),
        1 => "[a-zé€😀]{200,400}".prop_map(Given::Text),
        1 => vec(".{0,10}", 1..4).prop_map(Given::Texts),
        1 => any::<bool>().prop_map(Given::Bool),
        2 => any::<i64>().prop_map(Given::Int),
        1 => (0..1_u64 << 53).prop_map(Given::Thousandths),
        1 => vec(any::<u8>(), 16).prop_map(Given::Id),
    ];
    vec(("[a-z.]{1,20}", value), 0..8)
}

/// Calls `with` with what borrows from these.
pub(crate) fn borrowed<R>(attributes: &[Named], with: impl FnOnce(&[Attribute<'_>]) -> R) -> R {
    let texts: Vec<Vec<&[u8]>> = attributes
        .iter()
        .map(|(_, value)| match value {
            Given::Texts(texts) => texts.iter().map(String::as_bytes).collect(),
            _ => Vec::new(),
        })
        .collect();
    let borrowed: Vec<Attribute<'_>> = attributes
        .iter()
        .zip(&texts)
        .map(|((key, value), texts)| {
            let value = match value {
                Given::Text(text) => Value::Text(text.as_bytes()),
                Given::Texts(_) => Value::Texts(texts),
                Given::Bool(value) => Value::Bool(*value),
                Given::Int(value) => Value::Int(*value),
                Given::Thousandths(value) => Value::Thousandths(*value),
                Given::Id(id) => Value::Id(id),
            };
            Attribute::new(key, value)
        })
        .collect();
    with(&borrowed)
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(256)].to_owned()
}

fn official_value(value: &Given) -> AnyValue {
    let text = |text: &String| AnyValue::StringValue(cut(text));
    match value {
        Given::Text(value) => text(value),
        Given::Texts(texts) => AnyValue::ArrayValue(common::ArrayValue {
            values: texts.iter().map(|value| common::AnyValue { value: Some(text(value)) }).collect(),
        }),
        Given::Bool(value) => AnyValue::BoolValue(*value),
        Given::Int(value) => AnyValue::IntValue(*value),
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53")]
        Given::Thousandths(value) => AnyValue::DoubleValue(*value as f64 / 1000.0),
        Given::Id(id) => AnyValue::StringValue(id.iter().map(|byte| format!("{byte:02x}")).collect()),
    }
}

pub(crate) fn official_attributes(attributes: &[Named]) -> Vec<common::KeyValue> {
    attributes
        .iter()
        .map(|(key, value)| common::KeyValue {
            key: key.clone(),
            value: Some(common::AnyValue { value: Some(official_value(value)) }),
            ..Default::default()
        })
        .collect()
}

/// A nonzero id, whose bytes may be zero here and there.
fn id<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    any::<[u8; N]>().prop_filter("an id", |id| id.iter().any(|byte| *byte > 0))
}

type Context = ([u8; 16], [u8; 8], u8, String);

fn context() -> impl Strategy<Value = Context> {
    (id(), id(), any::<u8>(), "([a-z]{1,4}=[ -+.-<>-~]{1,9}(,[a-z]{1,4}=1)?)?")
}

fn of(context: &Context) -> SpanContext<'_> {
    let (trace_id, span_id, flags, trace_state) = context;
    SpanContext { trace_id: *trace_id, span_id: *span_id, flags: *flags, trace_state: trace_state.as_bytes() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn te_6_a_span_is_the_official_one(
        own in context(),
        parent in prop::option::of(id::<8>()),
        parent_is_remote: bool,
        name in ".{0,30}",
        is_client: bool,
        times: (u64, u64),
        given in attributes(),
        linked in vec(context(), 0..3),
        is_error: bool,
    ) {
        let links: Vec<SpanContext<'_>> = linked.iter().map(of).collect();
        let [protobuf, json] = borrowed(&given, |attributes| {
            let span = Span {
                context: of(&own),
                parent,
                parent_is_remote,
                name: name.as_bytes(),
                kind: if is_client { Kind::Client } else { Kind::Server },
                start_ns: times.0,
                end_ns: times.1,
                attributes,
                links: &links,
                is_error,
            };
            [Encoding::Protobuf, Encoding::Json].map(|encoding| span.encode(encoding))
        });
        let official = trace::Span {
            trace_id: own.0.to_vec(),
            span_id: own.1.to_vec(),
            trace_state: own.3.clone(),
            parent_span_id: parent.map(Vec::from).unwrap_or_default(),
            flags: u32::from(own.2) | 0x100 | if parent_is_remote { 0x200 } else { 0 },
            name,
            kind: if is_client { trace::span::SpanKind::Client } else { trace::span::SpanKind::Server }.into(),
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.1,
            attributes: official_attributes(&given),
            links: linked.iter().map(|(trace_id, span_id, flags, trace_state)| trace::span::Link {
                trace_id: trace_id.to_vec(),
                span_id: span_id.to_vec(),
                trace_state: trace_state.clone(),
                flags: u32::from(*flags) | 0x300,
                ..Default::default()
            }).collect(),
            status: is_error.then(|| trace::Status { code: trace::status::StatusCode::Error.into(), ..Default::default() }),
            ..Default::default()
        };
        prop_assert_eq!(&protobuf, &official.encode_to_vec());
        prop_assert_eq!(&trace::Span::decode(&*protobuf).unwrap(), &official);
        prop_assert_eq!(&serde_json::from_slice::<trace::Span>(&json).unwrap(), &official);
    }

    #[test]
    fn te_6_a_log_record_is_the_official_one(
        own in context(),
        times: (u64, u64),
        body in ".{0,60}",
        given in attributes(),
        is_error: bool,
    ) {
        let [protobuf, json] = borrowed(&given, |attributes| {
            let record = LogRecord {
                time_ns: times.0,
                observed_ns: times.1,
                is_error,
                body: body.as_bytes(),
                attributes,
                trace_id: own.0,
                span_id: own.1,
                flags: own.2,
            };
            [Encoding::Protobuf, Encoding::Json].map(|encoding| record.encode(encoding))
        });
        let severity = if is_error { logs::SeverityNumber::Error } else { logs::SeverityNumber::Info };
        let text = (!body.is_empty()).then_some(common::AnyValue { value: Some(AnyValue::StringValue(body)) });
        let official = logs::LogRecord {
            time_unix_nano: times.0,
            observed_time_unix_nano: times.1,
            severity_number: severity.into(),
            severity_text: if is_error { "ERROR" } else { "INFO" }.to_owned(),
            body: text,
            attributes: official_attributes(&given),
            flags: own.2.into(),
            trace_id: own.0.to_vec(),
            span_id: own.1.to_vec(),
            ..Default::default()
        };
        prop_assert_eq!(&protobuf, &official.encode_to_vec());
        prop_assert_eq!(&serde_json::from_slice::<logs::LogRecord>(&json).unwrap(), &official);
    }

    #[test]
    fn te_6_a_histogram_is_the_official_one(
        times: (u64, u64),
        edges in vec(0..1_u64 << 53, 0..6),
        points in vec((attributes(), vec(any::<u32>(), 0..7), 0..1_u64 << 53, vec((0..1_u64 << 53, any::<u64>(), id::<16>(), id::<8>()), 0..3)), 0..3),
    ) {
        let exemplars: Vec<Vec<Exemplar>> = points.iter().map(|(_, _, _, given)| {
            given.iter().map(|(value, time_ns, trace_id, span_id)| Exemplar {
                value: *value, time_ns: *time_ns, trace_id: *trace_id, span_id: *span_id,
            }).collect()
        }).collect();
        let counts: Vec<Vec<u64>> =
            points.iter().map(|(_, counts, ..)| counts.iter().map(|count| u64::from(*count)).collect()).collect();
        // One point at a time, whose attributes borrow.
        for (((given, _, sum, _), counts), exemplars) in points.iter().zip(&counts).zip(&exemplars) {
            let [protobuf, json] = borrowed(given, |attributes| {
                let points = [Buckets { attributes, counts, sum: *sum, exemplars }];
                let metric = Metric {
                    name: "http.server.request.duration",
                    unit: "s",
                    start_ns: times.0,
                    end_ns: times.1,
                    edges: &edges,
                    points: &points,
                };
                [Encoding::Protobuf, Encoding::Json].map(|encoding| metric.encode(encoding))
            });
            let official = metrics::Metric {
                name: "http.server.request.duration".to_owned(),
                unit: "s".to_owned(),
                data: Some(metrics::metric::Data::Histogram(metrics::Histogram {
                    data_points: vec![point(times, given, counts, *sum, exemplars, &edges)],
                    aggregation_temporality: metrics::AggregationTemporality::Delta.into(),
                })),
                ..Default::default()
            };
            prop_assert_eq!(&protobuf, &official.encode_to_vec());
            prop_assert_eq!(&serde_json::from_slice::<metrics::Metric>(&json).unwrap(), &official);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^53")]
fn seconds(thousandths: u64) -> f64 {
    thousandths as f64 / 1000.0
}

fn point(
    times: (u64, u64),
    given: &[Named],
    counts: &[u64],
    sum: u64,
    exemplars: &[Exemplar],
    edges: &[u64],
) -> metrics::HistogramDataPoint {
    metrics::HistogramDataPoint {
        attributes: official_attributes(given),
        start_time_unix_nano: times.0,
        time_unix_nano: times.1,
        count: counts.iter().sum(),
        sum: Some(seconds(sum)),
        bucket_counts: counts.to_vec(),
        explicit_bounds: edges.iter().map(|edge| seconds(*edge)).collect(),
        exemplars: exemplars
            .iter()
            .map(|exemplar| metrics::Exemplar {
                time_unix_nano: exemplar.time_ns,
                value: Some(metrics::exemplar::Value::AsDouble(seconds(exemplar.value))),
                span_id: exemplar.span_id.to_vec(),
                trace_id: exemplar.trace_id.to_vec(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}
