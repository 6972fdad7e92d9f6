//! SHA-256 digests as stored: compared in constant time, shown by their first digits only.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The SHA-256 of a secret.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// What a lookup that found nothing is compared with, so that it costs what a hit costs.
    pub const DUMMY: Self = Self([0; 32]);

    /// SHA-256 over the parts, one after the other.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Reads 64 hexadecimal digits of either case.
    pub fn from_hex(text: &str) -> Option<Self> {
        Some(Self(bytes_from_hex(text)?))
    }

    /// Where this digest stands in an index. Whoever presents a secret cannot choose these bytes.
    pub fn index(&self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        [a, b, c, d, e, f, g, h]
    }

    pub fn matches(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, ..] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}…")
    }
}

/// Exactly `N` bytes, two hexadecimal digits of either case each.
pub fn bytes_from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len().checked_div(2) != Some(N) || !digits.len().is_multiple_of(2) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digests_agree_with_their_hex_form_of_either_case() {
        let stored = Digest::from_hex(ABC).unwrap();
        assert!(bool::from(stored.matches(&Digest::of(&[b"a", b"bc"]))));
        assert!(bool::from(stored.matches(&Digest::from_hex(&ABC.to_uppercase()).unwrap())));
        assert!(!bool::from(stored.matches(&Digest::of(&[b"abd"]))));
    }

    #[test]
    fn debug_shows_six_digits_and_no_more() {
        assert_eq!(format!("{:?}", Digest::from_hex(ABC).unwrap()), "ba7816…");
    }

    #[test]
    fn hex_of_another_length_or_alphabet_is_refused() {
        for text in [
            "",
            "ba",
            &ABC[1..],
            &ABC[..63],
            &format!("{ABC}00"),
            &ABC.replace('b', "g"),
            &ABC.replace("ba", "+1"),
        ] {
            assert!(Digest::from_hex(text).is_none(), "{text}");
        }
    }
}
