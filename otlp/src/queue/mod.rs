//! What waits to be told, as a machine: it is shown events with their time, and says what is to be sent. No clock, no network, no chance
//! of its own.
//!
//! One batch is under way at a time; a batch that was not taken is sent again as it is, after a pause. What there is no room for is
//! dropped, ordinary items before those that tell of an error. Every item that was ever recorded is in exactly one place:
//! `recorded = exported + dropped + queued`, see [`Ledger`].

mod ledger;
#[cfg(test)]
mod simulation;
mod terms;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

pub use ledger::{DropReason, Ledger};
pub use terms::{Chance, Terms, Uptime};

use crate::answer::Verdict;

/// How much it would cost to lose an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    Ordinary,
    /// It tells of an error: it takes the place of the oldest ordinary ones where there is no room.
    Error,
}

/// Something encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    bytes: Box<[u8]>,
    weight: Weight,
}

/// A batch that is to be sent now.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Under which its answer is to be told.
    pub flight: Flight,
    items: &'a [Item],
}

/// One sending of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight(u64);

/// Items of one signal in one VM.
#[derive(Debug)]
pub struct Queue {
    terms: Terms,
    waiting: VecDeque<Item>,
    batch: Vec<Item>,
    /// Of waiting items and of the batch.
    bytes: usize,
    under_way: Option<UnderWay>,
    /// How often the batch was sent.
    attempts: u8,
    flights: u64,
    /// When what waits is sent, however little it is.
    flush: Uptime,
    /// Nothing is sent before.
    rest: Uptime,
    ending: Ending,
    ledger: Ledger,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UnderWay {
    flight: Flight,
    /// When its answer will not come any more.
    until: Uptime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    /// The VM goes: no pauses any more, and nothing is sent after this.
    Until(Uptime),
}

impl Queue {
    #[must_use]
    pub fn new(terms: Terms, now: Uptime, chance: Chance) -> Queue {
        Queue {
            terms,
            waiting: VecDeque::new(),
            batch: Vec::new(),
            bytes: 0,
            under_way: None,
            attempts: 0,
            flights: 0,
            flush: now.plus(terms.interval(chance)),
            rest: now,
            ending: Ending::No,
            ledger: Ledger::default(),
        }
    }

    /// Takes an item in, or drops it, or drops others for it. Whether there is now enough to be sent at once: [`next`](Self::next) is
    /// to be asked.
    pub fn record(&mut self, bytes: Vec<u8>, weight: Weight) -> bool {
        self.ledger.recorded(1);
        let size = bytes.len();
        if size > self.terms.max_item() {
            self.ledger.dropped(DropReason::TooLarge, 1);
        } else if self.ending != Ending::No {
            self.ledger.dropped(DropReason::Shutdown, 1);
        } else if self.has_room(size) || weight == Weight::Error && self.make_room(size) {
            self.bytes = self.bytes.saturating_add(size);
            self.waiting.push_back(Item { bytes: bytes.into_boxed_slice(), weight });
        } else {
            self.ledger.dropped(DropReason::QueueFull, 1);
        }
        self.batch.is_empty() && self.is_full_batch()
    }

    fn has_room(&self, size: usize) -> bool {
        self.len() < self.terms.max_items && self.bytes.saturating_add(size) <= self.terms.max_bytes
    }

    /// Drops the oldest ordinary items that wait until there is room; none if that would not be enough.
    fn make_room(&mut self, size: usize) -> bool {
        let (mut items, mut bytes) = (0_usize, 0_usize);
        for item in self.waiting.iter().filter(|item| item.weight == Weight::Ordinary) {
            if self.would_fit(items, bytes, size) {
                break;
            }
            items = items.saturating_add(1);
            bytes = bytes.saturating_add(item.bytes.len());
        }
        if !self.would_fit(items, bytes, size) {
            return false;
        }
        self.ledger.dropped(DropReason::QueueFull, items);
        self.bytes = self.bytes.saturating_sub(bytes);
        let mut left = items;
        self.waiting.retain(|item| {
            let goes = left > 0 && item.weight == Weight::Ordinary;
            left = left.saturating_sub(usize::from(goes));
            !goes
        });
        true
    }

    fn would_fit(&self, items: usize, bytes: usize, size: usize) -> bool {
        self.len().saturating_sub(items) < self.terms.max_items
            && self.bytes.saturating_sub(bytes).saturating_add(size) <= self.terms.max_bytes
    }

    /// While there is no batch, all bytes are those of what waits.
    fn is_full_batch(&self) -> bool {
        self.waiting.len() >= self.terms.batch_items || self.bytes >= self.terms.batch_bytes
    }

