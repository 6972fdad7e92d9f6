//! One plugin and one stream as the ABI's contexts, and what becomes of a callback's answer.

use super::callbacks::{CONTINUE, PAUSE};
use super::{HttpFilter as _, Init, Plugin, offer};
use crate::body::hold::Watch;
use crate::body::{self, Body};
use crate::config::{ConfigErrors, Configuration};
use crate::hostcalls::{self, Buffer};
use crate::log::{self, Level};
use crate::stream::reply::{Flow, Reply, Wait};
use crate::stream::waiting::{self, Direction};
use crate::stream::{RequestHeaders, RequestTrailers, ResponseHeaders, ResponseTrailers, Stream, StreamId};
use crate::time::Monotonic;
use crate::time::timers::Timers;
use crate::{callout, plugin};
use std::cell::{Cell, OnceCell};
use std::fmt;
use std::rc::Rc;
use std::task::Poll;

/// A root context.
pub(super) struct Plugged<P: Plugin> {
    timers: Rc<Timers>,
    /// Empty until a configuration was accepted.
    plugin: OnceCell<Rc<P>>,
    streams: Cell<u32>,
}

/// Not generic, so that it is in a module once.
#[cold]
#[inline(never)]
fn critical(plugin: &str, what: &str, why: &dyn fmt::Display) {
    log::write(Level::Critical, format_args!("{plugin}: {what}: {why}"));
}

impl<P: Plugin> Plugged<P> {
    pub(super) fn new(timers: Rc<Timers>) -> Plugged<P> {
        Plugged { timers, plugin: OnceCell::new(), streams: Cell::new(0) }
    }

    fn configured(&self) -> Result<P, ConfigErrors> {
        let text = hostcalls::buffer(Buffer::PluginConfiguration, 0, usize::MAX)?.unwrap_or_default();
        P::configure(P::Config::parse(&text)?, &mut Init::new(self.timers.clone()))
    }

    pub(super) fn configure(&self) -> bool {
        let plugin = match self.configured() {
            Ok(plugin) => plugin,
            Err(errors) => {
                for error in errors.iter() {
                    critical(P::NAME, "configuration refused", error);
                }
                return false;
            }
        };
        if self.plugin.set(Rc::new(plugin)).is_err() {
            critical(P::NAME, "configuration refused", &"this context has one already");
            return false;
        }
        true
    }

    pub(super) fn tick(&self) {
        log::poll_level();
        let now = match Monotonic::of_this_callback() {
            Ok(now) => now,
            Err(error) => return critical(P::NAME, "no time on the tick", &error),
        };
        let ticked = self.timers.ticked(now, |root| {
            if let Some(plugin) = self.plugin.get() {
                plugin.on_tick(root);
            }
        });
        if let Err(error) = ticked {
            critical(P::NAME, "the tick cannot be set", &error);
        }
    }

    fn stream(&self) -> Option<P::Filter> {
        self.streams.set(self.streams.get().wrapping_add(1));
        if self.streams.get().is_multiple_of(64) {
            log::poll_level();
        }
        self.plugin.get().map(plugin::Plugin::stream)
    }
}

/// What of a message a callback is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Headers { end_of_stream: bool },
    Body(body::Part),
    Trailers,
}

/// What of a message the filter has not seen.
#[derive(Debug, Default)]
struct Unseen {
    headers: Option<bool>,
    body: Option<body::Part>,
    trailers: bool,
}

impl Unseen {
    fn add(&mut self, part: Part) {
        match part {
            Part::Headers { end_of_stream } => self.headers = Some(end_of_stream),
            Part::Body(part) => self.body = Some(part),
            Part::Trailers => {
                self.trailers = true;
                if let Some(body) = &mut self.body {
                    body.trailers_follow = true;
                }
            }
        }
    }

    fn next(&mut self) -> Option<Part> {
        if let Some(end_of_stream) = self.headers.take() {
            return Some(Part::Headers { end_of_stream });
        }
        self.body
            .take()
            .map(Part::Body)
            .or_else(|| std::mem::take(&mut self.trailers).then_some(Part::Trailers))
    }
}

/// What a filter made of a message so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Passing,
    /// It holds what it saw, and must see the rest before any of it goes on.
    Held,
    /// It saw the trailers: Envoy may show them once more.
    Over,
}

/// What becomes of a message now.
enum Now {
    Held,
    GoesOn,
    Answered(Reply),
}

