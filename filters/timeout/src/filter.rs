//! From callbacks to the decisions and back: no arithmetic, no parsing.

use crate::config::Config;
use crate::deadline::{Source, Verdict, assess};
use crate::forms;
use crate::metrics::{Metrics, whole_millis};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::{
    ConfigErrors, Envelope, Flow, GrpcCode, HeaderBlock, Host, HttpFilter, Init, LogCx, Mode, Monotonic,
    Name, Plugin, Reply, RequestBody, RequestHeaders, RequestTrailers, ResponseHeaders, Stream, StreamInfo,
    TimerId, log, name, property,
};

const GRPC_TIMEOUT: Name = name!("grpc-timeout");
const EXPECTED: Name = name!("x-envoy-expected-rq-timeout-ms");
const INTERNAL: Name = name!("x-envoy-internal");
const UPSTREAM: Name = name!("x-envoy-upstream-rq-timeout-ms");

/// How long before the deadline the router may answer: it counts whole milliseconds, rounded down here, from a clock that its
/// event loop read some time ago.
const ROUTER_EARLY: Duration = Duration::from_millis(20);

/// What all streams of one VM share.
#[derive(Debug)]
pub struct Timeout {
    envelope: Envelope<Config>,
    metrics: Metrics,
}

impl Plugin for Timeout {
    const NAME: &'static str = "timeout";
    type Config = Envelope<Config>;
    type Filter = Request;

    fn configure(envelope: Envelope<Config>, init: &mut Init) -> Result<Timeout, ConfigErrors> {
        if let Some(tick) = envelope.configs().filter_map(|config| config.tick).min() {
            init.timers(tick);
        }
        let metrics = Metrics::new(init, &envelope.metrics)?;
        Ok(Timeout { envelope, metrics })
    }

    fn stream(self: &Rc<Self>) -> Request {
        Request { plugin: self.clone(), live: None }
    }
}

/// One request.
#[derive(Debug)]
pub struct Request {
    plugin: Rc<Timeout>,
    /// `None` when the filter has nothing to do with it.
    live: Option<Live>,
}

#[derive(Debug)]
struct Live {
    rule: Rc<str>,
    grpc: bool,
    deadline: Monotonic,
    timer: Option<TimerId>,
    /// Whether the client has sent everything; shared with the timer, which names the phase it cut.
    uploaded: Rc<Cell<bool>>,
    answered: bool,
    enforced: Rc<Cell<bool>>,
}

impl HttpFilter for Request {
    fn on_request_headers(&mut self, mut request: RequestHeaders) -> Flow {
        if self.plugin.envelope.mode == Mode::Off {
            return Flow::Continue;
        }
        self.arrive(&mut request).unwrap_or_else(|error| {
            log!(Error, "timeout: a request passes without a deadline: {error}");
            Flow::Continue
        })
    }

    fn on_request_body(&mut self, body: RequestBody) -> Flow {
        self.uploaded(body.end_of_stream());
        Flow::Continue
    }

    fn on_request_trailers(&mut self, trailers: RequestTrailers) -> Flow {
        self.uploaded(trailers.end_of_stream());
        Flow::Continue
    }

    fn on_response_headers(&mut self, mut response: ResponseHeaders) -> Flow {
        if let Some(live) = &mut self.live {
            live.answered = true;
            if let Some(timer) = live.timer.take() {
                response.stream().cancel(timer);
            }
        }
        if let Err(error) = self.name_router_timeout(&mut response) {
            log!(Warn, "timeout: an answer was not looked at: {error}");
        }
        Flow::Continue
    }

    fn on_log(&mut self, cx: &LogCx) {
        let Some(live) = &self.live else { return };
        let metrics = &self.plugin.metrics;
        if let Ok(now) = cx.stream().now()
            && now > live.deadline
        {
            metrics.overrun.record(&live.rule, [], whole_millis(now.since(live.deadline)));
        }
        if !live.answered && !live.enforced.get() && client_left(cx.stream()) {
            metrics.cancelled.inc(&live.rule, []);
        }
    }
}

