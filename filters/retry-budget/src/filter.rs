//! From callbacks to the decisions and back: no arithmetic, no parsing.

use crate::attempt::{self, Paying};
use crate::budget::{Grant, Loan, Pool, Visit};
use crate::config::{Config, DepositOn, Enforcement, InboundRetry};
use crate::keys::{Budget, Keys};
use crate::metrics::{Denial, Metrics};
use crate::safety::{self, Facts};
use std::rc::Rc;
use wayside_sdk::property::{Props, Slot, Together, Values};
use wayside_sdk::{
    ConfigErrors, Envelope, Flow, HeaderBlock, Host, HttpFilter, Init, LogCx, Mode, Monotonic, Name, Opened,
    Plugin, RequestHeaders, ResponseHeaders, Stream, StreamInfo, Update, log, name, property,
};

const MAX_RETRIES: Name = name!("x-envoy-max-retries");
const RETRY_ON: Name = name!("x-envoy-retry-on");
const RETRY_GRPC_ON: Name = name!("x-envoy-retry-grpc-on");
const STATUS_CODES: Name = name!("x-envoy-retriable-status-codes");
const ATTEMPT_COUNT: Name = name!("x-envoy-attempt-count");
const PREVIOUS_ATTEMPTS: Name = name!("grpc-previous-rpc-attempts");
/// What an untrusted peer may not say: it would steer the retries here, or be believed by the proxy after this one.
const CONTROL: [Name; 7] = [
    MAX_RETRIES,
    RETRY_ON,
    RETRY_GRPC_ON,
    STATUS_CODES,
    name!("x-envoy-retriable-header-names"),
    ATTEMPT_COUNT,
    PREVIOUS_ATTEMPTS,
];

/// Rounds of compare-and-swap before a request goes without retries.
const TRIES: u8 = 64;

/// What all streams of one VM share.
#[derive(Debug)]
pub struct RetryBudget {
    pub(crate) envelope: Envelope<Config>,
    pub(crate) metrics: Metrics,
    keys: Keys,
    over: Over,
    /// Some rule has its retries paid attempt by attempt: a stream may be an attempt.
    by_attempt: bool,
}

/// What is read of a request once it is over.
#[derive(Debug)]
struct Over {
    attempts: Slot<u64>,
    status: Slot<u64>,
    /// The last: of gRPC requests only.
    grpc_status: Slot<u64>,
    plain: Together,
    grpc: Together,
}

impl Over {
    fn new(init: &mut Init) -> Over {
        let mut asked = Props::new();
        let (attempts, status) =
            (asked.add(&property::UPSTREAM_ATTEMPTS), asked.add(&property::RESPONSE_CODE));
        let plain = init.together(asked.clone());
        let grpc_status = asked.add(&property::RESPONSE_GRPC_STATUS);
        Over { attempts, status, grpc_status, plain, grpc: init.together(asked) }
    }
}

impl Plugin for RetryBudget {
    const NAME: &'static str = "retry_budget";
    type Config = Envelope<Config>;
    type Filter = Request;

    fn configure(envelope: Envelope<Config>, init: &mut Init) -> Result<RetryBudget, ConfigErrors> {
        let metrics = Metrics::new(init, &envelope.metrics)?;
        for (place, config) in envelope.configs().enumerate() {
            if config.starves() {
                log!(
                    Warn,
                    "retry_budget: per_try_timeout * max_retries is more than retry_ratio * window ({}): slow requests will hold \
                     the retries of others",
                    if place == 0 { "defaults" } else { "a rule" }
                );
            }
        }
        let by_attempt = envelope.configs().any(|config| config.enforcement == Enforcement::Attempt);
        let keys = Keys::new(init.root_id()?);
        Ok(RetryBudget { envelope, metrics, keys, over: Over::new(init), by_attempt })
    }

    fn stream(self: &Rc<Self>) -> Request {
        Request { plugin: self.clone(), part: Part::Bystander }
    }
}

/// One stream: a request, or an attempt of one among the upstream's filters.
#[derive(Debug)]
pub struct Request {
    pub(crate) plugin: Rc<RetryBudget>,
    pub(crate) part: Part,
}

/// What a stream has to do with a budget.
#[derive(Debug)]
pub(crate) enum Part {
    /// Nothing.
    Bystander,
    /// It is to be settled when the request is over.
    Request(Running),
    /// An attempt, and what pays for it.
    Attempt { ordinal: u64, paying: Rc<Paying> },
}

#[derive(Debug)]
pub(crate) struct Running {
    rule: Rc<str>,
    budget: Rc<Budget>,
    paid: Paid,
    grpc: bool,
    /// A success feeds the budget.
    deposits: bool,
}

