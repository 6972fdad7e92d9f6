//! The simulated proxy, its provider, and the witness.

use crate::jwks::{
    Answer, Board, Document, Fetch, Flaw, Jitter, Keys, MAX_DOCUMENT, Progress, Terms, Uptime, Wanted, Worker,
};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

pub(super) const TICK: u64 = 1_000;
/// An answer that takes longer is Envoy's own; until then it may come later than its timeout says.
const LATEST: u64 = 6_000;

/// A key set of the simulated provider: `keys 7` is its seventh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(pub(super) u64);

impl Keys for Generation {
    fn read(document: &[u8]) -> Option<Generation> {
        let number = std::str::from_utf8(document).ok()?.strip_prefix("keys ")?;
        number.parse().ok().map(Generation)
    }

    fn usable(&self) -> usize {
        1
    }

    fn skipped(&self) -> usize {
        0
    }
}

/// How the provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Honest,
    Status(u16),
    Junk,
    Empty,
    Huge,
    Silent,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Pass {
        millis: u64,
    },
    /// A request with a key of this many generations ago, or with one that never was.
    Request {
        worker: usize,
        age: Option<u64>,
    },
    Rotate,
    Provider {
        manner: Manner,
        millis: u64,
    },
    /// The worker's VM is lost, with what it waited for, and another comes.
    Lose {
        worker: usize,
    },
    /// The next calls of the board fail.
    Trouble {
        calls: u8,
    },
    /// Between the next calls of the board this worker comes in.
    Meddle {
        worker: usize,
        wants: bool,
    },
}

#[derive(Debug)]
struct OnItsWay {
    worker: usize,
    life: u64,
    fetch: Fetch,
    sent: u64,
    arrives: u64,
    manner: Manner,
    generation: u64,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) terms: Terms,
    now: Cell<u64>,
    workers: Vec<RefCell<Worker<Generation>>>,
    /// Which VM of this worker it is.
    lives: Vec<Cell<u64>>,
    /// When each last looked without trouble.
    looked: Vec<Cell<Option<u64>>>,
    progress: RefCell<Option<Vec<u8>>>,
    document: RefCell<Option<Document>>,
    trouble: Cell<u8>,
    troubled_until: Cell<u64>,
    meddling: RefCell<VecDeque<(usize, bool)>>,
    on_its_way: RefCell<Vec<OnItsWay>>,
    generation: Cell<u64>,
    manner: Cell<(Manner, u64)>,
    pub(super) witness: RefCell<Witness>,
}

/// A fetch that left the proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) at: u64,
    /// A request was why.
    pub(super) asked: bool,
    /// Some worker held keys.
    with_keys: bool,
}

/// What is known from outside.
#[derive(Debug, Default)]
pub(super) struct Witness {
    pub(super) sent: Vec<Sent>,
    /// Good answers that were told to the board without trouble: when their fetch was sent, when told, and the generation.
    good: Vec<(u64, u64, u64)>,
    pub(super) flaws: Vec<Flaw>,
}

#[derive(Debug)]
pub(super) struct Trouble;

impl Board for World {
    type Error = Trouble;

    fn progress(&self) -> Result<Option<Progress>, Trouble> {
        self.call()?;
        Ok(self.progress.borrow().as_ref().map(|bytes| Progress::decode(bytes).expect("what was encoded")))
    }

    fn change(&self, change: &mut dyn FnMut(Progress) -> Option<Progress>) -> Result<bool, Trouble> {
        loop {
            let before = self.progress()?;
            let Some(after) = change(before.unwrap_or_default()) else { return Ok(false) };
            self.call()?;
            // Somebody may have come in between.
            let mut stored = self.progress.borrow_mut();
            if stored.as_ref().and_then(|bytes| Progress::decode(bytes)) == before {
                let mut bytes = Vec::new();
                after.encode(&mut bytes);
                *stored = Some(bytes);
                return Ok(true);
            }
        }
    }

    fn document(&self) -> Result<Option<Document>, Trouble> {
        self.call()?;
        Ok(self.document.borrow().clone())
    }

    fn publish(&self, document: &Document) -> Result<u64, Trouble> {
        self.call()?;
        let mut stored = self.document.borrow_mut();
        if let Some(there) = &*stored
            && (there.bytes == document.bytes || there.version > document.version)
        {
            return Ok(there.version);
        }
        *stored = Some(document.clone());
        Ok(document.version)
    }
}

