//! The event loop: the one place that moves time.

use std::{iter::Peekable, sync::Arc, time::Duration, vec::IntoIter};

use crate::{
    clock::{Timers, VirtualClock},
    message::{Exchange, RecordedConnection},
    proxy::{Due, Outcome, Proxy, ProxyOutcome, spec::ProxySpec},
};

/// A proxy's number within the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyIndex(pub usize);

/// A recorded request on its way to a proxy.
#[derive(Debug)]
pub struct Arrival {
    pub at: Duration,
    pub proxy: ProxyIndex,
    /// Tells its stream apart there.
    pub number: usize,
    pub exchange: Exchange,
}

#[derive(Debug)]
enum Event {
    /// A recorded connection arrives.
    Connection {
        number: usize,
        recorded: Box<RecordedConnection>,
    },
    Proxy(Due),
    /// A new configuration is rolled out.
    Change {
        spec: Arc<ProxySpec>,
        drain: Duration,
    },
}

/// How long a simulation waits, in virtual time, for streams that nothing but ticks could still end: those whose own idle
/// timeout is switched off. It is as long as Envoy's default.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// How many events a simulation goes on for after the last request: guests can keep each other busy for ever with calls
/// and queues.
const EVENTS_MAX: u64 = 1_000_000;

#[derive(Debug)]
pub struct Sim {
    clock: VirtualClock,
    timers: Timers<(ProxyIndex, Event)>,
    proxies: Vec<Proxy>,
    /// Requests that have not arrived, by time, and the place of the first of them among what is due.
    arrivals: (Peekable<IntoIter<Arrival>>, u64),
    /// Entries in `timers` that are more than background.
    pending: usize,
    last_event: Duration,
    lasts: Option<Duration>,
    /// Events since the last request.
    events: u64,
    /// What a proxy asks for, on its way to `timers`.
    due: Vec<(Duration, Due)>,
}

impl Sim {
    /// `epoch` is the wall time at which the simulation begins.
    pub fn new(proxies: Vec<Proxy>, epoch: Duration) -> Self {
        let clock = VirtualClock::starting_at(epoch);
        let mut sim = Sim {
            clock,
            timers: Timers::default(),
            proxies,
            arrivals: (Vec::new().into_iter().peekable(), 0),
            pending: 0,
            last_event: Duration::ZERO,
            lasts: None,
            events: 0,
            due: Vec::new(),
        };
        for index in 0..sim.proxies.len() {
            sim.collect_due(ProxyIndex(index));
        }
        sim
    }

    /// When nothing else is left that could happen, ticks go on until this time.
    pub fn lasts(&mut self, until: Option<Duration>) {
        self.lasts = until;
    }

    /// Has requests arrive; those of one time in the order of the list. There is one such list.
    pub fn schedule(&mut self, mut arrivals: Vec<Arrival>) {
        arrivals.sort_by_key(|arrival| arrival.at);
        let first = self.timers.reserve(arrivals.len());
        self.arrivals = (arrivals.into_iter().peekable(), first);
    }

    /// Has a proxy get a new configuration; what it replaces has `drain` to end.
    pub fn schedule_change(
        &mut self,
        at: Duration,
        proxy: ProxyIndex,
        spec: Arc<ProxySpec>,
        drain: Duration,
    ) {
        self.push(at, proxy, Event::Change { spec, drain });
    }

    /// Has a TCP connection arrive at a proxy.
    pub fn schedule_connection(
        &mut self,
        at: Duration,
        proxy: ProxyIndex,
        number: usize,
        recorded: RecordedConnection,
    ) {
        self.push(at, proxy, Event::Connection { number, recorded: Box::new(recorded) });
    }

    /// Runs until nothing is left that could happen. `ended` gets the outcome of each exchange when it has ended; what else
    /// became of the proxies is handed out at the end.
    pub fn run(mut self, mut ended: impl FnMut(ProxyIndex, Outcome)) -> Vec<ProxyOutcome> {
        while let Some(proxy) = self.step() {
            self.proxies[proxy.0].hand_out(|outcome| ended(proxy, outcome));
            self.collect_due(proxy);
        }
        let finish =
            |(index, proxy): (usize, Proxy)| proxy.finish(|outcome| ended(ProxyIndex(index), outcome));
        self.proxies.into_iter().enumerate().map(finish).collect()
    }

    /// The next thing that happens, and the proxy it happens to. `None`: nothing will.
    fn step(&mut self) -> Option<ProxyIndex> {
        let next = self.timers.next_due();
        let (arrivals, first) = &mut self.arrivals;
        let arrives = arrivals.next_if(|arrival| next.is_none_or(|next| (arrival.at, *first) < next));
        if let Some(Arrival { at, proxy, number, exchange }) = arrives {
            *first += 1;
            self.events = 0;
            self.clock.advance_to(at);
            self.last_event = at;
            self.proxies[proxy.0].begin(number, Box::new(exchange), at, self.clock.wall());
            return Some(proxy);
        }
        let (at, _) = next?;
        if self.pending == 0 && arrivals.len() == 0 && !self.worth_waiting_until(at) {
            return None;
        }
        let (at, (proxy, event)) = self.timers.pop()?;
        self.events += 1;
        if self.events > EVENTS_MAX {
            self.proxies[proxy.0].note_endless(EVENTS_MAX);
            return None;
        }
        self.clock.advance_to(at);
        let (now, wall) = (self.clock.now(), self.clock.wall());
        if !event.is_background() {
            self.pending -= 1;
            self.last_event = now;
        }
        match event {
            Event::Change { spec, drain } => self.proxies[proxy.0].change(&spec, drain, now, wall),
            Event::Connection { number, recorded } => {
                self.proxies[proxy.0].begin_connection(number, *recorded, now, wall);
            }
            Event::Proxy(due) => self.proxies[proxy.0].wake(due, now, wall),
        }
        Some(proxy)
    }

    /// Only ticks are left: they matter while streams wait, and not for ever.
    fn worth_waiting_until(&self, at: Duration) -> bool {
        if self.lasts.is_some_and(|until| at <= until) {
            return true;
        }
        let patient = || at <= self.last_event.saturating_add(IDLE_MAX);
        self.proxies.iter().any(Proxy::has_live_streams)
            && (patient() || self.proxies.iter().any(Proxy::ends_by_itself))
    }

    fn collect_due(&mut self, proxy: ProxyIndex) {
        let now = self.clock.now();
        let mut due = std::mem::take(&mut self.due);
        self.proxies[proxy.0].hand_over_due(&mut due);
        for (after, due) in due.drain(..) {
            self.push(now.saturating_add(after), proxy, Event::Proxy(due));
        }
        self.due = due;
    }

    fn push(&mut self, at: Duration, proxy: ProxyIndex, event: Event) {
        self.pending += usize::from(!event.is_background());
        self.timers.push(at, (proxy, event));
    }
}

impl Event {
    fn is_background(&self) -> bool {
        matches!(self, Event::Proxy(due) if due.is_background())
    }
}
