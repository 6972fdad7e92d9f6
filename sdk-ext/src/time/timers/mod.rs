//! Timers of live streams and of the root on the VM's one tick, and the answers given from them.
//!
//! Answering a stream that has ended crashes Envoy, so nothing of a stream outlives its `on_log`.

mod queue;

use crate::hostcalls::{self, Host};
use crate::panic;
use crate::plugin::{Root, Table};
use crate::stream::reply::Reply;
use crate::stream::waiting::{self, Direction};
use crate::stream::{StreamId, blaming};
use crate::time::Monotonic;
use queue::{Entry, Queue};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// A timer that was set; cancelling one that ran is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerId {
    when: Monotonic,
    /// Tells timers of the same instant apart, and keeps them in the order they were set.
    serial: u64,
}

/// A live stream seen from a tick: it can be answered, broken off, or looked at again later.
#[derive(Debug)]
pub struct Parked {
    stream: StreamId,
    root: u32,
    now: Monotonic,
    end: Option<End>,
}

/// How a stream ends from a tick. A function and not a case of its own, so that modules that never reset have no code for it.
#[derive(Debug)]
enum End {
    Reply(Reply),
    Reset(fn() -> Host<()>),
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

    /// Ends the stream with this answer. Sensible only while no response headers have passed. Three hostcalls at most, none that
    /// returns bytes.
    pub fn reply(&mut self, reply: Reply) {
        self.end = Some(End::Reply(reply));
    }

    /// Breaks the stream off: HTTP/2 clients see `RST_STREAM`, others their connection closed, and the upstream is reset too. For a
    /// stream whose response headers have passed and whose response has not ended. Once it has, Envoy may keep the stream until a slow
    /// client has read all: the client gets it all the same. Two hostcalls, none that returns bytes.
    pub fn reset(&mut self) {
        self.end = Some(End::Reset(|| hostcalls::close_stream(Direction::Response as u32)));
    }

    /// Runs `action` at a later tick, as [`Stream::at`](crate::Stream::at) does; nothing once the stream is answered or reset. One
    /// allocation; no hostcall but for the tick, which is set once for all timers.
    ///
    /// # Errors
    /// When the host refuses to start the tick; the timer is then not set.
    pub fn at(&mut self, when: Monotonic, action: impl FnOnce(&mut Parked) + 'static) -> Host<TimerId> {
        Timers::of_root(self.root).add(self.stream, when, blaming(panic::blamed(), action))
    }
}

type OfStream = Box<dyn FnOnce(&mut Parked)>;
type OfRoot = Box<dyn FnOnce(&Rc<Timers>, Monotonic, TimerId)>;

enum Action {
    Stream(StreamId, OfStream),
    Root(OfRoot),
}

const DEFAULT_RESOLUTION: Duration = Duration::from_millis(10);

/// The host is asked to tick within this time, however far the first timer is: 2³¹ ms is where its numbers end.
const LONGEST_WAIT_MS: u64 = 3_600_000;

/// All timers of one root context, and its tick.
pub(crate) struct Timers {
    root: u32,
    queue: RefCell<Queue<Action>>,
    /// How long after timers of streams have run the next may be kept waiting.
    resolution: Cell<Option<Duration>>,
    /// When timers of streams last ran.
    visited: Cell<Option<Monotonic>>,
    /// How often `Plugin::on_tick` runs; zero when it does not.
    tick: Cell<Duration>,
    next_tick: Cell<Monotonic>,
    /// What the host was last told, in milliseconds; zero while it does not tick.
    period: Cell<u32>,
    /// When its next tick is due.
    expected: Cell<Monotonic>,
    /// The serial of the repeating timer that runs now, until it is cancelled.
    repeating: Cell<Option<u64>>,
}

impl std::fmt::Debug for Timers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Timers({} set)", self.queue.borrow().len())
    }
}

/// What is done with timers, once there are any.
#[derive(Clone, Copy)]
struct Used {
    run_due: fn(&Rc<Timers>, Monotonic),
    rearm: fn(&Timers, Monotonic) -> Host<()>,
    end: fn(&Timers, StreamId),
}

const USE: Used = Used { run_due: Timers::run_timers, rearm: Timers::rearm, end: Timers::end_timers };

crate::vm_local! {
    /// Set by the first timer: a module that sets none has no code for them.
    static USED: Cell<Option<Used>> = const { Cell::new(None) };
    /// By root context: several plugins may share a VM, which is one thread.
    static ROOTS: RefCell<Table<Rc<Timers>>> = const { RefCell::new(Table::new()) };
}

