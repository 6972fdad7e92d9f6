//! From callbacks to the decisions and back: no arithmetic, no parsing.

mod followed;
mod live;

use crate::adaptive::tracks::Tracks;
use crate::attempts::{self, Word};
use crate::config::Config;
use crate::deadline::{Assessment, Clocks, Limits, Verdict, assess};
use crate::metrics::Metrics;
use crate::rejects::Rejects;
use crate::reply;
use crate::source::{Carried, Source, Speaks};
use crate::streaming::Lasts;
use crate::upstream::{Edit, Sent, edits};
use followed::{Followed, Hedges};
use live::{Held, Live};
use std::cell::RefCell;
use std::rc::Rc;
use wayside_sdk::units::digits;
use wayside_sdk::{
    ConfigErrors, Envelope, Flow, HeaderBlock, Host, HttpFilter, Init, LogCx, Mode, Name, Plugin, Protocol,
    RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers, Wall, log,
    name,
};

const INTERNAL: Name = name!("x-envoy-internal");
const MAX_RETRIES: Name = name!("x-envoy-max-retries");

/// What all streams of one VM share.
#[derive(Debug)]
pub struct Timeout {
    envelope: Envelope<Config>,
    metrics: Metrics,
    rejects: RefCell<Rejects>,
    tracks: Tracks,
    hedges: Hedges,
}

impl Plugin for Timeout {
    const NAME: &'static str = "timeout";
    type Config = Envelope<Config>;
    type Filter = Request;

    fn configure(envelope: Envelope<Config>, init: &mut Init) -> Result<Timeout, ConfigErrors> {
        if let Some(tick) = envelope.configs().filter_map(|config| config.tick).min() {
            // What waits for others waits half a tick at the most, so that with what a busy loop adds no answer is a tick late.
            init.timers(tick.checked_div(2).unwrap_or(tick));
        }
        let metrics = Metrics::new(init, &envelope.metrics)?;
        let follows = envelope.configs().any(|config| config.adaptive.is_some());
        let tracks = Tracks::new(if follows { init.root_id()? } else { Vec::new() });
        Ok(Timeout { envelope, metrics, rejects: RefCell::default(), tracks, hedges: Hedges::default() })
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
    live: Option<Rc<Live>>,
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
        if let Some(live) = &self.live {
            live.sent(body.stream(), body.end_of_stream());
        }
        Flow::Continue
    }

    fn on_request_trailers(&mut self, trailers: RequestTrailers) -> Flow {
        if let Some(live) = &self.live {
            live.sent(trailers.stream(), true);
        }
        Flow::Continue
    }

    fn on_response_headers(&mut self, response: ResponseHeaders) -> Flow {
        let Some(live) = &self.live else { return Flow::Continue };
        live.answered(&response).unwrap_or_else(|error| {
            log!(Warn, "timeout: an answer was not looked at: {error}");
            Flow::Continue
        })
    }

    fn on_response_body(&mut self, body: ResponseBody) -> Flow {
        if let Some(live) = &self.live {
            live.received(body.stream(), body.end_of_stream());
        }
        Flow::Continue
    }

    fn on_response_trailers(&mut self, trailers: ResponseTrailers) -> Flow {
        if let Some(live) = &self.live {
            live.received(trailers.stream(), true);
        }
        Flow::Continue
    }

    fn on_log(&mut self, cx: &LogCx) {
        if let Some(live) = self.live.take() {
            live.over(cx.stream());
        }
    }
}

/// What kind of request it is.
#[derive(Clone, Copy, Debug)]
struct Kind {
    client: Protocol,
    speaks: Speaks,
    lasts: Lasts,
}

impl Kind {
    fn of(config: &Config, headers: &HeaderBlock) -> Kind {
        let client = Protocol::of(headers);
        let speaks = Speaks::of(client, headers);
        let streams = speaks.grpc || matches!(client, Protocol::ConnectStream { .. });
        Kind { client, speaks, lasts: Lasts::of(&config.streaming, headers, streams) }
    }

    /// Whether the router is told no limit: this filter keeps it, until the answer shows that there is none.
    fn lasting(self, config: &Config) -> bool {
        match self.lasts {
            Lasts::No | Lasts::Certainly => false,
            Lasts::IfAnswered => config.tick.is_some(),
            Lasts::IfUpgraded | Lasts::IfConnected => true,
        }
    }
}

