//! A request comes: what the rules say of its retries, and who pays for them.

use super::RetryBudget;
use super::ended::Paid;
use crate::attempt::{self, Paying};
use crate::budget::Grant;
use crate::config::{Config, DepositOn, Enforcement, InboundRetry};
use crate::metrics::Denial;
use crate::safety::{self, Facts};
use crate::worker::Budget;
use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::{HeaderBlock, Host, Mode, Monotonic, Name, RequestHeaders, Stream, name};

pub(super) const MAX_RETRIES: Name = name!("x-envoy-max-retries");
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

/// What the rules say of a request before the budget is asked.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    pub(super) retries: u8,
    pub(super) denial: Option<Denial>,
    pub(super) may_deposit: bool,
}

pub(super) fn wish(config: &Config, headers: &HeaderBlock, trusted: bool) -> Wish {
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

    /// Removes what an untrusted peer would steer Envoy's retries with; in shadow mode it is only counted.
    pub(super) fn strip(
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

    /// What Envoy is told of retries, and who pays for them.
    pub(super) fn pay(
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
}

/// Envoy writes its own count over `x-envoy-attempt-count`; this one it leaves as it is, so that proxies further on know of a retry too.
pub(super) fn tell_the_next(request: &mut RequestHeaders, headers: &HeaderBlock) -> Host<()> {
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
