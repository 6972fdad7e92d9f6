//! From callbacks to the decisions and back: no arithmetic, no parsing.

use crate::budget::{Grant, Loan, Pool, Visit};
use crate::config::{Config, DepositOn, InboundRetry};
use crate::keys::{Budget, Keys};
use crate::metrics::{Denial, Metrics};
use crate::safety::{self, Facts};
use std::rc::Rc;
use wayside_sdk::property::{Props, Slot, Together, Values};
use wayside_sdk::{
    ConfigErrors, Envelope, Flow, HeaderBlock, Host, HttpFilter, Init, LogCx, Mode, Monotonic, Name, Plugin,
    RequestHeaders, Stream, Update, log, name, property,
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
    envelope: Envelope<Config>,
    metrics: Metrics,
    keys: Keys,
    over: Over,
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
        Ok(RetryBudget { envelope, metrics, keys: Keys::new(init.root_id()?), over: Over::new(init) })
    }

    fn stream(self: &Rc<Self>) -> Request {
        Request { plugin: self.clone(), reserved: None }
    }
}

/// One request.
#[derive(Debug)]
pub struct Request {
    plugin: Rc<RetryBudget>,
    /// What is to be settled when the request is over.
    reserved: Option<Reserved>,
}

#[derive(Debug)]
struct Reserved {
    rule: Rc<str>,
    budget: Rc<Budget>,
    grant: Grant,
    grpc: bool,
    /// A success feeds the budget.
    deposits: bool,
}

/// What the rules say of a request before the budget is asked.
struct Wish {
    retries: u8,
    denial: Option<Denial>,
    may_deposit: bool,
}

impl HttpFilter for Request {
    fn on_request_headers(&mut self, mut request: RequestHeaders) -> Flow {
        if self.plugin.envelope.mode == Mode::Off {
            return Flow::Continue;
        }
        if let Err(error) = self.reserve(&mut request) {
            log!(Error, "retry_budget: a request goes without retries: {error}");
            if self.plugin.envelope.mode == Mode::Enforce
                && let Err(error) = request.headers.set(MAX_RETRIES, "0")
            {
                log!(Error, "retry_budget: and even that could not be said: {error}");
            }
        }
        Flow::Continue
    }

    fn on_log(&mut self, cx: &LogCx) {
        if let Some(reserved) = self.reserved.take()
            && let Err(error) = self.plugin.settle(&reserved, cx)
        {
            log!(Error, "retry_budget: a request was not settled: {error}");
        }
    }
}

impl Request {
    fn reserve(&mut self, request: &mut RequestHeaders) -> Host<()> {
        let plugin = self.plugin.clone();
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
            return Ok(());
        };
        let grant = plugin.grant(rule, config, &budget, &wish, now);
        plugin.strip(rule, request, &headers, trusted)?;
        if plugin.envelope.mode == Mode::Enforce {
            set_retries(request, config, &grant)?;
        }
        self.reserved = Some(Reserved {
            rule: rule.into(),
            budget,
            grant,
            grpc: headers.is_grpc(),
            deposits: wish.may_deposit && config.deposit_on == DepositOn::Success,
        });
        Ok(())
    }
}

impl RetryBudget {
    /// The budget this request draws on; `None` when it has no route.
    fn budget(
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

    /// Of this worker's own share, and what that lacks of the pool. When the pool fails, the request goes on with less.
    fn grant(&self, rule: &str, config: &Config, budget: &Budget, wish: &Wish, now: Monotonic) -> Grant {
        let deposit = wish.may_deposit && config.deposit_on == DepositOn::Request;
        let mut denial = wish.denial;
        let mut grant = Grant::default();
        if wish.retries > 0 || deposit {
            let (granted, visit) =
                budget.account.borrow_mut().grant(&budget.limits, now, wish.retries, deposit);
            grant = granted;
            if let Some(visit) = visit {
                match self.visit(rule, budget, &visit, now) {
                    Some(loan) => budget.account.borrow_mut().receive(&mut grant, &loan),
                    None if grant.retries() < wish.retries => denial = Some(Denial::Cas),
                    None => {}
                }
            }
            self.metrics.deposits.add(rule, [], u32::from(deposit));
        }
        if denial.is_none() && grant.retries() < wish.retries {
            denial = Some(Denial::Ratio);
            if grant.is_empty() {
                self.metrics.exhausted.inc(rule, []);
            }
        }
        if let Some(denial) = denial {
            self.metrics.denied.inc(rule, [denial.label()]);
        }
        if wish.denial == Some(Denial::Inbound) {
            self.metrics.inbound_retry_denied.inc(rule, []);
        }
        self.metrics.granted.add(rule, [], u32::from(grant.retries()));
        grant
    }

    fn settle(&self, reserved: &Reserved, cx: &LogCx) -> Host<()> {
        let (rule, stream) = (&reserved.rule, cx.stream());
        let values = stream.read(if reserved.grpc { &self.over.grpc } else { &self.over.plain })?;
        let attempts = values.get(self.over.attempts)?.unwrap_or(0);
        let used = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        let deposit = reserved.deposits && attempts > 0 && self.succeeded(&values)?;
        if deposit || used < u32::from(reserved.grant.retries()) {
            let now = stream.now()?;
            let (budget, grant) = (&reserved.budget, &reserved.grant);
            let (settled, visit) =
                budget.account.borrow_mut().settle(&budget.limits, now, grant, used, deposit);
            if let Some(visit) = visit {
                self.visit(rule, budget, &visit, now);
            }
            self.metrics.refunded.add(rule, [], settled.refunded);
            self.metrics.deposits.add(rule, [], u32::from(deposit));
        }
        self.metrics.used.add(rule, [], used);
        self.metrics.overdraft.add(rule, [], used.saturating_sub(u32::from(reserved.grant.retries())));
        self.metrics.attempts.record(rule, [], attempts);
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
fn set_retries(request: &mut RequestHeaders, config: &Config, grant: &Grant) -> Host<()> {
    request.headers.set(MAX_RETRIES, grant.retries().to_string())?;
    if grant.is_empty() {
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
