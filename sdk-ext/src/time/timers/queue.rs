//! The order in which timers run, without a clock or a host.

use super::TimerId;
use crate::plugin::Table;
use crate::stream::StreamId;
use crate::time::Monotonic;
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Entry<A> {
    pub(super) timer: TimerId,
    /// `None` for a timer of the root, which no stream ends.
    pub(super) stream: Option<StreamId>,
    pub(super) action: A,
}

/// Sorted lists: most timers are set for later than all others, and run or end from the front.
#[derive(Debug)]
pub(super) struct Queue<A> {
    by_time: VecDeque<Entry<A>>,
    by_stream: Table<Vec<TimerId>>,
    next_serial: u64,
}

impl<A> Default for Queue<A> {
    fn default() -> Queue<A> {
        Queue { by_time: VecDeque::new(), by_stream: Table::new(), next_serial: 0 }
    }
}

impl<A> Queue<A> {
    pub(super) fn add(&mut self, stream: Option<StreamId>, when: Monotonic, action: A) -> TimerId {
        let timer = TimerId { when, serial: self.next_serial };
        self.next_serial = self.next_serial.wrapping_add(1);
        if let Some(stream) = stream {
            match self.by_stream.get_mut(stream.0) {
                Some(timers) => timers.push(timer),
                None => drop(self.by_stream.insert(stream.0, vec![timer])),
            }
        }
        self.insert(Entry { timer, stream, action });
        timer
    }

    /// A timer of the root that runs again, under the serial it had.
    pub(super) fn insert(&mut self, entry: Entry<A>) {
        let place = self.place(entry.timer);
        self.by_time.insert(place, entry);
    }

    /// Where it stands, or belongs.
    fn place(&self, timer: TimerId) -> usize {
        self.by_time.partition_point(|other| other.timer < timer)
    }

    fn take(&mut self, timer: TimerId) -> Option<Entry<A>> {
        let place = self.place(timer);
        if self.by_time.get(place)?.timer == timer { self.by_time.remove(place) } else { None }
    }

    pub(super) fn cancel(&mut self, timer: TimerId) -> Option<Entry<A>> {
        let entry = self.take(timer)?;
        if let Some(stream) = entry.stream
            && let Some(timers) = self.by_stream.get_mut(stream.0)
        {
            timers.retain(|other| *other != timer);
            if timers.is_empty() {
                self.by_stream.remove(stream.0);
            }
        }
        Some(entry)
    }

    /// Wherever a timer of the root has moved to by running again.
    pub(super) fn cancel_by_serial(&mut self, serial: u64) -> Option<Entry<A>> {
        let entry = self.by_time.iter().find(|entry| entry.timer.serial == serial)?;
        self.cancel(entry.timer)
    }

    pub(super) fn end(&mut self, stream: StreamId) -> Vec<Entry<A>> {
        let timers = self.by_stream.remove(stream.0).unwrap_or_default();
        timers.into_iter().filter_map(|timer| self.take(timer)).collect()
    }

    /// Timers set from now on have this serial or a later one.
    pub(super) fn next_serial(&self) -> u64 {
        self.next_serial
    }

    /// The first that is due, of those with a serial before this.
    pub(super) fn pop_due(&mut self, now: Monotonic, before: u64) -> Option<Entry<A>> {
        let mut place = 0_usize;
        loop {
            let timer = self.by_time.get(place)?.timer;
            if timer.when > now {
                return None;
            }
            if timer.serial < before {
                return self.cancel(timer);
            }
            place = place.wrapping_add(1);
        }
    }

    pub(super) fn first(&self) -> Option<&Entry<A>> {
        self.by_time.front()
    }

