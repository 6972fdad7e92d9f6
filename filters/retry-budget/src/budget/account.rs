//! One worker's part of a budget.

use super::{Answer, End, Grant, Limits, Loan};
use std::time::Duration;
use wayside_sdk::Monotonic;
use wayside_sdk::policy::{Slice, Window};

/// How long a worker may go without asking the pool whether retries are held.
const HEARSAY: Duration = Duration::from_secs(1);

/// Retries to hand out, and what the pool has to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Deposits by the slot they were made in, and as withdrawals what was given back, by the slot it was charged in.
    untold: Window,
    anything_untold: bool,
    /// Charged in `slot` and not handed out.
    permits: u32,
    slot: u64,
    /// Until then they may be.
    good_until: Monotonic,
    /// To be charged by the pool without anybody having had them.
    owed: u32,
    /// Handed out, and not settled yet.
    pub(super) out: u32,
}

impl Account {
    #[must_use]
    pub fn new(limits: &Limits, now: Monotonic) -> Account {
        Account {
            untold: Window::new(limits.slots, now),
            anything_untold: false,
            permits: 0,
            slot: 0,
            good_until: Monotonic::default(),
            owed: 0,
            out: 0,
        }
    }

    /// Of its own, if it has as many. Else the pool is to be asked: [`receive`](Self::receive) or [`alone`](Self::alone) must follow.
    pub fn grant(&mut self, now: Monotonic, wanted: u8) -> Option<Grant> {
        let enough = self.permits >= u32::from(wanted) && now < self.good_until;
        enough.then(|| self.hand_out(wanted))
    }

    /// Whether it has one of its own.
    #[must_use]
    pub fn has_any(&self, now: Monotonic) -> bool {
        self.permits > 0 && now < self.good_until
    }

    /// What the pool gave.
    pub fn receive(&mut self, limits: &Limits, now: Monotonic, loan: &Loan) -> Grant {
        if self.anything_untold {
            self.untold = Window::new(limits.slots, now);
            self.anything_untold = false;
        }
        self.owed = 0;
        self.permits = loan.spare.saturating_add(u32::from(loan.from_ratio));
        self.slot = loan.slot;
        self.good_until = now.plus(limits.slots.until_next(now).min(HEARSAY));
        Grant { from_floor: loan.from_floor, ..self.hand_out(loan.from_ratio) }
    }

    /// The pool was not reached: what it charged in this slot is still good.
    pub fn alone(&mut self, limits: &Limits, now: Monotonic, wanted: u8) -> Grant {
        match limits.slots.number_at(now) == self.slot {
            true => self.hand_out(u8::try_from(self.permits).unwrap_or(u8::MAX).min(wanted)),
            false => Grant { slot: self.slot, ..Grant::default() },
        }
    }

    pub fn deposit(&mut self, limits: &Limits, now: Monotonic) {
        let number = limits.slots.number_at(now);
        self.tell(number, Slice { deposits: 1, withdrawals: 0 });
    }

    /// Takes back what a request did not use, floor tokens first, and its deposit. The floor tokens are for the pool: how many.
    pub fn settle(&mut self, limits: &Limits, now: Monotonic, grant: &Grant, end: &End) -> u8 {
        self.out = self.out.saturating_sub(u32::from(grant.from_ratio));
        if end.deposits && end.answer == Answer::Success {
            self.deposit(limits, now);
        }
        let unused = end.unused(grant);
        let to_floor = u8::try_from(unused).unwrap_or(u8::MAX).min(grant.from_floor);
        let back = unused.saturating_sub(u32::from(to_floor));
        if grant.slot == self.slot {
            self.permits = self.permits.saturating_add(back);
        } else {
            self.tell(grant.slot, Slice { deposits: 0, withdrawals: u64::from(back) });
        }
        if end.refused && end.used >= u32::from(grant.retries()) {
            // It has none left to lose.
            self.owed = self.owed.saturating_add(1);
        }
        to_floor
    }

    /// Whether the pool should be told something now although nobody asks for retries.
    #[must_use]
    pub fn is_due(&self, now: Monotonic) -> bool {
        now >= self.good_until && self.has_news()
    }

    /// Whether the pool is another one when it has heard this.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.anything_untold || self.permits > 0 || self.owed > 0
    }

    /// Deposits and retries given back, by slot.
    pub(super) fn untold(&self) -> impl Iterator<Item = (u64, Slice)> {
        self.untold.iter().filter(|_| self.anything_untold)
    }

    /// Charged and not handed out: their slot, and how many.
    pub(super) fn idle(&self) -> (u64, u32) {
        (self.slot, self.permits)
    }

    pub(super) fn owed(&self) -> u32 {
        self.owed
    }

    pub(super) fn handed_out(&self) -> u32 {
        self.out
    }

    fn hand_out(&mut self, count: u8) -> Grant {
        self.permits = self.permits.saturating_sub(u32::from(count));
        self.out = self.out.saturating_add(u32::from(count));
        Grant { slot: self.slot, from_ratio: count, from_floor: 0 }
    }

    fn tell(&mut self, number: u64, slice: Slice) {
        self.untold.add(number, slice);
        self.anything_untold |= slice != Slice::default();
    }
}