/// How a request's retries are paid for.
#[derive(Debug)]
enum Paid {
    /// Before it, and what it does not use goes back.
    Before(Grant),
    /// Attempt by attempt.
    Each(Opened<Paying>),
    /// Not at all: what the budget would have said of so many at the most is counted at the end.
    Observed { most: u8 },
}

/// What the rules say of a request before the budget is asked.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    retries: u8,
    denial: Option<Denial>,
    may_deposit: bool,
}

impl HttpFilter for Request {
    fn on_request_headers(&mut self, mut request: RequestHeaders) -> Flow {
        if self.plugin.envelope.mode == Mode::Off {
            return Flow::Continue;
        }
        self.begin(&mut request).unwrap_or_else(|error| {
            log!(Error, "retry_budget: a request goes without retries: {error}");
            if self.plugin.envelope.mode == Mode::Enforce
                && let Err(error) = request.headers.set(MAX_RETRIES, "0")
            {
                log!(Error, "retry_budget: and even that could not be said: {error}");
            }
            Flow::Continue
        })
    }

    fn on_response_headers(&mut self, mut response: ResponseHeaders) -> Flow {
        let answered = match &self.part {
            Part::Attempt { ordinal, paying } => {
                attempt::answered(&self.plugin, *ordinal, paying, &mut response)
            }
            Part::Request(Running { paid: Paid::Each(paying), .. }) => {
                attempt::passed_on(&self.plugin, paying, &mut response)
            }
            Part::Bystander | Part::Request(_) => Ok(()),
        };
        if let Err(error) = answered {
            log!(Error, "retry_budget: an answer was not looked at: {error}");
        }
        Flow::Continue
    }

    fn on_log(&mut self, cx: &LogCx) {
        if let Part::Request(running) = std::mem::replace(&mut self.part, Part::Bystander)
            && let Err(error) = self.plugin.settle(&running, cx)
        {
            log!(Error, "retry_budget: a request was not settled: {error}");
        }
    }
}

impl Request {
    fn begin(&mut self, request: &mut RequestHeaders) -> Host<Flow> {
        let plugin = self.plugin.clone();
        if plugin.by_attempt
            && let Some(ordinal) = request.attempt()?
        {
            return self.begin_attempt(request, ordinal.get());
        }
        let headers = request.headers.block()?;
        let selected = plugin.envelope.select(request.stream(), &headers);
        let (rule, config) = (selected.rule, selected.config);
        if selected.bad_override {
            plugin.metrics.bad_override.inc(rule, []);
        }
        let trusted = config.trust.allows(headers.all(name!("x-envoy-internal")));
        let wish = wish(config, &headers, trusted);
        let now = request.stream().now()?;
        let Some(budget) = plugin.budget(rule, config, request.stream(), &headers, now)? else {
            // Without a route there is nothing to retry.
            return Ok(Flow::Continue);
        };
        plugin.strip(rule, request, &headers, trusted)?;
        let paid = self.pay(rule, config, &budget, &wish, request, now)?;
        self.part = Part::Request(Running {
            rule: rule.into(),
            budget,
            paid,
            grpc: headers.is_grpc(),
            deposits: wish.may_deposit && config.deposit_on == DepositOn::Success,
        });
        Ok(Flow::Continue)
    }

    /// What Envoy is told of retries, and who pays for them.
    fn pay(
        &self,
        rule: &str,
        config: &Config,
        budget: &Rc<Budget>,
        wish: &Wish,
        request: &mut RequestHeaders,
        now: Monotonic,
    ) -> Host<Paid> {
        let plugin = &self.plugin;
        let enforce = plugin.envelope.mode == Mode::Enforce;
        match config.enforcement {
            Enforcement::Reserve => {
                let grant = plugin.grant(rule, config, budget, wish, now);
                if enforce {
                    set_retries(request, config, grant.retries())?;
                }
                Ok(Paid::Before(grant))
            }
            Enforcement::Attempt => {
                plugin.grant(rule, config, budget, &Wish { retries: 0, ..*wish }, now);
                let tickets = attempt::tickets(plugin, rule, budget, wish.retries, now)?;
                let most = tickets.most();
                if enforce {
                    set_retries(request, config, most)?;
                    attempt::forbid_hedging(request)?;
                }
                let paying = Paying::new(rule, config, budget, tickets);
                Ok(Paid::Each(attempt::open(request.stream(), paying)?))
            }
            Enforcement::Observe => {
                plugin.grant(rule, config, budget, &Wish { retries: 0, ..*wish }, now);
                Ok(Paid::Observed { most: wish.retries })
            }
        }
    }
}

