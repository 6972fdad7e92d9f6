//! The part of a budget that workers share.

use super::{FloorStyle, Limits, Visit};
use crate::window::{Credit, Slot, Window};
use std::time::Duration;
use wayside_sdk::units::Ratio;
use wayside_sdk::{Monotonic, Wire};

/// One floor token. In these units a rate in thousandths a second times nanoseconds needs no rounding.
const TOKEN: u64 = 1_000_000_000_000;

/// Deposits that no worker holds, and the floor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its withdrawals are those of a floor in [window style](FloorStyle::Window).
    window: Window,
    /// In units of a [`TOKEN`].
    floor: u64,
    refilled: Monotonic,
}

/// What a visit brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loan {
    /// For `from_ratio` withdrawals more of the worker's own share.
    pub credits: Vec<Credit>,
    pub from_ratio: u8,
    pub from_floor: u8,
    /// Whether the pool is another one now.
    pub changed: bool,
}

impl Loan {
    #[must_use]
    pub fn retries(&self) -> u8 {
        self.from_ratio.saturating_add(self.from_floor)
    }
}

impl Pool {
    #[must_use]
    pub fn new(limits: &Limits, now: Monotonic) -> Pool {
        Pool {
            window: Window::new(limits.slots.count, limits.slots.number_at(now)),
            floor: limits.full_floor(),
            refilled: now,
        }
    }

    #[cfg(test)]
    pub(super) fn window(&self) -> &Window {
        &self.window
    }

    #[cfg(test)]
    pub(super) fn floor_at(&self, limits: &Limits, now: Monotonic) -> u64 {
        let mut pool = self.clone();
        pool.advance(limits, now);
        pool.floor
    }

    /// Takes what a worker can spare and gives what it lacks, as far as there is something.
    pub fn visit(&mut self, limits: &Limits, now: Monotonic, visit: &Visit) -> Loan {
        self.advance(limits, now);
        for credit in &visit.gift {
            self.window.deposit_in(credit.slot, credit.deposits);
        }
        self.refund(limits, visit);
        let mut loan = Loan { changed: !visit.gift.is_empty() || visit.refund > 0, ..Loan::default() };
        let (mut deposits, mut withdrawals) = (visit.deposits, visit.withdrawals);
        for _ in 0..visit.wanted {
            if let Some(needed) = self.lends(limits, withdrawals, deposits) {
                loan.credits.extend(self.window.take(needed));
                loan.from_ratio = loan.from_ratio.saturating_add(1);
                deposits = deposits.saturating_add(needed);
                withdrawals = withdrawals.saturating_add(1);
            } else if self.floor_gives(limits, withdrawals, deposits) {
                loan.from_floor = loan.from_floor.saturating_add(1);
            } else {
                break;
            }
        }
        loan.changed |= loan.from_ratio > 0 || loan.from_floor > 0;
        loan
    }

    /// The deposits that allow one withdrawal more, if there are as many.
    fn lends(&self, limits: &Limits, withdrawals: u64, deposits: u64) -> Option<u64> {
        let needed = limits.deposits_for(withdrawals.saturating_add(1))?.saturating_sub(deposits);
        (needed <= self.window.deposits()).then_some(needed)
    }

    fn floor_gives(&mut self, limits: &Limits, withdrawals: u64, deposits: u64) -> bool {
        match limits.floor_style {
            FloorStyle::PerSecond => match self.floor.checked_sub(TOKEN) {
                Some(rest) => {
                    self.floor = rest;
                    true
                }
                None => false,
            },
            FloorStyle::Window => {
                let withdrawals = withdrawals.saturating_add(self.window.withdrawals()).saturating_add(1);
                let deposits = deposits.saturating_add(self.window.deposits());
                let allowed = limits.window_allows(withdrawals, deposits);
                if allowed {
                    self.window.withdraw();
                }
                allowed
            }
        }
    }

    fn refund(&mut self, limits: &Limits, visit: &Visit) {
        match limits.floor_style {
            FloorStyle::PerSecond => {
                let tokens = u64::from(visit.refund).saturating_mul(TOKEN);
                self.floor = self.floor.saturating_add(tokens).min(limits.full_floor());
            }
            FloorStyle::Window => self.window.refund(visit.refund_slot, u32::from(visit.refund)),
        }
    }

    fn advance(&mut self, limits: &Limits, now: Monotonic) {
        if self.window.slots().len() != usize::from(limits.slots.count) {
            *self = Pool::new(limits, now);
        }
        self.window.advance(limits.slots.number_at(now));
        // More nanoseconds than 64 bits hold are more than the fullest bucket.
        let elapsed = now.nanos_since_start().saturating_sub(self.refilled.nanos_since_start());
        let refill = elapsed.saturating_mul(u64::from(limits.floor_rate));
        self.floor = self.floor.saturating_add(refill).min(limits.full_floor());
        self.refilled = self.refilled.max(now);
    }
}

impl Limits {
    fn full_floor(&self) -> u64 {
        match self.floor_style {
            FloorStyle::PerSecond => u64::from(self.floor_burst).saturating_mul(TOKEN / 1000),
            FloorStyle::Window => 0,
        }
    }

    /// The share and a floor in window style: `W * den <= D * num + min * window * den`.
    fn window_allows(&self, withdrawals: u64, deposits: u64) -> bool {
        const NANO_MILLI: u128 = 1_000_000_000_000;
        let (den, num) = (u128::from(Ratio::DENOMINATOR), u128::from(self.ratio.numerator()));
        let floor = u128::from(self.floor_rate).saturating_mul(self.window().as_nanos());
        let share = u128::from(deposits).saturating_mul(num).saturating_mul(NANO_MILLI);
        u128::from(withdrawals).saturating_mul(den).saturating_mul(NANO_MILLI)
            <= share.saturating_add(floor.saturating_mul(den))
    }
}

impl Wire for Pool {
    const LAYOUT: u16 = 2;

    fn encode(&self, out: &mut Vec<u8>) {
        for word in [self.window.current(), self.floor, self.refilled.nanos_since_start()] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for slot in self.window.slots() {
            let (deposits, withdrawals) = (u64::from(slot.deposits), u64::from(slot.withdrawals));
            out.extend_from_slice(&(withdrawals << 32 | deposits).to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Option<Pool> {
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
        Some(Pool {
            window: Window::from_slots(ring.collect(), u64::from_le_bytes(*current))?,
            floor: u64::from_le_bytes(*floor),
            refilled: Monotonic::at(Duration::from_nanos(u64::from_le_bytes(*refilled))),
        })
    }
}
