//! Deposits and withdrawals of the last while, in slices that age out one by one: what a budget or a rate limit counts.
//! All numbers saturate, none wraps; comparisons are exact.

use crate::shared::Wire;
use crate::time::Monotonic;
use crate::units::Ratio;
use std::time::Duration;

/// What happened in one slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    pub deposits: u64,
    pub withdrawals: u64,
}

/// How a window is cut: the current slice, which is not over yet, and `count - 1` whole ones before it. They start at multiples of
/// their length on the proxy's clock, so that all VMs cut alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    count: u8,
    /// Nanoseconds, not zero.
    length: u64,
}

impl Slices {
    /// One slice: everything is forgotten at once. Who comes just before and just after that moment gets twice the limit.
    /// `None` for no length, or one above 584 years.
    #[must_use]
    pub const fn fixed(length: Duration) -> Option<Slices> {
        Slices::sliding(length, 1)
    }

    /// `count` slices that together are `window` long, to the nanosecond below. `None` for no slices, slices shorter than a
    /// nanosecond, or a window above 584 years.
    #[must_use]
    pub const fn sliding(window: Duration, count: u8) -> Option<Slices> {
        let nanos = window.as_nanos();
        if nanos > u64::MAX as u128 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "compared just above")]
        match (nanos as u64).checked_div(count as u64) {
            None | Some(0) => None,
            Some(length) => Some(Slices { count, length }),
        }
    }

    #[must_use]
    pub const fn count(self) -> u8 {
        self.count
    }

    /// Of one slice.
    #[must_use]
    pub const fn length(self) -> Duration {
        Duration::from_nanos(self.length)
    }

    /// The longest time for which something counts.
    #[must_use]
    pub fn window(self) -> Duration {
        self.length().saturating_mul(u32::from(self.count))
    }

    /// The number of the slice that holds this moment; counted from the start of the clock.
    #[must_use]
    pub fn number_at(self, now: Monotonic) -> u64 {
        nanos(now).checked_div(self.length).unwrap_or(0)
    }

    /// How long until the next slice begins and the oldest one is forgotten; never zero.
    #[must_use]
    pub fn until_next(self, now: Monotonic) -> Duration {
        let into = nanos(now).checked_rem(self.length).unwrap_or(0);
        Duration::from_nanos(self.length.saturating_sub(into))
    }
}

fn nanos(now: Monotonic) -> u64 {
    u64::try_from(now.since_start().as_nanos()).unwrap_or(u64::MAX)
}

/// How many withdrawals are allowed: a share of the deposits, and a reserve for quiet times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Withdrawals for each deposit.
    pub share: Ratio,
    /// Withdrawals that are allowed without deposits, for each second of the window.
    pub reserve_per_second: Ratio,
}

/// A ring of slices. As a record of [`Shared`](crate::Shared) it takes 8 bytes and 16 for each slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// At index `number % len`; never empty.
    ring: Vec<Slice>,
    /// The number of the current slice.
    current: u64,
}

impl Window {
    #[must_use]
    pub fn new(slices: Slices, now: Monotonic) -> Window {
        Window {
            ring: vec![Slice::default(); usize::from(slices.count.max(1))],
            current: slices.number_at(now),
        }
    }

    /// The number of the current slice: what a later [`refund`](Self::refund) has to name.
    #[must_use]
    pub fn current(&self) -> u64 {
        self.current
    }

    /// How many slices it was made of; a record of another number is not this window's.
    #[must_use]
    pub fn slices(&self) -> usize {
        self.ring.len()
    }

    /// Forgets what has left the window at `now`. A moment before the current slice changes nothing: another VM was ahead.
    pub fn advance(&mut self, slices: Slices, now: Monotonic) {
        self.advance_to(slices.number_at(now));
    }

    fn advance_to(&mut self, number: u64) {
        let passed = number.saturating_sub(self.current);
        for step in 1..=passed.min(self.len()) {
            if let Some(slice) = self.slice_mut(self.current.wrapping_add(step)) {
                *slice = Slice::default();
            }
        }
        self.current = self.current.max(number);
    }

    #[must_use]
    pub fn deposits(&self) -> u64 {
        self.ring.iter().map(|slice| slice.deposits).fold(0, u64::saturating_add)
    }