impl RetryBudget {
    /// The budget this request draws on; `None` when it has no route.
    pub(crate) fn budget(
        &self,
        rule: &str,
        config: &Config,
        stream: &Stream,
        headers: &HeaderBlock,
        now: Monotonic,
    ) -> Host<Option<Rc<Budget>>> {
        let Some(name) = config.scope.name(stream, headers)? else {
            return Ok(None);
        };
        let (budget, overflowed) = self.keys.budget(rule, config, &name, now);
        if overflowed {
            self.metrics.key_overflow.inc(rule, []);
        }
        Ok(Some(budget))
    }

    /// For a request that just came.
    fn grant(&self, rule: &str, config: &Config, budget: &Budget, wish: &Wish, now: Monotonic) -> Grant {
        if let Some(denial) = wish.denial {
            self.metrics.denied.inc(rule, [denial.label()]);
        }
        if wish.denial == Some(Denial::Inbound) {
            self.metrics.inbound_retry_denied.inc(rule, []);
        }
        let deposit = wish.may_deposit && config.deposit_on == DepositOn::Request;
        self.draw(rule, budget, wish.retries, deposit, now)
    }

    /// Of this worker's own share, and what that lacks of the pool. When the pool fails, the request goes on with less.
    pub(crate) fn draw(
        &self,
        rule: &str,
        budget: &Budget,
        wanted: u8,
        deposit: bool,
        now: Monotonic,
    ) -> Grant {
        if wanted == 0 && !deposit {
            return Grant::default();
        }
        let (mut grant, visit) = budget.account.borrow_mut().grant(&budget.limits, now, wanted, deposit);
        let mut denial = Denial::Ratio;
        if let Some(visit) = visit {
            match self.visit(rule, budget, &visit, now) {
                Some(loan) => budget.account.borrow_mut().receive(&mut grant, &loan),
                None => denial = Denial::Cas,
            }
        }
        self.metrics.deposits.add(rule, [], u32::from(deposit));
        if grant.retries() < wanted {
            if grant.is_empty() && denial == Denial::Ratio {
                self.metrics.exhausted.inc(rule, []);
            }
            self.metrics.denied.inc(rule, [denial.label()]);
        }
        self.metrics.granted.add(rule, [], u32::from(grant.retries()));
        grant
    }

    /// Whether a retry would be granted now; nothing is taken. One hostcall that returns bytes where this worker has no share left.
    pub(crate) fn has_any(&self, budget: &Budget, now: Monotonic) -> Host<bool> {
        let own = budget.account.borrow_mut().lacks(&budget.limits, now);
        let Some(lacking) = own else { return Ok(true) };
        let mut pool = budget.pool.load()?.unwrap_or_else(|| Pool::new(&budget.limits, now));
        Ok(pool.visit(&budget.limits, now, &lacking).retries() > 0)
    }

    fn settle(&self, running: &Running, cx: &LogCx) -> Host<()> {
        let (rule, stream, budget) = (&running.rule, cx.stream(), &running.budget);
        let values = stream.read(if running.grpc { &self.over.grpc } else { &self.over.plain })?;
        let attempts = values.get(self.over.attempts)?.unwrap_or(0);
        let retries = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        let deposit = running.deposits && attempts > 0 && self.succeeded(&values)?;
        let (used, overdraft) = match &running.paid {
            Paid::Before(grant) => {
                self.give_back(rule, budget, grant, retries, deposit, stream)?;
                (retries, retries.saturating_sub(u32::from(grant.retries())))
            }
            Paid::Each(paying) => {
                let settled = paying.settle(attempts);
                self.give_back(rule, budget, &Grant::default(), 0, deposit, stream)?;
                for grant in &settled.unused {
                    self.give_back(rule, budget, grant, 0, false, stream)?;
                }
                (settled.sent, settled.overdraft)
            }
            Paid::Observed { most } => {
                let wanted = u8::try_from(retries).unwrap_or(u8::MAX);
                let now = stream.now()?;
                let allowed = self.draw(rule, budget, wanted.min(*most), false, now).retries();
                self.give_back(rule, budget, &Grant::default(), 0, deposit, stream)?;
                (retries, retries.saturating_sub(u32::from(allowed)))
            }
        };
        self.metrics.used.add(rule, [], used);
        self.metrics.overdraft.add(rule, [], overdraft);
        self.metrics.attempts.record(rule, [], attempts);
        Ok(())
    }

