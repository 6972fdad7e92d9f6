//! The event loop: the one place that moves time.

use std::{fmt, sync::Arc, time::Duration, vec::IntoIter};

use crate::{
    clock::{Key, Timers, VirtualClock},
    message::{Exchange, RecordedConnection},
    proxy::{Due, One, Outcome, Proxy, ProxyOutcome, spec::ProxySpec},
};

/// Makes what an exchange or a connection brings along that has a proxy to itself, by the proxy in whose place that stands,
/// and by its own name.
pub(crate) type Ones<'a> = Box<dyn Fn(ProxyIndex, &str) -> One + 'a>;

/// A proxy's number within the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyIndex(pub usize);

/// When a recorded request comes to a proxy.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub at: Duration,
    pub proxy: ProxyIndex,
    /// Tells its stream apart there.
    pub number: usize,
}

/// Recorded requests that have not come yet.
struct Arrivals {
    /// By time.
    arrivals: IntoIter<Arrival>,
    /// What comes, in the same order: it is big, and moved as little as can be.
    exchanges: IntoIter<Exchange>,
    /// The place of the first of them among what is due.
    first: u64,
}

impl Arrivals {
    fn none() -> Self {
        Arrivals { arrivals: Vec::new().into_iter(), exchanges: Vec::new().into_iter(), first: 0 }
    }

    /// The next, unless something else is due before it.
    fn next_before(&mut self, other: Option<Key>) -> Option<(Arrival, Box<Exchange>)> {
        let next = self.arrivals.as_slice().first()?;
        if other.is_some_and(|other| other < (next.at, self.first)) {
            return None;
        }
        self.first += 1;
        self.arrivals.next().zip(self.exchanges.next().map(Box::new))
    }

    fn is_empty(&self) -> bool {
        self.arrivals.len() == 0
    }
}

#[derive(Debug)]
enum Event {
    /// A recorded request arrives.
    Request {
        number: usize,
        exchange: Box<Exchange>,
    },
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

pub struct Sim<'a> {
    clock: VirtualClock,
    timers: Timers<(ProxyIndex, Event)>,
    proxies: Vec<Proxy>,
    arrivals: Arrivals,
    /// Entries in `timers` that are more than background.
    pending: usize,
    last_event: Duration,
    lasts: Option<Duration>,
    /// Events since the last request.
    events: u64,
    /// What a proxy asks for, on its way to `timers`.
    due: Vec<(Duration, Due)>,
    /// Every exchange has a proxy to itself.
    ones: Option<Ones<'a>>,
}

impl fmt::Debug for Sim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("clock", &self.clock)
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

impl<'a> Sim<'a> {
    /// `epoch` is the wall time at which the simulation begins.
    pub fn new(proxies: Vec<Proxy>, epoch: Duration) -> Self {
        Self::at(VirtualClock::starting_at(epoch), proxies)
    }

    fn at(clock: VirtualClock, proxies: Vec<Proxy>) -> Self {
        let mut sim = Sim {
            clock,
            timers: Timers::default(),
            proxies,
            arrivals: Arrivals::none(),
            pending: 0,
            last_event: Duration::ZERO,
            lasts: None,
            events: 0,
            due: Vec::new(),
            ones: None,
        };
        for index in 0..sim.proxies.len() {
            sim.collect_due(ProxyIndex(index));
        }
        sim
    }

    /// Gives every exchange and every connection that comes a proxy to itself, made from the one it comes to.
    pub(crate) fn isolate(&mut self, ones: Ones<'a>) {
        self.ones = Some(ones);
    }

    /// When nothing else is left that could happen, ticks go on until this time.
    pub fn lasts(&mut self, until: Option<Duration>) {
        self.lasts = until;
    }