impl World {
    pub(super) fn new(terms: Terms, workers: usize) -> World {
        World {
            terms,
            now: Cell::new(0),
            workers: (0..workers).map(|_| RefCell::new(Worker::new(terms))).collect(),
            lives: (0..workers).map(|_| Cell::new(0)).collect(),
            looked: (0..workers).map(|_| Cell::new(None)).collect(),
            progress: RefCell::default(),
            document: RefCell::default(),
            trouble: Cell::new(0),
            troubled_until: Cell::new(0),
            meddling: RefCell::default(),
            on_its_way: RefCell::default(),
            generation: Cell::new(1),
            manner: Cell::new((Manner::Honest, 50)),
            witness: RefCell::default(),
        }
    }

    pub(super) fn now(&self) -> u64 {
        self.now.get()
    }

    fn uptime(&self) -> Uptime {
        Uptime(Duration::from_millis(self.now.get()))
    }

    /// A call of the board: perhaps another worker comes first, perhaps it fails.
    fn call(&self) -> Result<(), Trouble> {
        let meddler = self.meddling.borrow_mut().pop_front();
        if let Some((worker, wants)) = meddler {
            match wants {
                true => drop(self.want(worker)),
                false => self.look(worker),
            }
        }
        match self.trouble.get() {
            0 => Ok(()),
            calls => {
                self.trouble.set(calls - 1);
                self.troubled_until.set(self.now());
                Err(Trouble)
            }
        }
    }

    pub(super) fn run(&self, step: Step) {
        match step {
            Step::Pass { millis } => self.pass(millis),
            Step::Request { worker, age } => {
                self.request(worker % self.workers.len(), age);
            }
            Step::Rotate => self.rotate(),
            Step::Provider { manner, millis } => self.manner.set((manner, millis)),
            Step::Lose { worker } => self.lose(worker % self.workers.len()),
            Step::Trouble { calls } => self.trouble.set(calls),
            Step::Meddle { worker, wants } => {
                self.meddling.borrow_mut().push_back((worker % self.workers.len(), wants));
            }
        }
    }

    pub(super) fn rotate(&self) {
        self.generation.set(self.generation.get() + 1);
    }

    pub(super) fn provider(&self, manner: Manner) {
        self.manner.set((manner, 50));
    }

    fn lose(&self, worker: usize) {
        if let Ok(mut slot) = self.workers[worker].try_borrow_mut() {
            *slot = Worker::new(self.terms);
            self.lives[worker].set(self.lives[worker].get() + 1);
            self.looked[worker].set(None);
        }
    }

    /// Time passes: ticks, each worker's at its own point of the second, and answers.
    pub(super) fn pass(&self, millis: u64) {
        let end = self.now() + millis;
        loop {
            let tick = (0..self.workers.len()).map(|worker| (self.next_tick(worker), Some(worker))).min();
            let answer = self.on_its_way.borrow().iter().map(|answer| (answer.arrives, None)).min();
            let Some((time, what)) = tick.into_iter().chain(answer).min().filter(|(time, _)| *time <= end)
            else {
                break;
            };
            self.now.set(time);
            match what {
                Some(worker) => {
                    self.look(worker);
                    self.check_after_tick(worker);
                }
                None => self.arrive(),
            }
        }
        self.now.set(end);
    }

    fn next_tick(&self, worker: usize) -> u64 {
        let phase = 137 * (worker as u64 + 1);
        let passed = (self.now() + TICK).saturating_sub(phase) / TICK;
        passed * TICK + phase
    }

    fn look(&self, worker: usize) {
        let Ok(mut view) = self.workers[worker].try_borrow_mut() else { return };
        let had = view.keys().cloned();
        let looked = view.look(self, self.uptime());
        let has = view.keys().cloned();
        drop(view);
        if let Ok(looked) = looked {
            self.looked[worker].set(Some(self.now()));
            assert!(looked.changed || had == has, "a change that is not told");
            if let Some(fetch) = looked.fetch {
                self.send(worker, fetch, false);
            }
        }
    }

    fn want(&self, worker: usize) -> Option<Wanted> {
        let mut view = self.workers[worker].try_borrow_mut().ok()?;
        let wanted = view.want(self, self.uptime()).ok();
        drop(view);
        if let Some(Wanted::Fetch(fetch)) = wanted {
            self.send(worker, fetch, true);
        }
        wanted
    }

    /// Whether it is let in, and if not whether it may wait.
    pub(super) fn request(&self, worker: usize, age: Option<u64>) -> (bool, Option<Wanted>) {
        let key = age.and_then(|age| self.generation.get().checked_sub(age));
        let held = || self.workers[worker].borrow().keys().map(|keys| keys.0);
        let mut wanted = None;
        for _ in 0..3 {
            if key.is_some() && held() == key {
                return (true, wanted);
            }
            wanted = self.want(worker);
            if wanted != Some(Wanted::Changed) {
                break;
            }
        }
        (key.is_some() && held() == key, wanted)
    }

