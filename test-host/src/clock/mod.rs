//! Virtual time and chance. Nothing in this crate reads a real clock or an unseeded generator.

mod rng;
mod timers;

use std::time::Duration;

pub(crate) use rng::number_of;
pub use rng::{Rng, Seed};
pub(crate) use timers::Key;
pub use timers::Timers;

/// The time of one simulation: a monotonic clock that only the event loop moves, and a wall clock tied to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualClock {
    now: Duration,
    epoch: Duration,
}

impl VirtualClock {
    /// Starts at monotonic zero, with the wall clock at `epoch` (time since the Unix epoch).
    pub fn starting_at(epoch: Duration) -> Self {
        VirtualClock { now: Duration::ZERO, epoch }
    }

    /// Monotonic time since the simulation began.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Wall time since the Unix epoch.
    pub fn wall(&self) -> Duration {
        self.epoch.saturating_add(self.now)
    }

    /// Moves the clock forward. A time already past leaves it where it is: virtual time never runs backwards.
    pub fn advance_to(&mut self, at: Duration) {
        self.now = self.now.max(at);
    }
}