    /// Has requests arrive, each with the exchange in the same place of its list; those of one time in the order of the
    /// list. There is one such list.
    pub fn schedule(&mut self, mut arrivals: Vec<Arrival>, mut exchanges: Vec<Exchange>) {
        if !arrivals.is_sorted_by_key(|arrival| arrival.at) {
            let mut all: Vec<_> = arrivals.into_iter().zip(exchanges).collect();
            all.sort_by_key(|(arrival, _)| arrival.at);
            (arrivals, exchanges) = all.into_iter().unzip();
        }
        let first = self.timers.reserve(arrivals.len());
        let (arrivals, exchanges) = (arrivals.into_iter(), exchanges.into_iter());
        self.arrivals = Arrivals { arrivals, exchanges, first };
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
            self.collect_due(proxy);
            if self.proxies[proxy.0].hand_out(|outcome| ended(proxy, outcome)) {
                self.forget_void(proxy);
            }
        }
        let finish =
            |(index, proxy): (usize, Proxy)| proxy.finish(|outcome| ended(ProxyIndex(index), outcome));
        self.proxies.into_iter().enumerate().map(finish).collect()
    }

    /// A simulation of its own for what has just come, from beginning to end.
    fn run_alone(&mut self, index: ProxyIndex, one: One, event: Event) {
        let now = self.clock.now();
        let proxy = &mut self.proxies[index.0];
        let alone = match &event {
            Event::Request { exchange, .. } => proxy.for_one(one, |core| core.worker_for(exchange)),
            Event::Connection { recorded, .. } => {
                proxy.for_one(one, |core| core.worker_for_connection(recorded))
            }
            Event::Proxy(_) | Event::Change { .. } => return,
        };
        let mut sim = Sim::at(self.clock, vec![alone]);
        sim.lasts = self.lasts;
        sim.push(now, ProxyIndex(0), event);
        while let Some(proxy) = sim.step() {
            sim.collect_due(proxy);
        }
        for alone in sim.proxies {
            self.proxies[index.0].take_back(alone);
        }
    }

    /// What happens next, unless nothing will.
    fn next(&mut self) -> Option<(Duration, ProxyIndex, Event)> {
        let next = self.timers.next_due();
        if let Some((Arrival { at, proxy, number }, exchange)) = self.arrivals.next_before(next) {
            return Some((at, proxy, Event::Request { number, exchange }));
        }
        let (at, _) = next?;
        if self.pending == 0 && self.arrivals.is_empty() && !self.worth_waiting_until(at) {
            return None;
        }
        let (at, (proxy, event)) = self.timers.pop()?;
        self.pending -= usize::from(!event.is_background());
        Some((at, proxy, event))
    }

    /// Lets the next thing happen, and says to which proxy it did. `None`: nothing will.
    fn step(&mut self) -> Option<ProxyIndex> {
        let (at, proxy, event) = self.next()?;
        self.events = if event.is_recorded() { 0 } else { self.events + 1 };
        if self.events > EVENTS_MAX {
            self.proxies[proxy.0].note_endless(EVENTS_MAX);
            self.begin_the_rest();
            return None;
        }
        self.happen(at, proxy, event);
        Some(proxy)
    }

    fn happen(&mut self, at: Duration, proxy: ProxyIndex, event: Event) {
        self.clock.advance_to(at);
        let (now, wall) = (self.clock.now(), self.clock.wall());
        if !event.is_background() {
            self.last_event = now;
        }
        if let Some(ones) = &self.ones
            && let Some(name) = event.name()
        {
            let one = ones(proxy, &name);
            self.proxies[proxy.0].tell_time(now, wall);
            return self.run_alone(proxy, one, event);
        }
        match event {
            Event::Request { number, exchange } => self.proxies[proxy.0].begin(number, exchange, now, wall),
            Event::Change { spec, drain } => self.proxies[proxy.0].change(&spec, drain, now, wall),
            Event::Connection { number, recorded } => {
                self.proxies[proxy.0].begin_connection(number, *recorded, now, wall);
            }
            Event::Proxy(due) => self.proxies[proxy.0].wake(due, now, wall),
        }
    }

    /// What was recorded and has not come when a simulation stops in the middle of things comes now, so that nothing of it is
    /// lost; what would follow does not happen.
    fn begin_the_rest(&mut self) {
        self.pending = usize::MAX;
        while let Some((at, proxy, event)) = self.next() {
            if event.is_recorded() {
                self.happen(at, proxy, event);
            }
        }
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

    /// Streams leave timers behind that may be minutes off. Mostly a stream is over before the next begins, and nothing of it
    /// has to be kept.
    fn forget_void(&mut self, proxy: ProxyIndex) {
        let owner = &self.proxies[proxy.0];
        self.timers.forget_last(|(of, event)| *of == proxy && event.is_void(owner));
    }

    fn push(&mut self, at: Duration, proxy: ProxyIndex, event: Event) {
        self.pending += usize::from(!event.is_background());
        self.timers.push(at, (proxy, event));
    }
}

impl Event {
    /// Of what comes from outside, what no other of its proxy is called.
    fn name(&self) -> Option<String> {
        match self {
            Event::Request { exchange, .. } => Some(exchange.id.to_string()),
            Event::Connection { recorded, .. } => Some(recorded.name()),
            Event::Proxy(_) | Event::Change { .. } => None,
        }
    }

    fn is_recorded(&self) -> bool {
        matches!(self, Event::Request { .. } | Event::Connection { .. })
    }

    fn is_background(&self) -> bool {
        matches!(self, Event::Proxy(due) if due.is_background())
    }

    /// Nothing would come of it.
    fn is_void(&self, proxy: &Proxy) -> bool {
        matches!(self, Event::Proxy(due) if due.is_background() && proxy.is_void(due))
    }
}
