//! One stream from its request's headers to its log: what is watched of it, and what is done when a limit runs out.

use super::followed::{Followed, Over};
use super::{Kind, Timeout};
use crate::attempts::Seen;
use crate::config::Config;
use crate::deadline::Assessment;
use crate::forms::whole_millis;
use crate::reply;
use crate::share::Taken;
use crate::streaming::{Lasts, Streaming};
use crate::watch::{Limit, Watch};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::{
    Flow, Host, Mode, Monotonic, Parked, Protocol, RequestHeaders, ResponseHeaders, Stream, StreamInfo,
    TimerId, log, name, property,
};

/// How long before the deadline the router may answer: it counts whole milliseconds, rounded down here, from a clock that its
/// event loop read some time ago.
const ROUTER_EARLY: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Live {
    plugin: Rc<Timeout>,
    rule: Rc<str>,
    client: Protocol,
    lasts: Lasts,
    streaming: Rc<Streaming>,
    callers: Option<Monotonic>,
    watch: RefCell<Watch>,
    ticks: bool,
    armed: Cell<Option<(Monotonic, TimerId)>>,
    /// From when on the router may have answered, or the deadline have passed; `None` once that has come. Most streams are over before,
    /// and need no clock to know it.
    near_at: Cell<Option<Monotonic>>,
    enforced: Cell<bool>,
    held: Held,
}

/// What lives as long as a request.
#[derive(Debug)]
pub(super) struct Held {
    /// Streams with its id may be its attempts.
    pub(super) _seen: Seen,
    pub(super) followed: Option<Followed>,
    /// There may be a second try.
    pub(super) hedge: RefCell<Option<Taken>>,
}

impl Live {
    pub(super) fn new(
        plugin: &Rc<Timeout>,
        config: &Config,
        rule: &str,
        kind: Kind,
        assessment: &Assessment,
        held: Held,
    ) -> Live {
        let mut watch = Watch::new(config.phases, assessment.at, assessment.deadline());
        watch.hard = config.hard || kind.lasting(config);
        if !kind.lasting(config) {
            watch.grace = config.tick.map_or(Duration::ZERO, |tick| tick / 2);
        }
        if kind.lasts == Lasts::Certainly {
            watch.exempt(assessment.callers_deadline());
        }
        let near_at = config.tick.and_then(|tick| {
            let near = watch.deadline?.minus(ROUTER_EARLY).minus(tick);
            (near > watch.arrived).then_some(near)
        });
        Live {
            plugin: plugin.clone(),
            rule: rule.into(),
            client: kind.client,
            lasts: kind.lasts,
            streaming: config.streaming.clone(),
            callers: assessment.callers_deadline(),
            ticks: config.tick.is_some(),
            armed: Cell::new(None),
            near_at: Cell::new(near_at),
            watch: RefCell::new(watch),
            enforced: Cell::new(false),
            held,
        }
    }

    /// Watches what can run out.
    pub(super) fn begin(self: &Rc<Live>, request: &RequestHeaders) -> Host<()> {
        self.watch.borrow_mut().uploaded = request.end_of_stream();
        self.arm(request.stream())
    }

    /// The client sent something more.
    pub(super) fn sent(self: &Rc<Live>, stream: &Stream, all: bool) {
        let first_byte = {
            let mut watch = self.watch.borrow_mut();
            watch.uploaded |= all;
            let timed = watch.phases.request_idle.or(watch.phases.first_byte).is_some();
            if let Some(now) = timed.then(|| stream.now().ok()).flatten() {
                watch.sent = now;
            }
            watch.phases.first_byte.is_some()
        };
        if all && first_byte {
            self.arm_or_tell(stream);
        }
    }

    /// The answer's headers have come.
    pub(super) fn answered(self: &Rc<Live>, response: &ResponseHeaders) -> Host<Flow> {
        if self.enforced.get() {
            return Ok(Flow::Continue);
        }
        let stream = response.stream();
        {
            let mut watch = self.watch.borrow_mut();
            let timed = watch.phases.response_idle.is_some();
            watch.answered = Some(if timed { stream.now()? } else { watch.arrived });
            watch.over = response.end_of_stream();
        }
        if self.lasts.is_open() && self.confirmed(response)? {
            self.watch.borrow_mut().exempt(self.callers);
            self.near_at.set(None);
        }
        if let Some(followed) = &self.held.followed {
            followed.answered(&response.headers.block()?);
        }
        if self.is_near(stream)? && self.is_routers(stream)? {
            self.plugin.metrics.enforced.inc(&self.rule, [b"router"]);
            self.enforced.set(true);
            return Ok(reply::exceeded(self.client, ROUTERS).into());
        }
        self.arm_or_tell(stream);
        Ok(Flow::Continue)
    }

    fn confirmed(&self, response: &ResponseHeaders) -> Host<bool> {
        let headers = response.headers.block()?;
        let content_type = headers.first(name!("content-type")).unwrap_or_default();
        let status = headers.status().unwrap_or_default();
        Ok(self.lasts.confirmed(&self.streaming, status, content_type))
    }

    /// Something more of the answer has come.
    pub(super) fn received(&self, stream: &Stream, all: bool) {
        let mut watch = self.watch.borrow_mut();
        watch.over |= all;
        if watch.phases.response_idle.is_some()
            && let Ok(now) = stream.now()
        {
            watch.answered = Some(now);
        }
    }

