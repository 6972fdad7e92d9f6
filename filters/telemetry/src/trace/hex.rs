//! Lower-case hexadecimal digits, without the standard library's formatting: it is on the way of every request.

/// The bytes these digits say. `None` for another number of digits, and for any that is not of `0-9a-f`.
pub fn decode<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte & 0x0F),
        b'a'..=b'f' => Some((byte & 0x0F).saturating_add(9)),
        _ => None,
    }
}

/// Puts the digits of these bytes behind what is there.
pub fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.extend_from_slice(&[written(byte >> 4), written(byte & 0x0F)]);
    }
}

/// The digit of a nibble.
pub const fn written(nibble: u8) -> u8 {
    match nibble {
        0..=9 => nibble | b'0',
        _ => nibble.wrapping_sub(10).wrapping_add(b'a'),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes: [u8; 8]) {
            let mut out = Vec::new();
            push(&mut out, &bytes);
            let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(&out, expected.as_bytes());
            prop_assert_eq!(decode::<8>(&out), Some(bytes));
        }

        #[test]
        fn any_other_text_is_none(text in "[0-9a-fA-F.]{0,6}") {
            let right = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            prop_assert_eq!(decode::<2>(text.as_bytes()).is_some(), right);
        }
    }
}
