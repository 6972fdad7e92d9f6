//! A request that is over goes into the metrics.

use wayside_sdk::property::{Slot, Values};
use wayside_sdk::{LogCx, StreamInfo};

use super::{Seen, Telemetry};
use crate::istio::{self, Reporter};
use crate::labels::{self, StatusLabel};
use crate::metrics::{Measured, Requests};
use crate::observation::{self, TailReason};
use crate::sampling::Ended;
use crate::series::{Facts, Series};

impl Telemetry {
    pub(super) fn record(&self, seen: &Seen, log: &LogCx) {
        let stream = log.stream();
        let over = &self.over;
        let values = match stream.read(if seen.is_grpc { &over.grpc } else { &over.plain }) {
            Ok(values) => values,
            Err(error) => {
                return self.metrics.failed(format_args!("a request is not recorded: {error}"));
            }
        };
        let Some(duration) = self.known(values.get(over.duration)) else {
            return self.metrics.failed(format_args!("a request without a duration is not recorded"));
        };
        let number = |slot: Option<Slot<u64>>| slot.and_then(|slot| self.known(values.get(slot)));
        let measured = Measured {
            duration,
            request_size: number(over.request_size),
            response_size: number(over.response_size),
        };
        let text = |slot: Option<Slot<Vec<u8>>>| slot.map_or(&b""[..], |slot| values.text(slot));
        let route = seen.rule.as_deref().map_or_else(|| text(over.route), str::as_bytes);
        if let Some(attempts) = number(over.attempts) {
            self.metrics.attempts(route, attempts);
        }
        if let (Some(came), Some(first_byte)) = (seen.came, seen.first_byte) {
            self.metrics.first_byte(route, first_byte.since(came));
        }
        let status = number(over.status);
        let grpc_status = number(over.grpc_status).filter(|_| seen.is_grpc);
        match self.metrics.requests() {
            Requests::Otel(otel) => {
                let facts = Facts {
                    method: seen.method,
                    scheme: seen.scheme,
                    route,
                    status,
                    // The status of a 5xx is its error.
                    details: if status >= Some(500) { b"" } else { text(over.details) },
                    protocol: text(over.protocol),
                    grpc_status,
                };
                otel.record(Series::new(facts).labels(otel.labels), measured);
            }
            Requests::Istio(istio) => self.record_istio(istio, seen, &values, status, grpc_status, measured),
        }
        let mut kept = match &seen.hop {
            Some(hop) if hop.is_sampled() => observation::Sampling::Head,
            _ => observation::Sampling::Dropped,
        };
        if self.sampling.tail.is_some() {
            let ended = Ended {
                status: status.and_then(|status| u16::try_from(status).ok()),
                grpc_status,
                reset: labels::is_reset(text(over.details)),
                duration,
            };
            kept = self.tail(seen, ended, stream).map_or(kept, observation::Sampling::Tail);
        }
        if let Some(told) = &self.told
            && told.exporter.is_wanted(kept)
        {
            self.tell(told, seen, log, kept, duration);
        }
    }

    fn record_istio(
        &self,
        istio: &crate::metrics::Istio,
        seen: &Seen,
        values: &Values,
        status: Option<u64>,
        grpc_status: Option<u64>,
        measured: Measured,
    ) {
        let over = &self.over;
        let number = |slot: Option<Slot<u64>>| slot.and_then(|slot| self.known(values.get(slot)));
        let text = |slot: Option<Slot<Vec<u8>>>| slot.map_or(&b""[..], |slot| values.text(slot));
        let status = status.and_then(StatusLabel::new);
        let mut flags = Vec::new();
        let facts = istio::Facts {
            reporter: Reporter::of_direction(number(over.direction)),
            own: &over.own,
            cluster: text(over.cluster),
            is_grpc: seen.is_grpc,
            status: status.as_ref().map(StatusLabel::as_bytes),
            grpc_status: grpc_status.map_or("", labels::grpc_status).as_bytes(),
            response_flags: number(over.flags).unwrap_or(0),
            mtls: over.mtls.and_then(|slot| self.known(values.get(slot))).unwrap_or(false),
            peer_principal: text(over.principal),
        };
        istio.record(facts.labels(istio.labels, &mut flags), measured);
    }

    /// Whether a request that was not sampled is kept for how it ended.
    fn tail(&self, seen: &Seen, ended: Ended, stream: &StreamInfo) -> Option<TailReason> {
        let hop = seen.hop.as_ref().filter(|hop| !hop.is_sampled())?;
        debug_assert!(!hop.is_sampled());
        let reason = self.sampling.tail?.tail.keeps(ended)?;
        let limit = self.limits.tail.as_ref()?;
        if !limit.allows(stream.now(), &self.metrics) {
            self.metrics.tail("limited");
            return None;
        }
        self.metrics.tail(match reason {
            TailReason::Error => "error",
            TailReason::Slow => "slow",
            TailReason::Reset => "reset",
        });
        Some(reason)
    }
}
