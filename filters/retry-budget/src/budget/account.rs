//! One worker's part of a budget.

use super::{Grant, Limits, Loan, Settlement, Visit};
use crate::window::{Credit, Window};
use wayside_sdk::Monotonic;
use wayside_sdk::units::Ratio;

/// Of what can be spared, one part in so many goes to the pool at each turn of a slot: what a worker deposits in three slots
/// stays with it.
const SPARED: u64 = 4;

/// The deposits a worker has, its own and borrowed ones, and its withdrawals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    window: Window,
}

impl Account {
    #[must_use]
    pub fn new(limits: &Limits, now: Monotonic) -> Account {
        Account { window: Window::new(limits.slots.count, limits.slots.number_at(now)) }
    }

    #[must_use]
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Grants up to `wanted` retries of its own share, after a deposit if requests are what feeds the budget. With a visit, the
    /// pool is to be asked for the rest: [`receive`](Self::receive) or [`take_back`](Self::take_back) must follow.
    pub fn grant(
        &mut self,
        limits: &Limits,
        now: Monotonic,
        wanted: u8,
        deposit: bool,
    ) -> (Grant, Option<Visit>) {
        let turned = self.advance(limits, now, deposit);
        let mut grant = Grant { slot: self.window.current(), ..Grant::default() };
        while grant.from_ratio < wanted
            && limits.share_allows(self.window.withdrawals().saturating_add(1), self.window.deposits())
        {
            self.withdraw(&mut grant);
        }
        let wanted = wanted.saturating_sub(grant.from_ratio);
        (grant, self.visit(limits, turned, wanted, 0, grant.slot))
    }

    /// Takes back what a request did not use, floor tokens first, after a deposit if its success feeds the budget.
    pub fn settle(
        &mut self,
        limits: &Limits,
        now: Monotonic,
        grant: &Grant,
        used: u32,
        deposit: bool,
    ) -> (Settlement, Option<Visit>) {
        let turned = self.advance(limits, now, deposit);
        let granted = u32::from(grant.retries());
        let unused = granted.saturating_sub(used);
        let to_floor = u8::try_from(unused).unwrap_or(u8::MAX).min(grant.from_floor);
        self.window.refund(grant.slot, unused.saturating_sub(u32::from(to_floor)));
        let settlement = Settlement { refunded: unused, overdraft: used.saturating_sub(granted) };
        (settlement, self.visit(limits, turned, 0, to_floor, grant.slot))
    }

    /// `None` where one retry more is within this worker's own share; else what to ask the pool for it with.
    pub fn lacks(&mut self, limits: &Limits, now: Monotonic) -> Option<Visit> {
        self.advance(limits, now, false);
        let (deposits, withdrawals) = (self.window.deposits(), self.window.withdrawals());
        (!limits.share_allows(withdrawals.saturating_add(1), deposits)).then(|| Visit {
            wanted: 1,
            deposits,
            withdrawals,
            ..Visit::default()
        })
    }

    /// One withdrawal, allowed or not.
    pub fn owe(&mut self, limits: &Limits, now: Monotonic) {
        self.advance(limits, now, false);
        self.window.withdraw();
    }

    /// What the pool gave goes into a grant.
    pub fn receive(&mut self, grant: &mut Grant, loan: &Loan) {
        self.put(&loan.credits);
        for _ in 0..loan.from_ratio {
            self.withdraw(grant);
        }
        grant.from_floor = grant.from_floor.saturating_add(loan.from_floor);
    }

    /// The pool was not reached.
    pub fn take_back(&mut self, visit: &Visit) {
        self.put(&visit.gift);
    }

    fn withdraw(&mut self, grant: &mut Grant) {
        self.window.withdraw();
        grant.from_ratio = grant.from_ratio.saturating_add(1);
    }

    fn put(&mut self, credits: &[Credit]) {
        credits.iter().for_each(|credit| self.window.deposit_in(credit.slot, credit.deposits));
    }

    /// Whether another slot began.
    fn advance(&mut self, limits: &Limits, now: Monotonic, deposit: bool) -> bool {
        let before = self.window.current();
        self.window.advance(limits.slots.number_at(now));
        if deposit {
            self.window.deposit(1);
        }
        self.window.current() > before
    }

    fn visit(
        &mut self,
        limits: &Limits,
        turned: bool,
        wanted: u8,
        refund: u8,
        refund_slot: u64,
    ) -> Option<Visit> {
        let spare = if turned { self.spare(limits) } else { 0 };
        if wanted == 0 && refund == 0 && spare == 0 {
            return None;
        }
        let gift = self.window.take(spare);
        let (deposits, withdrawals) = (self.window.deposits(), self.window.withdrawals());
        Some(Visit { wanted, deposits, withdrawals, gift, refund, refund_slot })
    }

    /// Deposits for whole retries that this worker is not short of.
    fn spare(&self, limits: &Limits) -> u64 {
        let share = self.window.deposits().saturating_mul(u64::from(limits.ratio.numerator()));
        let allowed = share.checked_div(u64::from(Ratio::DENOMINATOR)).unwrap_or(0);
        let left = allowed.saturating_sub(self.window.withdrawals());
        match left.checked_div(SPARED) {
            None | Some(0) => 0,
            Some(retries) => limits.deposits_for(retries).unwrap_or(0).min(self.window.deposits()),
        }
    }
}