    pub(super) fn over(&self, stream: &StreamInfo) {
        let metrics = &self.plugin.metrics;
        let watch = self.watch.borrow();
        if let Some(deadline) = watch.deadline
            && self.near_at.get().is_none()
            && let Ok(now) = stream.now()
            && (self.enforced.get() || now > deadline)
        {
            let late = whole_millis(now.since(deadline));
            metrics.overrun.record(&self.rule, [], late);
            if stream.get(&property::UPSTREAM_ATTEMPTS).ok().flatten().is_some_and(|attempts| attempts > 0) {
                metrics.wasted.record(&self.rule, [], late);
            }
        }
        if watch.answered.is_none() && !self.enforced.get() && client_left(stream) {
            metrics.cancelled.inc(&self.rule, []);
        }
        let hedge = self.held.hedge.take();
        if self.held.followed.is_some() || hedge.is_some() {
            self.learn(&watch, hedge, stream);
        }
    }

    /// Two hostcalls at most, of which one returns bytes, and once a second two more.
    fn learn(&self, watch: &Watch, hedge: Option<Taken>, stream: &StreamInfo) {
        let attempts = stream.get(&property::UPSTREAM_ATTEMPTS).ok().flatten().unwrap_or_default();
        if let Some(taken) = hedge.filter(|_| attempts > 1) {
            taken.spend();
            self.plugin.metrics.hedged.inc(&self.rule, []);
        }
        // A client that was still sending tells of itself.
        if let (Some(followed), true, true, Ok(now)) =
            (&self.held.followed, attempts > 0, watch.uploaded, stream.now())
        {
            followed.over(
                &self.rule,
                &self.plugin,
                Over {
                    now,
                    took: now.since(watch.arrived),
                    allowed: watch
                        .deadline
                        .map(|deadline| deadline.since(watch.arrived).saturating_sub(ROUTER_EARLY)),
                    enforced: self.enforced.get() && self.plugin.envelope.mode == Mode::Enforce,
                    complete: watch.over,
                },
            );
        }
    }

    /// Whether the deadline may have passed by the router's clock.
    fn is_near(&self, stream: &Stream) -> Host<bool> {
        let Some(deadline) = self.watch.borrow().deadline else { return Ok(false) };
        match self.ticks {
            true => Ok(self.near_at.get().is_none()),
            false => Ok(stream.now()? >= deadline.minus(ROUTER_EARLY)),
        }
    }

    /// The router keeps the deadline too, in whole milliseconds, and often answers first. To a gRPC client that would be
    /// `UNAVAILABLE`, which it retries, and to others no word of a deadline.
    fn is_routers(&self, stream: &Stream) -> Host<bool> {
        if self.plugin.envelope.mode != Mode::Enforce {
            return Ok(false);
        }
        Ok(stream.get(&property::RESPONSE_CODE_DETAILS)?.unwrap_or_default() == ROUTERS.as_bytes())
    }

    /// When to look again.
    fn wake(&self) -> Option<Monotonic> {
        let next = self.watch.borrow().next().map(|(when, _)| when);
        [next, self.near_at.get()].into_iter().flatten().min()
    }

    fn arm(self: &Rc<Live>, stream: &Stream) -> Host<()> {
        let Some(when) = self.wake().filter(|_| self.ticks) else { return Ok(()) };
        match self.armed.get() {
            Some((earlier, _)) if earlier <= when => return Ok(()),
            Some((_, timer)) => stream.cancel(timer),
            None => {}
        }
        let live = self.clone();
        let timer = stream.at(when, move |parked| live.ring(parked))?;
        self.armed.set(Some((when, timer)));
        Ok(())
    }

    fn arm_or_tell(self: &Rc<Live>, stream: &Stream) {
        if let Err(error) = self.arm(stream) {
            log!(Error, "timeout: a limit is not watched: {error}");
        }
    }

    fn ring(self: Rc<Live>, parked: &mut Parked) {
        self.armed.set(None);
        let now = parked.now();
        self.near_at.set(self.near_at.get().filter(|near| *near > now));
        let due = self.watch.borrow().due(now);
        if let Some(limit) = due {
            return self.cut(parked, limit);
        }
        let Some(when) = self.wake() else { return };
        let live = self.clone();
        match parked.at(when, move |parked| live.ring(parked)) {
            Ok(timer) => self.armed.set(Some((when, timer))),
            Err(error) => log!(Error, "timeout: a limit is not watched: {error}"),
        }
    }

    fn cut(&self, parked: &mut Parked, limit: Limit) {
        let mut watch = self.watch.borrow_mut();
        watch.over = true;
        self.enforced.set(true);
        self.plugin.metrics.enforced.inc(&self.rule, [limit.label().as_bytes()]);
        match watch.answered {
            _ if self.plugin.envelope.mode != Mode::Enforce => {}
            None => parked.reply(reply::exceeded(self.client, limit.details())),
            Some(_) => parked.reset(),
        }
    }
}

/// Envoy's details of an answer of its router's own timer.
const ROUTERS: &str = "response_timeout";

/// The upstream is reset by Envoy itself; here it is only told apart from an upstream that failed.
fn client_left(stream: &StreamInfo) -> bool {
    let details = stream.get(&property::RESPONSE_CODE_DETAILS).ok().flatten().unwrap_or_default();
    details.starts_with(b"downstream_remote_disconnect") || details.starts_with(b"http2.remote_reset")
}
