//! One plugin and one stream as the ABI's contexts, and what becomes of a callback's answer.

use super::callbacks::{CONTINUE, PAUSE};
use super::{Init, Plugin, offer};
use crate::config::{ConfigErrors, Configuration};
use crate::hostcalls::{self, Buffer};
use crate::log::{self, Level};
use crate::reply::{Flow, Reply, Wait};
use crate::stream::{Stream, StreamId};
use crate::time::Monotonic;
use crate::timers::Timers;
use crate::waiting::{self, Direction};
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

/// A stream context.
pub(super) struct StreamContext<P: Plugin> {
    id: StreamId,
    root: u32,
    timers: Rc<Timers>,
    /// `None` when no configuration was accepted.
    filter: Option<P::Filter>,
    /// What the stream is paused for.
    waiting: Option<(Wait, Direction)>,
}

impl<P: Plugin> StreamContext<P> {
    pub(super) fn new(id: StreamId, root: u32, plugged: &Plugged<P>) -> StreamContext<P> {
        StreamContext { id, root, timers: plugged.timers.clone(), filter: plugged.stream(), waiting: None }
    }

    fn token(&self) -> Stream {
        Stream::new(self.id, self.root, P::NAME)
    }

    /// Runs one callback; returns its action.
    pub(super) fn call(
        &mut self,
        direction: Direction,
        callback: impl FnOnce(&mut P::Filter, Stream) -> Flow,
    ) -> u32 {
        if let Some((_, waits)) = &self.waiting {
            // More of the message that is held: it stays held.
            if *waits == direction && waiting::is_paused(self.id) {
                return PAUSE;
            }
            self.give_up_waiting();
        }
        let token = self.token();
        let flow = match &mut self.filter {
            Some(filter) => offer(|| callback(filter, token)),
            // The filter may be the one that keeps a door shut.
            None if direction == Direction::Request => Reply::new(503, "wayside.not_configured").into(),
            None => Flow::Continue,
        };
        match flow {
            Flow::Continue => CONTINUE,
            Flow::Reply(reply) => self.reply(&reply, direction),
            Flow::Wait(wait) => match self.drive(wait, direction) {
                None => PAUSE,
                Some(Flow::Reply(reply)) => self.reply(&reply, direction),
                Some(_) => CONTINUE,
            },
        }
    }

    pub(super) fn log(&mut self, callback: impl FnOnce(&mut P::Filter, Stream)) {
        let token = self.token();
        if let Some(filter) = &mut self.filter {
            offer(|| callback(filter, token));
        }
    }

    /// Looks again at what the stream waits for. The host's effective context is this stream.
    pub(super) fn go_on(&mut self) {
        let Some((wait, direction)) = self.waiting.take() else { return };
        if !waiting::is_paused(self.id) {
            return;
        }
        // Paused until the answer is known: should the filter panic now, the stream is one of those to be answered.
        let Some(flow) = self.drive(wait, direction) else { return };
        waiting::over(self.id);
        if let Flow::Reply(reply) = flow {
            self.reply(&reply, direction);
        } else if let Err(error) = hostcalls::continue_stream(direction as u32) {
            critical(P::NAME, "a stream that waited was not continued", &error);
        }
    }

    /// Polls what a stream waits for; `None` when it goes on waiting.
    fn drive(&mut self, mut wait: Wait, direction: Direction) -> Option<Flow> {
        loop {
            match wait.poll() {
                Poll::Ready(Flow::Wait(next)) => wait = next,
                Poll::Ready(flow) => return Some(flow),
                Poll::Pending if callout::outstanding(self.id) => {
                    self.waiting = Some((wait, direction));
                    waiting::pause(self.id, self.root);
                    return None;
                }
                Poll::Pending => {
                    critical(P::NAME, "a stream waits for nothing that could come", &"answered with 500");
                    return Some(Reply::new(500, "wayside.nothing_awaited").into());
                }
            }
        }
    }

    fn reply(&mut self, reply: &Reply, direction: Direction) -> u32 {
        // The reply ends the stream after this callback; a tick in between must not answer it again.
        self.timers.end(self.id);
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

/// A stream whose `on_log` never came must not be answered later either.
impl<P: Plugin> Drop for StreamContext<P> {
    fn drop(&mut self) {
        self.end();
    }
}