    fn send(&self, worker: usize, fetch: Fetch, asked: bool) {
        let timeout = millis(self.terms.timeout);
        let (manner, takes) = match self.manner.get() {
            (Manner::Silent, _) => (Manner::Status(504), timeout),
            (_, takes) if takes > LATEST => (Manner::Status(504), timeout),
            answers => answers,
        };
        let with_keys =
            self.workers.iter().any(|view| view.try_borrow().is_ok_and(|view| view.keys().is_some()));
        self.witness.borrow_mut().sent.push(Sent { at: self.now(), asked, with_keys });
        self.on_its_way.borrow_mut().push(OnItsWay {
            worker,
            life: self.lives[worker].get(),
            fetch,
            sent: self.now(),
            arrives: self.now() + takes.max(1),
            manner,
            generation: self.generation.get(),
        });
    }

    fn arrive(&self) {
        let answer = {
            let mut all = self.on_its_way.borrow_mut();
            let first = (0..all.len()).min_by_key(|index| all[*index].arrives).expect("one that arrives");
            all.swap_remove(first)
        };
        if self.lives[answer.worker].get() != answer.life {
            return;
        }
        let text = format!("keys {}", answer.generation);
        let huge = vec![b' '; MAX_DOCUMENT + 1];
        let came = |status, body| Answer::Came { status, body };
        let told = match answer.manner {
            Manner::Honest => came(200, text.as_bytes()),
            Manner::Status(status) => came(status, text.as_bytes()),
            Manner::Junk => came(200, b"<html>keys 99</html>"),
            Manner::Empty => came(200, b""),
            Manner::Huge => came(200, &huge),
            Manner::Silent => Answer::None,
        };
        let jitter = Jitter((self.now() % 256) as u8);
        let result = self.workers[answer.worker].borrow_mut().answered(
            self,
            answer.fetch,
            told,
            self.uptime(),
            jitter,
        );
        let mut witness = self.witness.borrow_mut();
        match result {
            Ok(Ok(generation)) => {
                assert_eq!((answer.manner, generation.0), (Manner::Honest, answer.generation), "believed");
                witness.good.push((answer.sent, self.now(), answer.generation));
            }
            Ok(Err(flaw)) => {
                assert_ne!(answer.manner, Manner::Honest, "{flaw:?}");
                witness.flaws.push(flaw);
            }
            Err(Trouble) => {}
        }
    }

    /// What a worker holds was served by the provider, and not too long ago; and what it could hold it does.
    fn check_after_tick(&self, worker: usize) {
        let (now, witness) = (self.now(), self.witness.borrow());
        let life = millis(self.terms.refresh + self.terms.stale_if_error);
        let held = self.workers[worker].borrow().keys().map(|keys| keys.0);
        if let Some(generation) = held {
            let recent = |(sent, _, served): &(u64, u64, u64)| *served == generation && sent + life > now;
            assert!(
                witness.good.iter().any(recent) || self.troubled(life),
                "at {now} worker {worker} holds {generation} for too long: {:?}",
                witness.good
            );
        }
        // The last good answer, by when its fetch was sent, is what all hold who have looked since.
        let newest = witness.good.iter().filter(|(sent, told, _)| *told <= now && sent + life > now).max();
        if let Some((_, told, generation)) = newest
            && self.looked[worker].get().is_some_and(|looked| looked >= *told && looked == now)
            && !self.troubled(life)
        {
            assert_eq!(held, Some(*generation), "at {now} worker {worker}: {:?}", witness.good);
        }
    }

    /// A board that failed lately excuses what is otherwise promised.
    fn troubled(&self, millis: u64) -> bool {
        self.troubled_until.get() > 0 && self.troubled_until.get() + millis > self.now()
    }

    /// The provider is not asked twice in a second, nor in `min_refetch` while there are keys.
    pub(super) fn check_fetches(&self) {
        let witness = self.witness.borrow();
        let min_refetch = millis(self.terms.min_refetch);
        for (index, pair) in witness.sent.windows(2).enumerate() {
            let gap = pair[1].at - pair[0].at;
            let least = if pair[1].with_keys { min_refetch } else { 1_000 };
            assert!(gap >= least, "fetch {} after {gap} ms: {:?}", index + 1, witness.sent);
        }
    }

    /// The provider is well, and a request asks for its newest key: soon all have it.
    pub(super) fn recovers(&self) {
        self.provider(Manner::Honest);
        self.trouble.set(0);
        self.pass(millis(self.terms.min_refetch) + 2 * LATEST);
        self.request(0, Some(0));
        self.pass(2 * TICK);
        for worker in 0..self.workers.len() {
            assert_eq!(self.holds(worker), Some(self.generation.get()), "worker {worker}");
        }
    }

    pub(super) fn holds(&self, worker: usize) -> Option<u64> {
        self.workers[worker].borrow().keys().map(|keys: &Rc<Generation>| keys.0)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a short one")
}
