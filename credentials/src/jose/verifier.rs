//! Who does the arithmetic.

use ecdsa::signature::hazmat::PrehashVerifier as _;
use hmac::{KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::algorithm::{Algorithm, Hash};
use super::key::{Material, Pairing};

/// Says whether a signature is the key's for this message. Signatures are as JOSE has them (RFC 7518 section 3, RFC 8037): of one length each,
/// those of ECDSA its two numbers one behind the other.
pub trait Verifier {
    /// `false` also for what is no signature at all.
    fn verify(&self, pairing: Pairing<'_>, message: &[u8], signature: &[u8]) -> bool;
}

/// Verifies here, in Rust.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pure;

impl Verifier for Pure {
    fn verify(&self, pairing: Pairing<'_>, message: &[u8], signature: &[u8]) -> bool {
        if signature.len() != pairing.signature_size() {
            return false;
        }
        match pairing.key().material() {
            Material::Rsa(key) => rsa(key, pairing.algorithm(), message, signature),
            Material::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(&Sha256::digest(message), &signature).is_ok()),
            Material::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(&Sha384::digest(message), &signature).is_ok()),
            Material::P521(key) => p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(&Sha512::digest(message), &signature).is_ok()),
            Material::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Material::Secret(secret) => mac(secret, pairing.algorithm().hash(), message, signature),
        }
    }
}

fn rsa(key: &rsa::PublicKey, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
    let verified = match algorithm {
        Algorithm::Rs(Hash::Sha256) => key.pkcs1v15_verify::<Sha256>(message, signature),
        Algorithm::Rs(Hash::Sha384) => key.pkcs1v15_verify::<Sha384>(message, signature),
        Algorithm::Rs(Hash::Sha512) => key.pkcs1v15_verify::<Sha512>(message, signature),
        Algorithm::Ps(Hash::Sha256) => key.pss_verify::<Sha256>(message, signature),
        Algorithm::Ps(Hash::Sha384) => key.pss_verify::<Sha384>(message, signature),
        Algorithm::Ps(Hash::Sha512) => key.pss_verify::<Sha512>(message, signature),
        _ => return false,
    };
    verified.is_ok()
}

/// Compared in a time that does not tell where the codes differ.
fn mac(secret: &[u8], hash: Hash, message: &[u8], code: &[u8]) -> bool {
    macro_rules! verified {
        ($hash:ty) => {
            hmac::Hmac::<$hash>::new_from_slice(secret)
                .is_ok_and(|mac| mac.chain_update(message).verify_slice(code).is_ok())
        };
    }
    match hash {
        Hash::Sha256 => verified!(Sha256),
        Hash::Sha384 => verified!(Sha384),
        Hash::Sha512 => verified!(Sha512),
    }
}
