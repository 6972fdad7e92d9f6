//! One description of a message, two encodings: protobuf, and OTLP's JSON.

mod json;
mod protobuf;

pub(crate) use json::{push_hex, push_text as push_json_text};
pub(crate) use protobuf::{DELIMITED, push_key, push_varint, varint_len};

use crate::attribute::Value;
use crate::text::cut;

/// How messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Protobuf,
    /// Protobuf's JSON mapping as OTLP bends it: ids in hexadecimal digits, enums as numbers.
    Json,
}

impl Encoding {
    /// For `content-type`.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }
}

/// A field by its number and by its name in JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field(pub(crate) u8, pub(crate) &'static str);

/// A message as it grows. Fields are written in the order of their numbers, so that it is the only form of its content.
///
/// What a plain field is left out for is its default, as in proto3; the fields of a `oneof` say which it is, and are there always.
#[derive(Debug)]
pub(crate) struct Writer {
    encoding: Encoding,
    out: Vec<u8>,
}

impl Writer {
    /// The bytes of one message: in protobuf without the key and the length it has inside another.
    pub(crate) fn message_of(encoding: Encoding, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer { encoding, out: Vec::with_capacity(256) };
        writer.object(write);
        writer.out
    }

    fn object(&mut self, write: impl FnOnce(&mut Writer)) {
        match self.encoding {
            Encoding::Protobuf => write(self),
            Encoding::Json => {
                self.out.push(b'{');
                write(self);
                self.out.push(b'}');
            }
        }
    }

