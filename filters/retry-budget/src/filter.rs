//! From callbacks to the decisions and back: no arithmetic, no parsing.

use crate::attempt::{self, Paying};
use crate::budget::{Answer, End, Grant};
use crate::config::{Config, DepositOn, Enforcement, InboundRetry, Pushback};
use crate::ending::{self, Attributes, Ending, RATELIMITED};
use crate::keys::Keys;
use crate::metrics::{Denial, Metrics};
use crate::pushback::Asked;
use crate::safety::{self, Facts};
use crate::worker::{self, Budget};
use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::{
    ConfigErrors, Envelope, Flow, HeaderBlock, Host, HttpFilter, Init, LogCx, Mode, Monotonic, Name, Opened,
    Plugin, RequestHeaders, ResponseHeaders, Root, Stream, log, name, property,
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

const TIMEOUT: Name = name!("x-envoy-upstream-rq-timeout-ms");
const EXPECTED_TIMEOUT: Name = name!("x-envoy-expected-rq-timeout-ms");
const PER_TRY_TIMEOUT: Name = name!("x-envoy-upstream-rq-per-try-timeout-ms");
const EXHAUSTED: Name = name!("x-retry-budget");

/// What all streams of one VM share.
#[derive(Debug)]
pub struct RetryBudget {
    pub(crate) envelope: Envelope<Config>,
    pub(crate) metrics: Metrics,
    keys: Keys,
    attributes: Attributes,
    /// Some rule has its retries paid attempt by attempt: a stream may be an attempt.
    by_attempt: bool,
}

impl Plugin for RetryBudget {
    const NAME: &'static str = "retry_budget";
    type Config = Envelope<Config>;
    type Filter = Request;

    fn configure(envelope: Envelope<Config>, init: &mut Init) -> Result<RetryBudget, ConfigErrors> {
        let metrics = Metrics::new(init, &envelope.metrics)?;
        warn_of_starvation(&envelope);
        if envelope.mode != Mode::Off {
            init.tick(worker::TICK)?;
        }
        let by_attempt = envelope.configs().any(|config| config.enforcement == Enforcement::Attempt);
        let (keys, attributes) = (Keys::new(init.root_id()?), Attributes::new(init));
        Ok(RetryBudget { envelope, metrics, keys, attributes, by_attempt })
    }

    fn stream(self: &Rc<Self>) -> Request {
        Request { plugin: self.clone(), part: Part::Bystander }
    }

    fn on_tick(self: &Rc<Self>, root: &mut Root) {
        self.metrics.tell();
        for budget in self.keys.all() {
            if let Err(error) = budget.tick(root.now(), &self.metrics) {
                log!(Error, "retry_budget: a budget was not looked after: {error}");
            }
        }
    }
}

/// After the last of its streams: a configuration that is replaced takes nothing along that another could use.
impl Drop for RetryBudget {
    fn drop(&mut self) {
        let Ok(now) = Monotonic::now() else { return };
        for budget in self.keys.all() {
            budget.leave(now, &self.metrics);
        }
    }
}

/// Each rule says so for itself, with what it inherits.
fn warn_of_starvation(envelope: &Envelope<Config>) {
    for (place, _) in envelope.configs().enumerate().filter(|(_, config)| config.starves()) {
        let whose = if place == 0 { "defaults" } else { "a rule" };
        log!(
            Warn,
            "retry_budget: {whose}: per_try_timeout * max_retries is more than retry_ratio * window, so slow requests can hold \
             all retries there are"
        );
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
    pushback: Pushback,
    exhausted_header: bool,
    /// An Envoy further up told its callers not to retry.
    told_not_to: bool,
    /// This one did.
    tells: bool,
    /// As it came, if it was looked at.
    answer: Option<HeaderBlock>,
}

/// How a request's retries are paid for.
#[derive(Debug)]
enum Paid {
    /// Before it, and what it does not use goes back. Whether the budget had less than it might have had.
    Before(Grant, bool),
    /// Attempt by attempt.
    Each(Opened<Paying>),
    /// Not at all: what the budget would have said of so many at the most is counted at the end.
    Observed { most: u8 },
}

/// What the rules say of a request before the budget is asked.
#[derive(Clone, Copy)]
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
        let enforce = self.plugin.envelope.mode == Mode::Enforce;
        let looked_at = match &mut self.part {
            Part::Attempt { ordinal, paying } => {
                attempt::answered(&self.plugin, *ordinal, paying, &mut response)
            }
            Part::Request(running) if enforce => running.tell_the_caller(&mut response),
            Part::Bystander | Part::Request(_) => Ok(()),
        };
        if let Err(error) = looked_at {
            log!(Error, "retry_budget: an answer was not looked at: {error}");
        }
        Flow::Continue
    }

    fn on_log(&mut self, cx: &LogCx) {
        if let Part::Request(mut running) = std::mem::replace(&mut self.part, Part::Bystander)
            && let Err(error) = self.plugin.settle(&mut running, cx)
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
        if wish.denial == Some(Denial::Inbound) && plugin.envelope.mode == Mode::Enforce {
            tell_the_next(request, &headers)?;
        }
        let now = request.stream().now()?;
        let Some(budget) = plugin.budget(rule, config, request.stream(), &headers, now)? else {
            // Without a route there is nothing to retry.
            return Ok(Flow::Continue);
        };
        plugin.strip(rule, request, &headers, trusted)?;
        let paid = plugin.pay(rule, config, &budget, &wish, request, &headers)?;
        self.part = Part::Request(Running {
            rule: rule.into(),
            budget,
            paid,
            grpc: headers.is_grpc(),
            deposits: wish.may_deposit && config.deposit_on == DepositOn::Success,
            pushback: config.pushback,
            exhausted_header: config.exhausted_header,
            told_not_to: false,
            tells: false,
            answer: None,
        });
        Ok(Flow::Continue)
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

    /// What Envoy is told of retries, and who pays for them.
    fn pay(
        &self,
        rule: &str,
        config: &Config,
        budget: &Rc<Budget>,
        wish: &Wish,
        request: &mut RequestHeaders,
        headers: &HeaderBlock,
    ) -> Host<Paid> {
        let (now, enforce) = (request.stream().now()?, self.envelope.mode == Mode::Enforce);
        self.hear_of(rule, config, budget, wish, now);
        match config.enforcement {
            Enforcement::Reserve => {
                let (grant, denied) = self.draw(rule, budget, wish.retries, now);
                if enforce {
                    set_retries(request, headers, config, grant.retries())?;
                }
                Ok(Paid::Before(grant, denied))
            }
            Enforcement::Attempt => {
                let tickets = attempt::tickets(self, rule, budget, wish.retries, now)?;
                if enforce {
                    set_retries(request, headers, config, tickets.most())?;
                    attempt::forbid_hedging(request)?;
                }
                let paying = Paying::new(rule, config, budget, tickets);
                Ok(Paid::Each(attempt::open(request.stream(), paying)?))
            }
            Enforcement::Observe => Ok(Paid::Observed { most: wish.retries }),
        }
    }

    /// A request came: it may feed the budget, and there may be rules against its retries.
    fn hear_of(&self, rule: &str, config: &Config, budget: &Budget, wish: &Wish, now: Monotonic) {
        if wish.may_deposit && config.deposit_on == DepositOn::Request {
            budget.deposit(now);
            self.metrics.deposits.add(rule, 1);
        }
        if let Some(denial) = wish.denial {
            self.metrics.denied.inc(rule, [denial.label()]);
        }
        if wish.denial == Some(Denial::Inbound) {
            self.metrics.inbound_retry_denied.inc(rule, []);
        }
    }

    /// Up to so many retries, and whether the budget had less.
    pub(crate) fn draw(&self, rule: &str, budget: &Budget, wanted: u8, now: Monotonic) -> (Grant, bool) {
        if wanted == 0 {
            return (Grant::default(), false);
        }
        let (grant, short) = budget.grant(now, wanted, &self.metrics);
        if let Some(denial) = short {
            self.deny(rule, denial, grant.is_empty());
        }
        self.metrics.granted.add(rule, u32::from(grant.retries()));
        (grant, short.is_some())
    }

    /// A request has fewer retries than the rules allow it, or none.
    pub(crate) fn deny(&self, rule: &str, denial: Denial, wholly: bool) {
        if denial == Denial::Ratio && wholly {
            self.metrics.exhausted.inc(rule, []);
        }
        self.metrics.denied.inc(rule, [denial.label()]);
    }

    fn settle(&self, running: &mut Running, cx: &LogCx) -> Host<()> {
        let (rule, budget) = (running.rule.clone(), running.budget.clone());
        let rule = &rule;
        let ending = self.attributes.read(running.grpc, cx)?;
        let retries = u32::try_from(ending.attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        let mut end =
            End { used: retries, answer: ending.answer, deposits: running.deposits, refused: false };
        if matches!(ending.answer, Answer::Failure(_)) {
            self.hear(running, &ending, &mut end, cx)?;
        }
        let deposit = end.deposits && end.answer == Answer::Success;
        let (unused, overdraft) = match &running.paid {
            Paid::Before(grant, _) => {
                let unused = end.unused(grant);
                if deposit || !grant.is_empty() || end.refused || budget.counts_failures() {
                    budget.settle(cx.stream().now()?, grant, &end, &self.metrics);
                }
                (unused, retries.saturating_sub(u32::from(grant.retries())))
            }
            Paid::Each(paying) => {
                let settled = paying.settle(ending.attempts);
                let unused = u32::try_from(settled.unused.len()).unwrap_or(u32::MAX);
                end.used = settled.sent;
                budget.settle_each(cx.stream().now()?, &settled, &end, &self.metrics);
                (unused, settled.overdraft)
            }
            Paid::Observed { most } => {
                let (now, most) = (cx.stream().now()?, u32::from(*most));
                let wanted = u8::try_from(retries.min(most)).unwrap_or(u8::MAX);
                let (grant, _) = self.draw(rule, &budget, wanted, now);
                budget.settle(now, &grant, &end, &self.metrics);
                (0, retries.saturating_sub(u32::from(grant.retries())))
            }
        };
        self.metrics.refunded.add(rule, unused);
        self.metrics.deposits.add(rule, u32::from(deposit));
        self.metrics.used.add(rule, [], end.used);
        self.metrics.overdraft.add(rule, [], overdraft);
        self.metrics.attempts.record(rule, [], ending.attempts);
        Ok(())
    }

    /// What a failure says of retries: for this request, or for all.
    fn hear(&self, running: &mut Running, ending: &Ending, end: &mut End, cx: &LogCx) -> Host<()> {
        // Of a request that nobody answered there are none.
        let Some(headers) = running.answer.take().or_else(|| cx.response.block().ok()) else {
            return Ok(());
        };
        let trailers = || cx.response_trailers();
        let asked = ending::asked(&running.pushback, &headers, ending.status, running.grpc, trailers);
        match asked {
            Asked::Nothing => {}
            Asked::NoRetry => end.refused = true,
            Asked::Wait(time) => {
                let now = cx.stream().now()?;
                let until = now.plus(time.min(running.pushback.max_hold));
                let held = running.budget.hold(now, until, &self.metrics);
                self.metrics.held.add(&running.rule, [], u32::from(held));
            }
        }
        let told_not_to = running.told_not_to || !running.tells && headers.first(RATELIMITED).is_some();
        if told_not_to {
            end.answer = Answer::Nothing;
        }
        self.metrics.pushback.add(&running.rule, [], u32::from(told_not_to || asked != Asked::Nothing));
        Ok(())
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

impl Running {
    /// Of a failure that the budget would not have retried, so that the caller does not either; and whether somebody before said so.
    fn tell_the_caller(&mut self, response: &mut ResponseHeaders) -> Host<()> {
        let propagate = self.pushback.propagate;
        // An attempt may have been marked to keep Envoy from retrying it.
        let ours = matches!(&self.paid, Paid::Each(paying) if paying.is_marked());
        self.tells = ours && propagate;
        if !propagate && response.headers.first(RATELIMITED)?.is_some() {
            self.told_not_to = !ours;
            response.headers.remove(RATELIMITED)?;
        }
        if !(propagate || self.exhausted_header) || !self.was_denied(response.stream())? {
            return Ok(());
        }
        let headers = response.headers.block()?;
        let grpc_status = headers.first(name!("grpc-status")).and_then(safety::number);
        let status = headers.status().map(u64::from);
        if ending::answer(status, grpc_status) == Answer::Success {
            return Ok(());
        }
        if propagate {
            let marked = headers.first(RATELIMITED).is_some();
            self.told_not_to = marked && !ours;
            self.tells = !self.told_not_to;
            if !marked {
                response.headers.set(RATELIMITED, "true")?;
            }
        }
        if self.exhausted_header {
            response.headers.set(EXHAUSTED, "exhausted")?;
        }
        self.answer = Some(headers);
        Ok(())
    }
}

impl Running {
    /// Whether it was the budget that there was no further retry.
    fn was_denied(&self, stream: &Stream) -> Host<bool> {
        match &self.paid {
            Paid::Before(grant, true) if grant.is_empty() => Ok(true),
            // Where one was left, it was not.
            Paid::Before(grant, true) => {
                let attempts = stream.get(&property::UPSTREAM_ATTEMPTS)?.unwrap_or(0);
                Ok(attempts.saturating_sub(1) >= u64::from(grant.retries()))
            }
            Paid::Before(_, false) | Paid::Observed { .. } => Ok(false),
            Paid::Each(paying) => Ok(paying.was_refused()),
        }
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
    if !config.min_time_for_retry.is_zero()
        && time_left(headers).is_some_and(|left| left < config.min_time_for_retry)
    {
        return Wish { retries: 0, denial: Some(Denial::Time), may_deposit };
    }
    // A trusted caller may ask for fewer retries, never for more.
    let asked = headers.all(MAX_RETRIES).filter(|_| trusted).filter_map(safety::number).min();
    let asked = asked.map_or(u8::MAX, |asked| u8::try_from(asked).unwrap_or(u8::MAX));
    Wish { retries: config.max_retries.min(asked), denial: None, may_deposit }
}

/// What whoever set a deadline before us left of it. Zero is none to Envoy.
fn time_left(headers: &HeaderBlock) -> Option<Duration> {
    let values = headers.all(TIMEOUT).chain(headers.all(EXPECTED_TIMEOUT));
    values.filter_map(safety::number).filter(|millis| *millis > 0).min().map(Duration::from_millis)
}

/// Envoy writes its own count over `x-envoy-attempt-count`; this one it leaves as it is, so that proxies further on know of a retry too.
fn tell_the_next(request: &mut RequestHeaders, headers: &HeaderBlock) -> Host<()> {
    match headers.all(PREVIOUS_ATTEMPTS).any(|value| safety::number(value).is_some_and(|count| count > 0)) {
        true => Ok(()),
        false => request.headers.set(PREVIOUS_ATTEMPTS, "1"),
    }
}

/// Zero switches retries off for this request, whatever the route says.
fn set_retries(
    request: &mut RequestHeaders,
    headers: &HeaderBlock,
    config: &Config,
    retries: u8,
) -> Host<()> {
    request.headers.set(MAX_RETRIES, retries.to_string())?;
    if let Some(timeout) = config.per_try_timeout {
        let given =
            headers.all(PER_TRY_TIMEOUT).filter_map(safety::number).filter(|millis| *millis > 0).min();
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        if given.is_none_or(|given| given > millis) {
            request.headers.set(PER_TRY_TIMEOUT, millis.to_string())?;
        }
    }
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