    /// What is to be sent now, if anything: a batch that was not taken, once its pause is over; a full batch; what waits when the
    /// interval is over. To be asked when [`record`](Self::record) or [`answered`](Self::answered) say so, and at
    /// [`wakes`](Self::wakes). What it returns is under way from then on.
    pub fn next(&mut self, now: Uptime, chance: Chance) -> Option<Batch<'_>> {
        if self.under_way.is_some_and(|under_way| now >= under_way.until) {
            self.not_taken(None, now, chance);
        }
        if self.ending.is_over(now) {
            self.give_up();
        }
        if self.under_way.is_some() || now < self.rest {
            return None;
        }
        if self.batch.is_empty() {
            let is_due = now >= self.flush;
            if is_due {
                self.flush = now.plus(self.terms.interval(chance));
            }
            if self.waiting.is_empty() || !(is_due || self.ending != Ending::No || self.is_full_batch()) {
                return None;
            }
            self.take_batch();
        }
        self.flights = self.flights.saturating_add(1);
        self.attempts = self.attempts.saturating_add(1);
        let flight = Flight(self.flights);
        self.under_way = Some(UnderWay { flight, until: now.plus(self.terms.given_up_after()) });
        Some(Batch { flight, items: &self.batch })
    }

    fn take_batch(&mut self) {
        let mut bytes = 0_usize;
        while let Some(item) = self.waiting.front() {
            bytes = bytes.saturating_add(item.bytes.len());
            let is_full = self.batch.len() >= self.terms.batch_items || bytes > self.terms.batch_bytes;
            if is_full && !self.batch.is_empty() {
                break;
            }
            self.batch.extend(self.waiting.pop_front());
        }
    }

    /// What came of a batch. A flight that was given up before changes nothing. Whether there is more to be sent at once.
    pub fn answered(&mut self, flight: Flight, verdict: Verdict, now: Uptime, chance: Chance) -> bool {
        if self.under_way.is_none_or(|under_way| under_way.flight != flight) {
            return false;
        }
        match verdict {
            Verdict::Taken { rejected } => {
                let rejected = usize::try_from(rejected).unwrap_or(usize::MAX).min(self.batch.len());
                self.ledger.exported(self.batch.len().saturating_sub(rejected));
                self.ledger.dropped(DropReason::Rejected, rejected);
                self.forget_batch();
            }
            Verdict::Refused => {
                self.ledger.dropped(DropReason::ClientError, self.batch.len());
                self.forget_batch();
            }
            Verdict::Later(asked) => self.not_taken(asked, now, chance),
        }
        !self.is_empty() && self.wakes().is_some_and(|wakes| now >= wakes)
    }

    fn not_taken(&mut self, asked: Option<Duration>, now: Uptime, chance: Chance) {
        self.under_way = None;
        if self.ending != Ending::No {
            self.ledger.dropped(DropReason::Shutdown, self.batch.len());
            self.forget_batch();
            return;
        }
        // Whatever is sent next waits for it: the batch after one that was given up, too.
        self.rest = now.plus(self.terms.pause(self.attempts, asked, chance));
        if self.attempts >= self.terms.max_attempts {
            self.ledger.dropped(DropReason::Exhausted, self.batch.len());
            self.forget_batch();
        }
    }

    fn forget_batch(&mut self) {
        self.bytes = self.bytes.saturating_sub(sum(&self.batch));
        self.batch.clear();
        self.attempts = 0;
        self.under_way = None;
    }

    /// The VM goes: everything is sent once more at most, until `grace` is over, and nothing new is taken in.
    /// [`next`](Self::next) is to be asked.
    pub fn end(&mut self, now: Uptime) {
        if self.ending == Ending::No {
            self.ending = Ending::Until(now.plus(self.terms.grace()));
            self.rest = now;
        }
    }

    /// Drops all that is left: nobody will ask for it any more.
    pub fn give_up(&mut self) {
        let left = self.len();
        self.waiting.clear();
        self.forget_batch();
        self.bytes = 0;
        self.ledger.dropped(DropReason::Shutdown, left);
    }

    /// When [`next`](Self::next) is to be asked, if nothing happens before. `None` when the end has come and nothing is left.
    #[must_use]
    pub fn wakes(&self) -> Option<Uptime> {
        let own = match self.under_way {
            Some(under_way) => under_way.until,
            None if !self.batch.is_empty() || self.is_full_batch() || self.ending != Ending::No => self.rest,
            None => self.flush.max(self.rest),
        };
        match self.ending {
            Ending::No => Some(own),
            Ending::Until(_) if self.is_empty() => None,
            Ending::Until(end) => Some(own.min(end)),
        }
    }

    /// Items that were recorded and are neither exported nor dropped.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len().saturating_add(self.batch.len())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What became of everything that was ever recorded.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

impl Ending {
    fn is_over(self, now: Uptime) -> bool {
        matches!(self, Ending::Until(end) if now >= end)
    }
}

impl Batch<'_> {
    /// As they were recorded.
    pub fn items(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.items.iter().map(|item| &*item.bytes)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

fn sum(items: &[Item]) -> usize {
    items.iter().fold(0, |sum, item| sum.saturating_add(item.bytes.len()))
}
