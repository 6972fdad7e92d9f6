//! A queue of things due, ordered by time and, at the same time, by who asked first.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Due entries come out in the order `(deadline, sequence)`; the sequence breaks ties, so that a run has one order.
#[derive(Clone, Debug)]
pub struct Timers<T> {
    /// What was asked for in the order in which it is due: a whole recording, mostly.
    in_order: VecDeque<((Duration, u64), T)>,
    /// What was asked for when something later was due already.
    others: BTreeMap<(Duration, u64), T>,
    next: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Timers { in_order: VecDeque::new(), others: BTreeMap::new(), next: 0 }
    }
}

impl<T> Timers<T> {
    pub fn push(&mut self, at: Duration, item: T) {
        let key = (at, self.next);
        if self.in_order.back().is_none_or(|(last, _)| *last < key) {
            self.in_order.push_back((key, item));
        } else {
            self.others.insert(key, item);
        }
        self.next += 1;
    }

    pub fn next_due(&self) -> Option<Duration> {
        let ahead = self.in_order.front().map(|((at, _), _)| *at);
        ahead.into_iter().chain(self.others.first_key_value().map(|((at, _), _)| *at)).min()
    }

    pub fn pop(&mut self) -> Option<(Duration, T)> {
        let other = self.others.first_key_value().map(|(key, _)| *key);
        let ((at, _), item) = match self.in_order.front() {
            Some((key, _)) if other.is_none_or(|other| *key < other) => self.in_order.pop_front()?,
            _ => self.others.pop_first()?,
        };
        Some((at, item))
    }

    pub fn is_empty(&self) -> bool {
        self.in_order.is_empty() && self.others.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.in_order.iter().map(|(_, item)| item).chain(self.others.values())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_together_comes_out_in_the_order_it_was_asked_for() {
        let mut timers = Timers::default();
        timers.push(Duration::from_millis(5), "b");
        timers.push(Duration::from_millis(1), "a");
        timers.push(Duration::from_millis(5), "c");
        timers.push(Duration::from_millis(9), "d");
        timers.push(Duration::from_millis(1), "a, later");
        let order: Vec<_> = std::iter::from_fn(|| timers.pop()).map(|(_, name)| name).collect();
        assert_eq!(order, ["a", "a, later", "b", "c", "d"]);
    }
}