impl Timers {
    fn new(root: u32) -> Timers {
        Timers {
            root,
            queue: RefCell::default(),
            resolution: Cell::default(),
            visited: Cell::default(),
            tick: Cell::default(),
            next_tick: Cell::default(),
            period: Cell::default(),
            expected: Cell::default(),
            repeating: Cell::default(),
        }
    }

    /// The timers of a root context, made when it is new.
    pub(crate) fn of_root(root: u32) -> Rc<Timers> {
        ROOTS.with_borrow_mut(|roots| match roots.get(root) {
            Some(timers) => timers.clone(),
            None => {
                let timers = Rc::new(Timers::new(root));
                roots.insert(root, timers.clone());
                timers
            }
        })
    }

    pub(crate) fn forget_root(root: u32) {
        let timers = ROOTS.with_borrow_mut(|roots| roots.remove(root));
        drop(timers);
    }

    pub(crate) fn root(&self) -> u32 {
        self.root
    }

    /// The finest that was asked for counts.
    pub(crate) fn set_resolution(&self, resolution: Duration) {
        let finest = self.resolution.get().map_or(resolution, |asked| asked.min(resolution));
        self.resolution.set(Some(finest));
    }

    /// The period of the filter configured last; the next one's is its own.
    pub(crate) fn take_tick(&self) -> Duration {
        self.tick.take()
    }

    /// Has `Plugin::on_tick` run, for the first time one period from now.
    pub(crate) fn set_tick(&self, period: Duration) -> Host<()> {
        let period = period.max(Duration::from_millis(1));
        let now = Monotonic::of_this_callback()?;
        self.tick.set(period);
        self.next_tick.set(now.plus(period));
        USED.set(Some(USE));
        self.arm(now)
    }

    /// Runs what is due, and the plugin's own tick if that is. A tick that came late is not made up for.
    pub(crate) fn ticked(self: &Rc<Timers>, now: Monotonic, on_tick: impl FnOnce(&mut Root)) -> Host<()> {
        let Some(used) = USED.get() else { return Ok(()) };
        (used.run_due)(self, now);
        if !self.tick.get().is_zero() && now >= self.next_tick.get() {
            self.next_tick.set(now.plus(self.tick.get()));
            on_tick(&mut Root::new(now, self.clone()));
        }
        (used.rearm)(self, now)
    }

    pub(crate) fn add(&self, stream: StreamId, when: Monotonic, action: OfStream) -> Host<TimerId> {
        self.set(Some(stream), when, Action::Stream(stream, action))
    }

    /// A timer of the root, once.
    pub(crate) fn at(&self, when: Monotonic, action: Box<dyn FnOnce(&mut Root)>) -> Host<TimerId> {
        let action: OfRoot = Box::new(|timers, now, _| action(&mut Root::new(now, timers.clone())));
        self.set(None, when, Action::Root(action))
    }

    /// A timer of the root, again and again.
    pub(crate) fn every(&self, period: Duration, action: Box<dyn FnMut(&mut Root)>) -> Host<TimerId> {
        let period = period.max(Duration::from_millis(1));
        let when = Monotonic::of_this_callback()?.plus(period);
        self.set(None, when, repeated(period, action))
    }

    fn set(&self, stream: Option<StreamId>, when: Monotonic, action: Action) -> Host<TimerId> {
        USED.set(Some(USE));
        let now = Monotonic::of_this_callback()?;
        let timer = self.queue.borrow_mut().add(stream, when, action);
        // Most are due later than the tick that others wait for.
        if self.period.get() > 0 && self.expected.get() <= when {
            return Ok(timer);
        }
        if let Err(error) = self.arm(now) {
            self.cancel(timer);
            return Err(error);
        }
        Ok(timer)
    }

    pub(crate) fn cancel(&self, timer: TimerId) {
        // Bound first: what the action owns is dropped when the borrow is over.
        let cancelled = self.queue.borrow_mut().cancel(timer);
        drop(cancelled);
    }