    pub(super) fn len(&self) -> usize {
        self.by_time.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(millis: u64) -> Monotonic {
        Monotonic::at(Duration::from_millis(millis))
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// Stream 0 stands for the root.
        Add {
            stream: u32,
            after: u64,
        },
        /// The one set so many ago.
        Cancel(usize),
        CancelBySerial(usize),
        End(u32),
        /// So many milliseconds pass, and each that is due is run; the first sets another for at once.
        Pass(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            5 => (0..4_u32, 0..20_u64).prop_map(|(stream, after)| Step::Add { stream, after }),
            2 => (0..9_usize).prop_map(Step::Cancel),
            1 => (0..9_usize).prop_map(Step::CancelBySerial),
            1 => (1..4_u32).prop_map(Step::End),
            3 => (0..15_u64).prop_map(Step::Pass),
        ];
        prop::collection::vec(step, 0..60)
    }

    /// The timers in the order they were set: what is due is found by looking at all of them.
    type Naive = Vec<(TimerId, Option<StreamId>)>;

    fn due(naive: &Naive, now: Monotonic, before: u64) -> Option<TimerId> {
        let due = naive.iter().filter(|(timer, _)| timer.when <= now && timer.serial < before);
        due.map(|(timer, _)| *timer).min_by_key(|timer| (timer.when, timer.serial))
    }

    fn forget(naive: &mut Naive, timer: TimerId) -> bool {
        let before = naive.len();
        naive.retain(|(other, _)| *other != timer);
        naive.len() < before
    }

    fn owner(stream: u32) -> Option<StreamId> {
        (stream > 0).then_some(StreamId(stream))
    }

    proptest! {
        #[test]
        fn it_does_what_a_list_that_is_searched_would(steps in steps()) {
            let (mut queue, mut naive, mut set, mut now) = (Queue::default(), Naive::new(), Vec::new(), 0);
            for step in steps {
                match step {
                    Step::Add { stream, after } => {
                        let timer = queue.add(owner(stream), at(now + after), set.len());
                        naive.push((timer, owner(stream)));
                        set.push(timer);
                    }
                    Step::Cancel(back) | Step::CancelBySerial(back) => {
                        let Some(timer) = set.iter().rev().nth(back).copied() else { continue };
                        let cancelled = match step {
                            Step::Cancel(_) => queue.cancel(timer),
                            _ => queue.cancel_by_serial(timer.serial),
                        };
                        prop_assert_eq!(cancelled.is_some(), forget(&mut naive, timer));
                    }
                    Step::End(stream) => {
                        let mut ended: Vec<_> = queue.end(StreamId(stream)).iter().map(|e| e.timer).collect();
                        ended.sort_unstable();
                        let mut wanted: Vec<_> = naive.iter().filter(|(_, of)| *of == owner(stream)).map(|(t, _)| *t).collect();
                        wanted.sort_unstable();
                        prop_assert_eq!(ended, wanted);
                        naive.retain(|(_, of)| *of != owner(stream));
                    }
                    Step::Pass(millis) => {
                        now += millis;
                        let before = queue.next_serial();
                        let late = queue.add(None, at(now), set.len());
                        naive.push((late, None));
                        set.push(late);
                        while let Some(entry) = queue.pop_due(at(now), before) {
                            prop_assert_eq!(Some(entry.timer), due(&naive, at(now), before));
                            prop_assert_eq!(set.get(entry.action), Some(&entry.timer));
                            forget(&mut naive, entry.timer);
                        }
                        prop_assert_eq!(due(&naive, at(now), before), None);
                    }
                }
                prop_assert_eq!(queue.len(), naive.len());
                let first = naive.iter().map(|(timer, _)| *timer).min_by_key(|timer| (timer.when, timer.serial));
                prop_assert_eq!(queue.first().map(|entry| entry.timer), first);
                let of_streams: usize = queue.by_stream.iter().map(|(_, timers)| timers.len()).sum();
                prop_assert_eq!(of_streams, naive.iter().filter(|(_, of)| of.is_some()).count());
                prop_assert!(queue.by_stream.iter().all(|(_, timers)| !timers.is_empty()));
            }
        }
    }
}
