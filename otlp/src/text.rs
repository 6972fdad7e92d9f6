//! Bytes of strangers as text: nothing is lost, and nothing is taken for what it is not.

use std::fmt;

/// Bytes kept of a value that came from outside.
pub const LONGEST_VALUE: usize = 256;

/// A run of UTF-8, or a byte that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    Byte(u8),
}

pub(crate) fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    bytes.utf8_chunks().flat_map(|chunk| {
        std::iter::once(Piece::Text(chunk.valid()))
            .chain(chunk.invalid().iter().map(|byte| Piece::Byte(*byte)))
    })
}

/// With bytes that are no UTF-8 as `\xNN`.
#[inline(never)]
pub(crate) fn push_utf8(out: &mut Vec<u8>, bytes: &[u8]) {
    for piece in pieces(bytes) {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Byte(byte) => {
                out.extend_from_slice(b"\\x");
                for half in [byte >> 4, byte & 0xf] {
                    out.push(if half < 10 { b'0'.saturating_add(half) } else { b'W'.saturating_add(half) });
                }
            }
        }
    }
}

/// The first [`LONGEST_VALUE`] bytes, and none of a character that would be cut.
#[must_use]
pub(crate) fn cut(bytes: &[u8]) -> &[u8] {
    let Some(head) = bytes.get(..LONGEST_VALUE).filter(|_| bytes.len() > LONGEST_VALUE) else { return bytes };
    let is_inside = |byte: &u8| byte & 0xc0 == 0x80;
    if !bytes.get(LONGEST_VALUE).is_some_and(is_inside) {
        return head;
    }
    // At most three bytes before the cut belong to the character it goes through.
    let begun = head.iter().rev().take(3).position(|byte| !is_inside(byte) && *byte >= 0xc0);
    match begun {
        Some(back) => head.get(..head.len().saturating_sub(back).saturating_sub(1)).unwrap_or(head),
        None => head,
    }
}

/// Bytes to be shown to a person: as a JSON string has them, without its quotes.
#[derive(Clone, Copy, Debug)]
pub struct Printed<'a>(pub &'a [u8]);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        crate::write::push_json_text(&mut out, cut(self.0));
        let text = String::from_utf8(out).unwrap_or_default();
        f.write_str(text.trim_matches('"'))
    }
}
