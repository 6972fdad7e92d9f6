//! How much may wait, how long, and how often it is tried.

use std::time::Duration;

/// Time since some point of this process, on a clock that does not step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uptime(pub Duration);

impl Uptime {
    pub(super) fn plus(self, duration: Duration) -> Uptime {
        Uptime(self.0.saturating_add(duration))
    }
}

/// A random byte: what one draw moves times by, so that proxies started together do not all speak at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance(pub u8);

impl Chance {
    /// From nothing to `most`.
    fn of(self, most: Duration) -> Duration {
        let share = most.saturating_mul(u32::from(self.0));
        Duration::from_nanos(u64::try_from(share.as_nanos() >> 8).unwrap_or(u64::MAX))
    }
}

/// As configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Items queued, those under way included
    pub max_items: usize,
    /// Their bytes
    pub max_bytes: usize,
    /// Items of a batch
    pub batch_items: usize,
    /// Their bytes; one that is larger alone is not taken
    pub batch_bytes: usize,
    /// How long an item waits for others
    pub interval: Duration,
    /// How long a collector has to answer
    pub timeout: Duration,
    /// How often a batch is sent
    pub max_attempts: u8,
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// No collector is waited for longer than this, whatever it asks: what would come meanwhile is lost in any case.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// An answer that the proxy promised and that has not come by then never will.
const LATE: Duration = Duration::from_secs(5);

impl Terms {
    pub(super) fn max_item(&self) -> usize {
        self.batch_bytes.min(self.max_bytes)
    }

    /// The interval, give or take a tenth.
    pub(super) fn interval(&self, chance: Chance) -> Duration {
        let tenth = self.interval.checked_div(10).unwrap_or_default();
        self.interval.saturating_sub(tenth).saturating_add(chance.of(tenth.saturating_mul(2)))
    }

    pub(super) fn given_up_after(&self) -> Duration {
        self.timeout.saturating_add(LATE)
    }

    /// What a VM that goes waits for its last answers.
    pub(super) fn grace(&self) -> Duration {
        self.timeout.saturating_mul(2)
    }

    /// Before the batch is sent again: what was asked for and up to a tenth more, else between half of 1, 2, 4 … 30 s and all of it.
    pub(super) fn pause(&self, attempts: u8, asked: Option<Duration>, chance: Chance) -> Duration {
        match asked {
            Some(asked) => {
                let asked = asked.min(LONGEST_ASKED);
                asked.saturating_add(chance.of(asked.checked_div(10).unwrap_or_default()))
            }
            None => {
                let doubled = 1_u32.checked_shl(u32::from(attempts.saturating_sub(1))).unwrap_or(u32::MAX);
                let whole = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
                let half = whole.checked_div(2).unwrap_or_default();
                half.saturating_add(chance.of(half))
            }
        }
    }
}
