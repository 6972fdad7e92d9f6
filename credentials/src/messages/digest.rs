//! Whether content is what its `content-digest` says (RFC 9530).

use sha2::{Digest as _, Sha256, Sha512};

use super::fields::{Dictionary, Member};

/// Why content does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("no digest, or none of an algorithm that is compared")]
    Missing,
    #[error("the field is no dictionary of byte sequences, or names an algorithm twice")]
    Malformed,
    #[error("the digest of other content")]
    Differs,
}

/// Whether digests of this name are compared: the two that RFC 9530, 7.2 has as active.
#[must_use]
pub fn is_compared(algorithm: &str) -> bool {
    matches!(algorithm, "sha-256" | "sha-512")
}

/// Compares all digests that can be; others are passed over, but one at least has to be there.
///
/// # Errors
/// See [`Mismatch`].
pub fn check(field: Option<&[u8]>, content: &[u8]) -> Result<(), Mismatch> {
    let digests = Dictionary::parse(field.ok_or(Mismatch::Missing)?).map_err(|_| Mismatch::Malformed)?;
    if digests.is_repetitive() {
        return Err(Mismatch::Malformed);
    }
    let mut compared = false;
    for (algorithm, member) in digests.iter() {
        let digest = match member {
            Member::Item(item) => item.bare.as_byte_sequence(),
            Member::InnerList(_) => None,
        };
        let digest = digest.ok_or(Mismatch::Malformed)?;
        let equal = match algorithm {
            "sha-256" => *digest == *Sha256::digest(content),
            "sha-512" => *digest == *Sha512::digest(content),
            _ => continue,
        };
        if !equal {
            return Err(Mismatch::Differs);
        }
        compared = true;
    }
    if compared { Ok(()) } else { Err(Mismatch::Missing) }
}
