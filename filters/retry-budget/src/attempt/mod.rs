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
use crate::config::{Config, Enforcement, Pushback};
use crate::ending::{self, RATELIMITED};
use crate::filter::{Part, Request, RetryBudget};
use crate::metrics::Denial;
use crate::pushback::Asked;
use crate::safety;
use crate::worker::Budget;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::{
    Flow, GrpcCode, HeaderBlock, Host, Mode, Monotonic, Name, Opened, PerRequest, Reply, RequestHeaders,
    ResponseHeaders, Stream, name, vm_local,
};

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
    /// The answer has our mark.
    marked: Cell<bool>,
    retried: Retried,
    exhausted_status: u16,
    pushback: Pushback,
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
            marked: Cell::new(false),
            retried: Retried { conflict, codes: config.status_codes.clone() },
            exhausted_status: config.exhausted_status,
            pushback: config.pushback,
        }
    }

    /// Whether the budget kept a retry from this request.
    pub(crate) fn was_refused(&self) -> bool {
        self.tickets.borrow().refused()
    }

    /// Whether an answer of it was marked, to keep Envoy from retrying.
    pub(crate) fn is_marked(&self) -> bool {
        self.marked.get()
    }

    pub(crate) fn settle(&self, attempts: u64) -> Settled<Grant> {
        self.tickets.borrow_mut().settle(attempts)
    }

    /// One retry of the budget, if there is one.
    fn buy(&self, plugin: &RetryBudget, now: Monotonic) -> Option<Grant> {
        let (grant, _) = plugin.draw(&self.rule, &self.budget, 1, now);
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
    if budget.was_unanswered_lately(now) {
        let draw = |_| Some(plugin.draw(rule, budget, 1, now).0).filter(|grant| !grant.is_empty());
        return Ok(Tickets::reserved((0..most).map_while(draw).collect(), most));
    }
    if most == 0 || budget.has_any(now)? {
        return Ok(Tickets::new(most));
    }
    plugin.deny(rule, Denial::Ratio, true);
    Ok(Tickets::none())
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
        if fare == Fare::Owed {
            self.budget.went_unanswered(now);
            if let Some(grant) = self.buy(plugin, now) {
                self.tickets.borrow_mut().paid(grant);
                return Ok(Flow::Continue);
            }
        }
        self.tickets.borrow_mut().refuse();
        if plugin.envelope.mode != Mode::Enforce {
            return Ok(Flow::Continue);
        }
        // By now Envoy has asked for this attempt's connection, which may be all that a retry does to an upstream that refuses it.
        self.budget.owe(now, &plugin.metrics);
        self.tickets.borrow_mut().turn_away();
        self.marked.set(true);
        let grpc = request.headers.block()?.is_grpc();
        Ok(exhausted(self.exhausted_status, grpc).into())
    }
}

/// An attempt was answered. What Envoy would retry buys the next one's ticket; without one, or where the upstream asks for time, Envoy is kept
/// from it. What the upstream asked for is heeded when the request is over: this is its answer then.
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
    let status = answer.status().map(u64::from);
    let asked = ending::asked(&paying.pushback, &answer, status, answer.is_grpc(), || None);
    if matches!(asked, Asked::Nothing | Asked::Wait(Duration::ZERO))
        && let Some(grant) = paying.buy(plugin, response.stream().now()?)
    {
        paying.tickets.borrow_mut().bought(grant);
        return Ok(());
    }
    paying.tickets.borrow_mut().refuse();
    if plugin.envelope.mode == Mode::Enforce {
        response.headers.set(RATELIMITED, "true")?;
        paying.marked.set(true);
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
