//! Signatures made and verified by Envoy's own cryptography, at no cost in the module.

use super::wire::{self, Field};
use crate::hostcalls::{self, Host};

/// What is signed is a hash of the text. SHA-1, which Envoy also knows, is left out: it is no protection any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn name(self) -> &'static [u8] {
        match self {
            Hash::Sha224 => b"sha224",
            Hash::Sha256 => b"sha256",
            Hash::Sha384 => b"sha384",
            Hash::Sha512 => b"sha512",
        }
    }
}

/// Whether this is the key's signature of this text: RSA as of PKCS #1 v1.5 (`RS256` and its like), or ECDSA with P-256, P-384 or P-521,
/// its signature in DER ([`ecdsa_der`]). The key is a SubjectPublicKeyInfo in DER. One hostcall that returns bytes, and the cryptography.
///
/// `false` also for what is no such key, Ed25519 among them: Envoy tells the two apart in words only.
///
/// # Errors
/// What the host answered: `not found` where there is no such function, `bad argument` for an empty key.
pub fn verify_signature(hash: Hash, key: &[u8], signature: &[u8], text: &[u8]) -> Host<bool> {
    let mut question = arguments(hash, key, signature.len().saturating_add(text.len()));
    wire::push_bytes(&mut question, 3, signature);
    wire::push_bytes(&mut question, 4, text);
    let answer = hostcalls::foreign("verify_signature", &question)?;
    Ok(fields(&answer).any(|field| field == (1, Field::Number(1))))
}

/// The signature of a text, as [`verify_signature`] takes it; `None` when Envoy cannot sign with this key, a PKCS #8 in DER of the same
/// kinds. One hostcall that returns bytes, and the cryptography.
///
/// # Errors
/// What the host answered.
pub fn sign(hash: Hash, key: &[u8], text: &[u8]) -> Host<Option<Vec<u8>>> {
    let mut question = arguments(hash, key, text.len());
    wire::push_bytes(&mut question, 3, text);
    let answer = hostcalls::foreign("sign", &question)?;
    if !fields(&answer).any(|field| field == (1, Field::Number(1))) {
        return Ok(None);
    }
    Ok(fields(&answer).find_map(|field| match field {
        (2, Field::Bytes(signature)) => Some(signature.to_vec()),
        _ => None,
    }))
}

/// Hash and key, the first two fields of both questions.
fn arguments(hash: Hash, key: &[u8], rest: usize) -> Vec<u8> {
    let mut question = Vec::with_capacity(key.len().saturating_add(rest).saturating_add(32));
    wire::push_bytes(&mut question, 1, hash.name());
    wire::push_bytes(&mut question, 2, key);
    question
}

fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || wire::next(&mut message))
}

/// The two numbers of an ECDSA signature, one behind the other as JWS has them (RFC 7518 section 3.4), in DER. `None` for what has no two
/// halves, or more than P-521's.
#[must_use]
pub fn ecdsa_der(signature: &[u8]) -> Option<Vec<u8>> {
    if signature.is_empty() || !signature.len().is_multiple_of(2) || signature.len() > 132 {
        return None;
    }
    let (r, s) = signature.split_at_checked(signature.len() / 2)?;
    let mut numbers = Vec::with_capacity(signature.len().saturating_add(8));
    for number in [r, s] {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let digits = number.get(zeros..).unwrap_or_default();
        // DER's numbers have a sign, and at least one byte.
        let padded = digits.first().is_none_or(|first| *first >= 0x80);
        numbers.push(2);
        numbers.push(u8::try_from(digits.len().saturating_add(usize::from(padded))).ok()?);
        numbers.extend_from_slice(if padded { &[0] } else { &[] });
        numbers.extend_from_slice(digits);
    }
    let length = u8::try_from(numbers.len()).ok()?;
    let head: &[u8] = if length < 0x80 { &[0x30, length] } else { &[0x30, 0x81, length] };
    Some([head, &numbers].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_are_a_sequence_in_der() {
        assert_eq!(
            ecdsa_der(&[1, 2, 0x80, 4]).as_deref(),
            Some(&[0x30, 9, 2, 2, 1, 2, 2, 3, 0, 0x80, 4][..])
        );
        assert_eq!(ecdsa_der(&[0, 2, 0, 0]).as_deref(), Some(&[0x30, 6, 2, 1, 2, 2, 1, 0][..]));
        let longest = ecdsa_der(&[0xff; 132]).unwrap();
        assert_eq!((longest.get(..5), longest.len()), (Some(&[0x30, 0x81, 138, 2, 67][..]), 141));
        for refused in [0, 3, 134] {
            assert_eq!(ecdsa_der(&vec![1; refused]), None, "{refused}");
        }
    }

    #[test]
    fn without_a_host_nothing_is_verified() {
        assert!(verify_signature(Hash::Sha256, b"key", b"signature", b"text").is_err());
        assert!(sign(Hash::Sha256, b"key", b"text").is_err());
    }
}
