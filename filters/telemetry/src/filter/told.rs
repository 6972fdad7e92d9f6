//! A request that is over is told of elsewhere: what is known of it is read then, and only of those that are told.

use std::time::Duration;

use wayside_sdk::property::{
    self, CLUSTER_NAME, Props, REQUEST_ID, REQUEST_PROTOCOL, REQUEST_SIZE, RESPONSE_CODE,
    RESPONSE_CODE_DETAILS, RESPONSE_FLAGS, RESPONSE_GRPC_STATUS, RESPONSE_SIZE, ROUTE_NAME, Slot, Together,
    UPSTREAM_ATTEMPTS,
};
use wayside_sdk::{HeaderBlock, Init, LogCx, Wall, name};

use super::{Seen, Telemetry};
use crate::export::Exporter;
use crate::labels::{self, StatusLabel};
use crate::observation::{Captured, Finished, Kind, Message, Sampling, SpanIds};
use crate::propagation::{Format, Role, extract};

/// What is read of a request that is told of.
#[derive(Debug)]
pub(super) struct Told {
    pub exporter: Exporter,
    /// Headers that lines tell of
    headers: Vec<(Message, String)>,
    texts: [Slot<Vec<u8>>; 7],
    numbers: [Slot<u64>; 6],
    together: Together,
}

impl Told {
    pub(super) fn new(exporter: Exporter, headers: Vec<(Message, String)>, init: &mut Init) -> Told {
        let mut asked = Props::new();
        let texts = [
            asked.add(&ROUTE_NAME),
            asked.add(&RESPONSE_CODE_DETAILS),
            asked.add(&REQUEST_PROTOCOL),
            asked.add(&CLUSTER_NAME),
            asked.add(&REQUEST_ID),
            asked.add(&property::custom("source\0address")),
            asked.add(&property::custom("upstream\0address")),
        ];
        let numbers = [
            asked.add(&RESPONSE_CODE),
            asked.add(&RESPONSE_FLAGS),
            asked.add(&REQUEST_SIZE),
            asked.add(&RESPONSE_SIZE),
            asked.add(&UPSTREAM_ATTEMPTS),
            asked.add(&RESPONSE_GRPC_STATUS),
        ];
        Told { exporter, headers, texts, numbers, together: init.together(asked) }
    }
}

impl Telemetry {
    /// Reads what is to be told of a request and tells it.
    pub(super) fn tell(&self, told: &Told, seen: &Seen, log: &LogCx, sampling: Sampling, duration: Duration) {
        let values = match log.stream().read(&told.together) {
            Ok(values) => values,
            Err(error) => return self.metrics.failed(format_args!("a request is not told of: {error}")),
        };
        // There may be none: a request that the codec refused.
        let request = log.request.block().unwrap_or_else(|_| nothing());
        let of_response = told.headers.iter().any(|(of, _)| *of == Message::Response);
        let response = of_response.then(|| log.response.block().ok()).flatten().unwrap_or_else(nothing);
        let headers = captured(&told.headers, &request, &response);
        let [route, code_details, protocol, cluster, request_id, client, peer] =
            told.texts.map(|slot| values.text(slot));
        let [status, flags, request_size, response_size, attempts, grpc_status] =
            told.numbers.map(|slot| values.get(slot).ok().flatten());
        let grpc_status = grpc_status.filter(|_| seen.is_grpc);
        // Envoy has 0 where nobody answered.
        let status = status.and_then(|status| u16::try_from(status).ok()).filter(|status| *status > 0);
        let label = status.and_then(|status| StatusLabel::new(status.into()));
        let end_ns = nanos(Wall::now().unwrap_or_default().since_epoch());
        let path = request.path();
        let (path, query) = match path.iter().position(|byte| *byte == b'?') {
            Some(mark) => {
                (path.get(..mark).unwrap_or(path), path.get(mark.saturating_add(1)..).unwrap_or_default())
            }
            None => (path, &b""[..]),
        };
        let method = request.method();
        told.exporter.finished(
            &Finished {
                kind: Kind::Server,
                ids: seen.hop.as_ref().map(|hop| hop.ids()).or_else(|| self.observed(&request)),
                link: seen.hop.as_ref().and_then(|hop| hop.link),
                sampling,
                start_ns: end_ns.saturating_sub(nanos(duration)),
                end_ns,
                method: seen.method,
                method_original: if seen.method == "_OTHER" { method } else { b"" },
                route: seen.rule.as_deref().map_or(route, str::as_bytes),
                status,
                grpc_status,
                error_type: labels::error_type(label.as_ref(), code_details, grpc_status),
                path,
                query,
                scheme: seen.scheme,
                authority: request.authority(),
                client,
                peer,
                protocol,
                user_agent: request.first(name!("user-agent")).unwrap_or_default(),
                request_id,
                cluster,
                code_details,
                response_flags: flags,
                request_size,
                response_size,
                attempts,
                headers: &headers,
            },
            Some(log),
        );
    }
}

impl Telemetry {
    /// The context that another tracer of this Envoy put on the request: lines tell of it, and its span is that tracer's to export.
    fn observed(&self, request: &HeaderBlock) -> Option<SpanIds<'static>> {
        if self.propagation.role != Role::Observe {
            return None;
        }
        let remote = extract(request, &[Format::TraceContext]).remote?;
        Some(SpanIds {
            trace_id: remote.trace_id,
            span_id: remote.span_id,
            parent_id: None,
            parent_is_remote: false,
            flags: remote.flags,
            tracestate: b"",
        })
    }
}

fn nothing() -> HeaderBlock {
    HeaderBlock::from_pairs([])
}

/// Every line of the headers that lines tell of.
fn captured<'a>(
    wanted: &'a [(Message, String)],
    request: &'a HeaderBlock,
    response: &'a HeaderBlock,
) -> Vec<Captured<'a>> {
    let mut captured = Vec::new();
    for (of, name) in wanted {
        let block = if *of == Message::Request { request } else { response };
        let lines = block.iter().filter(|(known, _)| *known == name.as_bytes());
        captured.extend(lines.map(|(name, value)| Captured { of: *of, name, value }));
    }
    captured
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
