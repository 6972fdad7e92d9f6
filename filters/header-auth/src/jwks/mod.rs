//! Key sets kept at their providers: the machine of `wayside_credentials::jwks` on this proxy's clock, shared data and clusters.

mod counters;
mod records;

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use wayside_credentials::jose::KeySet;
use wayside_credentials::jwks::{
    Answer, Board as _, Fetch, Flaw, Jitter, Keys as _, MAX_DOCUMENT, Progress, Terms, Uptime, Wanted, Worker,
};
use wayside_sdk::callout::Caller;
use wayside_sdk::{CallError, CallResponse, Cluster, Host, Init, Monotonic, Root, Stream, log, name, rng};

pub use self::counters::Counters;
use self::records::Records;
use crate::denial::Reason;
use crate::kinds::{Awaited, Finding};
use crate::means::Means;

/// How often each VM looks whether there are other keys, and whether a fetch is due.
const TICK: Duration = Duration::from_secs(1);
/// The first look comes soon, but not while Envoy only tries a configuration.
const FIRST_LOOK: Duration = Duration::from_millis(5);

/// However many wait: one read of shared data for all of them in this time.
const LOOKS_APART: Duration = Duration::from_millis(15);

/// Where a key set is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub cluster: String,
    pub host: String,
    pub path: String,
}

/// A provider's key set, as this VM has it.
pub struct Remote {
    /// The provider's, for metrics and logs
    name: String,
    cluster: Cluster,
    path: String,
    /// How long a request may wait for a key
    wait: Duration,
    records: Records,
    worker: RefCell<Worker<KeySet>>,
    changes: Cell<u64>,
    news: Cell<u64>,
    /// What was last read for those who wait, and when
    seen: Cell<(Monotonic, Option<Progress>)>,
    counters: OnceCell<Rc<Counters>>,
}

/// The keys themselves are the provider's business.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

/// Why nothing could be judged by a provider's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The key may be coming
    Awaited,
    /// None of them is the one
    Unknown,
    /// There are none at all
    NoKeys,
}

impl Lack {
    /// What a kind says then, with its own word for a key that nobody has.
    #[must_use]
    pub fn finding(self, unknown: Reason) -> Finding {
        match self {
            Lack::Awaited => Finding::Awaits(Awaited::Keys),
            Lack::Unknown => unknown.into(),
            Lack::NoKeys => Reason::NoKeys.into(),
        }
    }
}

/// What asking for more keys came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// There are others now
    Here,
    /// There may soon be, and this request may wait for them
    Coming,
    No,
}

impl Remote {
    #[must_use]
    pub fn new(name: String, place: &Place, terms: Terms, wait: Duration) -> Rc<Remote> {
        Rc::new(Remote {
            name,
            cluster: Cluster::new(&place.cluster).with_authority(&place.host),
            path: place.path.clone(),
            wait,
            records: Records::of(place, &terms),
            worker: RefCell::new(Worker::new(terms)),
            changes: Cell::new(0),
            news: Cell::new(0),
            seen: Cell::default(),
            counters: OnceCell::new(),
        })
    }

    /// `None` when there never were any, or the last ones are too old.
    #[must_use]
    pub fn keys(&self) -> Option<Rc<KeySet>> {
        self.worker.borrow().keys().cloned()
    }

