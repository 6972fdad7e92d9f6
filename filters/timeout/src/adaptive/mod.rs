//! How long requests to a cluster take, and how long one may take because of it.
//!
//! [`record`] is what the workers know together, [`track`] what one of them adds to it and goes by. Both are functions of
//! state, input and now. `tracks` finds the track of a request and has workers exchange what they know.

pub mod record;
#[cfg(test)]
mod simulation;
pub mod track;
pub(crate) mod tracks;

use std::time::Duration;
use wayside_sdk::Monotonic;
use wayside_sdk::policy::{Buckets, LogHistogram};
use wayside_sdk::units::Ratio;

/// How a limit follows latencies; `floor` is not above `ceiling`, `window` not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The share of requests that the limit is meant to let pass, before `headroom`.
    pub quantile: Ratio,
    pub headroom: Ratio,
    pub floor: Duration,
    /// The rule's own `timeout`.
    pub ceiling: Duration,
    /// With fewer than this many answers in the window the ceiling is the limit.
    pub min_samples: u32,
    pub window: Duration,
    /// The share of the median that a request must have left not to be refused at once.
    pub min_budget: Option<Ratio>,
    /// The share of requests that are not slow: the others are hedged.
    pub slow: Option<Ratio>,
}

/// Of a window's requests the adaptive limit ends no more than this share.
const CUT: Ratio = Ratio::from_ten_thousandths(200);

/// In whole milliseconds: 64 buckets up to 131 s, as many as steps of a fifth from 1 ms to 120 s would be, without their
/// logarithms. A quantile is at most 25 % above the true one and never below it; up to 7 ms it is exact.
fn histogram() -> LogHistogram {
    LogHistogram::new(Buckets::LATENCIES)
}

/// As it stands in the histogram: a request that took part of a millisecond took it whole.
fn millis(time: Duration) -> u64 {
    let part = u64::from(time.subsec_nanos().div_ceil(1_000_000));
    time.as_secs().saturating_mul(1_000).saturating_add(part)
}

/// In microseconds, of which a day and a hundredfold of it, times ten thousand, are within 64 bits.
fn micros(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(time.subsec_micros()))
}

/// `time × share`, to the microsecond above.
fn times(time: Duration, share: Ratio) -> Duration {
    let product = micros(time).saturating_mul(u64::from(share.numerator()));
    Duration::from_micros(product.div_ceil(u64::from(Ratio::DENOMINATOR)))
}

impl Settings {
    /// Which half of a window this moment is in, counted from the start of the clock: all workers cut alike.
    fn half(&self, now: Monotonic) -> u64 {
        micros(now.since_start()).checked_div(micros(self.window).div_ceil(2)).unwrap_or(0)
    }
}
