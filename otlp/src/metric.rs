//! `metrics.proto`: histograms of delta temporality.

use crate::attribute::{self, Attribute};
use crate::write::{Encoding, Field, Writer};

/// What was measured since it was last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric<'a> {
    pub name: &'a str,
    /// `s`, `By`
    pub unit: &'a str,
    /// Nanoseconds since the epoch
    pub start_ns: u64,
    pub end_ns: u64,
    /// Upper edges of the buckets but the last, in thousandths of the unit
    pub edges: &'a [u64],
    pub points: &'a [Buckets<'a>],
}

/// One data point: what was measured with the same attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets<'a> {
    pub attributes: &'a [Attribute<'a>],
    /// One more than there are edges
    pub counts: &'a [u64],
    /// In thousandths of the unit
    pub sum: u64,
    pub exemplars: &'a [Exemplar],
}

/// A measurement with the span it was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// In thousandths of the unit
    pub value: u64,
    pub time_ns: u64,
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
}

const NAME: Field = Field(1, "name");
const UNIT: Field = Field(3, "unit");
const HISTOGRAM: Field = Field(9, "histogram");
const DATA_POINTS: Field = Field(1, "dataPoints");
const TEMPORALITY: Field = Field(2, "aggregationTemporality");
const START: Field = Field(2, "startTimeUnixNano");
const TIME: Field = Field(3, "timeUnixNano");
const COUNT: Field = Field(4, "count");
const SUM: Field = Field(5, "sum");
const BUCKET_COUNTS: Field = Field(6, "bucketCounts");
const EXPLICIT_BOUNDS: Field = Field(7, "explicitBounds");
const EXEMPLARS: Field = Field(8, "exemplars");
const ATTRIBUTES: Field = Field(9, "attributes");
const EXEMPLAR_TIME: Field = Field(2, "timeUnixNano");
const EXEMPLAR_VALUE: Field = Field(3, "asDouble");
const EXEMPLAR_SPAN: Field = Field(4, "spanId");
const EXEMPLAR_TRACE: Field = Field(5, "traceId");

const DELTA: u32 = 1;

impl Metric<'_> {
    #[must_use]
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        Writer::message_of(encoding, |to| self.write(to))
    }

    fn write(&self, to: &mut Writer) {
        to.text(NAME, self.name.as_bytes());
        to.text(UNIT, self.unit.as_bytes());
        to.message(HISTOGRAM, |to| {
            to.messages(DATA_POINTS, self.points, |to, point| self.write_point(to, point));
            to.small(TEMPORALITY, DELTA);
        });
    }

    fn write_point(&self, to: &mut Writer, point: &Buckets<'_>) {
        to.fixed64(START, self.start_ns);
        to.fixed64(TIME, self.end_ns);
        to.fixed64(COUNT, point.counts.iter().fold(0, |sum, count| sum.saturating_add(*count)));
        to.thousandths_of_one(SUM, point.sum);
        to.many_fixed64(BUCKET_COUNTS, point.counts);
        to.many_thousandths(EXPLICIT_BOUNDS, self.edges);
        to.messages(EXEMPLARS, point.exemplars, |to, exemplar| {
            to.fixed64(EXEMPLAR_TIME, exemplar.time_ns);
            to.thousandths_of_one(EXEMPLAR_VALUE, exemplar.value);
            to.id(EXEMPLAR_SPAN, &exemplar.span_id);
            to.id(EXEMPLAR_TRACE, &exemplar.trace_id);
        });
        attribute::write_all(to, ATTRIBUTES, point.attributes);
    }
}
