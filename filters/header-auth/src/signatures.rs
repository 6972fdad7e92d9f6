//! Public-key signatures by the proxy's own cryptography, which is an order of magnitude faster than what a module can do; by the module's where
//! the proxy has none, or none for this algorithm.

use std::cell::OnceCell;

use wayside_credentials::jose::{self, Algorithm, Pairing, Pure, Verifier};
use wayside_sdk::foreign::{Hash, ecdsa_der, verify_signature};

/// Envoy's `verify_signature`, once it has shown that it tells a good signature from a bad one.
#[derive(Debug, Default)]
pub struct Host {
    trusted: OnceCell<bool>,
}

impl Host {
    fn is_trusted(&self) -> bool {
        *self.trusted.get_or_init(|| {
            let verified = |text: &[u8]| {
                ecdsa_der(&SIGNATURE).and_then(|der| verify_signature(Hash::Sha256, &KEY, &der, text).ok())
            };
            verified(TEXT) == Some(true) && verified(b"another text") == Some(false)
        })
    }
}

impl Verifier for Host {
    fn verify(&self, pairing: Pairing<'_>, message: &[u8], signature: &[u8]) -> bool {
        if signature.len() != pairing.signature_size() {
            return false;
        }
        let ours = || Pure.verify(pairing, message, signature);
        let (Some(spki), true) = (pairing.spki(), is_known(pairing.algorithm()) && self.is_trusted()) else {
            return ours();
        };
        let told = match pairing.algorithm() {
            Algorithm::Rs(hash) => verify_signature(hash_of(hash), spki, signature, message),
            algorithm => match ecdsa_der(signature) {
                Some(der) => verify_signature(hash_of(algorithm.hash()), spki, &der, message),
                None => return false,
            },
        };
        told.unwrap_or_else(|_| ours())
    }
}

/// Whether Envoy has it: neither RSASSA-PSS nor Ed25519 (`source/common/crypto/crypto_impl.cc`), and secrets are quicker here.
fn is_known(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::Rs(_) | Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512)
}

fn hash_of(hash: jose::Hash) -> Hash {
    match hash {
        jose::Hash::Sha256 => Hash::Sha256,
        jose::Hash::Sha384 => Hash::Sha384,
        jose::Hash::Sha512 => Hash::Sha512,
    }
}

/// RFC 7515 appendix A.3: the key, as SubjectPublicKeyInfo.
const KEY: [u8; 91] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0x7f, 0xcd, 0xce, 0x27, 0x70, 0xf6, 0xc4,
    0x5d, 0x41, 0x83, 0xcb, 0xee, 0x6f, 0xdb, 0x4b, 0x7b, 0x58, 0x07, 0x33, 0x35, 0x7b, 0xe9, 0xef, 0x13,
    0xba, 0xcf, 0x6e, 0x3c, 0x7b, 0xd1, 0x54, 0x45, 0xc7, 0xf1, 0x44, 0xcd, 0x1b, 0xbd, 0x9b, 0x7e, 0x87,
    0x2c, 0xdf, 0xed, 0xb9, 0xee, 0xb9, 0xf4, 0xb3, 0x69, 0x5d, 0x6e, 0xa9, 0x0b, 0x24, 0xad, 0x8a, 0x46,
    0x23, 0x28, 0x85, 0x88, 0xe5, 0xad,
];

/// The same: the signature.
const SIGNATURE: [u8; 64] = [
    0x0e, 0xd1, 0x21, 0x53, 0x79, 0x63, 0x6c, 0x48, 0x3c, 0x2f, 0x7f, 0x15, 0x58, 0x07, 0xd4, 0x02, 0xa3,
    0xb2, 0x28, 0x03, 0x3a, 0xf9, 0x7c, 0x7e, 0x17, 0x81, 0x9a, 0xc3, 0x16, 0x9e, 0xa6, 0x65, 0xc5, 0x0a,
    0x07, 0xd3, 0x8c, 0x3c, 0x70, 0xe5, 0xd8, 0xf1, 0x2d, 0xaf, 0x08, 0x4a, 0x54, 0x80, 0xa6, 0x65, 0x90,
    0xc5, 0xf2, 0x93, 0x50, 0x9a, 0x8f, 0x3f, 0x7f, 0x8a, 0x83, 0xa3, 0x54, 0xd5,
];

/// The same: what is signed.
const TEXT: &[u8] = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
