//! A mesh in simulated time: callers who come by chance, one server with a queue, an outage, and a policy that says who may ask
//! again. Same seed, same numbers.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// What a server needs for each request, of whomever it is.
const SERVICE: Duration = Duration::from_millis(10);
/// How long a caller waits for a try.
const PER_TRY: Duration = Duration::from_secs(1);
/// How often a caller would ask again if it may.
pub(super) const RETRIES: u8 = 3;
/// Before a retry, doubled with each: a random part of it.
const BACK_OFF: Duration = Duration::from_millis(25);
const OUTAGE: Duration = Duration::from_secs(10);
const OUTAGE_BEGINS: Duration = Duration::from_secs(30);
/// How long one waits for a recovery.
pub(super) const HORIZON: Duration = Duration::from_secs(210);
/// What amplification is counted over.
const COUNTED_OVER: Duration = Duration::from_secs(10);

/// Who may ask again.
pub(super) trait Policy {
    /// A request comes; its number is told with all that follows.
    fn arrives(&mut self, request: usize, now: Duration);
    /// A try got no answer in time; whether there may be another one.
    fn may_retry(&mut self, request: usize, now: Duration) -> bool;
    /// The caller has its answer, or has given up. `retries` of it were sent.
    fn ends(&mut self, request: usize, now: Duration, retries: u8, answered: bool);
}

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    /// Of 100, which the server can do.
    pub(super) requests_per_second: u32,
    /// Whether the server leaves out what nobody waits for any more, as it can behind the timeout filter.
    pub(super) drops_expired: bool,
    pub(super) seed: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// From the end of the outage to the last try without an answer; `None` if there was no end of them.
    pub(super) recovery: Option<Duration>,
    /// Tries in ten seconds, at their worst, and the requests of these.
    pub(super) worst: (u32, u32),
}

impl Outcome {
    pub(super) fn amplification(self) -> f64 {
        f64::from(self.worst.0) / f64::from(self.worst.1.max(1))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival,
    Served { attempt: usize },
    OutageOver,
    Expired { attempt: usize },
    Retry { request: usize },
}

#[derive(Clone, Copy, Debug, Default)]
struct Request {
    retries: u8,
    answered: bool,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    request: usize,
    sent: Duration,
    answered: bool,
}

struct Mesh<'a> {
    setup: Setup,
    policy: &'a mut dyn Policy,
    chance: ChaCha8Rng,
    now: Duration,
    /// With a number of its own, so that equal times have an order.
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    sequence: u64,
    requests: Vec<Request>,
    attempts: Vec<Attempt>,
    queue: VecDeque<usize>,
    busy: bool,
    last_expired: Duration,
    counted: Vec<(u32, u32)>,
}

/// Runs the mesh from its start to the horizon.
pub(super) fn run(setup: Setup, policy: &mut dyn Policy) -> Outcome {
    let mut mesh = Mesh {
        setup,
        policy,
        chance: ChaCha8Rng::seed_from_u64(setup.seed),
        now: Duration::ZERO,
        events: BinaryHeap::new(),
        sequence: 0,
        requests: Vec::new(),
        attempts: Vec::new(),
        queue: VecDeque::new(),
        busy: false,
        last_expired: Duration::ZERO,
        counted: Vec::new(),
    };
    let over = OUTAGE_BEGINS + OUTAGE;
    mesh.at(Duration::ZERO, Event::Arrival);
    mesh.at(over, Event::OutageOver);
    while let Some(Reverse((time, _, event))) = mesh.events.pop() {
        if time > over + HORIZON {
            break;
        }
        mesh.now = time;
        mesh.step(event);
    }
    let recovered = mesh.last_expired + COUNTED_OVER < over + HORIZON;
    let recovery = recovered.then(|| mesh.last_expired.saturating_sub(over));
    let ratio = |(tries, requests): (u32, u32)| f64::from(tries) / f64::from(requests.max(1));
    let worst = mesh.counted.iter().copied().max_by(|one, other| ratio(*one).total_cmp(&ratio(*other)));
    Outcome { recovery, worst: worst.unwrap_or((0, 0)) }
}

impl Mesh<'_> {
    fn at(&mut self, time: Duration, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((time, self.sequence, event)));
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Arrival => self.arrival(),
            Event::Retry { request } => self.send(request),
            Event::OutageOver => self.serve(),
            Event::Served { attempt } => {
                self.busy = false;
                self.answer(attempt);
                self.serve();
            }
            Event::Expired { attempt } => self.expired(attempt),
        }
    }

    fn arrival(&mut self) {
        let mean = Duration::from_secs(1).as_secs_f64() / f64::from(self.setup.requests_per_second);
        let next = Duration::from_secs_f64(-mean * (1.0 - self.draw()).ln());
        self.at(self.now + next, Event::Arrival);
        let request = self.requests.len();
        self.requests.push(Request::default());
        self.policy.arrives(request, self.now);
        self.count().1 += 1;
        self.send(request);
    }

    fn send(&mut self, request: usize) {
        let attempt = self.attempts.len();
        self.attempts.push(Attempt { request, sent: self.now, answered: false });
        self.at(self.now + PER_TRY, Event::Expired { attempt });
        self.count().0 += 1;
        self.queue.push_back(attempt);
        self.serve();
    }

    fn serve(&mut self) {
        let down = (OUTAGE_BEGINS..OUTAGE_BEGINS + OUTAGE).contains(&self.now);
        while !self.busy && !down {
            let Some(attempt) = self.queue.pop_front() else { return };
            let expired = self.now >= self.attempts[attempt].sent + PER_TRY;
            if expired && self.setup.drops_expired {
                continue;
            }
            self.busy = true;
            self.at(self.now + SERVICE, Event::Served { attempt });
        }
    }

    /// To a caller that still waits for this try.
    fn answer(&mut self, attempt: usize) {
        let Attempt { request, sent, .. } = self.attempts[attempt];
        if self.now < sent + PER_TRY {
            self.attempts[attempt].answered = true;
            self.requests[request].answered = true;
            self.policy.ends(request, self.now, self.requests[request].retries, true);
        }
    }

    fn expired(&mut self, attempt: usize) {
        let Attempt { request, answered, .. } = self.attempts[attempt];
        if answered {
            return;
        }
        self.last_expired = self.now;
        let retries = self.requests[request].retries;
        if retries < RETRIES && self.policy.may_retry(request, self.now) {
            self.requests[request].retries += 1;
            let back_off = BACK_OFF.mul_f64(self.draw() * f64::from((1 << (retries + 1)) - 1));
            self.at(self.now + back_off, Event::Retry { request });
        } else {
            self.policy.ends(request, self.now, retries, false);
        }
    }

    /// From 0 up to 1.
    fn draw(&mut self) -> f64 {
        f64::from(self.chance.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }

    fn count(&mut self) -> &mut (u32, u32) {
        let period = (self.now.as_nanos() / COUNTED_OVER.as_nanos()) as usize;
        if self.counted.len() <= period {
            self.counted.resize(period + 1, (0, 0));
        }
        &mut self.counted[period]
    }
}
