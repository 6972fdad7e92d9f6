//! HMAC-SHA256 (RFC 2104), for what a filter signs or is to believe.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The code of a message, given in parts that are taken one behind the other: put in front of each its length, or something between, where
/// others choose them.
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; 64];
    let hashed: [u8; 32];
    let key = match key.len() {
        0..=64 => key,
        _ => {
            hashed = Sha256::digest(key).into();
            &hashed
        }
    };
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36));
    for part in message {
        inner.update(part);
    }
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

/// Whether this is the code of the message, in a time that does not tell where it differs.
#[must_use]
pub fn hmac_sha256_matches(key: &[u8], message: &[&[u8]], code: &[u8]) -> bool {
    hmac_sha256(key, message).ct_eq(code).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 4231, section 4: cases 1, 2, 3, 6 and 7.
    #[test]
    fn it_is_what_the_rfc_says() {
        let long = b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed \
            before being used by the HMAC algorithm.";
        for (key, message, code) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (&[0xaa; 131], long, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
        ] {
            assert_eq!(hex(&hmac_sha256(key, &[message])), code);
        }
    }

    proptest! {
        #[test]
        fn parts_are_one_message_and_no_other_code_matches(key: Vec<u8>, message: Vec<u8>, at: prop::sample::Index, flipped: prop::sample::Index) {
            let (one, other) = message.split_at(at.index(message.len() + 1));
            let code = hmac_sha256(&key, &[&message]);
            prop_assert!(hmac_sha256_matches(&key, &[one, other], &code));
            let mut wrong = code;
            wrong[flipped.index(32)] ^= 1;
            prop_assert!(!hmac_sha256_matches(&key, &[&message], &wrong));
            prop_assert!(!hmac_sha256_matches(&key, &[&message], &code[..31]));
        }
    }
}
