//! The glue: what the proxy knows goes into the metrics, what was decided about the trace context goes to the proxy.

use std::rc::Rc;
use std::time::Duration;

use wayside_sdk::policy::{Asked, PathReading, RequestView, Rules, read_path};
use wayside_sdk::property::{
    CLUSTER_NAME, Props, REQUEST_DURATION, REQUEST_PROTOCOL, RESPONSE_CODE, RESPONSE_CODE_DETAILS,
    RESPONSE_GRPC_STATUS, ROUTE_NAME, Slot, Together,
};
use wayside_sdk::{
    ConfigErrors, Counter, CounterFamily, Flow, Gauge, GaugeFamily, HeaderBlock, HistogramFamily, Host,
    HttpFilter, Init, LogCx, Mode, Name, Plugin, RequestHeaders, StreamInfo, log, name, rng,
};

use crate::config::{Config, LABELS};
use crate::export::Exporter;
use crate::labels;
use crate::observation::{Finished, Kind, Sampling, SpanIds};
use crate::propagation::{Action, Propagation, inspect};
use crate::series::{Facts, Series};
use crate::traceparent::TraceParent;

const TRACEPARENT: Name = name!("traceparent");
const TRACESTATE: Name = name!("tracestate");

/// The configured filter.
#[derive(Debug)]
pub struct Telemetry {
    mode: Mode,
    rules: Rules<()>,
    /// What `rules` look at
    asked: Asked,
    propagation: Propagation,
    over: Over,
    metrics: Metrics,
    exporter: Exporter,
}

/// One request.
#[derive(Debug)]
pub struct Request {
    plugin: Rc<Telemetry>,
    /// What its headers said; `None` if they never came this far
    seen: Option<Seen>,
}

#[derive(Debug)]
struct Seen {
    method: &'static str,
    scheme: &'static str,
    is_grpc: bool,
    rule: Option<String>,
    /// Where +1 was added, and -1 is to be
    active: Option<Gauge>,
}

impl Plugin for Telemetry {
    const NAME: &'static str = "telemetry";
    type Config = Config;
    type Filter = Request;

    fn configure(config: Config, init: &mut Init) -> Result<Self, ConfigErrors> {
        let metrics = Metrics::new(&config, init)?;
        let limit = init.series_limit(&config.metrics.prefix, config.metrics.max_series)?;
        let exporter = Exporter::new(config.export, &config.metrics.prefix, &limit, init)?;
        Ok(Self {
            exporter,
            mode: config.mode,
            asked: config.rules.asked(),
            rules: config.rules,
            propagation: config.propagation,
            over: Over::new(metrics.labels, init),
            metrics,
        })
    }

    fn stream(self: &Rc<Self>) -> Request {
        Request { plugin: Rc::clone(self), seen: None }
    }
}

impl HttpFilter for Request {
    fn on_request_headers(&mut self, mut request: RequestHeaders) -> Flow {
        let plugin = &*self.plugin;
        if plugin.mode == Mode::Off {
            return Flow::Continue;
        }
        match request.headers.block() {
            Ok(block) => {
                let mut seen = Seen::new(&block, plugin.rule(request.stream(), &block));
                seen.active = plugin.metrics.active(&seen);
                self.seen = Some(seen);
                if let Err(error) = plugin.propagate(&block, &mut request) {
                    plugin.metrics.failed(format_args!("the trace context was left as it came: {error}"));
                }
            }
            Err(error) => plugin.metrics.failed(format_args!("the request cannot be read: {error}")),
        }
        Flow::Continue
    }

    fn on_log(&mut self, log: &LogCx) {
        let plugin = &*self.plugin;
        if plugin.mode == Mode::Off {
            return;
        }
        let seen = match self.seen.take() {
            Some(seen) => {
                if let Some(gauge) = seen.active {
                    gauge.add(-1);
                }
                seen
            }
            // Answered by an earlier filter, or refused by the codec.
            None => match log.request.block() {
                Ok(block) => Seen::new(&block, plugin.rule(log.stream(), &block)),
                Err(_) => Seen::nothing(),
            },
        };
        plugin.record(&seen, log);
    }
}

