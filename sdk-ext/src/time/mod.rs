//! Two clocks with two types, so that an interval is never computed from the one that can step.

pub(crate) mod timers;

use crate::hostcalls::{self, Host};
use std::cell::Cell;
use std::time::Duration;

crate::vm_local! {
    /// The time of the callback that runs; one VM is one thread.
    static NOW: Cell<Option<Monotonic>> = const { Cell::new(None) };
}

/// Another callback: it has another time.
pub(crate) fn forget() {
    NOW.set(None);
}

/// A point on the proxy's monotonic clock: WASI clock 1, the same for every VM of one process. Nanoseconds in 64 bits, as the
/// host counts them: 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(u64);

/// Wall time since the Unix epoch, for what leaves the proxy. It can step: never subtract two of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(Duration);

impl Monotonic {
    /// `since_start` counts from a point that means nothing outside this process.
    #[must_use]
    pub const fn at(since_start: Duration) -> Monotonic {
        Monotonic(nanos(since_start))
    }

    /// One hostcall of numbers only: 0.12 µs. Streams keep it for the length of a callback: prefer their `now`.
    ///
    /// # Errors
    /// What the host answered; Envoy always has this clock.
    pub fn now() -> Host<Monotonic> {
        hostcalls::monotonic_nanos().map(Monotonic)
    }

    /// Read once a callback.
    pub(crate) fn of_this_callback() -> Host<Monotonic> {
        if let Some(now) = NOW.get() {
            return Ok(now);
        }
        let now = Monotonic::now()?;
        NOW.set(Some(now));
        Ok(now)
    }

    #[must_use]
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The same in nanoseconds, for arithmetic on every request.
    #[must_use]
    pub const fn nanos_since_start(self) -> u64 {
        self.0
    }

    /// Zero when `earlier` lies after `self`.
    #[must_use]
    pub const fn since(self, earlier: Monotonic) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    #[must_use]
    pub const fn plus(self, duration: Duration) -> Monotonic {
        Monotonic(self.0.saturating_add(nanos(duration)))
    }

    #[must_use]
    pub const fn minus(self, duration: Duration) -> Monotonic {
        Monotonic(self.0.saturating_sub(nanos(duration)))
    }
}

/// In 64 bits, the greatest of which stands for all that is longer.
const fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
}

impl Wall {
    #[must_use]
    pub const fn at(since_epoch: Duration) -> Wall {
        Wall(since_epoch)
    }

    /// One hostcall of numbers only: 0.11 µs.
    ///
    /// # Errors
    /// What the host answered; Envoy always has this clock.
    pub fn now() -> Host<Wall> {
        hostcalls::wall_nanos().map(|nanos| Wall(Duration::from_nanos(nanos)))
    }

    #[must_use]
    pub const fn since_epoch(self) -> Duration {
        self.0
    }
}
