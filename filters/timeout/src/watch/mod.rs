//! What of a stream runs out next, as it goes through its phases. No clock, no host.

use std::time::Duration;
use wayside_sdk::Monotonic;

/// Limits of their own for parts of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// From the request's headers to its last byte.
    pub upload: Option<Duration>,
    /// Between two pieces of the request.
    pub request_idle: Option<Duration>,
    /// From the request's last byte to the answer's headers.
    pub first_byte: Option<Duration>,
    /// Between two pieces of the answer, its headers included.
    pub response_idle: Option<Duration>,
    /// All of it.
    pub total: Option<Duration>,
}

impl Phases {
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Phases::default()
    }
}

/// Which limit a stream ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The deadline, while the client was still sending.
    Request,
    /// The deadline, while the answer was awaited.
    Upstream,
    /// The deadline, while the answer came.
    Response,
    Upload,
    RequestIdle,
    FirstByte,
    ResponseIdle,
    Total,
}

impl Limit {
    /// The value of the label `phase`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Limit::Request => "request",
            Limit::Upstream => "upstream",
            Limit::Response => "response",
            Limit::Upload => "request_headers_to_body_end",
            Limit::RequestIdle => "request_idle",
            Limit::FirstByte => "first_byte",
            Limit::ResponseIdle => "response_idle",
            Limit::Total => "total",
        }
    }

    /// What the answer's details say.
    #[must_use]
    pub const fn details(self) -> &'static str {
        match self {
            Limit::Request | Limit::Upstream | Limit::Response => "timeout.deadline",
            Limit::Upload => "timeout.request_headers_to_body_end",
            Limit::RequestIdle => "timeout.request_idle",
            Limit::FirstByte => "timeout.first_byte",
            Limit::ResponseIdle => "timeout.response_idle",
            Limit::Total => "timeout.total",
        }
    }
}

/// One stream, as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    pub phases: Phases,
    pub arrived: Monotonic,
    pub deadline: Option<Monotonic>,
    /// Whether the deadline holds for an answer that has begun, too.
    pub hard: bool,
    /// How long the router is left to keep the deadline itself once it has the whole request: what it ends counts as a timeout for
    /// its statistics and for outlier detection, what a filter ends does not.
    pub grace: Duration,
    /// When the client last sent something.
    pub sent: Monotonic,
    /// Whether it has sent everything.
    pub uploaded: bool,
    /// When something of the answer last came.
    pub answered: Option<Monotonic>,
    /// Whether all of it has passed: there is nothing left to end.
    pub over: bool,
}

impl Watch {
    #[must_use]
    pub fn new(phases: Phases, arrived: Monotonic, deadline: Option<Monotonic>) -> Watch {
        Watch {
            phases,
            arrived,
            deadline,
            hard: false,
            grace: Duration::ZERO,
            sent: arrived,
            uploaded: false,
            answered: None,
            over: false,
        }
    }

    /// The stream is one that neither `timeout` nor `total` is for; the callers' own deadline stays.
    pub fn exempt(&mut self, callers: Option<Monotonic>) {
        self.deadline = callers;
        self.phases.total = None;
    }

    /// What runs out next, and when. `None` once nothing can.
    #[must_use]
    pub fn next(&self) -> Option<(Monotonic, Limit)> {
        if self.over {
            return None;
        }
        let after = |from: Monotonic, limit: Option<Duration>| limit.map(|limit| from.plus(limit));
        let total = (after(self.arrived, self.phases.total), Limit::Total);
        let limits = match (self.answered, self.uploaded) {
            (Some(last), _) => [
                (self.deadline.filter(|_| self.hard), Limit::Response),
                (after(last, self.phases.response_idle), Limit::ResponseIdle),
                (None, Limit::Total),
                total,
            ],
            (None, true) => [
                (self.deadline.map(|deadline| deadline.plus(self.grace)), Limit::Upstream),
                (after(self.sent, self.phases.first_byte), Limit::FirstByte),
                (None, Limit::Total),
                total,
            ],
            (None, false) => [
                (self.deadline, Limit::Request),
                (after(self.arrived, self.phases.upload), Limit::Upload),
                (after(self.sent, self.phases.request_idle), Limit::RequestIdle),
                total,
            ],
        };
        let set = limits.into_iter().filter_map(|(when, limit)| Some((when?, limit)));
        set.min_by_key(|(when, _)| *when)
    }

    /// The limit that has run out by now.
    #[must_use]
    pub fn due(&self, now: Monotonic) -> Option<Limit> {
        self.next().filter(|(when, _)| *when <= now).map(|(_, limit)| limit)
    }
}

#[cfg(test)]
mod tests;
