//! Deposits and withdrawals of the last while, in slots that age out one by one.

use std::time::Duration;
use wayside_sdk::Monotonic;

/// What happened in one slot. Counts saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    pub deposits: u32,
    pub withdrawals: u32,
}

/// Deposits of one slot on their way from one place to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    pub slot: u64,
    pub deposits: u32,
}

/// How a window is cut: the current slot, which is not over yet, and `count - 1` whole ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    pub count: u8,
    pub length: Duration,
}

impl Slots {
    /// The number of the slot that holds this moment; counted from the start of the clock.
    #[must_use]
    pub fn number_at(&self, now: Monotonic) -> u64 {
        let length = Monotonic::at(self.length).nanos_since_start();
        now.nanos_since_start().checked_div(length).unwrap_or(0)
    }
}

/// A ring of slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// At index `number % len`.
    ring: Vec<Slot>,
    /// The absolute number of the current slot.
    current: u64,
}

impl Window {
    #[must_use]
    pub fn new(count: u8, current: u64) -> Window {
        Window { ring: vec![Slot::default(); usize::from(count.max(1))], current }
    }

    /// `None` when there is no slot.
    #[must_use]
    pub fn from_slots(ring: Vec<Slot>, current: u64) -> Option<Window> {
        (!ring.is_empty()).then_some(Window { ring, current })
    }

    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.ring
    }

    #[must_use]
    pub fn current(&self) -> u64 {
        self.current
    }

    /// Moves on to slot `number`, forgetting what has left the window. A number before the current one changes nothing:
    /// another worker was a moment ahead.
    pub fn advance(&mut self, number: u64) {
        let passed = number.saturating_sub(self.current);
        let len = self.len();
        for step in 1..=passed.min(len) {
            if let Some(slot) = self.slot_mut(self.current.wrapping_add(step)) {
                *slot = Slot::default();
            }
        }
        self.current = self.current.max(number);
    }

    #[must_use]
    pub fn deposits(&self) -> u64 {
        self.ring.iter().map(|slot| u64::from(slot.deposits)).fold(0, u64::saturating_add)
    }

    #[must_use]
    pub fn withdrawals(&self) -> u64 {
        self.ring.iter().map(|slot| u64::from(slot.withdrawals)).fold(0, u64::saturating_add)
    }

    pub fn deposit(&mut self, count: u32) {
        if let Some(slot) = self.slot_mut(self.current) {
            slot.deposits = slot.deposits.saturating_add(count);
        }
    }

    /// Deposits made elsewhere, at slot `number`: lost with it, and of a slot that has not begun here they are of the current one,
    /// which ends no later.
    pub fn deposit_in(&mut self, number: u64, count: u32) {
        let number = number.min(self.current);
        if self.holds(number)
            && let Some(slot) = self.slot_mut(number)
        {
            slot.deposits = slot.deposits.saturating_add(count);
        }
    }

    /// Takes up to `count` deposits out, the latest first: they last.
    pub fn take(&mut self, count: u64) -> Vec<Credit> {
        let mut taken = Vec::new();
        let (mut left, mut number) = (count, self.current);
        while left > 0 && self.holds(number) {
            if let Some(slot) = self.slot_mut(number)
                && slot.deposits > 0
            {
                let deposits = slot.deposits.min(u32::try_from(left).unwrap_or(u32::MAX));
                slot.deposits = slot.deposits.saturating_sub(deposits);
                left = left.saturating_sub(u64::from(deposits));
                taken.push(Credit { slot: number, deposits });
            }
            let Some(before) = number.checked_sub(1) else { break };
            number = before;
        }
        taken
    }

    fn holds(&self, number: u64) -> bool {
        self.current.checked_sub(number).is_some_and(|age| age < self.len())
    }

    pub fn withdraw(&mut self) {
        if let Some(slot) = self.slot_mut(self.current) {
            slot.withdrawals = slot.withdrawals.saturating_add(1);
        }
    }

    /// Takes withdrawals back where they were made. Nothing when that slot has left the window: so have they.
    pub fn refund(&mut self, number: u64, count: u32) {
        if self.holds(number)
            && let Some(slot) = self.slot_mut(number)
        {
            slot.withdrawals = slot.withdrawals.saturating_sub(count);
        }
    }

    fn len(&self) -> u64 {
        u64::try_from(self.ring.len()).unwrap_or(u64::MAX)
    }

    fn slot_mut(&mut self, number: u64) -> Option<&mut Slot> {
        let index = number.checked_rem(self.len())?;
        self.ring.get_mut(usize::try_from(index).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_counts_until_as_many_slots_have_begun_after_it() {
        let mut window = Window::new(3, 10);
        window.deposit(5);
        window.withdraw();
        window.advance(12);
        assert_eq!((window.deposits(), window.withdrawals()), (5, 1));
        window.deposit(1);
        window.advance(13);
        assert_eq!((window.deposits(), window.withdrawals()), (1, 0));
        window.advance(1_000_000);
        assert_eq!(window.deposits(), 0);
    }

    #[test]
    fn a_moment_before_the_current_slot_counts_as_the_current_one() {
        let mut window = Window::new(3, 10);
        window.deposit(5);
        window.advance(9);
        assert_eq!((window.current(), window.deposits()), (10, 5));
    }

    #[test]
    fn a_refund_goes_to_the_slot_of_its_withdrawal_or_nowhere() {
        let mut window = Window::new(3, 10);
        window.withdraw();
        window.advance(11);
        window.withdraw();
        window.refund(10, 1);
        assert_eq!(window.withdrawals(), 1);
        window.refund(10, 1);
        assert_eq!(window.withdrawals(), 1, "never below zero, never from another slot");
        window.advance(14);
        window.withdraw();
        window.refund(11, 1);
        assert_eq!(window.withdrawals(), 1, "slot 11 shares its place in the ring with slot 14");
        window.refund(99, 1);
        assert_eq!(window.withdrawals(), 1, "a slot that has not begun");
    }

    #[test]
    fn deposits_are_taken_from_the_latest_slots_and_put_back_where_they_were() {
        let mut window = Window::new(3, 10);
        window.deposit(5);
        window.advance(12);
        window.deposit(2);
        let taken = window.take(4);
        assert_eq!(taken, [Credit { slot: 12, deposits: 2 }, Credit { slot: 10, deposits: 2 }]);
        assert_eq!(window.deposits(), 3);
        assert_eq!(window.take(9), [Credit { slot: 10, deposits: 3 }]);
        window.advance(13);
        taken.iter().for_each(|credit| window.deposit_in(credit.slot, credit.deposits));
        assert_eq!(window.deposits(), 2, "slot 10 has left the window");
        window.deposit_in(99, 1);
        window.advance(15);
        assert_eq!(window.deposits(), 1, "of a slot that has not begun, they are of the current one");
    }

    #[test]
    fn counts_saturate() {
        let mut window = Window::new(2, 0);
        window.deposit(u32::MAX);
        window.deposit(1);
        assert_eq!(window.deposits(), u64::from(u32::MAX));
    }
}
