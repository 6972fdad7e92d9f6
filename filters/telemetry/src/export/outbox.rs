//! One signal's queue on this proxy's clock and clusters.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use wayside_otlp::queue::{Chance, Flight, Queue, Uptime, Weight};
use wayside_otlp::{Answer, Ledger, Origin, Signal, Verdict};
use wayside_sdk::callout::Caller;
use wayside_sdk::{
    CallError, CallResponse, Cluster, Host, Init, LogCx, Monotonic, OwnedName, Redacted, Rest, Root, TimerId,
    Wall, log, name, rng,
};

use super::config::Collector;
use super::counters::Counters;

/// An answer is a number and a sentence. The specification has longer ones count as errors that are not tried again.
const LONGEST_ANSWER: usize = 256 * 1024;

const USER_AGENT: &str = concat!("wayside-telemetry/", env!("CARGO_PKG_VERSION"));

/// Names and values of the operator's own headers.
pub(super) type Headers = Rc<[(OwnedName, Redacted<Vec<u8>>)]>;

/// Sends items of one signal in batches.
pub(super) struct Outbox {
    signal: Signal,
    cluster: Cluster,
    path: String,
    headers: Headers,
    origin: Origin,
    timeout: Duration,
    queue: RefCell<Queue>,
    /// What the counters were told last.
    told: Cell<Ledger>,
    counters: Rc<Counters>,
    dice: Cell<u64>,
    timer: Cell<Option<TimerId>>,
    /// Envoy waits for what is left.
    is_awaited: Cell<bool>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox({})", self.signal.name())
    }
}

impl Outbox {
    pub(super) fn open(
        signal: Signal,
        to: &Collector,
        headers: Headers,
        counters: &Rc<Counters>,
        init: &mut Init,
    ) -> Host<Rc<Outbox>> {
        let now = Monotonic::now()?;
        let seed = u64::from_le_bytes(rng::bytes()?) | 1;
        let chance = Chance(seed.to_be_bytes()[0]);
        let outbox = Rc::new(Outbox {
            signal,
            cluster: to.cluster.clone(),
            path: [&to.path_prefix, signal.path()].concat(),
            headers,
            origin: to.origin.clone(),
            timeout: to.terms.timeout,
            queue: RefCell::new(Queue::new(to.terms, uptime(now), chance)),
            told: Cell::default(),
            counters: Rc::clone(counters),
            dice: Cell::new(seed),
            timer: Cell::new(None),
            is_awaited: Cell::new(false),
        });
        let first = Rc::clone(&outbox);
        let timer = init.at(outbox.wakes().unwrap_or(now), move |root| first.wake(root))?;
        outbox.timer.set(Some(timer));
        Ok(outbox)
    }

    /// Takes in what a stream leaves behind, and sends a batch if that filled one.
    pub(super) fn record(self: &Rc<Self>, bytes: Vec<u8>, weight: Weight, log: Option<&LogCx>) {
        let is_full = self.queue.borrow_mut().record(bytes, weight);
        if is_full
            && let Some(log) = log
            && let Ok(now) = log.stream().now()
        {
            self.send(log, now);
        }
    }

    fn wake(self: &Rc<Self>, root: &mut Root) {
        self.send(root, root.now());
        self.settle(root);
    }

    /// Sends what is due.
    fn send(self: &Rc<Self>, from: &impl Caller, now: Monotonic) {
        let Some((flight, body)) = self.due(now) else { return };
        let mut call = self
            .cluster
            .call("POST", &self.path)
            .header(name!("content-type"), self.origin.encoding().media_type())
            .header(name!("user-agent"), USER_AGENT)
            .timeout(self.timeout)
            .read_body(LONGEST_ANSWER);
        for (name, value) in &*self.headers {
            call = call.header(name, value.expose());
        }
        let outbox = Rc::clone(self);
        let sent = call.body(&body).send_for_root(from, move |root, answer| {
            if outbox.answered(flight, &answer, root.now()) {
                outbox.send(root, root.now());
            }
            outbox.settle(root);
        });
        if let Err(error) = sent {
            // There is no answer to a call that was not made, so that nobody would ask for what is due next but the timer.
            self.answered(flight, &Err(error), now);
        }
    }

    fn due(&self, now: Monotonic) -> Option<(Flight, Vec<u8>)> {
        let chance = self.chance();
        let mut queue = self.queue.borrow_mut();
        let batch = queue.next(uptime(now), chance)?;
        Some((batch.flight, self.origin.request(self.signal, batch.items())))
    }

    /// Whether more is to be sent at once.
    fn answered(&self, flight: Flight, answer: &Result<CallResponse, CallError>, now: Monotonic) -> bool {
        let read = match answer {
            Ok(response) => Answer::Came {
                status: response.status(),
                retry_after: response.headers.first(name!("retry-after")),
                body: &response.body,
            },
            Err(CallError::TooLarge(_)) => Answer::TooLong,
            Err(_) => Answer::None,
        };
        let wall = Wall::now().unwrap_or_default().since_epoch();
        let verdict = read.verdict(self.signal, self.origin.encoding(), wall);
        match (verdict, answer) {
            (Verdict::Taken { rejected: 0 }, _) => {}
            (Verdict::Taken { rejected }, _) => {
                log!(Warn, "the collector rejected {rejected} {}", self.signal.name());
            }
            (_, Ok(response)) => log!(Warn, "{} were not taken: {}", self.signal.name(), response.status()),
            (_, Err(error)) => log!(Warn, "{} were not taken: {error}", self.signal.name()),
        }
        let chance = self.chance();
        self.queue.borrow_mut().answered(flight, verdict, uptime(now), chance)
    }

    /// The configuration goes. Whether nothing is left that Envoy would wait for.
    pub(super) fn end(self: &Rc<Self>, root: &mut Root, rest: Rest) -> bool {
        match rest {
            Rest::LivesOn => {
                self.queue.borrow_mut().end(uptime(root.now()));
                self.send(root, root.now());
                self.is_awaited.set(!self.queue.borrow().is_empty());
                self.settle(root);
                !self.is_awaited.get()
            }
            // What is under way dies with the VM, and nobody will hear of it.
            Rest::Dies => {
                self.queue.borrow_mut().give_up();
                self.tell();
                true
            }
        }
    }

    /// Brings the counters up to date, and sets the time at which to look again.
    fn settle(self: &Rc<Self>, root: &mut Root) {
        self.tell();
        if let Some(timer) = self.timer.take() {
            root.cancel(timer);
        }
        if let Some(wakes) = self.wakes() {
            let outbox = Rc::clone(self);
            match root.at(wakes, move |root| outbox.wake(root)) {
                Ok(timer) => self.timer.set(Some(timer)),
                Err(error) => log!(Error, "{} are not sent any more: {error}", self.signal.name()),
            }
        } else if self.is_awaited.take()
            && let Err(error) = root.end()
        {
            log!(Error, "the end of {} was not told: {error}", self.signal.name());
        }
    }

    fn tell(&self) {
        let now = *self.queue.borrow().ledger();
        self.counters.tell(self.signal, &now, &self.told.replace(now));
    }

    fn wakes(&self) -> Option<Monotonic> {
        self.queue.borrow().wakes().map(|Uptime(time)| Monotonic::at(time))
    }

    /// xorshift: who sends when is no secret.
    fn chance(&self) -> Chance {
        let mut state = self.dice.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.dice.set(state);
        Chance(state.to_be_bytes()[0])
    }
}

fn uptime(now: Monotonic) -> Uptime {
    Uptime(now.since_start())
}