    /// Another number whenever the keys are others: what was verified by the last ones is void then.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.get()
    }

    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Looks after the keys from now on.
    ///
    /// # Errors
    /// When the host refuses to start the tick.
    pub fn start(self: &Rc<Self>, counters: &Rc<Counters>, init: &mut Init) -> Host<()> {
        let _ = self.counters.set(Rc::clone(counters));
        let remote = Rc::clone(self);
        init.at(Monotonic::now()?.plus(FIRST_LOOK), move |root| remote.watch(root)).map(drop)
    }

    fn watch(self: Rc<Self>, root: &mut Root) {
        self.look(root);
        let (next, remote) = (root.now().plus(TICK), Rc::clone(&self));
        if let Err(error) = root.at(next, move |root| remote.watch(root)) {
            log!(Error, "nobody looks after the keys of {} any more: {error}", self.name);
        }
    }

    fn look(self: &Rc<Self>, root: &Root) {
        let looked = self.worker.borrow_mut().look(&self.records, uptime(root.now()));
        match looked {
            Ok(looked) => {
                self.note(looked.changed);
                if let Some(fetch) = looked.fetch {
                    self.send(root, fetch, root.now());
                }
            }
            Err(error) => log!(Error, "the keys of {} cannot be looked after: {error}", self.name),
        }
    }

    /// A request needs a key that is not here.
    pub fn want(self: &Rc<Self>, stream: &Stream) -> More {
        let now = match stream.now() {
            Ok(now) => now,
            Err(error) => {
                log!(Error, "no keys without a time: {error}");
                return More::No;
            }
        };
        let wanted = self.worker.borrow_mut().want(&self.records, uptime(now));
        match wanted {
            Ok(Wanted::Changed) => {
                self.note(true);
                More::Here
            }
            Ok(Wanted::Fetch(fetch)) => {
                self.send(stream, fetch, now);
                More::Coming
            }
            Ok(Wanted::UnderWay) => More::Coming,
            // Who can wait that long may see the next fetch succeed.
            Ok(Wanted::Later(due)) if due < uptime(now.plus(self.wait)) => More::Coming,
            Ok(Wanted::Later(_)) => More::No,
            Ok(Wanted::No) => More::No,
            Err(error) => {
                log!(Error, "the keys of {} cannot be looked after: {error}", self.name);
                More::No
            }
        }
    }

    /// What `judge` makes of the keys, `None` being that it lacks one: others are fetched then, where that may be.
    ///
    /// # Errors
    /// There is no such key, for now or at all.
    pub fn judged<T>(
        self: &Rc<Self>,
        means: &dyn Means,
        judge: impl Fn(&KeySet) -> Option<T>,
    ) -> Result<T, Lack> {
        loop {
            let keys = self.keys();
            if let Some(verdict) = keys.as_deref().and_then(&judge) {
                return Ok(verdict);
            }
            match means.more_keys(self) {
                More::Here => {}
                More::Coming => return Err(Lack::Awaited),
                More::No if keys.is_none() => return Err(Lack::NoKeys),
                More::No => {
                    if let Some(counters) = self.counters.get() {
                        counters.unknown_kid.inc([self.name.as_bytes()]);
                    }
                    return Err(Lack::Unknown);
                }
            }
        }
    }

    /// Another number whenever something has become of a fetch, here or in another VM: until then whoever waits need not look.
    #[must_use]
    pub fn news(&self, now: Monotonic) -> u64 {
        let (looked, known) = self.seen.get();
        if now.since(looked) < LOOKS_APART {
            return self.news.get();
        }
        match self.records.progress() {
            Ok(progress) => {
                self.seen.set((now, progress));
                if progress != known {
                    self.news.set(self.news.get().wrapping_add(1));
                }
            }
            Err(error) => log!(Error, "the keys of {} cannot be looked after: {error}", self.name),
        }
        self.news.get()
    }

    fn note(&self, changed: bool) {
        if !changed {
            return;
        }
        self.changes.set(self.changes.get().wrapping_add(1));
        if self.keys().is_none() {
            log!(
                Error,
                "the keys of {} are too old, and there are no others: nobody passes by them",
                self.name
            );
            self.tell(0);
        }
    }

    /// The number of keys is the proxy's, whichever VM tells it.
    fn tell(&self, keys: usize) {
        if let Some(gauge) =
            self.counters.get().and_then(|counters| counters.keys.get([self.name.as_bytes()]))
        {
            gauge.set(u64::try_from(keys).unwrap_or(u64::MAX));
        }
    }

    fn send(self: &Rc<Self>, from: &impl Caller, fetch: Fetch, now: Monotonic) {
        if let Some(counters) = self.counters.get() {
            counters.fetch.inc([self.name.as_bytes()]);
        }
        let timeout = self.worker.borrow().terms().timeout;
        let call = self
            .cluster
            .call("GET", &self.path)
            .header(name!("accept"), "application/jwk-set+json, application/json")
            .timeout(timeout)
            .read_body(MAX_DOCUMENT);
        let remote = Rc::clone(self);
        if let Err(error) =
            call.send_for_root(from, move |root, answer| remote.answered(fetch, &answer, root.now()))
        {
            self.answered(fetch, &Err(error), now);
        }
    }

    fn answered(&self, fetch: Fetch, answer: &Result<CallResponse, CallError>, now: Monotonic) {
        let told = match answer {
            Ok(answer) => Answer::Came { status: answer.status(), body: &answer.body },
            Err(CallError::TooLarge(_)) => Answer::TooLarge,
            Err(_) => Answer::None,
        };
        // Without chance all proxies refresh alike, which is no reason to fail.
        let jitter = Jitter(rng::bytes().map_or(0, u8::from_le_bytes));
        let result = self.worker.borrow_mut().answered(&self.records, fetch, told, uptime(now), jitter);
        match result {
            Ok(Ok(keys)) => {
                self.tell(keys.usable());
                if keys.skipped() > 0 {
                    log!(Warn, "{} of the keys of {} cannot be used", keys.skipped(), self.name);
                }
            }
            Ok(Err(flaw)) => self.failed(flaw),
            Err(error) => log!(Error, "the keys of {} cannot be kept: {error}", self.name),
        }
    }

    fn failed(&self, flaw: Flaw) {
        log!(Warn, "the keys of {} were not fetched: {}", self.name, flaw.label());
        if let Some(counters) = self.counters.get() {
            counters.error.inc([self.name.as_bytes(), flaw.label().as_bytes()]);
        }
    }
}

fn uptime(now: Monotonic) -> Uptime {
    Uptime(now.since_start())
}
