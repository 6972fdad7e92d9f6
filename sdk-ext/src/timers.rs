//! Timers of live streams on the VM's one tick, and the answers given from them.
//!
//! Answering a stream that has ended crashes Envoy, so nothing of a stream outlives its `on_log`.

use crate::hostcalls::{self, Host};
use crate::plugin::Table;
use crate::reply::Reply;
use crate::stream::StreamId;
use crate::time::Monotonic;
use crate::waiting;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// A timer that was set; cancelling one that ran is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerId {
    when: Monotonic,
    /// Tells timers of the same instant apart, and keeps them in the order they were set.
    serial: u64,
}

type Action = Box<dyn FnOnce(&mut Parked)>;

/// A live stream seen from a tick: all one can do is answer it.
#[derive(Debug)]
pub struct Parked {
    stream: StreamId,
    now: Monotonic,
    reply: Option<Reply>,
}

impl Parked {
    /// The time of the tick; every timer of one tick sees the same.
    #[must_use]
    pub fn now(&self) -> Monotonic {
        self.now
    }

    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// Ends the stream with this answer. Sensible only while no response headers have passed.
    pub fn reply(&mut self, reply: Reply) {
        self.reply = Some(reply);
    }
}

/// The order in which timers run, without a clock or a host.
///
/// Sorted lists: most timers are set for later than all others, and run or end from the front.
struct Queue {
    by_time: VecDeque<(TimerId, StreamId, Action)>,
    by_stream: Table<Vec<TimerId>>,
    next_serial: u64,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { by_time: VecDeque::new(), by_stream: Table::new(), next_serial: 0 }
    }
}

impl Queue {
    fn add(&mut self, stream: StreamId, when: Monotonic, action: Action) -> TimerId {
        let timer = TimerId { when, serial: self.next_serial };
        self.next_serial = self.next_serial.wrapping_add(1);
        let place = self.by_time.partition_point(|(other, ..)| *other < timer);
        self.by_time.insert(place, (timer, stream, action));
        match self.by_stream.get_mut(stream.0) {
            Some(timers) => timers.push(timer),
            None => drop(self.by_stream.insert(stream.0, vec![timer])),
        }
        timer
    }

    fn take(&mut self, timer: TimerId) -> Option<(StreamId, Action)> {
        let place = self.by_time.binary_search_by_key(&timer, |(other, ..)| *other).ok()?;
        self.by_time.remove(place).map(|(_, stream, action)| (stream, action))
    }

    fn cancel(&mut self, timer: TimerId) -> Option<(StreamId, Action)> {
        let (stream, action) = self.take(timer)?;
        if let Some(timers) = self.by_stream.get_mut(stream.0) {
            timers.retain(|other| *other != timer);
            if timers.is_empty() {
                self.by_stream.remove(stream.0);
            }
        }
        Some((stream, action))
    }

    fn end(&mut self, stream: StreamId) -> Vec<(StreamId, Action)> {
        let timers = self.by_stream.remove(stream.0).unwrap_or_default();
        timers.into_iter().filter_map(|timer| self.take(timer)).collect()
    }

    fn pop_due(&mut self, now: Monotonic) -> Option<(StreamId, Action)> {
        let (timer, ..) = self.by_time.front()?;
        if timer.when > now { None } else { self.cancel(*timer) }
    }

    fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }
}

const DEFAULT_RESOLUTION: Duration = Duration::from_millis(10);

/// All timers of one root context, and its tick.
pub(crate) struct Timers {
    queue: RefCell<Queue>,
    /// How often due timers are looked for.
    resolution: Cell<Duration>,
    /// The plugin's own period; zero when it has none.
    every: Cell<Duration>,
    /// What the host was last told.
    period: Cell<Duration>,
}

impl Default for Timers {
    fn default() -> Timers {
        Timers {
            queue: RefCell::default(),
            resolution: Cell::new(DEFAULT_RESOLUTION),
            every: Cell::default(),
            period: Cell::default(),
        }
    }
}

impl std::fmt::Debug for Timers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Timers({} set)", self.queue.borrow().by_time.len())
    }
}

/// What is done with timers, once there are any.
#[derive(Clone, Copy)]
struct Used {
    run_due: fn(&Timers, Monotonic),
    end: fn(&Timers, StreamId),
}

crate::vm_local! {
    /// Set by the first timer: a module that sets none has no code for them.
    static USED: Cell<Option<Used>> = const { Cell::new(None) };
    /// By root context: several plugins may share a VM, which is one thread.
    static ROOTS: RefCell<Table<Rc<Timers>>> = const { RefCell::new(Table::new()) };
}