/// A stream context.
pub(super) struct StreamContext<P: Plugin> {
    id: StreamId,
    root: u32,
    timers: Rc<Timers>,
    /// `None` when no configuration was accepted.
    filter: Option<P::Filter>,
    /// What the stream is paused for, and what came meanwhile.
    waiting: Option<(Wait, Direction, Unseen)>,
    /// What the filter made of the request, and of the response.
    state: [State; 2],
    watch: Option<Watch>,
}

impl<P: Plugin> StreamContext<P> {
    pub(super) fn new(id: StreamId, root: u32, plugged: &Plugged<P>) -> StreamContext<P> {
        StreamContext {
            id,
            root,
            timers: plugged.timers.clone(),
            filter: plugged.stream(),
            waiting: None,
            state: [State::Passing; 2],
            watch: None,
        }
    }

    fn token(&self) -> Stream {
        Stream::new(self.id, self.root, P::NAME)
    }

    fn state(&mut self, direction: Direction) -> &mut State {
        let [request, response] = &mut self.state;
        match direction {
            Direction::Request => request,
            Direction::Response => response,
        }
    }

    /// Runs one callback; returns its action.
    pub(super) fn call(&mut self, direction: Direction, part: Part) -> u32 {
        if let Some((_, waits, unseen)) = &mut self.waiting {
            // More of the message that is held: it stays held.
            if *waits == direction && waiting::is_paused(self.id) {
                unseen.add(part);
                return PAUSE;
            }
            self.give_up_waiting();
        }
        if let Some(watch) = self.watch.take() {
            watch.over();
        }
        let (first, trailers) = match (*self.state(direction), part) {
            (State::Over, _) => return CONTINUE,
            (State::Held, Part::Trailers) => {
                let rest = body::Part { len: None, end_of_stream: false, trailers_follow: true };
                (Part::Body(rest), true)
            }
            _ => (part, false),
        };
        match self.show(direction, first, Unseen { trailers, ..Unseen::default() }) {
            Now::Held => PAUSE,
            Now::GoesOn => CONTINUE,
            Now::Answered(reply) => self.reply(&reply, direction),
        }
    }

    /// Has the filter see this part and what else it has not seen, until it holds it.
    fn show(&mut self, direction: Direction, mut part: Part, mut unseen: Unseen) -> Now {
        let state = loop {
            let flow = self.flow(direction, part);
            match self.settle(flow, direction, Some(part), &mut unseen) {
                Now::GoesOn => {}
                now => return now,
            }
            part = match (unseen.next(), part) {
                (Some(next), _) => next,
                (None, Part::Trailers) => break State::Over,
                (None, _) => break State::Passing,
            };
        };
        self.seen(direction, state)
    }

    fn seen(&mut self, direction: Direction, state: State) -> Now {
        if std::mem::replace(self.state(direction), state) == State::Held {
            waiting::over(self.id);
        }
        Now::GoesOn
    }

    fn flow(&mut self, direction: Direction, part: Part) -> Flow {
        let stream = self.token();
        let Some(filter) = &mut self.filter else {
            // The filter may be the one that keeps a door shut.
            return match direction {
                Direction::Request => Reply::new(503, "wayside.not_configured").into(),
                Direction::Response => Flow::Continue,
            };
        };
        offer(|| match (direction, part) {
            (Direction::Request, Part::Headers { end_of_stream }) => {
                filter.on_request_headers(RequestHeaders::new(stream, end_of_stream))
            }
            (Direction::Request, Part::Body(part)) => filter.on_request_body(Body::new(stream, part)),
            (Direction::Request, Part::Trailers) => {
                filter.on_request_trailers(RequestTrailers::new(stream, true))
            }
            (Direction::Response, Part::Headers { end_of_stream }) => {
                filter.on_response_headers(ResponseHeaders::new(stream, end_of_stream))
            }
            (Direction::Response, Part::Body(part)) => filter.on_response_body(Body::new(stream, part)),
            (Direction::Response, Part::Trailers) => {
                filter.on_response_trailers(ResponseTrailers::new(stream, true))
            }
        })
    }

