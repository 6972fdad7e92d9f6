//! A finished request as a span.

use wayside_otlp::queue::Weight;
use wayside_otlp::{self as otlp, Encoding, Kind, Span, SpanContext};

use crate::attribute::{Attribute, Value};
use crate::observation::{self, Finished};

/// `None` for a request with which no trace passed.
pub(super) fn encode(finished: &Finished<'_>, encoding: Encoding) -> Option<Vec<u8>> {
    let ids = finished.ids.as_ref()?;
    let of_spans = Attribute::ALL.iter().copied().filter(|attribute| attribute.is_of_spans());
    let attributes: Vec<otlp::Attribute<'_>> =
        of_spans.filter_map(|attribute| told(finished, attribute)).collect();
    let link = finished.link.map(|link| SpanContext {
        trace_id: link.trace_id,
        span_id: link.span_id,
        flags: link.flags,
        trace_state: b"",
    });
    let span = Span {
        context: SpanContext {
            trace_id: ids.trace_id,
            span_id: ids.span_id,
            flags: ids.flags,
            trace_state: ids.tracestate,
        },
        parent: ids.parent_id,
        parent_is_remote: ids.parent_is_remote,
        name: &finished.name(),
        kind: match finished.kind {
            observation::Kind::Server => Kind::Server,
            observation::Kind::Client => Kind::Client,
        },
        start_ns: finished.start_ns,
        end_ns: finished.end_ns,
        attributes: &attributes,
        links: link.as_slice(),
        is_error: finished.is_error(),
    };
    Some(span.encode(encoding))
}

/// An attribute with its value, if this request has one.
pub(super) fn told<'a>(finished: &'a Finished<'_>, attribute: Attribute) -> Option<otlp::Attribute<'a>> {
    let value = match finished.value(attribute)? {
        Value::Text(text) => otlp::Value::Text(text),
        Value::Int(number) => otlp::Value::Int(number),
        Value::Bool(value) => otlp::Value::Bool(value),
        Value::Millis(millis) => otlp::Value::Thousandths(millis),
        Value::Id(id) => otlp::Value::Id(id),
    };
    Some(otlp::Attribute::new(attribute.name(), value))
}

/// What tells of an error is the last to go when there is no room.
pub(super) fn weight(finished: &Finished<'_>) -> Weight {
    if finished.is_error() { Weight::Error } else { Weight::Ordinary }
}