    /// The name of a field, behind a comma where something stands before it.
    #[inline(never)]
    fn name(&mut self, name: &str) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[')) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A string; bytes that are no UTF-8 as `\xNN`.
    pub(crate) fn text(&mut self, field: Field, value: &[u8]) {
        if !value.is_empty() {
            self.text_of_one(field, value);
        }
    }

    #[inline(never)]
    pub(crate) fn text_of_one(&mut self, field: Field, value: &[u8]) {
        match self.encoding {
            Encoding::Protobuf => self.delimited(field, |out| crate::text::push_utf8(out, value)),
            Encoding::Json => {
                self.name(field.1);
                json::push_text(&mut self.out, value);
            }
        }
    }

    /// Bytes that JSON has in hexadecimal digits.
    #[inline(never)]
    pub(crate) fn id(&mut self, field: Field, id: &[u8]) {
        if id.iter().all(|byte| *byte == 0) {
            return;
        }
        match self.encoding {
            Encoding::Protobuf => self.delimited(field, |out| out.extend_from_slice(id)),
            Encoding::Json => {
                self.name(field.1);
                self.out.push(b'"');
                json::push_hex(&mut self.out, id);
                self.out.push(b'"');
            }
        }
    }

    /// `fixed64`.
    pub(crate) fn fixed64(&mut self, field: Field, value: u64) {
        if value > 0 {
            self.wide(field, value, value);
        }
    }

    /// Eight bytes, and the number that JSON has in quotes.
    #[inline(never)]
    fn wide(&mut self, field: Field, bits: u64, number: u64) {
        match self.encoding {
            Encoding::Protobuf => {
                push_key(&mut self.out, field.0, protobuf::EIGHT_BYTES);
                self.out.extend_from_slice(&bits.to_le_bytes());
            }
            Encoding::Json => {
                self.name(field.1);
                json::push_quoted_number(&mut self.out, number);
            }
        }
    }

    #[inline(never)]
    pub(crate) fn fixed32(&mut self, field: Field, value: u32) {
        if value == 0 {
            return;
        }
        match self.encoding {
            Encoding::Protobuf => {
                push_key(&mut self.out, field.0, protobuf::FOUR_BYTES);
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Encoding::Json => {
                self.name(field.1);
                json::push_number(&mut self.out, value.into());
            }
        }
    }

    /// `uint32`, and enums.
    pub(crate) fn small(&mut self, field: Field, value: u32) {
        if value > 0 {
            self.varint(field, value.into(), |out| json::push_number(out, value.into()));
        }
    }

    /// `int64` of a `oneof`.
    pub(crate) fn int64_of_one(&mut self, field: Field, value: i64) {
        self.varint(field, value.cast_unsigned(), |out| {
            out.push(b'"');
            json::push_signed(out, value);
            out.push(b'"');
        });
    }

    pub(crate) fn bool_of_one(&mut self, field: Field, value: bool) {
        self.varint(field, value.into(), |out| {
            out.extend_from_slice(if value { b"true" } else { b"false" });
        });
    }

    fn varint(&mut self, field: Field, value: u64, json: impl FnOnce(&mut Vec<u8>)) {
        match self.encoding {
            Encoding::Protobuf => {
                push_key(&mut self.out, field.0, protobuf::VARINT);
                push_varint(&mut self.out, value);
            }
            Encoding::Json => {
                self.name(field.1);
                json(&mut self.out);
            }
        }
    }

    /// `double`, of thousandths, there always.
    #[inline(never)]
    pub(crate) fn thousandths_of_one(&mut self, field: Field, thousandths: u64) {
        match self.encoding {
            Encoding::Protobuf => {
                push_key(&mut self.out, field.0, protobuf::EIGHT_BYTES);
                self.out.extend_from_slice(&protobuf::double(thousandths));
            }
            Encoding::Json => {
                self.name(field.1);
                json::push_thousandths(&mut self.out, thousandths);
            }
        }
    }

    /// `repeated double`, packed.
    #[inline(never)]
    pub(crate) fn many_thousandths(&mut self, field: Field, values: &[u64]) {
        match self.encoding {
            Encoding::Protobuf if values.is_empty() => {}
            Encoding::Protobuf => self.delimited(field, |out| {
                for value in values {
                    out.extend_from_slice(&protobuf::double(*value));
                }
            }),
            Encoding::Json => self.array(field, values, |out, value| json::push_thousandths(out, *value)),
        }
    }

    /// `repeated fixed64`, packed.
    #[inline(never)]
    pub(crate) fn many_fixed64(&mut self, field: Field, values: &[u64]) {
        match self.encoding {
            Encoding::Protobuf if values.is_empty() => {}
            Encoding::Protobuf => self.delimited(field, |out| {
                for value in values {
                    out.extend_from_slice(&value.to_le_bytes());
                }
            }),
            Encoding::Json => self.array(field, values, |out, value| json::push_quoted_number(out, *value)),
        }
    }

    fn array(&mut self, field: Field, values: &[u64], push: impl Fn(&mut Vec<u8>, &u64)) {
        if values.is_empty() {
            return;
        }
        self.name(field.1);
        self.out.push(b'[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            push(&mut self.out, value);
        }
        self.out.push(b']');
    }

    pub(crate) fn message(&mut self, field: Field, write: impl FnOnce(&mut Writer)) {
        match self.encoding {
            Encoding::Protobuf => self.nested(field, write),
            Encoding::Json => {
                self.name(field.1);
                self.object(write);
            }
        }
    }

    /// A message for each; nothing where there is none.
    pub(crate) fn messages<T>(
        &mut self,
        field: Field,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Writer, T),
    ) {
        let mut items = items.into_iter().peekable();
        if self.encoding == Encoding::Protobuf {
            for item in items {
                self.nested(field, |writer| write(writer, item));
            }
            return;
        }
        if items.peek().is_none() {
            return;
        }
        self.name(field.1);
        self.out.push(b'[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.object(|writer| write(writer, item));
        }
        self.out.push(b']');
    }

    /// A name with a plain value, in JSON only.
    #[inline(never)]
    pub(crate) fn entry(&mut self, key: &[u8], value: Value<'_>) {
        if !matches!(self.out.last(), None | Some(b'{')) {
            self.out.push(b',');
        }
        json::push_text(&mut self.out, cut(key));
        self.out.push(b':');
        json::push_value(&mut self.out, value);
    }

    fn nested(&mut self, field: Field, write: impl FnOnce(&mut Writer)) {
        push_key(&mut self.out, field.0, protobuf::DELIMITED);
        let start = self.out.len();
        write(self);
        protobuf::put_length(&mut self.out, start);
    }

    fn delimited(&mut self, field: Field, write: impl FnOnce(&mut Vec<u8>)) {
        push_key(&mut self.out, field.0, protobuf::DELIMITED);
        let start = self.out.len();
        write(&mut self.out);
        protobuf::put_length(&mut self.out, start);
    }
}
