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

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &[u8] = b"{\"hello\": \"world\"}";
    const SHA_512: &str =
        "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
    const SHA_256: &str = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";

    #[test]
    fn au_9_the_digests_of_rfc_9530_are_those_of_their_content() {
        for (digest, content) in [
            (SHA_512, HELLO),
            (SHA_256, HELLO),
            ("sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:", b"{\"hello\": \"world\"}\n"),
            ("sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", b""),
            ("sha-256=:jjcgBDWNAtbYUXI37CVG3gRuGOAjaaDRGpIUFsdyepQ=:", b"\"world\"}\n"),
            (
                "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:",
                b"{\"hello\": \"world\"}\n",
            ),
        ] {
            assert_eq!(check(Some(digest.as_bytes()), content), Ok(()), "{digest}");
            assert_eq!(check(Some(digest.as_bytes()), &[content, b"x"].concat()), Err(Mismatch::Differs));
        }
    }

    #[test]
    fn au_9_of_two_digests_both_have_to_hold() {
        let other = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
        let check = |field: &str| check(Some(field.as_bytes()), HELLO);
        assert_eq!(check(&format!("{SHA_256}, {SHA_512}")), Ok(()));
        assert_eq!(check(&format!("{other}, {SHA_512}")), Err(Mismatch::Differs));
        assert_eq!(check(&format!("{SHA_512}, {other}")), Err(Mismatch::Differs));
        assert_eq!(check(&format!("md5=:Sd/dVLAcvNLSq16eXua5uQ==:, {SHA_256}")), Ok(()));
    }

    #[test]
    fn au_9_without_a_digest_that_is_compared_content_does_not_count() {
        let check = |field: &str| check(Some(field.as_bytes()), HELLO);
        assert_eq!(super::check(None, HELLO), Err(Mismatch::Missing));
        for missing in
            ["", "md5=:Sd/dVLAcvNLSq16eXua5uQ==:", "sha=:07CavjDP4u3/TungoUHJO/Wzr4c=:, crc32c=:Q3lHIA==:"]
        {
            assert_eq!(check(missing), Err(Mismatch::Missing), "{missing}");
        }
        for malformed in
            ["sha-256", "sha-256=\"x\"", "sha-256=(:AA==:)", "SHA-256=:AA==:", "sha-256=:A", "md5=1"]
        {
            assert_eq!(check(malformed), Err(Mismatch::Malformed), "{malformed}");
        }
        assert_eq!(check(&format!("{SHA_256}, {SHA_256}")), Err(Mismatch::Malformed), "twice");
        assert_eq!(check("sha-256=:AA==:"), Err(Mismatch::Differs), "another length");
    }
}
