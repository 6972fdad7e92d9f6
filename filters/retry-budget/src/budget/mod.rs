//! How many retries a request may have: a share of the window's deposits, and a floor for quiet times.
//!
//! Exact: all comparisons are between whole numbers. No clock, no host; `now` may step back between workers.

use crate::window::{Slot, Slots, Window};
use std::time::Duration;
use wayside_sdk::units::Ratio;
use wayside_sdk::{Monotonic, Wire};

/// One floor token. In these units a rate in thousandths a second times nanoseconds needs no rounding.
const TOKEN: u64 = 1_000_000_000_000;

/// How the least number of retries is made sure of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The state of one budget, shared by all workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    window: Window,
    /// In units of a [`TOKEN`].
    floor: u64,
    refilled: Monotonic,
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

impl Budget {
    #[must_use]
    pub fn new(limits: &Limits, now: Monotonic) -> Budget {
        Budget {
            window: Window::new(limits.slots.count, limits.slots.number_at(now)),
            floor: limits.full_floor(),
            refilled: now,
        }
    }

    /// Grants up to `wanted` retries, after a deposit if requests are what feeds the budget.
    pub fn grant(&mut self, limits: &Limits, now: Monotonic, wanted: u8, deposit: bool) -> Grant {
        self.advance(limits, now);
        if deposit {
            self.window.deposit(1);
        }
        let mut grant = Grant { slot: self.window.current(), ..Grant::default() };
        while grant.retries() < wanted {
            if self.share_allows(limits) {
                self.window.withdraw();
                grant.from_ratio = grant.from_ratio.saturating_add(1);
            } else if let Some(rest) = self.floor_token(limits) {
                self.floor = rest;
                grant.from_floor = grant.from_floor.saturating_add(1);
            } else {
                break;
            }
        }
        grant
    }

    /// Takes back what a request did not use, floor tokens first, after a deposit if its success feeds the budget.
    pub fn settle(
        &mut self,
        limits: &Limits,
        now: Monotonic,
        grant: &Grant,
        used: u32,
        deposit: bool,
    ) -> Settlement {
        self.advance(limits, now);
        if deposit {
            self.window.deposit(1);
        }
        let granted = u32::from(grant.retries());
        let unused = granted.saturating_sub(used);
        let to_floor = unused.min(u32::from(grant.from_floor));
        let tokens = u64::from(to_floor).saturating_mul(TOKEN);
        self.floor = self.floor.saturating_add(tokens).min(limits.full_floor());
        self.window.refund(grant.slot, unused.saturating_sub(to_floor));
        Settlement { refunded: unused, overdraft: used.saturating_sub(granted) }
    }

    fn advance(&mut self, limits: &Limits, now: Monotonic) {
        if self.window.slots().len() != usize::from(limits.slots.count) {
            *self = Budget::new(limits, now);
        }
        self.window.advance(limits.slots.number_at(now));
        // More nanoseconds than 64 bits hold are more than the fullest bucket.
        let elapsed = now.nanos_since_start().saturating_sub(self.refilled.nanos_since_start());
        let refill = elapsed.saturating_mul(u64::from(limits.floor_rate));
        self.floor = self.floor.saturating_add(refill).min(limits.full_floor());
        self.refilled = self.refilled.max(now);
    }

    /// Whether one withdrawal more is within the share: `(W + 1) * den <= D * num`, and in window style plus the floor.
    fn share_allows(&self, limits: &Limits) -> bool {
        const NANO_MILLI: u128 = 1_000_000_000_000;
        let withdrawals = self.window.withdrawals().saturating_add(1);
        let deposits = self.window.deposits();
        let (den, num) = (Ratio::DENOMINATOR.into(), limits.ratio.numerator().into());
        match limits.floor_style {
            // Sixty slots of 32 bits times a ratio's 17 bits: nothing saturates.
            FloorStyle::PerSecond => withdrawals.saturating_mul(den) <= deposits.saturating_mul(num),
            FloorStyle::Window => {
                let (den, num) = (u128::from(den), u128::from(num));
                let floor = u128::from(limits.floor_rate).saturating_mul(limits.window().as_nanos());
                let share = u128::from(deposits).saturating_mul(num).saturating_mul(NANO_MILLI);
                u128::from(withdrawals).saturating_mul(den).saturating_mul(NANO_MILLI)
                    <= share.saturating_add(floor.saturating_mul(den))
            }
        }
    }

    /// What the bucket holds after one token is taken.
    fn floor_token(&self, limits: &Limits) -> Option<u64> {
        match limits.floor_style {
            FloorStyle::PerSecond => self.floor.checked_sub(TOKEN),
            FloorStyle::Window => None,
        }
    }
}

impl Limits {
    #[must_use]
    pub fn window(&self) -> Duration {
        self.slots.length.saturating_mul(u32::from(self.slots.count))
    }

    fn full_floor(&self) -> u64 {
        match self.floor_style {
            FloorStyle::PerSecond => u64::from(self.floor_burst).saturating_mul(TOKEN / 1000),
            FloorStyle::Window => 0,
        }
    }
}

impl Wire for Budget {
    const LAYOUT: u16 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        for word in [self.window.current(), self.floor, self.refilled.nanos_since_start()] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for slot in self.window.slots() {
            let (deposits, withdrawals) = (u64::from(slot.deposits), u64::from(slot.withdrawals));
            out.extend_from_slice(&(withdrawals << 32 | deposits).to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Option<Budget> {
        let (head, slots) = bytes.split_at_checked(24)?;
        let (words, _) = head.as_chunks::<8>();
        let [current, floor, refilled] = words else {
            return None;
        };
        let (pairs, rest) = slots.as_chunks::<8>();
        if !rest.is_empty() || pairs.len() > 60 {
            return None;
        }
        let ring = pairs.iter().map(|pair| {
            let [a, b, c, d, e, f, g, h] = *pair;
            Slot { deposits: u32::from_le_bytes([a, b, c, d]), withdrawals: u32::from_le_bytes([e, f, g, h]) }
        });
        Some(Budget {
            window: Window::from_slots(ring.collect(), u64::from_le_bytes(*current))?,
            floor: u64::from_le_bytes(*floor),
            refilled: Monotonic::at(Duration::from_nanos(u64::from_le_bytes(*refilled))),
        })
    }
}

#[cfg(test)]
mod tests;
