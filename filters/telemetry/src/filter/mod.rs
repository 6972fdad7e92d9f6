//! The glue: what the proxy knows goes into the metrics, what was decided about the trace context goes to the proxy.

mod attempt;
mod limit;
mod over;
mod requests;
mod told;

use std::cell::RefCell;
use std::rc::Rc;

use wayside_sdk::policy::{Asked, PathReading, RequestView, Rules, read_path};
use wayside_sdk::property::{CLUSTER_NAME, Prop, ROUTE_NAME};
use wayside_sdk::{
    ConfigErrors, Flow, HeaderBlock, Host, HttpFilter, Init, LogCx, Mode, Monotonic, Name, Opened,
    PerRequest, Plugin, RequestHeaders, ResponseHeaders, StreamInfo, name, rng, vm_local,
};

use crate::config::{Config, Sampling};
use crate::export::{self, Exporter};
use crate::hop::{Choice, Draw, Hop};
use crate::labels;
use crate::metrics::{Active, Metrics};
use crate::propagation::{Edit, Found, Propagation, Role, Stance, extract};
use crate::trace::ids::Pool;
use attempt::Attempt;
use limit::SharedLimit;
use over::Over;
use told::Told;

const INTERNAL: Name = name!("x-envoy-internal");
const TRACESTATE: Name = name!("tracestate");

vm_local! {
    /// What attempts need to know of their request.
    static HOPS: PerRequest<Hop> = const { PerRequest::named("telemetry_hop") };
}

/// The configured filter.
#[derive(Debug)]
pub struct Telemetry {
    mode: Mode,
    rules: Rules<()>,
    /// What `rules` look at
    asked: Asked,
    propagation: Propagation,
    sampling: Sampling,
    /// Of all VMs together
    limits: Limits,
    attempts: Option<crate::config::Attempts>,
    wants_first_byte: bool,
    ids: RefCell<Pool>,
    over: Over,
    metrics: Metrics,
    /// `None`: nothing is told of requests
    told: Option<Told>,
}

#[derive(Debug)]
struct Limits {
    head: Option<SharedLimit>,
    tail: Option<SharedLimit>,
}

/// One stream: a request, or an attempt at one.
#[derive(Debug)]
pub struct Request {
    plugin: Rc<Telemetry>,
    part: Part,
}

#[derive(Debug)]
enum Part {
    /// Its headers never came this far, yet
    New,
    Served(Seen),
    Attempt(Attempt),
}

/// What a request's headers said.
#[derive(Debug)]
struct Seen {
    method: &'static str,
    scheme: &'static str,
    is_grpc: bool,
    rule: Option<String>,
    active: Option<Active>,
    hop: Option<Place>,
    /// When they came, and when the answer's came; only where that is measured
    came: Option<Monotonic>,
    first_byte: Option<Monotonic>,
}

/// The span made of a request; open where its attempts look for it.
#[derive(Debug)]
enum Place {
    Own(Hop),
    Open(Opened<Hop>),
}

impl std::ops::Deref for Place {
    type Target = Hop;

    fn deref(&self) -> &Hop {
        match self {
            Place::Own(hop) => hop,
            Place::Open(hop) => hop,
        }
    }
}

impl Plugin for Telemetry {
    const NAME: &'static str = "telemetry";
    type Config = Config;
    type Filter = Request;

    fn configure(config: Config, init: &mut Init) -> Result<Self, ConfigErrors> {
        let metrics = Metrics::new(&config.metrics, init)?;
        let sampling = config.sampling;
        let told = told(config.export, &config.metrics.prefix, init)?;
        Ok(Self {
            mode: config.mode,
            asked: config.rules.asked(),
            rules: config.rules,
            propagation: config.propagation,
            limits: Limits {
                head: sampling.limit.map(|limit| SharedLimit::new("telemetry.sampled", limit)),
                tail: sampling.tail.map(|tail| SharedLimit::new("telemetry.tail", tail.limit)),
            },
            over: Over::new(&config.metrics, &sampling, init),
            sampling,
            attempts: config.attempts,
            wants_first_byte: config.metrics.also.time_to_first_byte,
            ids: RefCell::default(),
            metrics,
            told,
        })
    }

    fn stream(self: &Rc<Self>) -> Request {
        Request { plugin: Rc::clone(self), part: Part::New }
    }
}

impl HttpFilter for Request {
    fn on_request_headers(&mut self, mut request: RequestHeaders) -> Flow {
        let plugin = &*self.plugin;
        if plugin.mode == Mode::Off {
            return Flow::Continue;
        }
        match plugin.begin(&self.plugin, &mut request) {
            Ok(part) => self.part = part,
            Err(error) => plugin.metrics.failed(format_args!("the request cannot be read: {error}")),
        }
        Flow::Continue
    }

    fn on_response_headers(&mut self, response: ResponseHeaders) -> Flow {
        match &mut self.part {
            Part::Served(seen) if seen.came.is_some() => seen.first_byte = response.stream().now().ok(),
            Part::Attempt(attempt) => attempt.answered(&response),
            Part::Served(_) | Part::New => {}
        }
        Flow::Continue
    }

