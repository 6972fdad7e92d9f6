//! A request that is over goes into the metrics, and to whoever is told of it.

use std::time::Duration;

use wayside_sdk::property::{PropValue, Slot, Values};
use wayside_sdk::{HeaderBlock, Host, LogCx, StreamInfo, name};

use super::over::Read;
use super::{Seen, Telemetry};
use crate::hop::Hop;
use crate::istio::{self, Reporter};
use crate::labels::{self, StatusLabel};
use crate::metrics::{Istio, Measured, Requests};
use crate::observation::{Captured, Finished, Kind, Message, Sampling, SpanIds, TailReason};
use crate::propagation::{Format, Found, Role, extract};
use crate::sampling::Ended;
use crate::series::{Facts, Series};

/// What was read of one request.
struct Known<'a> {
    telemetry: &'a Telemetry,
    read: &'a Read,
    values: Values,
    duration: Duration,
    status: Option<u64>,
    grpc_status: Option<u64>,
}

impl Known<'_> {
    fn get<T: PropValue>(&self, slot: Option<Slot<T>>) -> Option<T> {
        slot.and_then(|slot| self.telemetry.known(self.values.get(slot)))
    }

    fn text(&self, slot: Option<Slot<Vec<u8>>>) -> &[u8] {
        slot.map_or(b"", |slot| self.values.text(slot))
    }

    fn route<'a>(&'a self, seen: &'a Seen) -> &'a [u8] {
        seen.rule.as_deref().map_or_else(|| self.text(self.read.route), str::as_bytes)
    }

    /// The status of a 5xx is its error.
    fn details(&self) -> &[u8] {
        if self.status >= Some(500) { b"" } else { self.text(self.read.details) }
    }
}

impl Telemetry {
    pub(super) fn record(&self, seen: &Seen, log: &LogCx) {
        let exporter = &self.exporter;
        let is_span = exporter.tells_spans() && seen.hop.as_ref().is_some_and(|hop| hop.is_sampled());
        let lean = &self.over.lean;
        let read = self.over.full.as_ref().filter(|_| is_span || exporter.tells_lines()).unwrap_or(lean);
        let known = match self.read(read, seen, log.stream()) {
            Ok(Some(known)) => known,
            Ok(None) => {
                return self.metrics.failed(format_args!("a request without a duration is not recorded"));
            }
            Err(error) => {
                return self.metrics.failed(format_args!("a request is not recorded: {error}"));
            }
        };
        self.measure(seen, &known);
        let sampling = if is_span { Sampling::Head } else { self.tail(seen, &known, log.stream()) };
        if exporter.tells_lines() || (exporter.tells_spans() && sampling.is_kept()) {
            self.tell(seen, known, sampling, log);
        }
    }

    /// `None` without a duration.
    fn read<'a>(&'a self, read: &'a Read, seen: &Seen, stream: &StreamInfo) -> Host<Option<Known<'a>>> {
        let values = read.of(stream, seen.is_grpc)?;
        let Some(duration) = self.known(values.get(read.duration)) else { return Ok(None) };
        let number = |slot: Option<Slot<u64>>| slot.and_then(|slot| self.known(values.get(slot)));
        let status = number(read.status);
        let grpc_status = if seen.is_grpc { number(read.grpc_status) } else { None };
        Ok(Some(Known { telemetry: self, read, values, duration, status, grpc_status }))
    }

    fn measure(&self, seen: &Seen, known: &Known<'_>) {
        let read = known.read;
        let wanted = |slot: Option<Slot<u64>>, lean: Option<Slot<u64>>| lean.and_then(|_| known.get(slot));
        let lean = &self.over.lean;
        let measured = Measured {
            duration: known.duration,
            request_size: wanted(read.request_size, lean.request_size),
            response_size: wanted(read.response_size, lean.response_size),
        };
        let route = known.route(seen);
        if let Some(attempts) = wanted(read.attempts, lean.attempts) {
            self.metrics.attempts(route, attempts);
        }
        if let (Some(came), Some(first_byte)) = (seen.came, seen.first_byte) {
            self.metrics.first_byte(route, first_byte.since(came));
        }
        match self.metrics.requests() {
            Requests::Otel(otel) => {
                let facts = Facts {
                    method: seen.method,
                    scheme: seen.scheme,
                    route,
                    status: known.status,
                    details: known.details(),
                    protocol: known.text(read.protocol),
                    grpc_status: known.grpc_status,
                };
                otel.record(Series::new(facts).labels(otel.labels), measured);
            }
            Requests::Istio(istio) => self.measure_for_istio(istio, seen, known, measured),
        }
    }

    fn measure_for_istio(&self, istio: &Istio, seen: &Seen, known: &Known<'_>, measured: Measured) {
        let read = known.read;
        let status = known.status.and_then(StatusLabel::new);
        let mut flags = Vec::new();
        let facts = istio::Facts {
            reporter: Reporter::of_direction(known.get(read.direction)),
            own: &self.over.own,
            cluster: known.text(read.cluster),
            is_grpc: seen.is_grpc,
            status: status.as_ref().map(StatusLabel::as_bytes),
            grpc_status: known.grpc_status.map_or("", labels::grpc_status).as_bytes(),
            response_flags: known.get(read.flags).unwrap_or(0),
            mtls: known.get(read.mtls).unwrap_or(false),
            peer_principal: known.text(read.principal),
        };
        istio.record(facts.labels(istio.labels, &mut flags), measured);
    }

