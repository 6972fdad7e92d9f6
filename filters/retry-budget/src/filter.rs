//! From callbacks to the decisions and back: no arithmetic, no parsing.

use crate::budget::{Answer, End, Grant};
use crate::config::{Config, DepositOn, InboundRetry, Pushback};
use crate::ending::{self, Attributes, Ending, RATELIMITED};
use crate::keys::Keys;
use crate::metrics::{Denial, Metrics};
use crate::pushback::Asked;
use crate::safety::{self, Facts};
use crate::worker::{self, Budget};
use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::{
    ConfigErrors, Envelope, Flow, HeaderBlock, Host, HttpFilter, Init, LogCx, Mode, Monotonic, Name, Plugin,
    RequestHeaders, ResponseHeaders, Root, Stream, log, name, property,
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
    envelope: Envelope<Config>,
    metrics: Metrics,
    keys: Keys,
    attributes: Attributes,
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
        let (keys, attributes) = (Keys::new(init.root_id()?), Attributes::new(init));
        Ok(RetryBudget { envelope, metrics, keys, attributes })
    }

    fn stream(self: &Rc<Self>) -> Request {
        Request { plugin: self.clone(), reserved: None }
    }

    fn on_tick(self: &Rc<Self>, root: &mut Root) {
        for budget in self.keys.all() {
            if let Err(error) = budget.tick(root.now(), &self.metrics) {
                log!(Error, "retry_budget: a budget was not looked after: {error}");
            }
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
    /// It would have had more retries if the budget had had them.
    denied: bool,
    pushback: Pushback,
    exhausted_header: bool,
    /// An Envoy further up told its callers not to retry.
    told_not_to: bool,
    /// This one did.
    tells: bool,
    /// As it came, if it was looked at.
    answer: Option<HeaderBlock>,
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

    fn on_response_headers(&mut self, mut response: ResponseHeaders) -> Flow {
        if self.plugin.envelope.mode == Mode::Enforce
            && let Some(reserved) = &mut self.reserved
            && let Err(error) = reserved.tell_the_caller(&mut response)
        {
            log!(Error, "retry_budget: the caller was not told: {error}");
        }
        Flow::Continue
    }

    fn on_log(&mut self, cx: &LogCx) {
        if let Some(mut reserved) = self.reserved.take()
            && let Err(error) = self.plugin.settle(&mut reserved, cx)
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
        let (grant, denied) = plugin.grant(rule, config, &budget, &wish, now);
        plugin.strip(rule, request, &headers, trusted)?;
        if plugin.envelope.mode == Mode::Enforce {
            set_retries(request, &headers, config, &grant)?;
        }
        self.reserved = Some(Reserved {
            rule: rule.into(),
            budget,
            grant,
            grpc: headers.is_grpc(),
            deposits: wish.may_deposit && config.deposit_on == DepositOn::Success,
            denied,
            pushback: config.pushback,
            exhausted_header: config.exhausted_header,
            told_not_to: false,
            tells: false,
            answer: None,
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

    /// What the request gets, and whether the budget had less than it might have had.
    fn grant(
        &self,
        rule: &str,
        config: &Config,
        budget: &Budget,
        wish: &Wish,
        now: Monotonic,
    ) -> (Grant, bool) {
        if wish.may_deposit && config.deposit_on == DepositOn::Request {
            budget.deposit(now);
            self.metrics.deposits.inc(rule, []);
        }
        let (grant, short) = match wish.retries {
            0 => (Grant::default(), None),
            wanted => budget.grant(now, wanted, &self.metrics),
        };
        let denial = wish.denial.or(short);
        if denial == Some(Denial::Ratio) && grant.is_empty() {
            self.metrics.exhausted.inc(rule, []);
        }
        if let Some(denial) = denial {
            self.metrics.denied.inc(rule, [denial.label()]);
        }
        if denial == Some(Denial::Inbound) {
            self.metrics.inbound_retry_denied.inc(rule, []);
        }
        self.metrics.granted.add(rule, [], u32::from(grant.retries()));
        (grant, denial.is_some_and(Denial::is_of_the_budget))
    }

    fn settle(&self, reserved: &mut Reserved, cx: &LogCx) -> Host<()> {
        let (rule, budget) = (reserved.rule.clone(), reserved.budget.clone());
        let rule = &rule;
        let ending = self.attributes.read(reserved.grpc, cx)?;
        let used = u32::try_from(ending.attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        let mut end = End { used, answer: ending.answer, deposits: reserved.deposits, refused: false };
        if matches!(ending.answer, Answer::Failure(_)) {
            self.hear(reserved, &ending, &mut end, cx)?;
        }
        let unused = end.unused(&reserved.grant);
        let deposit = end.deposits && end.answer == Answer::Success;
        if deposit || unused > 0 || end.refused || budget.counts_failures() {
            budget.settle(cx.stream().now()?, &reserved.grant, &end, &self.metrics);
        }
        self.metrics.refunded.add(rule, [], unused);
        self.metrics.deposits.add(rule, [], u32::from(deposit));
        self.metrics.used.add(rule, [], used);
        self.metrics.overdraft.add(rule, [], used.saturating_sub(u32::from(reserved.grant.retries())));
        self.metrics.attempts.record(rule, [], ending.attempts);
        Ok(())
    }

    /// What a failure says of retries: for this request, or for all.
    fn hear(&self, reserved: &mut Reserved, ending: &Ending, end: &mut End, cx: &LogCx) -> Host<()> {
        // Of a request that nobody answered there are none.
        let Some(headers) = reserved.answer.take().or_else(|| cx.response.block().ok()) else {
            return Ok(());
        };
        let asked = ending::asked(&reserved.pushback, &headers, ending, reserved.grpc, cx);
        match asked {
            Asked::Nothing => {}
            Asked::NoRetry => end.refused = true,
            Asked::Wait(time) => {
                let now = cx.stream().now()?;
                let until = now.plus(time.min(reserved.pushback.max_hold));
                let held = reserved.budget.hold(now, until, &self.metrics);
                self.metrics.held.add(&reserved.rule, [], u32::from(held));
            }
        }
        let told_not_to = reserved.told_not_to || !reserved.tells && headers.first(RATELIMITED).is_some();
        if told_not_to {
            end.answer = Answer::Nothing;
        }
        self.metrics.pushback.add(&reserved.rule, [], u32::from(told_not_to || asked != Asked::Nothing));
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

impl Reserved {
    /// Of a failure that the budget would not have retried, so that the caller does not either; and whether somebody before said so.
    fn tell_the_caller(&mut self, response: &mut ResponseHeaders) -> Host<()> {
        let propagate = self.pushback.propagate;
        if !propagate && response.headers.first(RATELIMITED)?.is_some() {
            self.told_not_to = true;
            response.headers.remove(RATELIMITED)?;
        }
        if !self.denied || !(propagate || self.exhausted_header) {
            return Ok(());
        }
        // Where a retry was left, it was not the budget that there was none.
        let used = match self.grant.is_empty() {
            true => 0,
            false => response.stream().get(&property::UPSTREAM_ATTEMPTS)?.unwrap_or(0).saturating_sub(1),
        };
        if used < u64::from(self.grant.retries()) {
            return Ok(());
        }
        let headers = response.headers.block()?;
        let grpc_status = headers.first(name!("grpc-status")).and_then(safety::number);
        let status = headers.status().map(u64::from);
        if ending::answer(status, grpc_status) == Answer::Success {
            return Ok(());
        }
        if propagate {
            self.told_not_to = headers.first(RATELIMITED).is_some();
            self.tells = !self.told_not_to;
            if self.tells {
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

/// Zero switches retries off for this request, whatever the route says.
fn set_retries(
    request: &mut RequestHeaders,
    headers: &HeaderBlock,
    config: &Config,
    grant: &Grant,
) -> Host<()> {
    request.headers.set(MAX_RETRIES, grant.retries().to_string())?;
    if let Some(timeout) = config.per_try_timeout {
        let given =
            headers.all(PER_TRY_TIMEOUT).filter_map(safety::number).filter(|millis| *millis > 0).min();
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        if given.is_none_or(|given| given > millis) {
            request.headers.set(PER_TRY_TIMEOUT, millis.to_string())?;
        }
    }
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
