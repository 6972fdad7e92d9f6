//! How a collector answers.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Response, StatusCode, header};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use serde::Serialize;

use crate::message::Message;

/// What is done with a request that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// 200, and all is kept.
    Takes,
    /// 200, and of its items so many are said to be rejected.
    Rejects(u64),
    /// This status, and nothing is kept.
    Status(u16),
    /// 429, and nothing is kept.
    Throttles(RetryAfter),
    /// All is kept, and the answer never comes.
    Hangs,
    /// All is kept, and the connection ends without an answer; of HTTP/2 the stream.
    Resets,
    /// 200 with bytes that are no answer; all is kept.
    Junk,
    /// 200 with ten megabytes of an answer; all is kept.
    Huge,
    /// After this time, the other.
    Late(Duration, Box<Manner>),
}

/// How long a collector asks to be left alone: the two forms of `retry-after`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    Seconds(u64),
    /// As it is to stand there.
    Date(String),
    Junk,
}

/// The answer, or nothing where there is none.
pub(crate) type Answered = Option<Response<Bytes>>;

impl Manner {
    /// Whether the collector has what it was sent, whatever it says.
    #[must_use]
    pub fn keeps(&self) -> bool {
        match self {
            Manner::Takes
            | Manner::Rejects(_)
            | Manner::Hangs
            | Manner::Resets
            | Manner::Junk
            | Manner::Huge => true,
            Manner::Status(status) => (200..300).contains(status),
            Manner::Throttles(_) => false,
            Manner::Late(_, then) => then.keeps(),
        }
    }

    pub(crate) fn answer(&self, message: &Message, is_json: bool) -> anyhow::Result<Answered> {
        let media_type = if is_json { "application/json" } else { "application/x-protobuf" };
        let with = |status: u16| Response::builder().status(status).header(header::CONTENT_TYPE, media_type);
        Ok(Some(match self {
            Manner::Takes => with(200).body(success(message, None, is_json)?)?,
            Manner::Rejects(rejected) => with(200).body(success(message, Some(*rejected), is_json)?)?,
            Manner::Status(status) => with(*status).body(Bytes::new())?,
            Manner::Throttles(retry_after) => {
                let value = match retry_after {
                    RetryAfter::Seconds(seconds) => seconds.to_string(),
                    RetryAfter::Date(date) => date.clone(),
                    RetryAfter::Junk => "soon, perhaps".to_owned(),
                };
                with(StatusCode::TOO_MANY_REQUESTS.as_u16())
                    .header(header::RETRY_AFTER, value)
                    .body(Bytes::new())?
            }
            Manner::Junk => with(200).body(Bytes::from_static(b"\xff\x0a{\"partialSuccess\":7"))?,
            Manner::Huge => with(200).body(Bytes::from(vec![b' '; 10 << 20]))?,
            Manner::Hangs | Manner::Resets => return Ok(None),
            Manner::Late(_, then) => return then.answer(message, is_json),
        }))
    }
}

fn success(message: &Message, rejected: Option<u64>, is_json: bool) -> anyhow::Result<Bytes> {
    let number = rejected.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    let error_message = "rejected by a test".to_owned();
    match message {
        Message::Traces(_) => {
            let partial =
                number.map(|rejected_spans| ExportTracePartialSuccess { rejected_spans, error_message });
            written(&ExportTraceServiceResponse { partial_success: partial }, is_json)
        }
        Message::Logs(_) => {
            let partial = number
                .map(|rejected_log_records| ExportLogsPartialSuccess { rejected_log_records, error_message });
            written(&ExportLogsServiceResponse { partial_success: partial }, is_json)
        }
        Message::Metrics(_) => {
            let partial = number.map(|rejected_data_points| ExportMetricsPartialSuccess {
                rejected_data_points,
                error_message,
            });
            written(&ExportMetricsServiceResponse { partial_success: partial }, is_json)
        }
    }
}

fn written<T: prost::Message + Serialize>(response: &T, is_json: bool) -> anyhow::Result<Bytes> {
    Ok(if is_json { serde_json::to_vec(response)? } else { response.encode_to_vec() }.into())
}
