//! What becomes of the trace context on a request: kept as it came, carried on by a span of this proxy, or replaced by a new one.

pub mod extract;
pub mod inject;

pub use extract::{Carried, Found, Remote, extract};
pub use inject::{Edit, Onward};

use wayside_sdk::policy::Trust;

use crate::observation::Link;
use crate::trace::tracestate::TraceState;

/// In which headers a context is looked for, or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `traceparent`, `tracestate`
    TraceContext,
    /// `b3`; where that is missing, `x-b3-traceid` and the others
    B3,
    /// `x-b3-traceid` and the others
    B3Multi,
}

/// What this proxy is in a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// None of its hops: contexts in the grammar pass untouched.
    #[default]
    Pass,
    /// A hop: each request gets a span id of its own.
    Trace,
    /// A hop by another tracer in this Envoy, whose context is read when the request is over.
    Observe,
}

/// What to do with a context that is out of grammar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInvalid {
    /// Leave it to the next hop
    Pass,
    /// Start a new trace, as the specification asks of whoever takes part in one
    #[default]
    Restart,
}

/// What to do with a request that has no context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAbsent {
    #[default]
    Pass,
    Start,
}

/// What to do with a context that an untrusted peer sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Untrusted {
    #[default]
    Continue,
    /// Start a new trace, and link to the old one
    Restart,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propagation {
    pub role: Role,
    /// The first that holds a context decides
    pub extract: Vec<Format>,
    pub inject: Vec<Format>,
    pub on_invalid: OnInvalid,
    pub on_absent: OnAbsent,
    pub trust: Trust,
    pub untrusted: Untrusted,
    pub baggage: Baggage,
    /// The key of a member of ours in `tracestate`, which tells our span's id
    pub tracestate_key: Option<String>,
}

/// What becomes of `baggage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Baggage {
    /// It passes as it came.
    Untouched,
    /// Members out of grammar go, and those beyond the limits. `Some`: of untrusted peers only these keys pass.
    Checked { allow: Option<Vec<String>> },
}

impl Default for Propagation {
    fn default() -> Self {
        Self {
            role: Role::Pass,
            extract: vec![Format::TraceContext],
            inject: vec![Format::TraceContext],
            on_invalid: OnInvalid::default(),
            on_absent: OnAbsent::default(),
            trust: Trust::default(),
            untrusted: Untrusted::default(),
            baggage: Baggage::Untouched,
            tracestate_key: None,
        }
    }
}

/// What to do about what a request carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stance<'a> {
    /// Every header stays as it came
    Leave,
    /// `tracestate` goes, `traceparent` stays
    DropState,
    /// Go on with a span of ours in this trace
    Join(Remote, TraceState<'a>),
    /// Begin a trace
    Root(Option<Link>),
}

impl Propagation {
    /// Whether trace headers of this request count.
    pub fn trusts<'a>(&self, x_envoy_internal: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let is_boundary = self.untrusted == Untrusted::Restart
            || matches!(self.baggage, Baggage::Checked { allow: Some(_) });
        !is_boundary || self.trust.allows(x_envoy_internal)
    }

    /// What is done about what was found; where nothing is believed, nothing but a link is left of it.
    pub fn stance<'a>(&self, found: &mut Found<'a>, trusted: bool) -> Stance<'a> {
        if self.role == Role::Observe {
            return Stance::Leave;
        }
        if !trusted && self.untrusted == Untrusted::Restart && found.is_something() {
            found.forget_decision();
            found.carried = Carried::Untrusted;
            return Stance::Root(found.remote.map(Remote::link));
        }
        match (found.carried, self.role, self.on_invalid, self.on_absent) {
            (Carried::Invalid, _, OnInvalid::Pass, _) | (Carried::Absent, _, _, OnAbsent::Pass) => {
                Stance::Leave
            }
            (Carried::Invalid, _, OnInvalid::Restart, _) | (Carried::Absent, _, _, OnAbsent::Start) => {
                Stance::Root(None)
            }
            (Carried::BadState, Role::Pass, OnInvalid::Restart, _) => Stance::DropState,
            (_, Role::Pass, _, _) => Stance::Leave,
            (_, _, _, _) => match found.remote {
                Some(remote) => Stance::Join(remote, std::mem::take(&mut found.state)),
                // A decision without a trace.
                None => Stance::Root(None),
            },
        }
    }
}

#[cfg(test)]
mod tests;
