//! A budget as one worker has it: what is its own, and its rounds with what all workers share.

use crate::attempt::Settled;
use crate::budget::{Account, Answer, End, Grant, Kind, Limits, Loan, Pool, Quota, Throttle, Tokens, Visit};
use crate::metrics::{Denial, Metrics};
use std::cell::{Cell, OnceCell, RefCell};
use std::time::Duration;
use wayside_sdk::{Host, Lease, Monotonic, Shared, Update, Wire, log};

/// Rounds of compare-and-swap before a request goes without retries.
const TRIES: u8 = 64;

/// How often a worker looks after its budgets although nothing happens.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// One worker at a time tells how much a budget has; when it is gone, another does after this.
const LEADS_FOR: Duration = Duration::from_secs(3);

/// More than this is not told apart.
const MOST_TOLD: u64 = 1 << 32;

/// A budget, for one rule and one name of its scope.
#[derive(Debug)]
pub(crate) struct Budget {
    rule: Box<str>,
    /// What it is told by among those of its rule.
    name: Box<[u8]>,
    key: Box<[u8]>,
    part: Part,
    /// Nobody retries until then, as far as this worker has heard.
    held_until: Cell<Monotonic>,
    /// When a retry last followed an attempt that had no answer.
    unanswered: Cell<Option<Monotonic>>,
    lease: OnceCell<Option<Lease>>,
}

/// For so long after an attempt without an answer the next ones are expected to have none either.
const UNANSWERED: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Part {
    Window { limits: Limits, account: RefCell<Account>, pool: Shared<Pool> },
    Throttle { limits: Throttle, tokens: Shared<Tokens> },
    Quota { limits: Quota, tokens: Shared<Tokens> },
}

impl Budget {
    pub(crate) fn new(
        rule: &str,
        name: &[u8],
        key: &[u8],
        kind: &Kind,
        fingerprint: u64,
        now: Monotonic,
    ) -> Budget {
        let part = match *kind {
            Kind::Window(limits) => Part::Window {
                limits,
                account: RefCell::new(Account::new(&limits, now)),
                pool: Shared::new(key, fingerprint),
            },
            Kind::Throttle(limits) => Part::Throttle { limits, tokens: Shared::new(key, fingerprint) },
            Kind::Quota(limits) => Part::Quota { limits, tokens: Shared::new(key, fingerprint) },
        };
        Budget {
            rule: rule.into(),
            name: name.into(),
            key: key.into(),
            part,
            held_until: Cell::default(),
            unanswered: Cell::default(),
            lease: OnceCell::new(),
        }
    }

    /// Up to so many retries, and why they are fewer. When the shared part is not reached, with what the worker has of its own.
    pub(crate) fn grant(&self, now: Monotonic, wanted: u8, metrics: &Metrics) -> (Grant, Option<Denial>) {
        if now < self.held_until.get() {
            return (Grant::default(), Some(Denial::Held));
        }
        let granted = match &self.part {
            Part::Window { limits, account, pool } => {
                let mut account = account.borrow_mut();
                if let Some(grant) = account.grant(now, wanted) {
                    return (grant, None);
                }
                let visit = Visit { wanted, ..Visit::default() };
                let Some(loan) = self.visit(limits, &account, pool, &visit, now, metrics) else {
                    let grant = account.alone(limits, now, wanted);
                    return (grant, (grant.retries() < wanted).then_some(Denial::Cas));
                };
                Some((account.receive(limits, now, &loan), loan.held_until))
            }
            Part::Throttle { limits, tokens } => {
                let full = Tokens::full(limits.full());
                self.update(tokens, metrics, |stored| {
                    let tokens = stored.unwrap_or(full);
                    Update::Keep((Grant::of(limits.grant(&tokens, wanted)), tokens.held_until))
                })
            }
            Part::Quota { limits, tokens } => {
                let full = Tokens::full(limits.capacity);
                self.update(tokens, metrics, |stored| {
                    let mut tokens = stored.unwrap_or(full);
                    if now < tokens.held_until {
                        return Update::Keep((Grant::default(), tokens.held_until));
                    }
                    let grant = Grant::of(limits.grant(&mut tokens, wanted));
                    Update::Write(tokens, (grant, tokens.held_until))
                })
            }
        };
        let Some((grant, held_until)) = granted else {
            return (Grant::default(), Some(Denial::Cas));
        };
        self.held_until.set(held_until.max(self.held_until.get()));
        match now < held_until {
            true => (Grant::default(), Some(Denial::Held)),
            false => (grant, (grant.retries() < wanted).then_some(Denial::Ratio)),
        }
    }