    /// Whether a request that was not sampled is kept for how it ended.
    fn tail(&self, seen: &Seen, known: &Known<'_>, stream: &StreamInfo) -> Sampling {
        let Some(tail) = self.sampling.tail.filter(|_| seen.hop.is_some()) else { return Sampling::Dropped };
        let ended = Ended {
            status: known.status.and_then(|status| u16::try_from(status).ok()),
            grpc_status: known.grpc_status,
            reset: labels::is_reset(known.text(known.read.details)),
            duration: known.duration,
        };
        let (Some(reason), Some(limit)) = (tail.tail.keeps(ended), &self.limits.tail) else {
            return Sampling::Dropped;
        };
        if !limit.allows(stream.now(), &self.metrics) {
            self.metrics.tail("limited");
            return Sampling::Dropped;
        }
        self.metrics.tail(match reason {
            TailReason::Error => "error",
            TailReason::Slow => "slow",
            TailReason::Reset => "reset",
        });
        Sampling::Tail(reason)
    }

    fn tell(&self, seen: &Seen, known: Known<'_>, sampling: Sampling, log: &LogCx) {
        let Some(full) = &self.over.full else { return };
        // A request that was kept for how it ended: only now is it known that more is told of it.
        let known =
            if known.read.time.is_some() { Ok(Some(known)) } else { self.read(full, seen, log.stream()) };
        let Ok(Some(known)) = known else {
            return self.metrics.failed(format_args!("a request that was kept is not told of"));
        };
        let came = match &seen.block {
            Some(block) => Some(block.clone()),
            None => log.request.block().ok(),
        };
        let request = came.unwrap_or_else(|| HeaderBlock::from_pairs([]));
        let captured = Headers::of(self, &request, log);
        let headers = captured.lines();
        let observed = self.observed(log);
        let ids = seen.hop.as_deref().map(Hop::ids).or(observed);
        let read = known.read;
        let status = known.status.and_then(StatusLabel::new);
        let (path, query) = split_query(request.path());
        let start = known.get(read.time).unwrap_or_default().since_epoch();
        let start_ns = nanos(start);
        let text = |name| request.first(name).unwrap_or_default();
        self.exporter.finished(
            &Finished {
                kind: Kind::Server,
                ids,
                link: seen.hop.as_ref().and_then(|hop| hop.link),
                sampling,
                start_ns,
                end_ns: start_ns.saturating_add(nanos(known.duration)),
                method: seen.method,
                method_original: if seen.method == "_OTHER" { request.method() } else { b"" },
                route: known.route(seen),
                status: known.status.and_then(|status| u16::try_from(status).ok()),
                grpc_status: known.grpc_status,
                error_type: labels::error_type(status.as_ref(), known.details(), known.grpc_status),
                path,
                query,
                scheme: seen.scheme,
                authority: request.authority(),
                client: known.text(read.client),
                peer: known.text(read.peer),
                protocol: known.text(read.protocol),
                user_agent: text(name!("user-agent")),
                request_id: text(name!("x-request-id")),
                cluster: known.text(read.cluster),
                code_details: known.text(read.details),
                response_flags: known.get(read.flags),
                request_size: known.get(read.request_size),
                response_size: known.get(read.response_size),
                attempts: known.get(read.attempts),
                headers: &headers,
            },
            Some(log),
        );
    }

    /// The context that Envoy's own tracer put on the request: lines tell of it. Its span is that tracer's to export.
    fn observed(&self, log: &LogCx) -> Option<SpanIds<'static>> {
        if self.propagation.role != Role::Observe {
            return None;
        }
        let block = log.request.block().ok()?;
        let Found { remote, .. } = extract(&block, &[Format::TraceContext]);
        let remote = remote?;
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

/// Lines of headers that are told of.
struct Headers<'a> {
    telemetry: &'a Telemetry,
    request: &'a HeaderBlock,
    /// Read only where one of its headers is told.
    response: Option<HeaderBlock>,
}

impl<'a> Headers<'a> {
    fn of(telemetry: &'a Telemetry, request: &'a HeaderBlock, log: &LogCx) -> Headers<'a> {
        let of_response = telemetry.exporter.headers().any(|(of, _)| of == Message::Response);
        let response = if of_response { log.response.block().ok() } else { None };
        Headers { telemetry, request, response }
    }

    fn lines(&self) -> Vec<Captured<'_>> {
        let named = |(of, name): (Message, &'a str)| {
            let block = match of {
                Message::Request => Some(self.request),
                Message::Response => self.response.as_ref(),
            };
            let lines = block.into_iter().flat_map(HeaderBlock::iter);
            let lines = lines.filter(move |(found, _)| *found == name.as_bytes());
            lines.map(move |(name, value)| Captured { of, name, value })
        };
        self.telemetry.exporter.headers().flat_map(named).collect()
    }
}

fn split_query(path: &[u8]) -> (&[u8], &[u8]) {
    let path = path.split(|byte| *byte == b'#').next().unwrap_or(path);
    match path.iter().position(|byte| *byte == b'?').and_then(|at| path.split_at_checked(at)) {
        Some((path, query)) => (path, query.get(1..).unwrap_or_default()),
        None => (path, b""),
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