impl Request {
    /// In an upstream chain: a request's deadline is kept where the request is.
    fn attempt(&self, request: &mut RequestHeaders, headers: &HeaderBlock) -> Host<Flow> {
        let envelope = &self.plugin.envelope;
        if envelope.mode != Mode::Enforce {
            return Ok(Flow::Continue);
        }
        let word = Word::of(request)?;
        let propagate = match word {
            Some(word) => word.propagate,
            None => envelope.select(request.stream(), headers).config.propagate,
        };
        let now = request.stream().now()?;
        if let Some(left) = attempts::left(word.map(|word| word.deadline), headers, now) {
            let speaks = Speaks::of(Protocol::of(headers), headers);
            apply(request, attempts::edits(propagate, headers, speaks, left))?;
        }
        Ok(Flow::Continue)
    }

    fn arrive(&mut self, request: &mut RequestHeaders) -> Host<Flow> {
        let plugin = self.plugin.clone();
        let headers = request.headers.block()?;
        let Some(seen) = attempts::request(request, &headers)? else {
            return self.attempt(request, &headers);
        };
        let selected = plugin.envelope.select(request.stream(), &headers);
        let (config, rule) = (selected.config, selected.rule);
        if selected.bad_override {
            plugin.metrics.bad_override.inc(rule, []);
        }
        let kind = Kind::of(config, &headers);
        let carried = Carried::of(&headers, kind.speaks, config.trust.allows(headers.all(INTERNAL)));
        let clocks = Clocks { now: request.stream().now()?, wall: wall(config, &carried)? };
        let ceiling = (kind.lasts != Lasts::Certainly).then_some(config.limits.timeout);
        let mut assessment = assess(&config.limits, ceiling, &carried, clocks);
        let (mut limits, mut hedge) = (config.limits, None);
        let followed = plugin.follow(config, rule, kind, &assessment, request.stream())?;
        let enforce = plugin.envelope.mode == Mode::Enforce;
        if let Some(limit) = followed.as_ref().and_then(Followed::limit).filter(|_| enforce) {
            assessment = assess(&config.limits, Some(limit), &carried, clocks);
        }
        if let Some(least) = followed.as_ref().and_then(Followed::min_budget) {
            limits.min_budget = limits.min_budget.max(least);
        }
        let verdict = plugin.verdict(config, &limits, rule, &assessment);
        plugin.metrics.arrival(rule, &assessment, verdict);
        if enforce {
            if config.reject_bad_headers && assessment.bad_header().is_some() {
                return Ok(reply::bad_header(kind.client).into());
            }
            if verdict != Verdict::Pass {
                return Ok(reply::exceeded(kind.client, "timeout.fail_fast").into());
            }
            let granted = headers.first(MAX_RETRIES).and_then(digits).unwrap_or_default();
            let sent = Sent { clocks, lasting: kind.lasting(config), granted };
            apply(request, edits(config, &carried, &assessment, sent))?;
            let facts = (&headers, &assessment);
            if let Some((edits, taken)) = plugin.hedge(config, rule, kind, facts, followed.as_ref()) {
                apply(request, edits)?;
                hedge = Some(taken);
            }
            if let Some(deadline) = assessment.deadline() {
                Word { deadline, propagate: config.propagate }.leave(request.stream())?;
            }
        }
        let held = Held { _seen: seen, followed, hedge: RefCell::new(hedge) };
        let live = Rc::new(Live::new(&plugin, config, rule, kind, &assessment, held));
        self.live = Some(live.clone());
        if verdict == Verdict::Pass {
            live.begin(request)?;
        }
        Ok(Flow::Continue)
    }
}

fn apply(request: &mut RequestHeaders, edits: Vec<Edit>) -> Host<()> {
    for edit in edits {
        match edit {
            Edit::Set(name, value) => request.headers.set(name, value)?,
            Edit::Remove(name) => request.headers.remove(name)?,
        }
    }
    Ok(())
}

/// Read only where a point in time is read or written.
fn wall(config: &Config, carried: &Carried<'_>) -> Host<Wall> {
    let source = Source::RequestDeadline;
    let read = config.limits.sources.contains(source) && carried.has(source);
    if read || config.propagate.contains(source) { Wall::now() } else { Ok(Wall::default()) }
}

impl Timeout {
    /// Too little left is no reason to refuse when too many were refused already.
    fn verdict(&self, config: &Config, limits: &Limits, rule: &str, assessment: &Assessment) -> Verdict {
        let (verdict, now) = (assessment.verdict(limits), assessment.at);
        let Some(cap) = config.rejects else { return verdict };
        let mut rejects = self.rejects.borrow_mut();
        match verdict {
            Verdict::Expired => return verdict,
            Verdict::TooLittle if rejects.refuse(rule, cap, now) => return verdict,
            Verdict::TooLittle => self.metrics.reject_capped.inc(rule, []),
            Verdict::Pass => {}
        }
        rejects.served(rule, cap, now);
        Verdict::Pass
    }
}
