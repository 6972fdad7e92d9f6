//! A request's answer, and its end: what the caller is told, what goes back to the budget, and what a failure said of retries.

use super::RetryBudget;
use crate::attempt::Paying;
use crate::budget::{Answer, End, Grant};
use crate::config::Pushback;
use crate::ending::{self, Ending, RATELIMITED};
use crate::pushback::Asked;
use crate::safety;
use crate::worker::Budget;
use std::rc::Rc;
use wayside_sdk::{HeaderBlock, Host, LogCx, Name, Opened, ResponseHeaders, Stream, name, property};

const EXHAUSTED: Name = name!("x-retry-budget");

#[derive(Debug)]
pub(crate) struct Running {
    pub(super) rule: Rc<str>,
    pub(super) budget: Rc<Budget>,
    pub(super) paid: Paid,
    pub(super) grpc: bool,
    /// A success feeds the budget.
    pub(super) deposits: bool,
    pub(super) pushback: Pushback,
    pub(super) exhausted_header: bool,
    /// An Envoy further up told its callers not to retry.
    pub(super) told_not_to: bool,
    /// This one did.
    pub(super) tells: bool,
    /// As it came, if it was looked at.
    pub(super) answer: Option<HeaderBlock>,
}

/// How a request's retries are paid for.
#[derive(Debug)]
pub(super) enum Paid {
    /// Before it, and what it does not use goes back. Whether the budget had less than it might have had.
    Before(Grant, bool),
    /// Attempt by attempt.
    Each(Opened<Paying>),
    /// Not at all: what the budget would have said of so many at the most is counted at the end.
    Observed { most: u8 },
}

impl Running {
    /// Of a failure that the budget would not have retried, so that the caller does not either; and whether somebody before said so.
    pub(super) fn tell_the_caller(&mut self, response: &mut ResponseHeaders) -> Host<()> {
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

impl RetryBudget {
    pub(super) fn settle(&self, running: &mut Running, cx: &LogCx) -> Host<()> {
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
}
