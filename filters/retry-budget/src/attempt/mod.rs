//! Retries paid for one by one, by the module's second instance among the cluster's upstream filters. There each attempt is a stream of
//! its own, so a retry is asked for when it is known that one is needed, and slow requests hold nothing.
//!
//! The instance in the listener's chain says who pays ([`Paying`]) and settles at the end. An attempt that fails buys the ticket of the next; where the budget
//! has none, `x-envoy-ratelimited` on the answer keeps Envoy from retrying, and the answer goes to the caller as it is
//! (`wouldRetryFromHeaders` in `source/common/router/retry_state_impl.cc`). After a reset there is no answer to mark: the next attempt
//! is answered here before it goes upstream.

mod tickets;

pub use tickets::{Fare, Settled, Tickets};

use crate::budget::Grant;
use crate::config::{Config, Enforcement};
use crate::filter::{Part, Request, RetryBudget};
use crate::keys::Budget;
use crate::safety;
use std::cell::RefCell;
use std::rc::Rc;
use wayside_sdk::{
    Flow, GrpcCode, HeaderBlock, Host, Mode, Monotonic, Name, Opened, PerRequest, Reply, RequestHeaders,
    ResponseHeaders, Stream, name, vm_local,
};

const RATELIMITED: Name = name!("x-envoy-ratelimited");
/// `false` outweighs the route's hedging (`finalHedgingParams` in `source/common/router/router.cc`).
const HEDGE: Name = name!("x-envoy-hedge-on-per-try-timeout");

vm_local! {
    static PAYING: PerRequest<Paying> = const { PerRequest::named("retry_budget_paying") };
}

/// Who pays for the attempts of a request.
#[derive(Debug)]
pub struct Paying {
    rule: Rc<str>,
    budget: Rc<Budget>,
    tickets: RefCell<Tickets<Grant>>,
    retried: Retried,
    exhausted_status: u16,
    propagate: bool,
}

/// Which answers Envoy may retry.
#[derive(Debug)]
struct Retried {
    /// `retriable-4xx`: 409.
    conflict: bool,
    /// As in `x-envoy-retriable-status-codes`.
    codes: String,
}

impl Retried {
    fn has(&self, answer: &HeaderBlock) -> bool {
        let status = answer.first(name!(":status")).unwrap_or_default();
        let grpc = answer.first(name!("grpc-status")).and_then(safety::number);
        !safety::is_success(safety::number(status), grpc)
            || (self.conflict && status == b"409")
            || self.codes.split(',').any(|code| code.as_bytes() == status)
    }
}

impl Paying {
    pub(crate) fn new(rule: &str, config: &Config, budget: &Rc<Budget>, tickets: Tickets<Grant>) -> Paying {
        let conflict = config.conditions.http.split(',').any(|condition| condition == "retriable-4xx");
        Paying {
            rule: rule.into(),
            budget: budget.clone(),
            tickets: RefCell::new(tickets),
            retried: Retried { conflict, codes: config.status_codes.clone() },
            exhausted_status: config.exhausted_status,
            propagate: config.pushback.propagate,
        }
    }

    pub(crate) fn settle(&self, attempts: u64) -> Settled<Grant> {
        self.tickets.borrow_mut().settle(attempts)
    }

    /// One retry of the budget, if there is one.
    fn buy(&self, plugin: &RetryBudget, now: Monotonic) -> Option<Grant> {
        let grant = plugin.draw(&self.rule, &self.budget, 1, false, now);
        (!grant.is_empty()).then_some(grant)
    }
}

/// What a request sets out with. Where an attempt ended without an answer a moment ago, its retries are reserved: after a reset there is no answer to
/// mark, and after a refused connection Envoy has asked for the next one before the attempt can be refused. Else it buys its
/// tickets on the way, if there are any to be had now.
pub(crate) fn tickets(
    plugin: &RetryBudget,
    rule: &str,
    budget: &Budget,
    most: u8,
    now: Monotonic,
) -> Host<Tickets<Grant>> {
    if budget.is_unanswered(now) {
        let draw = |_| Some(plugin.draw(rule, budget, 1, false, now)).filter(|grant| !grant.is_empty());
        return Ok(Tickets::reserved((0..most).map_while(draw).collect()));
    }
    let any = most > 0 && plugin.has_any(budget, now)?;
    Ok(Tickets::new(if any { most } else { 0 }))
}

