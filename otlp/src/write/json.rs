//! JSON as OTLP has it: one line, nothing but ASCII between the quotes that a terminal or a log shipper could stumble over.

use crate::attribute::Value;
use crate::text::{Piece, cut, pieces};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A string with its quotes. Control characters are escaped, the second set of them (U+0080 to U+009F) and DEL too, and the two
/// line separators that JavaScript knows; bytes that are no UTF-8 become `\\xNN`.
#[inline(never)]
pub(crate) fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for piece in pieces(text) {
        match piece {
            Piece::Byte(byte) => {
                out.extend_from_slice(b"\\\\x");
                push_hex(out, &[byte]);
            }
            Piece::Text(text) => push_characters(out, text),
        }
    }
    out.push(b'"');
}

fn push_characters(out: &mut Vec<u8>, text: &str) {
    let mut bytes = [0; 4];
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend_from_slice(&[b'\\', u32::from(character).to_le_bytes()[0]]),
            _ if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') => {
                let [low, high, ..] = u32::from(character).to_le_bytes();
                out.extend_from_slice(b"\\u");
                push_hex(out, &[high, low]);
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes()),
        }
    }
}

pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        for half in [byte >> 4, byte & 0xf] {
            out.extend(DIGITS.get(usize::from(half)));
        }
    }
}

#[inline(never)]
pub(super) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let start = out.len();
    loop {
        let digit = u8::try_from(number.rem_euclid(10)).unwrap_or(0);
        out.push(b'0'.saturating_add(digit));
        number = number.wrapping_div(10);
        if number == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

/// 64-bit numbers are text in protobuf's JSON.
pub(super) fn push_quoted_number(out: &mut Vec<u8>, number: u64) {
    out.push(b'"');
    push_number(out, number);
    out.push(b'"');
}

/// `1`, `0.005`, `12.5`: no zeros at the end.
pub(super) fn push_thousandths(out: &mut Vec<u8>, thousandths: u64) {
    push_number(out, thousandths.wrapping_div(1000));
    let mut rest = thousandths.rem_euclid(1000);
    if rest == 0 {
        return;
    }
    out.push(b'.');
    while rest > 0 {
        let (digit, behind) = (rest.wrapping_div(100), rest.rem_euclid(100));
        out.push(b'0'.saturating_add(u8::try_from(digit).unwrap_or(0)));
        rest = behind.saturating_mul(10);
    }
}

pub(super) fn push_signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push_number(out, number.unsigned_abs());
}

/// A value as a line of the log has it: numbers as numbers.
pub(super) fn push_value(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Text(text) => push_text(out, cut(text)),
        Value::Texts(texts) => {
            out.push(b'[');
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_text(out, cut(text));
            }
            out.push(b']');
        }
        Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Value::Int(value) => push_signed(out, value),
        Value::Thousandths(value) => push_thousandths(out, value),
        Value::Id(id) => {
            out.push(b'"');
            push_hex(out, id);
            out.push(b'"');
        }
    }
}
