//! What a plugin may do on its tick.

use crate::hostcalls::Host;
use crate::stream::waiting;
use crate::time::Monotonic;
use crate::time::timers::{Parked, TimerId, Timers};
use std::rc::Rc;
use std::time::Duration;

/// Handed to [`Plugin::on_tick`](crate::Plugin::on_tick) and to the root's timers: no stream and no headers.
#[derive(Debug)]
pub struct Root {
    now: Monotonic,
    timers: Rc<Timers>,
}

impl Root {
    pub(crate) fn new(now: Monotonic, timers: Rc<Timers>) -> Root {
        Root { now, timers }
    }

    /// The time of this tick. No hostcall.
    #[must_use]
    pub fn now(&self) -> Monotonic {
        self.now
    }

    /// Runs `action` again and again in this period, at least 1 ms, from one period on. A time that passed while the proxy was
    /// busy is not made up for. One hostcall at most, of numbers only.
    ///
    /// # Errors
    /// When the host refuses to start the tick; the timer is then not set.
    pub fn every(&mut self, period: Duration, action: impl FnMut(&mut Root) + 'static) -> Host<TimerId> {
        self.timers.every(period, Box::new(action))
    }

    /// Runs `action` once, at the first tick not before `when` and not at this one. One hostcall at most, of numbers only.
    ///
    /// # Errors
    /// When the host refuses to start the tick; the timer is then not set.
    pub fn at(&mut self, when: Monotonic, action: impl FnOnce(&mut Root) + 'static) -> Host<TimerId> {
        self.timers.at(when, Box::new(action))
    }

    /// Forgets a timer of the root, the one that runs now included; fine when it already ran. No hostcall.
    pub fn cancel(&mut self, timer: TimerId) {
        self.timers.cancel_of_root(timer);
    }

    /// What [`Ending::Later`](crate::Ending::Later) was said for is over: Envoy may forget the plugin. One hostcall at most, which returns nothing.
    ///
    /// # Errors
    /// `not found` when nobody waits for it.
    pub fn end(&mut self) -> Host<()> {
        super::end::over(self.timers.root())
    }

    /// Shows each stream of this plugin that waits in this VM: of the streams of other workers a VM knows nothing. Those that are
    /// answered here are over; what they waited for is dropped. No hostcall, and three for each answer.
    pub fn for_each_waiting(&mut self, mut show: impl FnMut(&mut Parked)) {
        for stream in waiting::of_root(self.timers.root()) {
            // An answer may end others: what they hold is theirs to drop.
            if waiting::is_paused(stream) {
                self.timers.visit(stream, self.now, &mut show);
            }
        }
    }
}