impl Timers {
    /// The timers of a root context, made when it is new.
    pub(crate) fn of_root(root: u32) -> Rc<Timers> {
        ROOTS.with_borrow_mut(|roots| match roots.get(root) {
            Some(timers) => timers.clone(),
            None => {
                let timers = Rc::<Timers>::default();
                roots.insert(root, timers.clone());
                timers
            }
        })
    }

    pub(crate) fn forget_root(root: u32) {
        let timers = ROOTS.with_borrow_mut(|roots| roots.remove(root));
        drop(timers);
    }

    pub(crate) fn set_resolution(&self, resolution: Duration) {
        self.resolution.set(resolution);
    }

    pub(crate) fn set_every(&self, every: Duration) {
        self.every.set(every);
    }

    pub(crate) fn every(&self) -> Duration {
        self.every.get()
    }

    pub(crate) fn add(&self, stream: StreamId, when: Monotonic, action: Action) -> Host<TimerId> {
        USED.set(Some(Used { run_due: Timers::run_timers, end: Timers::end_timers }));
        let timer = self.queue.borrow_mut().add(stream, when, action);
        if let Err(error) = self.arm() {
            self.queue.borrow_mut().cancel(timer);
            return Err(error);
        }
        Ok(timer)
    }

    pub(crate) fn cancel(&self, timer: TimerId) {
        // Bound first: what the action owns is dropped when the borrow is over.
        let cancelled = self.queue.borrow_mut().cancel(timer);
        drop(cancelled);
    }

    /// The stream is over: none of its timers may run any more.
    pub(crate) fn end(&self, stream: StreamId) {
        if let Some(used) = USED.get() {
            (used.end)(self, stream);
        }
    }

    fn end_timers(&self, stream: StreamId) {
        let ended = self.queue.borrow_mut().end(stream);
        drop(ended);
    }

    /// Runs what is due.
    pub(crate) fn run_due(&self, now: Monotonic) {
        if let Some(used) = USED.get() {
            (used.run_due)(self, now);
        }
    }

    /// Each action runs with no borrow held: it may set timers itself.
    fn run_timers(&self, now: Monotonic) {
        loop {
            let due = self.queue.borrow_mut().pop_due(now);
            let Some((stream, action)) = due else { return };
            let mut parked = Parked { stream, now, reply: None };
            action(&mut parked);
            let Some(reply) = parked.reply else { continue };
            // The reply goes out after this tick: other timers of the stream would answer it twice.
            self.end(stream);
            waiting::over(stream);
            let sent = hostcalls::set_effective_context(stream.0).and_then(|()| reply.send());
            if let Err(error) = sent {
                crate::log!(Error, "a stream could not be answered from the tick: {error}");
            }
        }
    }

    /// Tells the host the period wanted now, when it changed. Zero stops the tick: an idle proxy does not wake.
    pub(crate) fn arm(&self) -> Host<()> {
        let wanted = match (self.queue.borrow().is_empty(), self.every.get()) {
            (true, every) => every,
            (false, Duration::ZERO) => self.resolution.get(),
            (false, every) => every.min(self.resolution.get()),
        };
        if wanted == self.period.get() {
            return Ok(());
        }
        hostcalls::set_tick_period(u32::try_from(wanted.as_millis()).unwrap_or(u32::MAX))?;
        self.period.set(wanted);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Monotonic {
        Monotonic::at(Duration::from_millis(millis))
    }

    fn ids(queue: &mut Queue, now: Monotonic) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop_due(now)).map(|(stream, _)| stream.0).collect()
    }

    #[test]
    fn timers_run_in_order_of_time_and_not_before() {
        let mut queue = Queue::default();
        for (stream, when) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            queue.add(StreamId(stream), at(when), Box::new(|_| {}));
        }
        assert_eq!(ids(&mut queue, at(9)), Vec::<u32>::new());
        assert_eq!(ids(&mut queue, at(20)), [2, 4, 3]);
        assert_eq!(ids(&mut queue, at(1000)), [1]);
        assert!(queue.is_empty() && queue.by_stream.iter().count() == 0);
    }

    #[test]
    fn nothing_of_a_stream_is_left_when_it_ended() {
        let mut queue = Queue::default();
        let held = Rc::new(());
        for when in [10, 20] {
            let held = held.clone();
            queue.add(StreamId(1), at(when), Box::new(move |_| drop(held)));
        }
        let other = queue.add(StreamId(2), at(15), Box::new(|_| {}));
        drop(queue.end(StreamId(1)));
        assert_eq!(Rc::strong_count(&held), 1);
        assert!(queue.cancel(other).is_some());
        assert!(queue.cancel(other).is_none(), "cancelling twice is harmless");
        assert!(queue.is_empty() && queue.by_stream.iter().count() == 0);
    }
}