    #[must_use]
    pub fn withdrawals(&self) -> u64 {
        self.ring.iter().map(|slice| slice.withdrawals).fold(0, u64::saturating_add)
    }

    pub fn deposit(&mut self, count: u64) {
        if let Some(slice) = self.slice_mut(self.current) {
            slice.deposits = slice.deposits.saturating_add(count);
        }
    }

    pub fn withdraw(&mut self, count: u64) {
        if let Some(slice) = self.slice_mut(self.current) {
            slice.withdrawals = slice.withdrawals.saturating_add(count);
        }
    }

    /// Takes withdrawals back where they were made. Nothing when that slice has left the window: so have they.
    pub fn refund(&mut self, number: u64, count: u64) {
        let age = self.current.checked_sub(number);
        if age.is_some_and(|age| age < self.len())
            && let Some(slice) = self.slice_mut(number)
        {
            slice.withdrawals = slice.withdrawals.saturating_sub(count);
        }
    }

    /// Whether `count` withdrawals more stay within the allowance:
    /// `withdrawals + count <= deposits * share + reserve * window`, without rounding.
    #[must_use]
    pub fn allows(&self, slices: Slices, allowance: &Allowance, count: u64) -> bool {
        const SECOND: u128 = 1_000_000_000;
        // In units of a ten-thousandth of a withdrawal times a nanosecond the largest side is below 2^127.
        let wanted = u128::from(self.withdrawals()).saturating_add(u128::from(count));
        let wanted = wanted.saturating_mul(u128::from(Ratio::DENOMINATOR)).saturating_mul(SECOND);
        let share = u128::from(self.deposits()).saturating_mul(u128::from(allowance.share.numerator()));
        let reserve = u128::from(allowance.reserve_per_second.numerator());
        let reserve = reserve.saturating_mul(slices.window().as_nanos());
        wanted <= share.saturating_mul(SECOND).saturating_add(reserve)
    }

    /// Adds what another VM counted on its own in the slices that both remember. Each must be added once.
    pub fn merge(&mut self, other: &Window) {
        if other.ring.len() != self.ring.len() {
            return;
        }
        self.advance_to(other.current);
        for (number, counted) in other.iter() {
            self.add(number, counted);
        }
    }

    /// Adds what was counted in slice `number`: lost, when that has left the window. One that has not begun begins.
    pub fn add(&mut self, number: u64, counted: Slice) {
        self.advance_to(number);
        let age = self.current.saturating_sub(number);
        if age < self.len()
            && let Some(slice) = self.slice_mut(number)
        {
            slice.deposits = slice.deposits.saturating_add(counted.deposits);
            slice.withdrawals = slice.withdrawals.saturating_add(counted.withdrawals);
        }
    }

    /// The slices of the window by their numbers, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Slice)> {
        let oldest = self.current.saturating_sub(self.len().saturating_sub(1));
        (oldest..=self.current).map(|number| (number, self.slice(number).copied().unwrap_or_default()))
    }

    fn len(&self) -> u64 {
        u64::try_from(self.ring.len()).unwrap_or(u64::MAX)
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_rem(self.len())?).ok()
    }

    fn slice(&self, number: u64) -> Option<&Slice> {
        self.ring.get(self.index(number)?)
    }

    fn slice_mut(&mut self, number: u64) -> Option<&mut Slice> {
        let index = self.index(number)?;
        self.ring.get_mut(index)
    }
}

/// The number of the current slice, then the ring.
impl Wire for Window {
    const LAYOUT: u16 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.current.to_le_bytes());
        for slice in &self.ring {
            out.extend_from_slice(&slice.deposits.to_le_bytes());
            out.extend_from_slice(&slice.withdrawals.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Option<Window> {
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let (current, counts) = words.split_first()?;
        let (pairs, []) = counts.as_chunks::<2>() else { return None };
        if pairs.is_empty() || pairs.len() > usize::from(u8::MAX) {
            return None;
        }
        let ring = pairs.iter().map(|[deposits, withdrawals]| Slice {
            deposits: u64::from_le_bytes(*deposits),
            withdrawals: u64::from_le_bytes(*withdrawals),
        });
        Some(Window { ring: ring.collect(), current: u64::from_le_bytes(*current) })
    }
}

#[cfg(test)]
mod tests;
