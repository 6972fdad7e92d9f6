//! `trace.proto`: spans.

use crate::attribute::{self, Attribute};
use crate::write::{Encoding, Field, Writer};

/// Where a span stands in its trace: W3C Trace Context Level 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanContext<'a> {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// Trace flags as they went on.
    pub flags: u8,
    pub trace_state: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Server = 2,
    Client = 3,
}

/// One span. Times are nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<'a> {
    pub context: SpanContext<'a>,
    /// `None` for a root
    pub parent: Option<[u8; 8]>,
    pub parent_is_remote: bool,
    pub name: &'a [u8],
    pub kind: Kind,
    pub start_ns: u64,
    pub end_ns: u64,
    pub attributes: &'a [Attribute<'a>],
    /// Other spans that led to this one
    pub links: &'a [SpanContext<'a>],
    /// Status `Error`; unset otherwise, as instrumentation leaves it (semantic conventions, "HTTP spans", "Status")
    pub is_error: bool,
}

const TRACE_ID: Field = Field(1, "traceId");
const SPAN_ID: Field = Field(2, "spanId");
const TRACE_STATE: Field = Field(3, "traceState");
const PARENT_SPAN_ID: Field = Field(4, "parentSpanId");
const NAME: Field = Field(5, "name");
const KIND: Field = Field(6, "kind");
const START: Field = Field(7, "startTimeUnixNano");
const END: Field = Field(8, "endTimeUnixNano");
const ATTRIBUTES: Field = Field(9, "attributes");
const LINKS: Field = Field(13, "links");
const STATUS: Field = Field(15, "status");
const FLAGS: Field = Field(16, "flags");
const LINK_FLAGS: Field = Field(6, "flags");
const CODE: Field = Field(3, "code");

const STATUS_ERROR: u32 = 2;
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

impl Span<'_> {
    #[must_use]
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        Writer::message_of(encoding, |to| self.write(to))
    }

    fn write(&self, to: &mut Writer) {
        self.context.write(to);
        to.id(PARENT_SPAN_ID, &self.parent.unwrap_or_default());
        to.text(NAME, self.name);
        to.small(KIND, self.kind as u32);
        to.fixed64(START, self.start_ns);
        to.fixed64(END, self.end_ns);
        attribute::write_all(to, ATTRIBUTES, self.attributes);
        to.messages(LINKS, self.links, |to, link| {
            link.write(to);
            // Of what led here a proxy knows by headers only.
            to.fixed32(LINK_FLAGS, u32::from(link.flags) | HAS_IS_REMOTE | IS_REMOTE);
        });
        if self.is_error {
            to.message(STATUS, |to| to.small(CODE, STATUS_ERROR));
        }
        let remote = if self.parent_is_remote { IS_REMOTE } else { 0 };
        to.fixed32(FLAGS, u32::from(self.context.flags) | HAS_IS_REMOTE | remote);
    }
}

impl SpanContext<'_> {
    fn write(&self, to: &mut Writer) {
        to.id(TRACE_ID, &self.trace_id);
        to.id(SPAN_ID, &self.span_id);
        to.text(TRACE_STATE, self.trace_state);
    }
}
