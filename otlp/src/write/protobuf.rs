//! Protobuf's wire format, as far as OTLP's messages need it.

pub(super) const VARINT: u8 = 0;
pub(super) const EIGHT_BYTES: u8 = 1;
pub(crate) const DELIMITED: u8 = 2;
pub(super) const FOUR_BYTES: u8 = 5;

/// A field's number, below 32, and how its value stands there.
pub(crate) fn push_key(out: &mut Vec<u8>, number: u8, wire_type: u8) {
    push_varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

#[inline(never)]
pub(crate) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        let [low, ..] = value.to_le_bytes();
        out.push(low | 0x80);
        value >>= 7;
    }
    let [low, ..] = value.to_le_bytes();
    out.push(low);
}

/// How many bytes [`push_varint`] writes.
pub(crate) fn varint_len(value: usize) -> usize {
    let mut rest = value >> 7;
    let mut len = 1_usize;
    while rest > 0 {
        rest >>= 7;
        len = len.saturating_add(1);
    }
    len
}

/// Writes the length of what was written from `start` on, before it.
#[inline(never)]
pub(super) fn put_length(out: &mut Vec<u8>, start: usize) {
    let len = out.len().saturating_sub(start);
    push_varint(out, u64::try_from(len).unwrap_or(u64::MAX));
    if let Some(written) = out.get_mut(start..) {
        written.rotate_left(len);
    }
}

/// `f64::from` has no `u64`: both halves are exact, and the sum is rounded once below 2^53.
pub(super) fn double(thousandths: u64) -> [u8; 8] {
    #[expect(
        clippy::cast_precision_loss,
        reason = "sums beyond 2^53 thousandths are rounded, as doubles are"
    )]
    let number = thousandths as f64;
    (number / 1000.0).to_le_bytes()
}
