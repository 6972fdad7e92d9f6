//! What a request carried of a trace.

use wayside_sdk::{HeaderBlock, Name, Only, name};

use super::Format;
use crate::observation::Link;
use crate::trace::b3::{B3, NotB3};
use crate::trace::traceparent::TraceParent;
use crate::trace::tracestate::TraceState;

pub const TRACEPARENT: Name = name!("traceparent");
pub const TRACESTATE: Name = name!("tracestate");
pub const B3_SINGLE: Name = name!("b3");
pub const B3_TRACE: Name = name!("x-b3-traceid");
pub const B3_SPAN: Name = name!("x-b3-spanid");
pub const B3_PARENT: Name = name!("x-b3-parentspanid");
pub const B3_SAMPLED: Name = name!("x-b3-sampled");
pub const B3_FLAGS: Name = name!("x-b3-flags");

/// How it was with the context a request carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carried {
    #[default]
    Absent,
    Valid,
    /// A good `traceparent` with a bad `tracestate`
    BadState,
    Invalid,
    /// Of a peer that is not believed
    Untrusted,
}

impl Carried {
    /// The label `result` of `l7_trace_context_total`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Valid => "valid",
            Self::BadState => "bad_tracestate",
            Self::Invalid => "invalid",
            Self::Untrusted => "untrusted",
        }
    }
}

/// A caller's span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// As sent; bits this code does not know included.
    pub flags: u8,
}

impl Remote {
    pub const fn link(self) -> Link {
        Link { trace_id: self.trace_id, span_id: self.span_id, flags: self.flags }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found<'a> {
    pub carried: Carried,
    /// In which format it came.
    pub format: Option<Format>,
    pub remote: Option<Remote>,
    /// Empty unless a good one came with a good `traceparent`.
    pub state: TraceState<'a>,
    /// What the caller decided about sampling, if it did.
    pub decision: Option<bool>,
    /// B3: whoever else decides does not count.
    pub debug: bool,
}

impl Found<'_> {
    /// Whether a context, or a decision, was told.
    pub const fn is_something(&self) -> bool {
        self.remote.is_some() || self.decision.is_some()
    }

    pub const fn forget_decision(&mut self) {
        self.decision = None;
        self.debug = false;
    }
}

/// Looks for a context in these formats. The first that holds one decides; one that is broken says nothing.
pub fn extract<'a>(block: &'a HeaderBlock, formats: &[Format]) -> Found<'a> {
    let single_counts = formats.contains(&Format::B3);
    let mut is_broken = false;
    for format in formats {
        let found = match format {
            Format::TraceContext => trace_context(block),
            // Where both are there the single one counts.
            Format::B3 => b3_single(block).or_else(|| b3_multi(block)),
            Format::B3Multi if single_counts => b3_single(block).or_else(|| b3_multi(block)),
            Format::B3Multi => b3_multi(block),
        };
        match found {
            Some(Ok(found)) => return found,
            Some(Err(_)) => is_broken = true,
            None => {}
        }
    }
    Found { carried: if is_broken { Carried::Invalid } else { Carried::Absent }, ..Found::default() }
}

struct Broken;

impl From<NotB3> for Broken {
    fn from(_: NotB3) -> Broken {
        Broken
    }
}

fn trace_context(block: &HeaderBlock) -> Option<Result<Found<'_>, Broken>> {
    let parent = match block.only(TRACEPARENT) {
        Only::Missing => return None,
        Only::Many => return Some(Err(Broken)),
        Only::One(value) => match TraceParent::parse(value) {
            Ok(parent) => parent,
            Err(_) => return Some(Err(Broken)),
        },
    };
    let (carried, state) = match TraceState::parse(block.all(TRACESTATE)) {
        Ok(state) => (Carried::Valid, state),
        Err(_) => (Carried::BadState, TraceState::default()),
    };
    Some(Ok(Found {
        carried,
        format: Some(Format::TraceContext),
        remote: Some(Remote { trace_id: parent.trace_id, span_id: parent.parent_id, flags: parent.flags }),
        state,
        decision: Some(parent.flags & TraceParent::SAMPLED != 0),
        debug: false,
    }))
}

fn b3_single(block: &HeaderBlock) -> Option<Result<Found<'_>, Broken>> {
    match block.only(B3_SINGLE) {
        Only::Missing => None,
        Only::Many => Some(Err(Broken)),
        Only::One(value) => Some(B3::parse_single(value).map(found).map_err(Broken::from)),
    }
}

fn b3_multi(block: &HeaderBlock) -> Option<Result<Found<'_>, Broken>> {
    let mut values = [None; 4];
    for (value, name) in values.iter_mut().zip([B3_TRACE, B3_SPAN, B3_SAMPLED, B3_FLAGS]) {
        *value = match block.only(name) {
            Only::Missing => None,
            Only::One(value) => Some(value),
            Only::Many => return Some(Err(Broken)),
        };
    }
    let [trace, span, sampled, flags] = values;
    B3::parse_multi(trace, span, sampled, flags).map(|b3| b3.map(found)).map_err(Broken::from).transpose()
}

fn found<'a>(b3: B3) -> Found<'a> {
    let sampled = b3.decision.sampled();
    let flags = if sampled == Some(true) { TraceParent::SAMPLED } else { 0 };
    Found {
        carried: Carried::Valid,
        format: Some(Format::B3),
        remote: b3.ids.map(|(trace_id, span_id)| Remote { trace_id, span_id, flags }),
        state: TraceState::default(),
        decision: sampled,
        debug: b3.decision == crate::trace::b3::Decision::Debug,
    }
}
