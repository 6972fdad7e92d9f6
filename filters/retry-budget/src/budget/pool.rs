//! The part of a budget that workers share: all that is counted.

use super::{Account, FloorStyle, Limits};
use std::time::Duration;
use wayside_sdk::policy::{Slice, Window};
use wayside_sdk::{Monotonic, Wire};

/// One floor token. In these units a rate in thousandths a second times nanoseconds needs no rounding.
const TOKEN: u64 = 1_000_000_000_000;

/// What is left for others when a worker takes more than it asked for: this many times as much.
const LEFT: u64 = 3;

/// The window, the floor, and until when there are no retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    pub(super) window: Window,
    /// In units of a [`TOKEN`].
    pub(super) floor: u64,
    refilled: Monotonic,
    held_until: Monotonic,
}

/// What a visit brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loan {
    /// In which it is charged.
    pub slot: u64,
    /// Of those that were asked for.
    pub from_ratio: u8,
    pub from_floor: u8,
    /// Charged as well, for requests to come.
    pub spare: u32,
    pub held_until: Monotonic,
    /// Whether the pool is another one now.
    pub changed: bool,
}

/// Why a worker turns to the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    pub wanted: u8,
    /// Retries of the floor that were not used.
    pub to_floor: u8,
    /// The worker has heard that there are none until then.
    pub held_until: Monotonic,
}

impl Pool {
    #[must_use]
    pub fn new(limits: &Limits, now: Monotonic) -> Pool {
        Pool {
            window: Window::new(limits.slots, now),
            floor: limits.full_floor(),
            refilled: now,
            held_until: Monotonic::default(),
        }
    }

    /// Hears what a worker has to tell, takes back what it has not handed out, and gives what is asked for as far as there is something.
    pub fn visit(&mut self, limits: &Limits, now: Monotonic, account: &Account, visit: &Visit) -> Loan {
        self.advance(limits, now);
        for (slot, Slice { deposits, withdrawals }) in account.untold() {
            self.window.add(slot, Slice { deposits, withdrawals: 0 });
            self.window.refund(slot, withdrawals);
        }
        let news = account.has_news() || visit.to_floor > 0 || visit.held_until > self.held_until;
        let (slot, idle) = account.idle();
        self.window.refund(slot, u64::from(idle));
        self.window.withdraw(u64::from(account.owed()));
        self.give_back(limits, visit.to_floor);
        self.held_until = self.held_until.max(visit.held_until);
        let mut loan = Loan { slot: self.window.current(), held_until: self.held_until, ..Loan::default() };
        if now >= self.held_until {
            self.lend(limits, account, visit.wanted, &mut loan);
        }
        loan.changed = news || loan.from_ratio > 0 || loan.from_floor > 0 || loan.spare > 0;
        loan
    }

    fn lend(&mut self, limits: &Limits, account: &Account, wanted: u8, loan: &mut Loan) {
        let allowance = limits.allowance();
        for _ in 0..wanted {
            if self.window.allows(limits.slots, &allowance, 1) {
                self.window.withdraw(1);
                loan.from_ratio = loan.from_ratio.saturating_add(1);
            } else if self.take_from_floor() {
                loan.from_floor = loan.from_floor.saturating_add(1);
            } else {
                break;
            }
        }
        // As many again as are out: so a worker that is busier than it was asks twice as rarely.
        let mut spare = account.handed_out().saturating_add(u32::from(loan.from_ratio));
        while spare > 0 {
            let with_the_rest = u64::from(spare).saturating_mul(LEFT.saturating_add(1));
            if self.window.allows(limits.slots, &allowance, with_the_rest) {
                self.window.withdraw(u64::from(spare));
                break;
            }
            spare /= 2;
        }
        loan.spare = spare;
    }

    /// How many retries there are: at most `most`, which is looked for by halves.
    #[must_use]
    pub fn balance(&self, limits: &Limits, now: Monotonic, most: u64) -> u64 {
        let mut pool = self.clone();
        pool.advance(limits, now);
        if now < pool.held_until {
            return 0;
        }
        let allowance = limits.allowance();
        let (mut there, mut beyond) = (0_u64, most.saturating_add(1));
        while beyond.saturating_sub(there) > 1 {
            let middle = there.midpoint(beyond);
            match pool.window.allows(limits.slots, &allowance, middle) {
                true => there = middle,
                false => beyond = middle,
            }
        }
        there.saturating_add(pool.floor.checked_div(TOKEN).unwrap_or(0)).min(most)
    }

    fn take_from_floor(&mut self) -> bool {
        let rest = self.floor.checked_sub(TOKEN);
        self.floor = rest.unwrap_or(self.floor);
        rest.is_some()
    }

    fn give_back(&mut self, limits: &Limits, to_floor: u8) {
        let tokens = u64::from(to_floor).saturating_mul(TOKEN);
        self.floor = self.floor.saturating_add(tokens).min(limits.full_floor());
    }

    fn advance(&mut self, limits: &Limits, now: Monotonic) {
        if self.window.slices() != usize::from(limits.slots.count()) {
            *self = Pool::new(limits, now);
        }
        self.window.advance(limits.slots, now);
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
}

impl Wire for Pool {
    const LAYOUT: u16 = 3;

    fn encode(&self, out: &mut Vec<u8>) {
        let (refilled, held) = (self.refilled.nanos_since_start(), self.held_until.nanos_since_start());
        for word in [self.floor, refilled, held] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        self.window.encode(out);
    }

    fn decode(bytes: &[u8]) -> Option<Pool> {
        let (head, window) = bytes.split_at_checked(24)?;
        let (words, _) = head.as_chunks::<8>();
        let [floor, refilled, held] = words else {
            return None;
        };
        let time = |word: &[u8; 8]| Monotonic::at(Duration::from_nanos(u64::from_le_bytes(*word)));
        Some(Pool {
            window: Window::decode(window)?,
            floor: u64::from_le_bytes(*floor),
            refilled: time(refilled),
            held_until: time(held),
        })
    }
}
