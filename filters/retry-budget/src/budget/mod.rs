//! How many retries a request may have: a share of the window's deposits, and a floor for quiet times.
//!
//! Exact: all comparisons are between whole numbers. No clock, no host; `now` may step back between workers.
//!
//! Each worker has an [`Account`] of its own, so that an ordinary request costs no round with the state that workers share. What
//! they share is the [`Pool`]: deposits that somebody can spare, each still of the slot it was made in, and the floor. A
//! deposit is in one place at a time, so that all workers together never withdraw more than the share of all deposits ever made. Within a
//! window they may: where one worker's deposits have aged and its withdrawals not yet, another's deposits are still its own.

mod account;
mod pool;
mod tokens;

pub use account::Account;
pub use pool::{Loan, Pool};
pub use tokens::{Quota, Throttle};

use crate::window::{Credit, Slots};
use serde::Deserialize;
use std::time::Duration;
use wayside_sdk::units::Ratio;

/// How many retries there may be, by whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A share of what succeeded in the last while, and a floor.
    Window(Limits),
    /// gRPC's counter of failures against successes.
    Throttle(Throttle),
    /// The quota of the AWS SDKs.
    Quota(Quota),
}

/// How the least number of retries is made sure of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FloorStyle {
    /// A bucket that fills with time; what it gives is not charged to the window.
    PerSecond,
    /// So many retries a window on top of the share, at any moment of it (Finagle's and tower's way).
    Window,
}

/// What the operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Retries per deposit.
    pub ratio: Ratio,
    pub slots: Slots,
    pub floor_style: FloorStyle,
    /// Thousandths of a retry a second.
    pub floor_rate: u32,
    /// Thousandths of a retry; the bucket starts with it. Not used by [`FloorStyle::Window`].
    pub floor_burst: u32,
}

impl Limits {
    /// Nothing is allowed.
    pub const NONE: Limits = Limits {
        ratio: Ratio::from_ten_thousandths(0),
        slots: Slots { count: 1, length: Duration::from_secs(1) },
        floor_style: FloorStyle::PerSecond,
        floor_rate: 0,
        floor_burst: 0,
    };

    #[must_use]
    pub fn window(&self) -> Duration {
        self.slots.length.saturating_mul(u32::from(self.slots.count))
    }

    /// Whether so many withdrawals are within the share of so many deposits: `W * den <= D * num`.
    fn share_allows(&self, withdrawals: u64, deposits: u64) -> bool {
        // Sixty slots of 32 bits times a ratio's 17 bits: nothing saturates.
        let (den, num) = (u64::from(Ratio::DENOMINATOR), u64::from(self.ratio.numerator()));
        withdrawals.saturating_mul(den) <= deposits.saturating_mul(num)
    }

    /// How many deposits so many withdrawals need; `None` when none are enough.
    fn deposits_for(&self, withdrawals: u64) -> Option<u64> {
        let needed = withdrawals.saturating_mul(u64::from(Ratio::DENOMINATOR));
        let num = u64::from(self.ratio.numerator());
        (num > 0).then(|| needed.div_ceil(num.max(1)))
    }
}

/// Why a worker turns to the pool, and what it brings along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    /// Retries that its own share does not allow.
    wanted: u8,
    /// What its own share is made of.
    deposits: u64,
    withdrawals: u64,
    /// What it can spare.
    gift: Vec<Credit>,
    /// Retries of the floor that were not used, and the slot they were granted in.
    refund: u8,
    refund_slot: u64,
}

/// Retries a request was given, and where they were taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    slot: u64,
    from_ratio: u8,
    from_floor: u8,
}

impl Grant {
    #[must_use]
    pub fn retries(&self) -> u8 {
        self.from_ratio.saturating_add(self.from_floor)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.retries() == 0
    }
}

/// What came of a grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Granted and not used, whether or not their slot was still there to take them.
    pub refunded: u32,
    /// Used beyond the grant: somebody raised the limit after us.
    pub overdraft: u32,
}

#[cfg(test)]
mod tests;
