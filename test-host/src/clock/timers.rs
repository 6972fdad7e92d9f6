//! A queue of things due, ordered by time and, at the same time, by who asked first.

use std::{collections::BTreeMap, time::Duration};

/// Due entries come out in the order `(deadline, sequence)`; the sequence breaks ties, so that a run has one order.
#[derive(Clone, Debug)]
pub struct Timers<T> {
    queue: BTreeMap<(Duration, u64), T>,
    next: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Timers { queue: BTreeMap::new(), next: 0 }
    }
}

impl<T> Timers<T> {
    pub fn push(&mut self, at: Duration, item: T) {
        self.queue.insert((at, self.next), item);
        self.next += 1;
    }

    pub fn next_due(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn pop(&mut self) -> Option<(Duration, T)> {
        self.queue.pop_first().map(|((at, _), item)| (at, item))
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.queue.values()
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
        let order: Vec<_> = std::iter::from_fn(|| timers.pop()).map(|(_, name)| name).collect();
        assert_eq!(order, ["a", "b", "c"]);
    }
}
