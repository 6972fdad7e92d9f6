//! A queue of things due, ordered by time and, at the same time, by who asked first.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Due entries come out in the order `(deadline, sequence)`; the sequence breaks ties, so that a run has one order.
#[derive(Clone, Debug)]
pub struct Timers<T> {
    /// Each in the order in which it is due. What is asked for with the same delay each time is in order by itself: a whole
    /// recording, a timeout of every stream.
    runs: Vec<VecDeque<(Key, T)>>,
    /// What fits no run.
    others: BTreeMap<Key, T>,
    next: u64,
}

/// When it is due, and which it was of those asked for.
pub(crate) type Key = (Duration, u64);

/// A few runs are looked through faster than a tree is walked.
const RUNS_MAX: usize = 8;

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Timers { runs: Vec::new(), others: BTreeMap::new(), next: 0 }
    }
}

impl<T> Timers<T> {
    pub fn push(&mut self, at: Duration, item: T) {
        let key = (at, self.next);
        self.next += 1;
        match self.runs.iter().position(|run| run.back().is_none_or(|(last, _)| *last < key)) {
            Some(at) => self.runs[at].push_back((key, item)),
            None if self.runs.len() < RUNS_MAX => self.runs.push(VecDeque::from([(key, item)])),
            None => drop(self.others.insert(key, item)),
        }
    }

    /// What is due next: when, and which it was of those asked for.
    pub fn next_due(&self) -> Option<Key> {
        let ahead = self.runs.iter().filter_map(|run| run.front()).map(|(key, _)| *key);
        ahead.chain(self.others.first_key_value().map(|(key, _)| *key)).min()
    }

    /// The places of so many entries that somebody else keeps: the first of them; what is asked for next comes behind.
    pub fn reserve(&mut self, entries: usize) -> u64 {
        let first = self.next;
        self.next += entries as u64;
        first
    }

    pub fn pop(&mut self) -> Option<(Duration, T)> {
        let other = self.others.first_key_value().map(|(key, _)| *key);
        let fronts = self.runs.iter_mut().filter(|run| !run.is_empty());
        let first = fronts.min_by_key(|run| run.front().map(|(key, _)| *key));
        let ((at, _), item) = match first {
            Some(run) if other.is_none_or(|other| run.front().is_some_and(|(key, _)| *key < other)) => {
                run.pop_front()?
            }
            _ => self.others.pop_first()?,
        };
        Some((at, item))
    }

    /// Forgets entries that are void and were asked for last: the rest is not looked at.
    pub fn forget_last(&mut self, is_void: impl Fn(&T) -> bool) {
        for run in &mut self.runs {
            while run.pop_back_if(|(_, item)| is_void(item)).is_some() {}
        }
    }

    pub fn is_empty(&self) -> bool {
        self.runs.iter().all(VecDeque::is_empty) && self.others.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.runs.iter().flatten().map(|(_, item)| item).chain(self.others.values())
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

    #[test]
    fn what_is_void_is_forgotten_where_it_stands_last() {
        let mut timers = Timers::default();
        for (at, name) in [(1, "void, ahead"), (2, "due"), (3, "void"), (4, "void, last"), (1, "void, alone")]
        {
            timers.push(Duration::from_millis(at), name);
        }
        timers.forget_last(|name| name.starts_with("void"));
        let left: Vec<_> = std::iter::from_fn(|| timers.pop()).map(|(_, name)| name).collect();
        assert_eq!(left, ["void, ahead", "due"]);
    }

    #[test]
    fn whatever_the_order_of_asking_each_comes_out_at_its_time() {
        let mut timers = Timers::default();
        let asked: Vec<u64> = (0..500).map(|n| n * 7919 % 101).collect();
        for (number, at) in asked.iter().enumerate() {
            timers.push(Duration::from_millis(*at), number);
        }
        let mut sorted: Vec<usize> = (0..asked.len()).collect();
        sorted.sort_by_key(|number| asked[*number]);
        let order: Vec<_> = std::iter::from_fn(|| timers.pop()).map(|(_, number)| number).collect();
        assert_eq!(order, sorted);
    }
}
