//! So many at once, and so many in a time: the token bucket, and GCRA, which keeps the same promise in one number. Whole numbers
//! throughout: no rate is rounded, and what is said about waiting is true to the nanosecond.

mod gcra;
mod token;

pub use gcra::Gcra;
pub use token::TokenBucket;

use crate::time::Monotonic;
use std::time::Duration;

/// `tokens` in each `per`, and up to `burst` at once. A request for several tokens is a request for that many at once.
///
/// A token is counted in parts of which `per` (in nanoseconds) make one: then a nanosecond brings `tokens` parts, and nothing is
/// ever divided. The most that can be held is below 2^96 parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    tokens: u32,
    /// Nanoseconds
    per: u64,
    burst: u32,
}

/// What a limit says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken; so many whole tokens are left.
    Allowed { left: u32 },
    /// Nothing was taken. Asked for again after this time, with nobody before it, it is allowed; a nanosecond earlier it is not.
    /// A wait beyond 584 years is told as [`Duration::MAX`].
    Refused { wait: Duration },
    /// More than `burst`: it never will be.
    Never,
}

impl Verdict {
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self, Verdict::Allowed { .. })
    }
}

impl Limit {
    /// `None` where a number is zero, or `per` above 584 years.
    #[must_use]
    pub const fn new(tokens: u32, per: Duration, burst: u32) -> Option<Limit> {
        let nanos = per.as_nanos();
        if tokens == 0 || burst == 0 || nanos == 0 || nanos > u64::MAX as u128 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "compared just above")]
        Some(Limit { tokens, per: nanos as u64, burst })
    }

    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// How long an empty bucket takes to be full; [`Duration::MAX`] beyond 584 years.
    #[must_use]
    pub fn refill(self) -> Duration {
        self.time_for(self.capacity())
    }

    fn capacity(self) -> u128 {
        self.parts(self.burst)
    }

    fn parts(self, tokens: u32) -> u128 {
        u128::from(self.per).saturating_mul(u128::from(tokens))
    }

    /// What a time brings.
    fn parts_in(self, nanos: u64) -> u128 {
        u128::from(nanos).saturating_mul(u128::from(self.tokens))
    }

    /// How many whole tokens these parts are.
    fn whole(self, parts: u128) -> u32 {
        let tokens = parts.checked_div(u128::from(self.per)).unwrap_or(0);
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }

    /// The shortest time that brings these parts.
    fn time_for(self, parts: u128) -> Duration {
        let nanos = parts.div_ceil(u128::from(self.tokens.max(1)));
        u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
    }

    /// `Allowed` with what is left of `held`, or why not.
    fn judge(self, held: u128, wanted: u32) -> (Verdict, u128) {
        let parts = self.parts(wanted);
        match held.checked_sub(parts) {
            Some(left) => (Verdict::Allowed { left: self.whole(left) }, left),
            None if wanted > self.burst => (Verdict::Never, held),
            None => (Verdict::Refused { wait: self.time_for(parts.saturating_sub(held)) }, held),
        }
    }
}

fn nanos(now: Monotonic) -> u64 {
    u64::try_from(now.since_start().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
