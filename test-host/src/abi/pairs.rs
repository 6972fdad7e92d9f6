//! The wire form of header maps and other lists of pairs.
//!
//! Little-endian: `u32` count; then for each pair its name's and its value's `u32` length; then each name and value, each
//! followed by a NUL.

use bytes::Bytes;

use crate::message::HeaderMap;

/// Envoy refuses longer input (`proxy-wasm-cpp-host` limits).
const BYTES_MAX: usize = 1024 * 1024;
/// Envoy refuses more pairs.
const PAIRS_MAX: usize = 1024;

pub(crate) fn encode<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let (count, bytes) = pairs
        .clone()
        .fold((0usize, 0usize), |(count, bytes), (n, v)| (count + 1, bytes + n.len() + v.len() + 2));
    let mut out = Vec::with_capacity(4 + count * 8 + bytes);
    out.extend_from_slice(&(count as u32).to_le_bytes());
    for (name, value) in pairs.clone() {
        out.extend_from_slice(&(name.len() as u32).to_le_bytes());
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
    out
}

pub(crate) fn encode_map(map: &HeaderMap) -> Vec<u8> {
    encode(map.iter().map(|h| (&h.name[..], &h.value[..])))
}

/// What a guest wrote is not a list of pairs; says at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a list of pairs: {what} at byte {at}")]
pub struct PairsError {
    pub what: &'static str,
    pub at: usize,
}

pub(crate) fn decode(input: &Bytes) -> Result<Vec<(Bytes, Bytes)>, PairsError> {
    let fail = |what, at| Err(PairsError { what, at });
    if input.is_empty() {
        return Ok(Vec::new());
    }
    if input.len() > BYTES_MAX {
        return fail("longer than 1 MiB", BYTES_MAX);
    }
    let Some(count) = word(input, 0) else {
        return fail("no count", 0);
    };
    if count > PAIRS_MAX {
        return fail("more than 1024 pairs", 0);
    }
    let mut at = 4 + count * 8;
    let mut pairs = Vec::with_capacity(count);
    for pair in 0..count {
        let lengths = 4 + pair * 8;
        let (Some(name), Some(value)) = (word(input, lengths), word(input, lengths + 4)) else {
            return fail("lengths cut short", lengths);
        };
        let name = terminated(input, &mut at, name)?;
        let value = terminated(input, &mut at, value)?;
        pairs.push((name, value));
    }
    if at == input.len() { Ok(pairs) } else { fail("bytes behind the last pair", at) }
}

fn word(input: &[u8], at: usize) -> Option<usize> {
    let bytes = input.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
}

fn terminated(input: &Bytes, at: &mut usize, len: usize) -> Result<Bytes, PairsError> {
    let start = *at;
    match start.checked_add(len).and_then(|end| input.get(end).map(|byte| (end, *byte))) {
        Some((end, 0)) => {
            *at = end + 1;
            Ok(input.slice(start..end))
        }
        Some((end, _)) => Err(PairsError { what: "no NUL behind a name or value", at: end }),
        None => Err(PairsError { what: "name or value cut short", at: start }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(pairs in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..20)) {
            let wire = Bytes::from(encode(pairs.iter().map(|(n, v)| (&n[..], &v[..]))));
            let back: Vec<_> = decode(&wire).unwrap().into_iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
            prop_assert_eq!(back, pairs);
        }

        #[test]
        fn no_bytes_can_make_the_decoder_panic(wire in any::<Vec<u8>>()) {
            let _ = decode(&Bytes::from(wire));
        }
    }

    #[test]
    fn a_pair_cut_short_is_refused_with_its_place() {
        let wire = Bytes::from_static(b"\x01\0\0\0\x01\0\0\0\x05\0\0\0a\0bc");
        assert_eq!(
            decode(&wire).unwrap_err().to_string(),
            "not a list of pairs: name or value cut short at byte 14"
        );
    }
}
