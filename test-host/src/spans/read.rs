//! What a filter sends to `/v1/traces`, read by OpenTelemetry's own messages.

use std::{sync::Arc, time::Duration};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{self as otlp, status::StatusCode},
};
use prost::Message as _;

use super::{Span, SpanId, SpanKind, TraceId};

/// How a request's body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// As its `content-type` says (OTLP 1.x, "OTLP/HTTP Request").
    pub(super) fn of(content_type: &[u8]) -> Option<Self> {
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        match essence.to_ascii_lowercase().as_slice() {
            b"application/x-protobuf" => Some(Encoding::Protobuf),
            b"application/json" => Some(Encoding::Json),
            _ => None,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }
}

/// The spans of one request of `proxy`.
///
/// # Errors
/// What is wrong with the request as a whole, or with one of its spans: then none is taken.
pub(super) fn spans(body: &[u8], encoding: Encoding, proxy: &Arc<str>) -> Result<Vec<Span>, String> {
    let request = match encoding {
        Encoding::Protobuf => ExportTraceServiceRequest::decode(body).map_err(|error| error.to_string()),
        Encoding::Json => serde_json::from_slice(body).map_err(|error| error.to_string()),
    }?;
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let service = of_resource.resource.as_ref().and_then(service_name).unwrap_or_default();
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(span_of(span, proxy, service)?);
        }
    }
    Ok(spans)
}

fn service_name(resource: &Resource) -> Option<&str> {
    let named = resource.attributes.iter().find(|attribute| attribute.key == "service.name")?;
    match named.value.as_ref() {
        Some(AnyValue { value: Some(Value::StringValue(name)) }) => Some(name),
        _ => None,
    }
}

fn span_of(span: otlp::Span, proxy: &Arc<str>, service: &str) -> Result<Span, String> {
    let kind = match otlp::span::SpanKind::try_from(span.kind) {
        Ok(otlp::span::SpanKind::Internal) => SpanKind::Internal,
        Ok(otlp::span::SpanKind::Server) => SpanKind::Server,
        Ok(otlp::span::SpanKind::Client) => SpanKind::Client,
        Ok(otlp::span::SpanKind::Producer) => SpanKind::Producer,
        Ok(otlp::span::SpanKind::Consumer) => SpanKind::Consumer,
        Ok(otlp::span::SpanKind::Unspecified) | Err(_) => SpanKind::Unspecified,
    };
    let parent = match span.parent_span_id.as_slice() {
        [] => None,
        parent => Some(SpanId(id("parent_span_id", parent)?)),
    };
    Ok(Span {
        trace: TraceId(id("trace_id", &span.trace_id)?),
        id: SpanId(id("span_id", &span.span_id)?),
        parent,
        proxy: Arc::clone(proxy),
        service: service.to_owned(),
        name: span.name,
        kind,
        started: Duration::from_nanos(span.start_time_unix_nano),
        ended: Duration::from_nanos(span.end_time_unix_nano),
        failed: span.status.is_some_and(|status| status.code() == StatusCode::Error),
    })
}

/// An id of the right length that is not all zero; any other is invalid (`trace.proto`).
fn id<const N: usize>(field: &str, found: &[u8]) -> Result<[u8; N], String> {
    let valid = <[u8; N]>::try_from(found).ok().filter(|id| id.iter().any(|byte| *byte != 0));
    valid.ok_or_else(|| {
        format!("{field}: found {}, expected {N} bytes that are not all zero", hex::encode(found))
    })
}