    /// What was not used of a grant, and the deposit of a success.
    fn give_back(
        &self,
        rule: &str,
        budget: &Budget,
        grant: &Grant,
        used: u32,
        deposit: bool,
        stream: &StreamInfo,
    ) -> Host<()> {
        if !deposit && used >= u32::from(grant.retries()) {
            return Ok(());
        }
        let now = stream.now()?;
        let (settled, visit) = budget.account.borrow_mut().settle(&budget.limits, now, grant, used, deposit);
        if let Some(visit) = visit {
            self.visit(rule, budget, &visit, now);
        }
        self.metrics.refunded.add(rule, [], settled.refunded);
        self.metrics.deposits.add(rule, [], u32::from(deposit));
        Ok(())
    }

    fn succeeded(&self, values: &Values) -> Host<bool> {
        let (status, grpc_status) = (values.get(self.over.status)?, values.get(self.over.grpc_status)?);
        Ok(safety::is_success(status, grpc_status))
    }

    /// Rounds with the state that all workers share, until nobody wrote in between; `None` when that never came.
    fn visit(&self, rule: &str, budget: &Budget, visit: &Visit, now: Monotonic) -> Option<Loan> {
        let updated = budget.pool.update(TRIES, |pool| {
            let mut pool = pool.unwrap_or_else(|| Pool::new(&budget.limits, now));
            let loan = pool.visit(&budget.limits, now, visit);
            if loan.changed { Update::Write(pool, loan) } else { Update::Keep(loan) }
        });
        match updated {
            Ok(updated) => {
                self.metrics.cas_retry.add(rule, [], u32::from(updated.rounds.saturating_sub(1)));
                Some(updated.value)
            }
            Err(error) => {
                budget.account.borrow_mut().take_back(visit);
                self.metrics.cas_exhausted.inc(rule, []);
                log!(Warn, "retry_budget: the shared budget was not changed: {error}");
                None
            }
        }
    }

    /// Removes what an untrusted peer would steer Envoy's retries with; in shadow mode it is only counted.
    fn strip(
        &self,
        rule: &str,
        request: &mut RequestHeaders,
        headers: &HeaderBlock,
        trusted: bool,
    ) -> Host<()> {
        if trusted {
            return Ok(());
        }
        let forged = CONTROL.iter().filter(|name| headers.first(**name).is_some());
        let count = u32::try_from(forged.clone().count()).unwrap_or(u32::MAX);
        self.metrics.untrusted_stripped.add(rule, [], count);
        if self.envelope.mode == Mode::Enforce {
            for name in forged {
                request.headers.remove(*name)?;
            }
        }
        Ok(())
    }
}

fn wish(config: &Config, headers: &HeaderBlock, trusted: bool) -> Wish {
    let facts = Facts {
        method: headers.method(),
        path: headers.path(),
        grpc: headers.is_grpc(),
        idempotency_key: headers.first(name!("idempotency-key")).is_some_and(|key| !key.is_empty()),
        tunnel: headers.method() == b"CONNECT" || headers.first(name!("upgrade")).is_some(),
    };
    let inbound = trusted && safety::is_retry(headers.all(ATTEMPT_COUNT), headers.all(PREVIOUS_ATTEMPTS));
    let may_deposit = !inbound || config.inbound_retry == InboundRetry::Normal;
    if inbound && config.inbound_retry == InboundRetry::Deny {
        return Wish { retries: 0, denial: Some(Denial::Inbound), may_deposit };
    }
    if !safety::may_be_repeated(&facts, config.idempotent_only, &config.grpc_idempotent_methods) {
        return Wish { retries: 0, denial: Some(Denial::Unsafe), may_deposit };
    }
    // A trusted caller may ask for fewer retries, never for more.
    let asked = headers.all(MAX_RETRIES).filter(|_| trusted).filter_map(safety::number).min();
    let asked = asked.map_or(u8::MAX, |asked| u8::try_from(asked).unwrap_or(u8::MAX));
    Wish { retries: config.max_retries.min(asked), denial: None, may_deposit }
}

/// Zero switches retries off for this request, whatever the route says.
fn set_retries(request: &mut RequestHeaders, config: &Config, retries: u8) -> Host<()> {
    request.headers.set(MAX_RETRIES, retries.to_string())?;
    if retries == 0 {
        return Ok(());
    }
    let values = [
        (RETRY_ON, &config.conditions.http),
        (RETRY_GRPC_ON, &config.conditions.grpc),
        (STATUS_CODES, &config.status_codes),
    ];
    for (name, value) in values {
        if !value.is_empty() {
            request.headers.set(name, value)?;
        }
    }
    Ok(())
}