    fn on_log(&mut self, log: &LogCx) {
        let plugin = &*self.plugin;
        if plugin.mode == Mode::Off {
            return;
        }
        let mut seen = match std::mem::replace(&mut self.part, Part::New) {
            Part::Served(seen) => seen,
            Part::Attempt(_) => return,
            // Answered by an earlier filter, or refused by the codec.
            Part::New => match log.request.block() {
                Ok(block) => Seen::new(&block, plugin.rule(log.stream(), &block)),
                Err(_) => Seen::nothing(),
            },
        };
        // It is not served any more, whatever is told of it now.
        drop(seen.active.take());
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
            ..Self::nothing()
        }
    }

    fn nothing() -> Self {
        Self {
            method: "_OTHER",
            scheme: "_OTHER",
            is_grpc: false,
            rule: None,
            active: None,
            hop: None,
            came: None,
            first_byte: None,
        }
    }
}

fn told(settings: export::Settings, prefix: &str, init: &mut Init) -> Result<Option<Told>, ConfigErrors> {
    if !settings.is_wanted() {
        return Ok(None);
    }
    let headers = settings.headers().map(|(of, name)| (of, name.to_owned())).collect();
    let exporter = Exporter::new(settings, prefix, init)?;
    Ok(Some(Told::new(exporter, headers, init)))
}

impl Telemetry {
    fn begin(&self, this: &Rc<Self>, request: &mut RequestHeaders) -> Host<Part> {
        // Only where attempts are looked at can this stream be one.
        if let Some(attempts) = self.attempts
            && let Some(ordinal) = request.attempt()?
        {
            return Attempt::begin(this, attempts, ordinal, request).map(Part::Attempt);
        }
        let block = request.headers.block()?;
        let mut seen = Seen::new(&block, self.rule(request.stream(), &block));
        seen.active = self.metrics.active(seen.method, seen.scheme);
        seen.came = self.wants_first_byte.then(|| request.stream().now()).transpose()?;
        seen.hop = self.propagate(&block, request).unwrap_or_else(|error| {
            self.metrics.failed(format_args!("the trace context was left as it came: {error}"));
            None
        });
        Ok(Part::Served(seen))
    }

    /// The name of the first rule that matches. A path that servers read differently matches none that asks for one.
    fn rule(&self, stream: &StreamInfo, block: &HeaderBlock) -> Option<String> {
        self.rules.iter().next()?;
        let asked = self.asked;
        let path = match asked.path.then(|| read_path(block.path())) {
            Some(PathReading::Canonical(path)) => Some(path),
            Some(PathReading::Ambiguous(_) | PathReading::Refused(_)) | None => None,
        };
        let headers: Vec<_> = block.iter().collect();
        let text = |wanted: bool, property: &Prop<Vec<u8>>| {
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

    /// Has the request tell of its trace what is to be told, and counts what it carried.
    fn propagate(&self, block: &HeaderBlock, request: &mut RequestHeaders) -> Host<Option<Place>> {
        let trusted = self.propagation.trusts(block.all(INTERNAL));
        let mut found = extract(block, &self.propagation.extract);
        let stance = self.propagation.stance(&mut found, trusted);
        // Before anything is changed: without randomness the old context is better than half a new one.
        let is_shadow = self.mode == Mode::Shadow;
        let drops_state = stance == Stance::DropState;
        let hop = match is_shadow && self.propagation.role == Role::Pass {
            true => None,
            false => self.hop(&found, stance, request)?,
        };
        let sampling = hop.as_ref().filter(|_| self.propagation.role == Role::Trace);
        self.metrics.trace_context(found.carried.label(), sampling.map_or("", |hop| hop.verdict.label()));
        if is_shadow {
            return Ok(None);
        }
        let mut edit = |edit: Edit<'_>| match edit {
            Edit::Set(name, value) => request.headers.set(name, value),
            Edit::Remove(name) => request.headers.remove(name),
        };
        if drops_state {
            edit(Edit::Remove(TRACESTATE))?;
        }
        self.propagation.check_baggage(block, trusted, &mut edit)?;
        let Some(hop) = hop else { return Ok(None) };
        self.propagation.inject(block, &hop.onward(), &mut edit)?;
        // A new root in the place of a broken one is nobody's span.
        if self.propagation.role != Role::Trace {
            return Ok(None);
        }
        match self.attempts {
            Some(attempts) if attempts.client_spans => {
                HOPS.with(|hops| hops.open(request.stream(), hop)).map(Place::Open).map(Some)
            }
            _ => Ok(Some(Place::Own(hop))),
        }
    }

    fn hop(&self, found: &Found<'_>, stance: Stance<'_>, request: &RequestHeaders) -> Host<Option<Hop>> {
        let is_hop = self.propagation.role == Role::Trace;
        let mut choice = Choice {
            sampler: is_hop.then_some(self.sampling.sampler),
            is_within_limit: &mut || match &self.limits.head {
                Some(limit) => limit.allows(request.stream().now(), &self.metrics),
                None => true,
            },
            tracestate_key: self.propagation.tracestate_key.as_deref(),
        };
        Hop::next(found, stance, &mut self.draw(), &mut choice)
    }

    /// Ids for spans.
    fn draw(&self) -> Drawn<'_> {
        Drawn(self.ids.borrow_mut())
    }

    /// A value, if the proxy has it. One that is none is counted; the label stays empty.
    fn known<T>(&self, value: Host<Option<T>>) -> Option<T> {
        value.unwrap_or_else(|error| {
            self.metrics.failed(format_args!("a property cannot be read: {error}"));
            None
        })
    }
}

/// Ids out of the proxy's randomness.
struct Drawn<'a>(std::cell::RefMut<'a, Pool>);

impl Draw<wayside_sdk::HostError> for Drawn<'_> {
    fn span(&mut self) -> Host<[u8; 8]> {
        self.0.take(rng::bytes)
    }

    fn trace(&mut self) -> Host<[u8; 16]> {
        self.0.take(rng::bytes)
    }
}
