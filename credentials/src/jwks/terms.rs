//! How often a key set is fetched, and how long it is believed.

use std::time::Duration;

/// A point on the monotonic clock that all workers of a process share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uptime(pub Duration);

impl Uptime {
    #[must_use]
    pub fn plus(self, time: Duration) -> Uptime {
        Uptime(self.0.saturating_add(time))
    }
}

/// What the operator said of one key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// After this time the set is fetched anew.
    pub refresh: Duration,
    /// Nothing a request carries has the provider asked more often than this.
    pub min_refetch: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How long a set that could not be refreshed is still used, from the moment its refresh was due (RFC 5861, section 4).
    pub stale_if_error: Duration,
}

const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// An answer may be told this much later than it came: its worker was busy.
const LATE: Duration = Duration::from_secs(1);

impl Terms {
    /// When a set that the provider confirmed at `confirmed` is not used any more.
    #[must_use]
    pub fn good_until(&self, confirmed: Uptime) -> Uptime {
        confirmed.plus(self.refresh).plus(self.stale_if_error)
    }

    /// When a fetch is given up that began at `began`.
    pub(super) fn given_up(&self, began: Uptime) -> Uptime {
        began.plus(self.timeout).plus(LATE)
    }

    /// The pause after so many failures in a row: 1 s, 2 s, 4 s and so on, up to 60 s.
    pub(super) fn pause(failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(6);
        SHORTEST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE)
    }
}

/// Chance, by which the proxies of a fleet do not refresh all at once.
#[derive(Clone, Copy, Debug)]
pub struct Jitter(pub u8);

impl Jitter {
    /// 0.9 to 1.0 of this time.
    pub(super) fn shorten(self, time: Duration) -> Duration {
        // At most 255 of 2560 parts.
        time.saturating_sub(time.checked_div(2560).unwrap_or_default().saturating_mul(self.0.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_one_second_to_sixty() {
        let seconds: Vec<u64> = (0..10).map(|failures| Terms::pause(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(Terms::pause(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn a_refresh_comes_up_to_a_tenth_early_and_never_late() {
        let hour = Duration::from_secs(3600);
        assert_eq!(Jitter(0).shorten(hour), hour);
        let early = Jitter(255).shorten(hour);
        assert!(early > hour.mul_f64(0.9) && early < hour.mul_f64(0.901), "{early:?}");
    }
}
