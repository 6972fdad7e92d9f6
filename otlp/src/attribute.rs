//! Names with values (`common.proto`): of spans, log records, data points and resources.

use crate::text::cut;
use crate::write::{Field, Writer};

/// What is said of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    pub key: &'a [u8],
    pub value: Value<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Bytes as they came. No more than [`LONGEST_VALUE`](crate::LONGEST_VALUE) are told; those that are no UTF-8 as `\xNN`.
    Text(&'a [u8]),
    /// Several texts under one name: lines of a header.
    Texts(&'a [&'a [u8]]),
    Bool(bool),
    Int(i64),
    /// A fraction, in thousandths.
    Thousandths(u64),
    /// Told in hexadecimal digits.
    Id(&'a [u8]),
}

impl<'a> Attribute<'a> {
    #[must_use]
    pub fn new(key: &'a str, value: Value<'a>) -> Attribute<'a> {
        Attribute { key: key.as_bytes(), value }
    }
}

const KEY: Field = Field(1, "key");
const VALUE: Field = Field(2, "value");
const STRING: Field = Field(1, "stringValue");
const BOOL: Field = Field(2, "boolValue");
const INT: Field = Field(3, "intValue");
const DOUBLE: Field = Field(4, "doubleValue");
const ARRAY: Field = Field(5, "arrayValue");
const VALUES: Field = Field(1, "values");

pub(crate) fn write_all(to: &mut Writer, field: Field, attributes: &[Attribute<'_>]) {
    to.messages(field, attributes, |to, attribute| {
        to.text(KEY, cut(attribute.key));
        to.message(VALUE, |to| write_value(to, attribute.value));
    });
}

/// `AnyValue`.
pub(crate) fn write_value(to: &mut Writer, value: Value<'_>) {
    match value {
        Value::Text(text) => to.text_of_one(STRING, cut(text)),
        Value::Texts(texts) => to.message(ARRAY, |to| {
            to.messages(VALUES, texts, |to, text| to.text_of_one(STRING, cut(text)));
        }),
        Value::Bool(value) => to.bool_of_one(BOOL, value),
        Value::Int(value) => to.int64_of_one(INT, value),
        Value::Thousandths(value) => to.thousandths_of_one(DOUBLE, value),
        Value::Id(id) => {
            let mut digits = Vec::with_capacity(32);
            crate::write::push_hex(&mut digits, id);
            to.text_of_one(STRING, &digits);
        }
    }
}
