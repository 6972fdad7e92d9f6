//! From callbacks to the decisions and back: no arithmetic, no parsing. A request [comes](arrival) and is told how many retries it may have;
//! its answer may be [marked](ended), and when it is [over](ended) what it did not use goes back.

mod arrival;
mod ended;

use crate::attempt::{self, Paying};
use crate::config::{Config, DepositOn, Enforcement};
use crate::ending::Attributes;
use crate::keys::Keys;
use crate::metrics::{Denial, Metrics};
use crate::worker;
use arrival::{MAX_RETRIES, tell_the_next, wish};
use ended::Running;
use std::rc::Rc;
use wayside_sdk::{
    ConfigErrors, Envelope, Flow, Host, HttpFilter, Init, LogCx, Mode, Monotonic, Plugin, RequestHeaders,
    ResponseHeaders, Root, log, name,
};

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