    /// A timer of the root, whose time is another each time it runs.
    pub(crate) fn cancel_of_root(&self, timer: TimerId) {
        if self.repeating.get() == Some(timer.serial) {
            self.repeating.set(None);
        }
        let cancelled = self.queue.borrow_mut().cancel_by_serial(timer.serial);
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

    /// Each action runs with no borrow held: it may set timers itself. Those run at the next tick at the earliest, else one that
    /// sets another for at once would never come to an end.
    fn run_timers(self: &Rc<Timers>, now: Monotonic) {
        let before = self.queue.borrow().next_serial();
        loop {
            let due = self.queue.borrow_mut().pop_due(now, before);
            let Some(Entry { timer, action, .. }) = due else { return };
            match action {
                Action::Stream(stream, action) => {
                    self.visited.set(Some(now));
                    self.visit(stream, now, action);
                }
                Action::Root(action) => action(self, now, timer),
            }
        }
    }

    /// Shows a live stream, and answers it if that is what comes of it.
    pub(crate) fn visit(&self, stream: StreamId, now: Monotonic, show: impl FnOnce(&mut Parked)) {
        let mut parked = Parked { stream, root: self.root, now, end: None };
        show(&mut parked);
        if let Some(end) = parked.end {
            self.finish(stream, &end);
        }
    }

    fn finish(&self, stream: StreamId, end: &End) {
        // It goes out after this tick: other timers of the stream would answer it twice.
        self.end(stream);
        waiting::over(stream);
        let sent = hostcalls::set_effective_context(stream.0).and_then(|()| match end {
            End::Reply(reply) => reply.send(),
            End::Reset(reset) => reset(),
        });
        if let Err(error) = sent {
            crate::log!(Error, "a stream could not be answered from the tick: {error}");
        }
    }

    /// Milliseconds from `now` to the tick that the first timer needs. Zero when none is set: an idle proxy does not wake.
    fn wait(&self, now: Monotonic) -> u32 {
        let timer = self.queue.borrow().first().map(|entry| {
            let when = entry.timer.when;
            let due = if entry.stream.is_some() { self.spaced(when) } else { when };
            millis_until(due, now)
        });
        if self.tick.get().is_zero() {
            return timer.unwrap_or_default();
        }
        let tick = millis_until(self.next_tick.get(), now);
        timer.map_or(tick, |timer| timer.min(tick))
    }

    /// When a stream's timer may run: those that are due close together run in one tick.
    fn spaced(&self, when: Monotonic) -> Monotonic {
        let resolution = self.resolution.get().unwrap_or(DEFAULT_RESOLUTION);
        self.visited.get().map_or(when, |visited| when.max(visited.plus(resolution)))
    }

    /// Has the host tick in time for the first timer. Nothing to tell it when a tick comes before.
    fn arm(&self, now: Monotonic) -> Host<()> {
        let wait = self.wait(now);
        if self.period.get() > 0 && self.expected.get() <= after(now, wait) {
            return Ok(());
        }
        self.set_period(now, wait)
    }

    /// After a tick: the host goes on with the period it has, unless it is told of another.
    fn rearm(&self, now: Monotonic) -> Host<()> {
        let wait = self.wait(now);
        if wait == self.period.get() {
            self.expected.set(after(now, wait));
            return Ok(());
        }
        self.set_period(now, wait)
    }

    fn set_period(&self, now: Monotonic, wait: u32) -> Host<()> {
        hostcalls::set_tick_period(wait)?;
        self.period.set(wait);
        self.expected.set(after(now, wait));
        Ok(())
    }
}

fn after(now: Monotonic, wait: u32) -> Monotonic {
    now.plus(Duration::from_millis(wait.into()))
}

/// Upwards.
fn whole_millis(time: Duration) -> u64 {
    let whole = time.as_secs().saturating_mul(1000).saturating_add(time.subsec_millis().into());
    whole.saturating_add(u64::from(!time.subsec_nanos().is_multiple_of(1_000_000)))
}

/// At least one.
fn millis_until(due: Monotonic, now: Monotonic) -> u32 {
    u32::try_from(whole_millis(due.since(now)).clamp(1, LONGEST_WAIT_MS)).unwrap_or(u32::MAX)
}

/// Sets itself again when it has run, unless it was cancelled meanwhile.
fn repeated(period: Duration, mut action: Box<dyn FnMut(&mut Root)>) -> Action {
    Action::Root(Box::new(move |timers, now, timer| {
        timers.repeating.set(Some(timer.serial));
        action(&mut Root::new(now, timers.clone()));
        if timers.repeating.take().is_some() {
            // What was missed is not made up for.
            let on_time = timer.when.plus(period);
            let when = if on_time > now { on_time } else { now.plus(period) };
            let timer = TimerId { when, ..timer };
            let entry = Entry { timer, stream: None, action: repeated(period, action) };
            timers.queue.borrow_mut().insert(entry);
        }
    }))
}
