//! SHA-256 digests as stored: compared in constant time, shown by their first digits only.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// A secret of the proxy's own, without which digests made with it are of no use to whoever has them.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// At least this many bytes: as many as the digest has.
    pub const LEAST: usize = 32;

    /// `None` for fewer than [`LEAST`](Self::LEAST) bytes.
    pub fn new(secret: &[u8]) -> Option<Self> {
        if secret.len() < Self::LEAST {
            return None;
        }
        Self::keyed(secret)
    }

    fn keyed(secret: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(secret).ok().map(Self)
    }

    /// One of random bytes, for tags that nobody outside can foresee.
    pub(super) fn random(seed: &[u8; 32]) -> Option<Self> {
        Self::keyed(seed)
    }

    /// HMAC-SHA-256 over the parts, one after the other.
    pub fn digest(&self, parts: &[&[u8]]) -> Digest {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        Digest(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The SHA-256 of a secret, or its HMAC.
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

    /// As it is stored.
    pub fn to_hex(&self) -> String {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0F)]).collect()
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

    pub(super) fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// A number that follows from it.
    pub(super) fn number(&self) -> u64 {
        u64::from_le_bytes(self.index())
    }

    /// In constant time, by words: byte by byte it took as long as a quarter of the hash.
    pub fn matches(&self, other: &Self) -> Choice {
        self.words().ct_eq(&other.words())
    }

    fn words(&self) -> [u64; 4] {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(self.0.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        words
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

    /// RFC 4231, test case 6.
    #[test]
    fn a_pepper_is_the_key_of_an_hmac() {
        let pepper = Pepper::new(&[0xaa; 131]).unwrap();
        let digest = pepper.digest(&[b"Test Using Larger Than Block-Size Key - ", b"Hash Key First"]);
        assert_eq!(digest.to_hex(), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
        assert!(Pepper::new(&[1; 31]).is_none());
        assert_eq!(format!("{pepper:?}"), "[redacted]");
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
