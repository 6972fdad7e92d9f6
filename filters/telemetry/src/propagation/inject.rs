//! What the upstream is told of the trace.

use wayside_sdk::{HeaderBlock, Name, name};

use super::extract::{
    B3_FLAGS, B3_PARENT, B3_SAMPLED, B3_SINGLE, B3_SPAN, B3_TRACE, TRACEPARENT, TRACESTATE,
};
use super::{Baggage, Format, Propagation};
use crate::trace::b3::{B3, Decision};
use crate::trace::traceparent::TraceParent;
use crate::trace::{baggage, hex};

const BAGGAGE: Name = name!("baggage");

/// One change of the request's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Every line of this name is replaced by one.
    Set(Name, &'a [u8]),
    Remove(Name),
}

/// Our span, as the next hop is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Onward<'a> {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_id: Option<[u8; 8]>,
    pub flags: u8,
    pub debug: bool,
    /// What `tracestate` is to be.
    pub state: State<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State<'a> {
    AsItCame,
    /// Empty: there shall be none.
    Field(&'a [u8]),
}

impl Onward<'_> {
    fn decision(&self) -> Decision {
        match (self.debug, self.flags & TraceParent::SAMPLED) {
            (true, _) => Decision::Debug,
            (false, 0) => Decision::Deny,
            (false, _) => Decision::Accept,
        }
    }
}

impl Propagation {
    fn tells(&self, format: Format) -> bool {
        self.inject.contains(&format)
    }

    /// Makes the request tell of our span in every format that is to be told, and in no other that was looked for: what stands in those is
    /// another hop's. As few edits as will do.
    ///
    /// # Errors
    /// The first edit that failed.
    pub fn inject<E>(
        &self,
        block: &HeaderBlock,
        onward: &Onward<'_>,
        edit: &mut dyn FnMut(Edit<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let has = |name: Name| block.first(name).is_some();
        let read_b3 = self.extract.iter().chain(&self.inject).any(|format| *format != Format::TraceContext);
        if self.tells(Format::TraceContext) {
            let parent =
                TraceParent { trace_id: onward.trace_id, parent_id: onward.span_id, flags: onward.flags };
            edit(Edit::Set(TRACEPARENT, &parent.to_text()))?;
            match onward.state {
                State::Field(field @ [_, ..]) => edit(Edit::Set(TRACESTATE, field))?,
                State::Field([]) if has(TRACESTATE) => edit(Edit::Remove(TRACESTATE))?,
                State::Field([]) | State::AsItCame => {}
            }
        } else if self.extract.contains(&Format::TraceContext) {
            for name in [TRACEPARENT, TRACESTATE] {
                if has(name) {
                    edit(Edit::Remove(name))?;
                }
            }
        }
        if !read_b3 {
            return Ok(());
        }
        if self.tells(Format::B3) {
            let value = B3::to_single(onward.trace_id, onward.span_id, onward.decision(), onward.parent_id);
            edit(Edit::Set(B3_SINGLE, &value))?;
        } else if has(B3_SINGLE) {
            edit(Edit::Remove(B3_SINGLE))?;
        }
        self.inject_multi(&has, onward, edit)
    }

    fn inject_multi<E>(
        &self,
        has: &dyn Fn(Name) -> bool,
        onward: &Onward<'_>,
        edit: &mut dyn FnMut(Edit<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let digits = |id: &[u8]| {
            let mut text = Vec::with_capacity(32);
            hex::push(&mut text, id);
            Some(text)
        };
        let mut values = [const { None }; 5];
        if self.tells(Format::B3Multi) {
            let (sampled, flags) = match onward.decision() {
                // Debug says accept itself: the other header is not to be sent then.
                Decision::Debug => (None, Some(b"1".to_vec())),
                Decision::Accept => (Some(b"1".to_vec()), None),
                Decision::Deny | Decision::Defer => (Some(b"0".to_vec()), None),
            };
            let parent = onward.parent_id.and_then(|parent| digits(&parent));
            values = [digits(&onward.trace_id), digits(&onward.span_id), parent, sampled, flags];
        }
        for (name, value) in [B3_TRACE, B3_SPAN, B3_PARENT, B3_SAMPLED, B3_FLAGS].into_iter().zip(values) {
            match value {
                Some(value) => edit(Edit::Set(name, &value))?,
                None if has(name) => edit(Edit::Remove(name))?,
                None => {}
            }
        }
        Ok(())
    }

    /// Takes away what of `baggage` may not pass.
    ///
    /// # Errors
    /// The edit failed.
    pub fn check_baggage<E>(
        &self,
        block: &HeaderBlock,
        trusted: bool,
        edit: &mut dyn FnMut(Edit<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Baggage::Checked { allow } = &self.baggage else { return Ok(()) };
        if block.first(BAGGAGE).is_none() {
            return Ok(());
        }
        let may_pass = |key: &[u8]| {
            trusted
                || allow.as_ref().is_none_or(|allow| allow.iter().any(|allowed| allowed.as_bytes() == key))
        };
        let lines: Vec<_> = block.all(BAGGAGE).collect();
        match baggage::passed_on(lines.into_iter(), may_pass).as_deref() {
            None => Ok(()),
            Some([]) => edit(Edit::Remove(BAGGAGE)),
            Some(field) => edit(Edit::Set(BAGGAGE, field)),
        }
    }
}
