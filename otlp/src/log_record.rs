//! `logs.proto`: log records.

use crate::attribute::{self, Attribute, Value};
use crate::write::{Encoding, Field, Writer};

/// One record of the access log, at the severity `INFO`. Times are nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRecord<'a> {
    pub time_ns: u64,
    pub observed_ns: u64,
    /// Of a record that was `ERROR`
    pub is_error: bool,
    pub body: &'a [u8],
    pub attributes: &'a [Attribute<'a>],
    /// All zero where no trace passed
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub flags: u8,
}

const TIME: Field = Field(1, "timeUnixNano");
const SEVERITY: Field = Field(2, "severityNumber");
const SEVERITY_TEXT: Field = Field(3, "severityText");
const BODY: Field = Field(5, "body");
const ATTRIBUTES: Field = Field(6, "attributes");
const FLAGS: Field = Field(8, "flags");
const TRACE_ID: Field = Field(9, "traceId");
const SPAN_ID: Field = Field(10, "spanId");
const OBSERVED: Field = Field(11, "observedTimeUnixNano");

const INFO: u32 = 9;
const ERROR: u32 = 17;

impl LogRecord<'_> {
    #[must_use]
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        Writer::message_of(encoding, |to| self.write(to))
    }

    fn write(&self, to: &mut Writer) {
        let (number, text) = if self.is_error { (ERROR, "ERROR") } else { (INFO, "INFO") };
        to.fixed64(TIME, self.time_ns);
        to.small(SEVERITY, number);
        to.text(SEVERITY_TEXT, text.as_bytes());
        if !self.body.is_empty() {
            to.message(BODY, |to| attribute::write_value(to, Value::Text(self.body)));
        }
        attribute::write_all(to, ATTRIBUTES, self.attributes);
        to.fixed32(FLAGS, self.flags.into());
        to.id(TRACE_ID, &self.trace_id);
        to.id(SPAN_ID, &self.span_id);
        to.fixed64(OBSERVED, self.observed_ns);
    }
}

/// A line of JSON: names with values, and nothing nested but several texts under one name.
#[must_use]
pub fn line(attributes: &[Attribute<'_>]) -> Vec<u8> {
    Writer::message_of(Encoding::Json, |to| {
        for attribute in attributes {
            to.entry(attribute.key, attribute.value);
        }
    })
}