/// From now on the attempts of this request find who pays.
pub(crate) fn open(stream: &Stream, paying: Paying) -> Host<Opened<Paying>> {
    PAYING.with(|open| open.open(stream, paying))
}

/// A hedge that the budget refuses would have to be answered, and with it the request that is still running.
pub(crate) fn forbid_hedging(request: &mut RequestHeaders) -> Host<()> {
    request.headers.set(HEDGE, "false")
}

impl Request {
    /// An attempt begins, among the upstream's filters. Where nobody said who pays, because the filter is missing in the listener's chain or
    /// its VM was replaced meanwhile, each retry pays for itself.
    pub(crate) fn begin_attempt(&mut self, request: &mut RequestHeaders, ordinal: u64) -> Host<Flow> {
        let plugin = self.plugin.clone();
        if let Some(paying) = PAYING.with(|open| open.of(request.stream()))? {
            let flow = paying.board(&plugin, ordinal, request)?;
            self.part = Part::Attempt { ordinal, paying };
            return Ok(flow);
        }
        if ordinal <= 1 {
            return Ok(Flow::Continue);
        }
        let headers = request.headers.block()?;
        let selected = plugin.envelope.select(request.stream(), &headers);
        let (rule, config, now) = (selected.rule, selected.config, request.stream().now()?);
        if config.enforcement != Enforcement::Attempt {
            return Ok(Flow::Continue);
        }
        match plugin.budget(rule, config, request.stream(), &headers, now)? {
            Some(budget) => {
                Paying::new(rule, config, &budget, Tickets::new(0)).board(&plugin, ordinal, request)
            }
            None => Ok(Flow::Continue),
        }
    }
}

impl Paying {
    fn board(&self, plugin: &RetryBudget, ordinal: u64, request: &mut RequestHeaders) -> Host<Flow> {
        let fare = self.tickets.borrow_mut().board(ordinal);
        if ordinal <= 1 {
            return Ok(Flow::Continue);
        }
        let now = request.stream().now()?;
        if fare == Fare::Paid {
            return Ok(Flow::Continue);
        }
        self.budget.unanswered.set(Some(now));
        if fare == Fare::Owed && self.buy(plugin, now).is_some() {
            self.tickets.borrow_mut().paid();
            return Ok(Flow::Continue);
        }
        self.tickets.borrow_mut().refuse();
        if plugin.envelope.mode != Mode::Enforce {
            return Ok(Flow::Continue);
        }
        // By now Envoy has asked for this attempt's connection, which may be all that a retry does to an upstream that refuses it.
        self.budget.owe(now);
        self.tickets.borrow_mut().turn_away();
        let grpc = request.headers.block()?.is_grpc();
        Ok(exhausted(self.exhausted_status, grpc).into())
    }
}

/// An attempt was answered. What Envoy would retry buys the next one's ticket; without one it is kept from it.
pub(crate) fn answered(
    plugin: &RetryBudget,
    ordinal: u64,
    paying: &Paying,
    response: &mut ResponseHeaders,
) -> Host<()> {
    let answer = response.headers.block()?;
    // An Envoy upstream has said it already: nothing is withdrawn for what will not be.
    let told = answer.first(RATELIMITED).is_some();
    if told || !paying.tickets.borrow().lacks(ordinal) || !paying.retried.has(&answer) {
        return Ok(());
    }
    if let Some(grant) = paying.buy(plugin, response.stream().now()?) {
        paying.tickets.borrow_mut().bought(grant);
        return Ok(());
    }
    paying.tickets.borrow_mut().refuse();
    if plugin.envelope.mode == Mode::Enforce {
        response.headers.set(RATELIMITED, "true")?;
    }
    Ok(())
}

/// The answer passes the listener's chain: whether callers are told not to retry is the operator's choice.
pub(crate) fn passed_on(plugin: &RetryBudget, paying: &Paying, response: &mut ResponseHeaders) -> Host<()> {
    let marked = plugin.envelope.mode == Mode::Enforce && paying.tickets.borrow().refused();
    if marked && !paying.propagate {
        response.headers.remove(RATELIMITED)?;
    }
    Ok(())
}

fn exhausted(status: u16, grpc: bool) -> Reply {
    let reply = Reply::new(status, "retry_budget.exhausted").header(RATELIMITED, "true");
    if grpc {
        reply.grpc(GrpcCode::Unavailable).body(&b"retry budget exhausted"[..])
    } else {
        reply.json_problem("retry budget exhausted")
    }
}