impl Seen {
    fn new(block: &HeaderBlock, rule: Option<String>) -> Self {
        Self {
            method: labels::method(block.method()),
            scheme: labels::scheme(block.first(name!(":scheme")).unwrap_or_default()),
            is_grpc: block.is_grpc(),
            rule,
            active: None,
        }
    }

    fn nothing() -> Self {
        Self { method: "_OTHER", scheme: "_OTHER", is_grpc: false, rule: None, active: None }
    }
}

impl Telemetry {
    /// The name of the first rule that matches. A path that servers read differently matches none that asks for one.
    fn rule(&self, stream: &StreamInfo, block: &HeaderBlock) -> Option<String> {
        self.rules.iter().next()?;
        let asked = self.asked;
        let path = match asked.path.then(|| read_path(block.path())) {
            Some(PathReading::Canonical(path)) => Some(path),
            Some(PathReading::Ambiguous(_) | PathReading::Refused(_)) | None => None,
        };
        let headers: Vec<_> = block.iter().collect();
        let text = |wanted: bool, property| {
            if wanted { self.known(stream.get(property)).unwrap_or_default() } else { Vec::new() }
        };
        let view = RequestView {
            method: block.method(),
            authority: block.authority(),
            path: path.as_ref().map(|path| path.as_str()),
            headers: &headers,
            route_name: &text(asked.route_name, &ROUTE_NAME),
            cluster: &text(asked.cluster, &CLUSTER_NAME),
        };
        self.rules.select(&view).map(|rule| rule.name.clone())
    }

    fn propagate(&self, block: &HeaderBlock, request: &mut RequestHeaders) -> Host<()> {
        let carried = inspect(block.all(TRACEPARENT), block.all(TRACESTATE));
        self.metrics.trace_context.inc([carried.label().as_bytes()]);
        if self.mode == Mode::Shadow {
            return Ok(());
        }
        match self.propagation.action(carried) {
            Action::Keep => Ok(()),
            Action::DropState => request.headers.remove(TRACESTATE),
            Action::Restart => {
                // Before anything is changed: without randomness the old context is better than half a new one.
                let root = TraceParent::root(rng::bytes()?);
                for name in [TRACESTATE, TRACEPARENT] {
                    if block.all(name).next().is_some() {
                        request.headers.remove(name)?;
                    }
                }
                request.headers.set(TRACEPARENT, root.to_string())
            }
        }
    }

    fn record(&self, seen: &Seen, log: &LogCx) {
        let stream = log.stream();
        let over = &self.over;
        let values = match stream.read(if seen.is_grpc { &over.grpc } else { &over.plain }) {
            Ok(values) => values,
            Err(error) => return self.metrics.failed(format_args!("a request is not recorded: {error}")),
        };
        let Some(duration) = self.known(values.get(over.duration)) else {
            return self.metrics.failed(format_args!("a request without a duration is not recorded"));
        };
        let text = |slot: Option<_>| slot.map_or(&b""[..], |slot| values.text(slot));
        let status = over.status.and_then(|slot| self.known(values.get(slot)));
        let facts = Facts {
            method: seen.method,
            scheme: seen.scheme,
            rule: seen.rule.as_deref(),
            route_name: text(over.route),
            status,
            // The status of a 5xx is its error.
            details: if status.is_some_and(|status| status >= 500) { b"" } else { text(over.details) },
            protocol: text(over.protocol),
            grpc_status: over.grpc_status.and_then(|slot| self.known(values.get(slot))),
        };
        self.metrics.record(&Series::new(facts), duration);
        let random: [u8; 24] = rng::bytes().unwrap_or([1; 24]);
        let mut ids = SpanIds {
            trace_id: [0; 16],
            span_id: [0; 8],
            parent_id: None,
            parent_is_remote: false,
            flags: 1,
            tracestate: b"",
        };
        ids.trace_id.copy_from_slice(random.get(..16).unwrap_or(&[1; 16]));
        ids.span_id.copy_from_slice(random.get(16..).unwrap_or(&[1; 8]));
        self.exporter.finished(
            &Finished {
                kind: Kind::Server,
                ids: Some(ids),
                link: None,
                sampling: Sampling::Head,
                start_ns: 1,
                end_ns: 2,
                method: seen.method,
                method_original: b"",
                route: text(over.route),
                status: status.and_then(|status| u16::try_from(status).ok()),
                grpc_status: None,
                error_type: b"",
                path: b"/",
                query: b"",
                scheme: seen.scheme,
                authority: b"",
                client: b"",
                peer: b"",
                protocol: text(over.protocol),
                user_agent: b"",
                request_id: b"",
                cluster: b"",
                code_details: text(over.details),
                response_flags: None,
                request_size: None,
                response_size: None,
                attempts: None,
                headers: &[],
            },
            log,
        );
    }

