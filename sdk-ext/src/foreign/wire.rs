//! The little of protobuf that Envoy's foreign functions and gRPC calls speak: fields of bytes and of small numbers.

/// A field of bytes.
pub(crate) fn push_bytes(to: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    to.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        let [low, ..] = length.to_le_bytes();
        to.push(low | 0x80);
        length >>= 7;
    }
    let [low, ..] = length.to_le_bytes();
    to.push(low);
    to.extend_from_slice(bytes);
}

/// A field of a number below 128.
pub(crate) fn push_small(to: &mut Vec<u8>, number: u8, value: u8) {
    to.extend_from_slice(&[number << 3, value & 0x7f]);
}

/// What stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Takes the next field, with its number. `None` at the end, and for what is not of these messages.
pub(crate) fn next<'a>(message: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let key = varint(message)?;
    let field = match key & 7 {
        0 => Field::Number(varint(message)?),
        2 => {
            let length = varint(message)?.try_into().ok()?;
            let (bytes, rest) = message.split_at_checked(length)?;
            *message = rest;
            Field::Bytes(bytes)
        }
        _ => return None,
    };
    Some((key >> 3, field))
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(number in 1_u8..16, bytes: Vec<u8>, small in 0_u8..128) {
            let mut message = Vec::new();
            push_bytes(&mut message, number, &bytes);
            push_small(&mut message, number, small);
            let mut rest = &message[..];
            prop_assert_eq!(next(&mut rest), Some((number.into(), Field::Bytes(&bytes))));
            prop_assert_eq!(next(&mut rest), Some((number.into(), Field::Number(small.into()))));
            prop_assert_eq!(next(&mut rest), None);
        }

        #[test]
        fn whatever_bytes_come_it_ends(bytes: Vec<u8>) {
            let mut rest = &bytes[..];
            let fields = std::iter::from_fn(|| next(&mut rest)).count();
            prop_assert!(fields <= bytes.len());
        }
    }

    #[test]
    fn long_bytes_have_a_long_length() {
        let mut message = Vec::new();
        push_bytes(&mut message, 1, &[7; 300]);
        assert_eq!(message.get(..4), Some(&[0x0a, 0xac, 0x02, 7][..]));
    }
}
