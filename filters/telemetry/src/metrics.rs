//! The metrics, in the proxy.

use std::fmt;
use std::time::Duration;

use wayside_sdk::{Counter, CounterFamily, Gauge, GaugeFamily, HistogramFamily, Host, Init, log};

use crate::config::{self, LABELS, Profile};
use crate::istio;

/// What one VM counts in.
#[derive(Debug)]
pub struct Metrics {
    active: GaugeFamily<2>,
    trace_context: CounterFamily<2>,
    tail: CounterFamily<1>,
    requests: Requests,
    attempts: HistogramFamily<1>,
    first_byte: HistogramFamily<1>,
    client: HistogramFamily<4>,
    internal: Counter,
}

/// What requests are recorded in, once they are over.
#[derive(Debug)]
pub enum Requests {
    Otel(Otel),
    Istio(Istio),
}

#[derive(Debug)]
pub struct Otel {
    pub labels: [bool; 7],
    duration: HistogramFamily<7>,
    request_size: Option<HistogramFamily<7>>,
    response_size: Option<HistogramFamily<7>>,
}

#[derive(Debug)]
pub struct Istio {
    pub labels: [bool; istio::LABELS.len()],
    requests: CounterFamily<{ istio::LABELS.len() }>,
    duration: HistogramFamily<{ istio::LABELS.len() }>,
    request_size: HistogramFamily<{ istio::LABELS.len() }>,
    response_size: HistogramFamily<{ istio::LABELS.len() }>,
}

/// What is recorded of a request besides its labels.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub duration: Duration,
    pub request_size: Option<u64>,
    pub response_size: Option<u64>,
}

/// One request that is being served: +1 in the gauge for as long as this lives, whatever ends it.
#[derive(Debug)]
pub struct Active(Gauge);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// The names of labels that were chosen; what was not has none, and so is not there.
fn names<const N: usize>(mut all: [&'static str; N], chosen: [bool; N]) -> [&'static str; N] {
    for (label, is_chosen) in all.iter_mut().zip(chosen) {
        if !is_chosen {
            *label = "";
        }
    }
    all
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Metrics {
    /// # Errors
    /// What the host answered.
    pub fn new(config: &config::Metrics, init: &mut Init) -> Host<Metrics> {
        let limit = init.series_limit(&config.prefix, config.max_series)?;
        let requests = match config.profile {
            Profile::Otel(labels) => {
                let named = names(LABELS, labels);
                let mut sizes =
                    |wanted: bool, base| wanted.then(|| init.histogram_family(base, named, &limit));
                Requests::Otel(Otel {
                    labels,
                    request_size: sizes(config.also.request_body_size, "http_server_request_body_size"),
                    response_size: sizes(config.also.response_body_size, "http_server_response_body_size"),
                    duration: init.histogram_family("http_server_request_duration_ms", named, &limit),
                })
            }
            Profile::Istio(labels) => {
                let named = names(istio::LABELS, labels);
                Requests::Istio(Istio {
                    labels,
                    requests: init.counter_family("istio_requests_total", named, &limit),
                    duration: init.histogram_family("istio_request_duration_milliseconds", named, &limit),
                    request_size: init.histogram_family("istio_request_bytes", named, &limit),
                    response_size: init.histogram_family("istio_response_bytes", named, &limit),
                })
            }
        };
        let own = |name: &str| format!("{}_{name}", config.prefix);
        Ok(Metrics {
            active: init.gauge_family(
                "http_server_active_requests",
                ["http_request_method", "url_scheme"],
                &limit,
            ),
            trace_context: init.counter_family(&own("trace_context_total"), ["result", "sampling"], &limit),
            tail: init.counter_family(&own("tail_total"), ["reason"], &limit),
            requests,
            attempts: init.histogram_family(&own("attempts"), ["http_route"], &limit),
            first_byte: init.histogram_family(&own("time_to_first_byte_ms"), ["http_route"], &limit),
            client: init.histogram_family(
                "http_client_request_duration_ms",
                ["http_request_method", "http_response_status_code", "server_address", "error_type"],
                &limit,
            ),
            internal: init.counter(&own("telemetry_internal_total"))?,
        })
    }

    /// Which labels requests are recorded under.
    pub const fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Counts a request as active until what is returned is dropped.
    pub fn active(&self, method: &str, scheme: &str) -> Option<Active> {
        let gauge = self.active.get([method.as_bytes(), scheme.as_bytes()])?;
        gauge.add(1);
        Some(Active(gauge))
    }

    /// `sampling` is empty where nobody was asked.
    pub fn trace_context(&self, result: &str, sampling: &str) {
        self.trace_context.inc([result.as_bytes(), sampling.as_bytes()]);
    }

    /// What became of a request that the tail would keep.
    pub fn tail(&self, reason: &str) {
        self.tail.inc([reason.as_bytes()]);
    }

    pub fn attempts(&self, route: &[u8], attempts: u64) {
        self.attempts.record([route], attempts);
    }

    pub fn first_byte(&self, route: &[u8], after: Duration) {
        self.first_byte.record([route], millis(after));
    }

    /// Method, status, cluster and error of one attempt.
    pub fn client(&self, labels: [&[u8]; 4], duration: Duration) {
        self.client.record(labels, millis(duration));
    }

    /// Something went wrong in the filter; the request goes on.
    pub fn failed(&self, why: fmt::Arguments<'_>) {
        log!(Warn, "{why}");
        self.internal.inc();
    }
}

impl Otel {
    pub fn record(&self, labels: [&[u8]; 7], measured: Measured) {
        self.duration.record(labels, millis(measured.duration));
        let sizes =
            [(&self.request_size, measured.request_size), (&self.response_size, measured.response_size)];
        for (family, size) in sizes {
            if let (Some(family), Some(size)) = (family, size) {
                family.record(labels, size);
            }
        }
    }
}

impl Istio {
    pub fn record(&self, labels: [&[u8]; istio::LABELS.len()], measured: Measured) {
        self.requests.inc(labels);
        self.duration.record(labels, millis(measured.duration));
        self.request_size.record(labels, measured.request_size.unwrap_or(0));
        self.response_size.record(labels, measured.response_size.unwrap_or(0));
    }
}