    /// Whether failures say something to it, too.
    pub(crate) fn counts_failures(&self) -> bool {
        !matches!(self.part, Part::Window { .. })
    }

    /// A request feeds the budget.
    pub(crate) fn deposit(&self, now: Monotonic) {
        if let Part::Window { limits, account, .. } = &self.part {
            account.borrow_mut().deposit(limits, now);
        }
    }

    /// What became of a request's retries.
    pub(crate) fn settle(&self, now: Monotonic, grant: &Grant, end: &End, metrics: &Metrics) {
        match &self.part {
            Part::Window { limits, account, pool } => {
                let mut account = account.borrow_mut();
                let to_floor = account.settle(limits, now, grant, end);
                if to_floor > 0 {
                    let visit = Visit { to_floor, ..Visit::default() };
                    self.tell(limits, &mut account, pool, &visit, now, metrics);
                }
            }
            Part::Throttle { limits, tokens } => {
                self.change(tokens, limits.full(), metrics, |tokens| limits.settle(tokens, end));
            }
            Part::Quota { limits, tokens } => {
                self.change(tokens, limits.capacity, metrics, |tokens| limits.settle(tokens, grant, end));
            }
        }
    }

    /// What became of retries that were granted one by one.
    pub(crate) fn settle_each(&self, now: Monotonic, settled: &Settled<Grant>, end: &End, metrics: &Metrics) {
        let Part::Window { .. } = &self.part else {
            let count = settled.unused.len().saturating_add(settled.spent.len());
            let all = Grant::of(u8::try_from(count).unwrap_or(u8::MAX));
            return self.settle(now, &all, end, metrics);
        };
        let nothing = End { used: 0, answer: Answer::Nothing, deposits: false, refused: false };
        self.settle(now, &Grant::default(), &End { used: 0, ..*end }, metrics);
        for grant in &settled.spent {
            self.settle(now, grant, &End { used: 1, ..nothing }, metrics);
        }
        for grant in &settled.unused {
            self.settle(now, grant, &nothing, metrics);
        }
    }

    /// A retry that was made and could not be refused any more: it is charged.
    pub(crate) fn owe(&self, now: Monotonic, metrics: &Metrics) {
        let end = End { used: 0, answer: Answer::Nothing, deposits: false, refused: true };
        self.settle(now, &Grant::default(), &end, metrics);
    }

    /// A retry follows an attempt that had no answer.
    pub(crate) fn went_unanswered(&self, now: Monotonic) {
        self.unanswered.set(Some(now));
    }

    pub(crate) fn was_unanswered_lately(&self, now: Monotonic) -> bool {
        self.unanswered.get().is_some_and(|then| now.since(then) < UNANSWERED)
    }

    /// Whether a retry would be granted now; nothing is taken. One hostcall that returns bytes where this worker has none of its own.
    pub(crate) fn has_any(&self, now: Monotonic) -> Host<bool> {
        if now < self.held_until.get() {
            return Ok(false);
        }
        let Part::Window { limits, account, pool } = &self.part else {
            return Ok(self.balance(now)? > 0);
        };
        let account = account.borrow();
        if account.has_any(now) {
            return Ok(true);
        }
        let mut pool = pool.load()?.unwrap_or_else(|| Pool::new(limits, now));
        let loan = pool.visit(limits, now, &account, &Visit { wanted: 1, ..Visit::default() });
        Ok(loan.from_ratio > 0 || loan.from_floor > 0)
    }

    /// No retries until then, for anybody. Whether that is news.
    pub(crate) fn hold(&self, now: Monotonic, until: Monotonic, metrics: &Metrics) -> bool {
        if until <= self.held_until.get().max(now) {
            return false;
        }
        self.held_until.set(until);
        match &self.part {
            Part::Window { limits, account, pool } => {
                let visit = Visit { held_until: until, ..Visit::default() };
                self.tell(limits, &mut account.borrow_mut(), pool, &visit, now, metrics);
            }
            Part::Throttle { limits, tokens } => self.hold_tokens(tokens, limits.full(), until, metrics),
            Part::Quota { limits, tokens } => self.hold_tokens(tokens, limits.capacity, until, metrics),
        }
        true
    }