    /// A value, if the proxy has it. One that is none is counted; the label stays empty.
    fn known<T>(&self, value: Host<Option<T>>) -> Option<T> {
        value.unwrap_or_else(|error| {
            self.metrics.failed(format_args!("a property cannot be read: {error}"));
            None
        })
    }
}

/// What is read of a request once it is over: no more than the labels need.
#[derive(Debug)]
struct Over {
    duration: Slot<Duration>,
    status: Option<Slot<u64>>,
    route: Option<Slot<Vec<u8>>>,
    details: Option<Slot<Vec<u8>>>,
    protocol: Option<Slot<Vec<u8>>>,
    /// The last: of gRPC requests only
    grpc_status: Option<Slot<u64>>,
    plain: Together,
    grpc: Together,
}

impl Over {
    fn new([_, status, route, error, protocol, _, grpc]: [bool; 7], init: &mut Init) -> Self {
        let mut asked = Props::new();
        let duration = asked.add(&REQUEST_DURATION);
        let status = (status || error).then(|| asked.add(&RESPONSE_CODE));
        let route = route.then(|| asked.add(&ROUTE_NAME));
        let details = error.then(|| asked.add(&RESPONSE_CODE_DETAILS));
        let protocol = protocol.then(|| asked.add(&REQUEST_PROTOCOL));
        let plain = init.together(asked.clone());
        let grpc_status = (grpc || error).then(|| asked.add(&RESPONSE_GRPC_STATUS));
        let grpc = init.together(asked);
        Self { duration, status, route, details, protocol, grpc_status, plain, grpc }
    }
}

#[derive(Debug)]
struct Metrics {
    duration: HistogramFamily<7>,
    labels: [bool; 7],
    active: GaugeFamily<2>,
    trace_context: CounterFamily<1>,
    internal: Counter,
}

impl Metrics {
    fn new(config: &Config, init: &mut Init) -> Host<Self> {
        let metrics = &config.metrics;
        let limit = init.series_limit(&metrics.prefix, metrics.max_series)?;
        // What was not chosen has no name, and so is not there.
        let mut chosen = LABELS;
        for (label, is_chosen) in chosen.iter_mut().zip(metrics.labels) {
            if !is_chosen {
                *label = "";
            }
        }
        Ok(Self {
            active: init.gauge_family(
                "http_server_active_requests",
                ["http_request_method", "url_scheme"],
                &limit,
            ),
            duration: init.histogram_family("http_server_request_duration_ms", chosen, &limit),
            labels: metrics.labels,
            trace_context: init.counter_family(
                &format!("{}_trace_context_total", metrics.prefix),
                ["result"],
                &limit,
            ),
            internal: init.counter(&format!("{}_telemetry_internal_total", metrics.prefix))?,
        })
    }

    /// Adds 1; the stream takes it away again from the same gauge when it is over.
    fn active(&self, seen: &Seen) -> Option<Gauge> {
        let gauge = self.active.get([seen.method.as_bytes(), seen.scheme.as_bytes()])?;
        gauge.add(1);
        Some(gauge)
    }

    fn record(&self, series: &Series<'_>, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.duration.record(series.labels(self.labels), millis);
    }

    /// Something went wrong in the filter; the request goes on.
    fn failed(&self, why: std::fmt::Arguments<'_>) {
        log!(Warn, "{why}");
        self.internal.inc();
    }
}
