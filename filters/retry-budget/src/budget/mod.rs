//! How many retries there may be: a share of the window's deposits and a floor for quiet times, or by somebody else's counter.
//!
//! Exact: all comparisons are between whole numbers. No clock, no host; `now` may step back between workers.
//!
//! What is counted is counted once, in the [`Pool`] that workers share. So that an ordinary request costs no round with it, each worker
//! has an [`Account`]: retries that the pool has already charged, to be handed out until the slot ends, and what the pool has not heard
//! yet: deposits, and retries that were given back. Both lag on the safe side: the pool knows of all retries that may be made, and of no
//! deposit too many. So at each grant all workers together are within the share of the window's deposits.

mod account;
mod pool;
mod tokens;

pub use account::Account;
pub use pool::{Loan, Pool, Visit};
pub use tokens::{Quota, Throttle, Tokens};

use serde::Deserialize;
use std::time::Duration;
use wayside_sdk::policy::{Allowance, Slices};
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

/// What the operator allows in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Retries per deposit.
    pub ratio: Ratio,
    pub slots: Slices,
    pub floor_style: FloorStyle,
    /// Thousandths of a retry a second.
    pub floor_rate: u32,
    /// Thousandths of a retry; the bucket starts with it. Not used by [`FloorStyle::Window`].
    pub floor_burst: u32,
}

impl Limits {
    #[must_use]
    pub fn window(&self) -> Duration {
        self.slots.window()
    }

    /// What the window's withdrawals are held against: the share, and the floor where it is the window's.
    fn allowance(&self) -> Allowance {
        let rate = match self.floor_style {
            FloorStyle::PerSecond => 0,
            FloorStyle::Window => self.floor_rate.saturating_mul(10),
        };
        Allowance { share: self.ratio, reserve_per_second: Ratio::from_ten_thousandths(rate) }
    }
}

/// Retries a request was given, and where they were taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// In which they were charged.
    slot: u64,
    from_ratio: u8,
    from_floor: u8,
}

impl Grant {
    /// Of a budget without slots.
    #[must_use]
    pub const fn of(retries: u8) -> Grant {
        Grant { slot: 0, from_ratio: retries, from_floor: 0 }
    }

    #[must_use]
    pub fn retries(&self) -> u8 {
        self.from_ratio.saturating_add(self.from_floor)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.retries() == 0
    }
}

/// How a request ended, for its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Retries that were made, of those granted and beyond.
    pub used: u32,
    pub answer: Answer,
    /// Whether a success feeds the budget.
    pub deposits: bool,
    /// The upstream asked for no retry: one is lost.
    pub refused: bool,
}

impl End {
    /// Of these retries, how many come back.
    #[must_use]
    pub fn unused(&self, grant: &Grant) -> u32 {
        let gone = self.used.saturating_add(u32::from(self.refused));
        u32::from(grant.retries()).saturating_sub(gone)
    }
}

/// What an answer says of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nobody would retry it.
    Success,
    Failure(Cause),
    /// Nothing was tried, or somebody before the upstream answered.
    Nothing,
}

/// Why it failed, as far as budgets differ in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It asks for less.
    Throttled,
    TimedOut,
    Other,
}

#[cfg(test)]
mod tests;