    /// The plugin goes, and with it what this worker has: the pool has it then, as after a reload others draw on the same budget.
    pub(crate) fn leave(&self, now: Monotonic, metrics: &Metrics) {
        if let Part::Window { limits, account, pool } = &self.part {
            let mut account = account.borrow_mut();
            if account.has_news() {
                self.tell(limits, &mut account, pool, &Visit::default(), now, metrics);
            }
        }
    }

    /// Tells the pool what a worker without requests would keep to itself, and once in a proxy how much there is.
    pub(crate) fn tick(&self, now: Monotonic, metrics: &Metrics) -> Host<()> {
        if let Part::Window { limits, account, pool } = &self.part {
            let mut account = account.borrow_mut();
            if account.is_due(now) {
                self.tell(limits, &mut account, pool, &Visit::default(), now, metrics);
            }
        }
        let lease = self.lease.get_or_init(|| Lease::new([&self.key[..], b"\0leader"].concat()).ok());
        let Some(lease) = lease.as_ref() else { return Ok(()) };
        if lease.try_hold(now, LEADS_FOR)? {
            metrics.balance.set(&self.rule, [&self.name], self.balance(now)?);
        }
        Ok(())
    }

    /// Retries that would be granted at once.
    fn balance(&self, now: Monotonic) -> Host<u64> {
        let of = |tokens: &Shared<Tokens>, full: u32, grant: &dyn Fn(Tokens) -> u64| {
            let tokens = tokens.load()?.unwrap_or(Tokens::full(full));
            Ok(if now < tokens.held_until { 0 } else { grant(tokens) })
        };
        match &self.part {
            Part::Window { limits, pool, .. } => {
                let pool = pool.load()?.unwrap_or_else(|| Pool::new(limits, now));
                Ok(pool.balance(limits, now, MOST_TOLD))
            }
            Part::Throttle { limits, tokens } => {
                of(tokens, limits.full(), &|tokens| u64::from(limits.grant(&tokens, u8::MAX)))
            }
            Part::Quota { limits, tokens } => of(tokens, limits.capacity, &|tokens| {
                u64::from(tokens.held.checked_div(limits.cost).unwrap_or(0))
            }),
        }
    }

    fn tell(
        &self,
        limits: &Limits,
        account: &mut Account,
        pool: &Shared<Pool>,
        visit: &Visit,
        now: Monotonic,
        metrics: &Metrics,
    ) {
        if let Some(loan) = self.visit(limits, account, pool, visit, now, metrics) {
            account.receive(limits, now, &loan);
            self.held_until.set(loan.held_until.max(self.held_until.get()));
        }
    }

    /// `None` when the pool was not reached: nothing is told then.
    fn visit(
        &self,
        limits: &Limits,
        account: &Account,
        pool: &Shared<Pool>,
        visit: &Visit,
        now: Monotonic,
        metrics: &Metrics,
    ) -> Option<Loan> {
        self.update(pool, metrics, |stored| {
            let mut pool = stored.unwrap_or_else(|| Pool::new(limits, now));
            let loan = pool.visit(limits, now, account, visit);
            if loan.changed { Update::Write(pool, loan) } else { Update::Keep(loan) }
        })
    }

    fn hold_tokens(&self, tokens: &Shared<Tokens>, full: u32, until: Monotonic, metrics: &Metrics) {
        self.change(tokens, full, metrics, |tokens| tokens.held_until = tokens.held_until.max(until));
    }

    fn change(
        &self,
        tokens: &Shared<Tokens>,
        full: u32,
        metrics: &Metrics,
        mut change: impl FnMut(&mut Tokens),
    ) {
        self.update(tokens, metrics, |stored| {
            let before = stored.unwrap_or(Tokens::full(full));
            let mut tokens = before;
            change(&mut tokens);
            if tokens == before { Update::Keep(()) } else { Update::Write(tokens, ()) }
        });
    }

    /// Rounds with a shared record, until nobody wrote in between; `None` when that never came.
    fn update<T: Wire, R>(
        &self,
        record: &Shared<T>,
        metrics: &Metrics,
        change: impl FnMut(Option<T>) -> Update<T, R>,
    ) -> Option<R> {
        match record.update(TRIES, change) {
            Ok(updated) => {
                metrics.cas_retry.add(&self.rule, [], u32::from(updated.rounds.saturating_sub(1)));
                Some(updated.value)
            }
            Err(error) => {
                metrics.cas_exhausted.inc(&self.rule, []);
                log!(Warn, "retry_budget: the shared budget was not changed: {error}");
                None
            }
        }
    }
}
