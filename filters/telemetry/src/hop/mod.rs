//! A request's place in its trace: the span this proxy makes of it, and whether it is sampled.

use crate::observation::{Link, SpanIds};
use crate::propagation::inject::State;
use crate::propagation::{Carried, Format, Found, Onward, Stance};
use crate::sampling::{Asked, Decision, Sampler};
use crate::trace::ot::OtState;
use crate::trace::threshold::Randomness;
use crate::trace::traceparent::TraceParent;
use crate::trace::tracestate::TraceState;
use crate::trace::{hex, ids};

/// The member of `tracestate` that is OpenTelemetry's.
const OT: &[u8] = b"ot";

/// The span made of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_id: Option<[u8; 8]>,
    pub flags: u8,
    pub debug: bool,
    pub link: Option<Link>,
    pub verdict: Verdict,
    /// `tracestate` as it goes on, and whether it came so.
    state: Vec<u8>,
    state_came: bool,
}

/// What became of the request in sampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Sampled,
    Dropped,
    /// It was to be sampled, but too many were.
    Limited,
}

impl Verdict {
    /// The label `sampling` of `l7_trace_context_total`.
    pub const fn label(self) -> &'static str {
        match self {
            Verdict::Sampled => "sampled",
            Verdict::Dropped => "dropped",
            Verdict::Limited => "rate_limited",
        }
    }
}

/// Random bytes for ids.
pub trait Draw<E> {
    /// # Errors
    /// There are none to be had.
    fn span(&mut self) -> Result<[u8; 8], E>;
    /// # Errors
    /// There are none to be had.
    fn trace(&mut self) -> Result<[u8; 16], E>;
}

/// Whoever decides how much is sampled.
#[expect(missing_debug_implementations, reason = "it borrows a closure")]
pub struct Choice<'a> {
    /// `None`: nothing is sampled here.
    pub sampler: Option<Sampler>,
    /// Asked for each request that is to be sampled.
    pub is_within_limit: &'a mut dyn FnMut() -> bool,
    /// The key of a member of ours in `tracestate`.
    pub tracestate_key: Option<&'a str>,
}

impl Hop {
    /// The span of a request, if it gets one.
    ///
    /// # Errors
    /// There is no randomness for its ids.
    pub fn next<'a, E>(
        found: &Found<'a>,
        stance: Stance<'a>,
        draw: &mut impl Draw<E>,
        choice: &mut Choice<'a>,
    ) -> Result<Option<Hop>, E> {
        let (trace_id, parent_id, known, link, mut state) = match stance {
            Stance::Leave | Stance::DropState => return Ok(None),
            Stance::Join(remote, state) => {
                (remote.trace_id, Some(remote.span_id), remote.flags & TraceParent::RANDOM, None, state)
            }
            Stance::Root(link) => {
                (ids::trace(draw.trace()?), None, TraceParent::RANDOM, link, TraceState::default())
            }
        };
        let span_id = ids::span(draw.span()?);
        let as_it_came = parent_id.is_some()
            && found.carried == Carried::Valid
            && found.format == Some(Format::TraceContext);
        let (decision, verdict) = choice.sample(found, trace_id, &mut state);
        if let (Some(key), true) = (choice.tracestate_key, choice.sampler.is_some()) {
            let mut value = Vec::with_capacity(16);
            hex::push(&mut value, &span_id);
            state.set(key.as_bytes(), Some(value));
        }
        let state_came = as_it_came && !state.is_changed();
        let flags = known | if decision.sampled { TraceParent::SAMPLED } else { 0 };
        Ok(Some(Hop {
            trace_id,
            span_id,
            parent_id,
            flags,
            debug: found.debug,
            link,
            verdict,
            // What came and is told nowhere is not written down.
            state: if state_came && !decision.sampled { Vec::new() } else { state.to_field() },
            state_came,
        }))
    }

    pub fn is_sampled(&self) -> bool {
        self.verdict == Verdict::Sampled
    }

    /// What the next hop is told.
    pub fn onward(&self) -> Onward<'_> {
        Onward {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_id: self.parent_id,
            flags: self.flags,
            debug: self.debug,
            state: if self.state_came { State::AsItCame } else { State::Field(&self.state) },
        }
    }

    /// What an attempt of this request tells the upstream: it is this span's child.
    pub fn onward_of_attempt(&self, span_id: [u8; 8]) -> Onward<'_> {
        // The request has this span's `tracestate` by now.
        Onward { span_id, parent_id: Some(self.span_id), state: State::AsItCame, ..self.onward() }
    }

    pub fn ids(&self) -> SpanIds<'_> {
        SpanIds {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_id: self.parent_id,
            parent_is_remote: true,
            flags: self.flags,
            tracestate: &self.state,
        }
    }
}

impl Choice<'_> {
    /// Decides, and has `tracestate` say it.
    fn sample(
        &mut self,
        found: &Found<'_>,
        trace_id: [u8; 16],
        state: &mut TraceState<'_>,
    ) -> (Decision, Verdict) {
        let Some(sampler) = self.sampler else {
            return (Decision { sampled: false, th: None }, Verdict::Dropped);
        };
        let value = state.get(OT).map(<[u8]>::to_vec);
        let ot = value.as_deref().map(OtState::parse).unwrap_or_default();
        let asked = Asked {
            parent: found.decision,
            debug: found.debug,
            randomness: ot.rv.unwrap_or_else(|| Randomness::of_trace(trace_id)),
            th: ot.th,
        };
        let mut decision = sampler.decide(asked);
        let verdict = match decision.sampled {
            false => Verdict::Dropped,
            true if (self.is_within_limit)() => Verdict::Sampled,
            true => {
                decision = decision.limited();
                Verdict::Limited
            }
        };
        if ot.differs(decision.th) {
            state.set(OT, ot.with(decision.th));
        }
        (decision, verdict)
    }
}

#[cfg(test)]
mod tests;
