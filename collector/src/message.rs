//! What a collector is sent.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde::de::DeserializeOwned;

/// A request that was read.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    /// By name, in lower case; of several the last.
    pub headers: BTreeMap<String, String>,
    pub message: Message,
    /// Bytes of its body
    pub size: usize,
    /// Whether the collector has it: it may have said something else, or nothing.
    pub kept: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Traces(ExportTraceServiceRequest),
    Logs(ExportLogsServiceRequest),
    Metrics(ExportMetricsServiceRequest),
}

impl Message {
    /// Reads a body by the path it came on.
    ///
    /// # Errors
    /// Nothing is read on this path, or the body is not what its content type says.
    pub fn read(path: &str, media_type: &str, body: &[u8]) -> anyhow::Result<Message> {
        Ok(if path.ends_with("/v1/traces") {
            Message::Traces(decoded(media_type, body)?)
        } else if path.ends_with("/v1/logs") {
            Message::Logs(decoded(media_type, body)?)
        } else if path.ends_with("/v1/metrics") {
            Message::Metrics(decoded(media_type, body)?)
        } else {
            bail!("found the path {path}, expected one of OTLP's")
        })
    }

    #[must_use]
    pub fn spans(&self) -> Vec<&Span> {
        let Message::Traces(request) = self else { return Vec::new() };
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| &scope.spans).collect()
    }

    #[must_use]
    pub fn log_records(&self) -> Vec<&LogRecord> {
        let Message::Logs(request) = self else { return Vec::new() };
        let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        scopes.flat_map(|scope| &scope.log_records).collect()
    }

    #[must_use]
    pub fn metrics(&self) -> Vec<&Metric> {
        let Message::Metrics(request) = self else { return Vec::new() };
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        scopes.flat_map(|scope| &scope.metrics).collect()
    }

    /// How many of them there are.
    #[must_use]
    pub fn items(&self) -> usize {
        self.spans().len() + self.log_records().len() + self.metrics().len()
    }
}

fn decoded<T: prost::Message + DeserializeOwned + Default>(
    media_type: &str,
    body: &[u8],
) -> anyhow::Result<T> {
    match media_type {
        "application/x-protobuf" => {
            let message = T::decode(body).context("no such message")?;
            // What decoding skips would not be missed.
            ensure!(
                message.encode_to_vec() == body,
                "fields that are not in the official schema, or not in their form"
            );
            Ok(message)
        }
        "application/json" => serde_json::from_slice(body).context("no such message in JSON"),
        other => bail!("found the content type {other:?}, expected one of OTLP's"),
    }
}