    /// What a flow comes to; `part` is what the filter was shown, if it did not wait since.
    fn settle(&mut self, flow: Flow, direction: Direction, part: Option<Part>, unseen: &mut Unseen) -> Now {
        match flow {
            Flow::Continue => Now::GoesOn,
            Flow::Reply(reply) => Now::Answered(reply),
            // Asked so that a module in which nothing ever waits has no code for it.
            Flow::Wait(wait) if waiting::is_expected() => self.drive(wait, direction, unseen),
            Flow::Buffer => match part {
                Some(Part::Body(part)) if !part.end_of_stream && !part.trailers_follow => {
                    self.hold(direction)
                }
                _ => nothing_awaited(P::NAME),
            },
            Flow::Hold(hold) => match part {
                Some(Part::Headers { end_of_stream: false }) => {
                    match hold.begin(self.root, &self.timers, self.id, direction) {
                        Ok(watch) => {
                            self.watch = watch;
                            self.hold(direction)
                        }
                        Err(error) => Now::Answered(error.into()),
                    }
                }
                _ => nothing_awaited(P::NAME),
            },
            Flow::Wait(_) => nothing_awaited(P::NAME),
        }
    }

    fn hold(&mut self, direction: Direction) -> Now {
        *self.state(direction) = State::Held;
        waiting::pause(self.id, self.root);
        Now::Held
    }

    pub(super) fn log(&mut self, callback: impl FnOnce(&mut P::Filter, Stream)) {
        let token = self.token();
        if let Some(filter) = &mut self.filter {
            offer(|| callback(filter, token));
        }
    }

    /// Looks again at what the stream waits for. The host's effective context is this stream.
    pub(super) fn go_on(&mut self) {
        let Some((wait, direction, mut unseen)) = self.waiting.take() else { return };
        if !waiting::is_paused(self.id) {
            return;
        }
        // Paused until the answer is known: should the filter panic now, the stream is one of those to be answered.
        let now = match self.drive(wait, direction, &mut unseen) {
            Now::GoesOn => match unseen.next() {
                Some(part) => self.show(direction, part, unseen),
                None => self.seen(direction, State::Passing),
            },
            now => now,
        };
        match now {
            Now::Held => return,
            Now::GoesOn => {
                if let Err(error) = hostcalls::continue_stream(direction as u32) {
                    critical(P::NAME, "a stream that waited was not continued", &error);
                }
            }
            Now::Answered(reply) => drop(self.reply(&reply, direction)),
        }
        waiting::over(self.id);
    }

    fn after_wait(&mut self, flow: Flow) -> Flow {
        let token = self.token();
        match (flow, &mut self.filter) {
            (Flow::Continue, Some(filter)) => filter.after_wait(&token),
            (flow, _) => flow,
        }
    }

    /// Polls what a stream waits for.
    fn drive(&mut self, mut wait: Wait, direction: Direction, unseen: &mut Unseen) -> Now {
        loop {
            match wait.poll() {
                Poll::Ready(flow) => match self.after_wait(flow) {
                    Flow::Wait(next) => wait = next,
                    Flow::Continue => return Now::GoesOn,
                    Flow::Reply(reply) => return Now::Answered(reply),
                    Flow::Buffer | Flow::Hold(_) => return nothing_awaited(P::NAME),
                },
                Poll::Pending if callout::outstanding(self.id) => {
                    self.waiting = Some((wait, direction, std::mem::take(unseen)));
                    waiting::pause(self.id, self.root);
                    return Now::Held;
                }
                Poll::Pending => return nothing_awaited(P::NAME),
            }
        }
    }

    fn reply(&mut self, reply: &Reply, direction: Direction) -> u32 {
        // The reply ends the stream after this callback; a tick in between must not answer it again.
        self.timers.end(self.id);
        self.state = [State::Passing; 2];
        waiting::over(self.id);
        if let Err(error) = reply.send() {
            critical(P::NAME, "a reply was not taken, the stream is reset", &error);
            if let Err(error) = hostcalls::close_stream(direction as u32) {
                critical(P::NAME, "nor was the reset", &error);
            }
        }
        PAUSE
    }

    fn give_up_waiting(&mut self) {
        waiting::over(self.id);
        let waiting = self.waiting.take();
        drop(waiting);
    }

    /// Nothing may happen to this stream any more.
    pub(super) fn end(&mut self) {
        self.timers.end(self.id);
        self.give_up_waiting();
    }
}

#[cold]
#[inline(never)]
fn nothing_awaited(plugin: &str) -> Now {
    critical(plugin, "a stream waits for nothing that could come", &"answered with 500");
    Now::Answered(Reply::new(500, "wayside.nothing_awaited"))
}

/// A stream whose `on_log` never came must not be answered later either.
impl<P: Plugin> Drop for StreamContext<P> {
    fn drop(&mut self) {
        self.end();
    }
}