impl Request {
    fn arrive(&mut self, request: &mut RequestHeaders) -> Host<Flow> {
        let plugin = self.plugin.clone();
        let headers = request.headers.block()?;
        if is_tunnel(&headers) {
            return Ok(Flow::Continue);
        }
        let selected = plugin.envelope.select(request.stream(), &headers);
        let (config, rule) = (selected.config, selected.rule);
        if selected.bad_override {
            plugin.metrics.bad_override.inc(rule, []);
        }
        let (now, grpc) = (request.stream().now()?, headers.is_grpc());
        let values = values(config, &headers, grpc);
        let assessment = assess(&config.limits, &values, config.trust.allows(headers.all(INTERNAL)), now);
        let verdict = assessment.verdict(&config.limits);
        plugin.metrics.arrival(rule, &assessment, verdict);
        let enforce = plugin.envelope.mode == Mode::Enforce;
        if enforce && config.reject_bad_headers && assessment.bad_header().is_some() {
            return Ok(bad_header(grpc).into());
        }
        if enforce && verdict != Verdict::Pass {
            return Ok(exceeded(grpc, "timeout.fail_fast").into());
        }
        if enforce {
            request.headers.set(UPSTREAM, forms::millis_text(assessment.left))?;
            if grpc && config.grpc {
                request.headers.set(GRPC_TIMEOUT, forms::grpc_timeout_text(assessment.left))?;
            }
            if values.iter().any(|(source, _)| *source == Source::Expected) {
                request.headers.remove(EXPECTED)?;
            }
        }
        let mut live = Live {
            rule: rule.into(),
            grpc,
            deadline: assessment.deadline,
            timer: None,
            uploaded: Rc::new(Cell::new(request.end_of_stream())),
            answered: false,
            enforced: Rc::default(),
        };
        if config.tick.is_some() && verdict == Verdict::Pass {
            live.timer = Some(live.watch(&plugin, request.stream())?);
        }
        self.live = Some(live);
        Ok(Flow::Continue)
    }

    /// The router keeps the deadline too, in whole milliseconds, and often answers first. To a gRPC client that would be
    /// `UNAVAILABLE`, which it retries.
    fn name_router_timeout(&self, response: &mut ResponseHeaders) -> Host<()> {
        let Some(live) = &self.live else { return Ok(()) };
        let near = live.deadline.minus(ROUTER_EARLY);
        if live.enforced.get()
            || self.plugin.envelope.mode != Mode::Enforce
            || response.stream().now()? < near
        {
            return Ok(());
        }
        let details = response.stream().get(&property::RESPONSE_CODE_DETAILS)?.unwrap_or_default();
        if details != b"response_timeout" {
            return Ok(());
        }
        self.plugin.metrics.enforced.inc(&live.rule, [b"router"]);
        response.headers.set(name!("x-deadline"), "exceeded")?;
        if live.grpc {
            response.headers.set(name!("grpc-status"), "4")?;
            response.headers.set(name!("grpc-message"), "deadline exceeded")?;
        }
        Ok(())
    }

    fn uploaded(&mut self, end_of_stream: bool) {
        if let Some(live) = &self.live
            && end_of_stream
        {
            live.uploaded.set(true);
        }
    }
}

impl Live {
    fn watch(&self, plugin: &Rc<Timeout>, stream: &Stream) -> Host<TimerId> {
        let (plugin, rule, grpc) = (plugin.clone(), self.rule.clone(), self.grpc);
        let (uploaded, enforced) = (self.uploaded.clone(), self.enforced.clone());
        stream.at(self.deadline, move |parked| {
            enforced.set(true);
            let phase: &[u8] = if uploaded.get() { b"upstream" } else { b"request" };
            plugin.metrics.enforced.inc(&rule, [phase]);
            if plugin.envelope.mode == Mode::Enforce {
                parked.reply(exceeded(grpc, "timeout.deadline"));
            }
        })
    }
}

/// Every value of every header that is a source for this request.
fn values<'a>(config: &Config, headers: &'a HeaderBlock, grpc: bool) -> Vec<(Source, &'a [u8])> {
    let sources = [(Source::Grpc, GRPC_TIMEOUT), (Source::Expected, EXPECTED), (Source::Upstream, UPSTREAM)];
    let read =
        sources.into_iter().filter(|(source, _)| config.reads(*source) && (grpc || *source != Source::Grpc));
    read.flat_map(|(source, name)| headers.all(name).map(move |value| (source, value))).collect()
}

/// Tunnels and upgrades live as long as both ends want.
fn is_tunnel(headers: &HeaderBlock) -> bool {
    headers.method() == b"CONNECT" || headers.first(name!("upgrade")).is_some()
}

/// The upstream is reset by Envoy itself; here it is only told apart from an upstream that failed.
fn client_left(stream: &StreamInfo) -> bool {
    let details = stream.get(&property::RESPONSE_CODE_DETAILS).ok().flatten().unwrap_or_default();
    details.starts_with(b"downstream_remote_disconnect") || details.starts_with(b"http2.remote_reset")
}

fn exceeded(grpc: bool, details: &'static str) -> Reply {
    let reply = Reply::new(504, details).header(name!("x-deadline"), "exceeded");
    if grpc {
        reply.grpc(GrpcCode::DeadlineExceeded).body(&b"deadline exceeded"[..])
    } else {
        reply.json_problem("deadline exceeded")
    }
}

fn bad_header(grpc: bool) -> Reply {
    let reply = Reply::new(400, "timeout.bad_header");
    if grpc {
        reply.grpc(GrpcCode::InvalidArgument).body(&b"unreadable timeout header"[..])
    } else {
        reply.json_problem("unreadable timeout header")
    }
}
