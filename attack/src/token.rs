//! Tokens, good ones and those that only look so: RFC 7515, compact.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// base64url without padding.
#[must_use]
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Header, payload and signature, joined by dots. They are taken as they are: what they hold need not be JSON.
#[must_use]
pub fn compact(header: &[u8], payload: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", base64url(header), base64url(payload));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", base64url(signature))
}

/// Another spelling of the same bytes: the last character's unused bits are not zero. `None` where it has none.
#[must_use]
pub fn not_canonical(part: &str) -> Option<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if !matches!(part.len() % 4, 2 | 3) {
        return None;
    }
    let (rest, last) = part.split_at_checked(part.len().checked_sub(1)?)?;
    let at = ALPHABET.iter().position(|letter| last.as_bytes() == [*letter])?;
    Some(format!("{rest}{}", char::from(*ALPHABET.get(at ^ 1)?)))
}

/// With the `=` that base64 has elsewhere.
#[must_use]
pub fn padded(part: &str) -> Option<String> {
    let missing = (4 - part.len() % 4) % 4;
    (missing > 0).then(|| format!("{part}{}", "=".repeat(missing)))
}

/// In the alphabet of plain base64. `None` where that is the same.
#[must_use]
pub fn standard_alphabet(part: &str) -> Option<String> {
    let other = part.replace('-', "+").replace('_', "/");
    (other != part).then_some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_spelling_holds_the_same_bytes() {
        use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
        let lax = GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::RequireNone);
        let lax = GeneralPurpose::new(&base64::alphabet::URL_SAFE, lax);
        for bytes in [&b"ab"[..], b"abcd", &[0xff; 64]] {
            let part = base64url(bytes);
            let other = not_canonical(&part).expect("it has unused bits");
            assert_ne!(part, other);
            assert_eq!(lax.decode(other).as_deref(), Ok(bytes));
        }
        assert_eq!((not_canonical(&base64url("abc")), padded(&base64url("abc"))), (None, None));
        assert_eq!(padded(&base64url("ab")).as_deref(), Some("YWI="));
        assert_eq!(standard_alphabet(&base64url([0xfb, 0xff])).as_deref(), Some("+/8"));
    }
}
