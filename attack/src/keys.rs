//! Private keys, as JWK, and what is signed with them.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa::KeyPairComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
        ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
        UnparsedPublicKey, VerificationAlgorithm,
    },
};
use serde_json::Value;

/// A name of RFC 7518 that this kit can sign with. ES512 is not among them: `ring` has no P-521.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
    Hs256,
    Hs384,
    Hs512,
}

impl Algorithm {
    pub const ALL: [Algorithm; 12] = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
        Algorithm::Hs256,
        Algorithm::Hs384,
        Algorithm::Hs512,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Ps256 => "PS256",
            Algorithm::Ps384 => "PS384",
            Algorithm::Ps512 => "PS512",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Hs256 => "HS256",
            Algorithm::Hs384 => "HS384",
            Algorithm::Hs512 => "HS512",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// A private key with what its JWK says about it.
pub struct Key {
    jwk: Value,
    secret: Secret,
}

enum Secret {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
    P384(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
    Oct(Vec<u8>),
}

/// The JWK is no private key of a kind that is known here. Its values are not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a private JWK: RSA with its primes, EC on P-256 or P-384, OKP on Ed25519, or oct")]
pub struct BadKey;

/// The name alone.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.kid())
    }
}

impl Key {
    /// # Errors
    /// It is no private key of a kind that is known here.
    pub fn from_jwk(jwk: &Value) -> Result<Key, BadKey> {
        let member = |name: &str| {
            let text = jwk.get(name).and_then(Value::as_str).ok_or(BadKey)?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| BadKey)
        };
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
        let random = SystemRandom::new();
        let point = || -> Result<Vec<u8>, BadKey> { Ok([vec![4], member("x")?, member("y")?].concat()) };
        let secret = match (text("kty"), text("crv")) {
            ("RSA", _) => {
                let public_key = ring::rsa::PublicKeyComponents { n: member("n")?, e: member("e")? };
                let [d, p, q] = [member("d")?, member("p")?, member("q")?];
                let [dp, dq, qi] = [member("dp")?, member("dq")?, member("qi")?];
                let parts = KeyPairComponents { public_key, d, p, q, dP: dp, dQ: dq, qInv: qi };
                Secret::Rsa(Box::new(RsaKeyPair::from_components(&parts).map_err(|_| BadKey)?))
            }
            ("EC", crv @ ("P-256" | "P-384")) => {
                let p256 = crv == "P-256";
                let signing =
                    if p256 { &ECDSA_P256_SHA256_FIXED_SIGNING } else { &ECDSA_P384_SHA384_FIXED_SIGNING };
                let (private, public) = (member("d")?, point()?);
                let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, &private, &public, &random);
                let pair = Box::new(pair.map_err(|_| BadKey)?);
                if p256 { Secret::P256(pair) } else { Secret::P384(pair) }
            }
            ("OKP", "Ed25519") => {
                let pair = Ed25519KeyPair::from_seed_and_public_key(&member("d")?, &member("x")?);
                Secret::Ed25519(Box::new(pair.map_err(|_| BadKey)?))
            }
            ("oct", _) => Secret::Oct(member("k")?),
            _ => return Err(BadKey),
        };
        Ok(Key { jwk: jwk.clone(), secret })
    }

    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.jwk.get("kid").and_then(Value::as_str)
    }

    /// What anyone may know of it; nothing of an `oct` key.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.jwk.clone();
        if let Some(members) = jwk.as_object_mut() {
            for secret in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                members.shift_remove(secret);
            }
        }
        jwk
    }

    /// What it can sign with.
    #[must_use]
    pub fn algorithms(&self) -> &'static [Algorithm] {
        use Algorithm::{EdDsa, Es256, Es384, Hs256, Hs384, Hs512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self.secret {
            Secret::Rsa(_) => &[Rs256, Ps256, Rs384, Rs512, Ps384, Ps512],
            Secret::P256(_) => &[Es256],
            Secret::P384(_) => &[Es384],
            Secret::Ed25519(_) => &[EdDsa],
            Secret::Oct(ref bytes) if bytes.len() >= 64 => &[Hs256, Hs384, Hs512],
            Secret::Oct(ref bytes) if bytes.len() >= 48 => &[Hs256, Hs384],
            Secret::Oct(_) => &[Hs256],
        }
    }

    /// With one of [`Key::algorithms`]; of ECDSA r and s, of a fixed length.
    #[must_use]
    pub fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match (&self.secret, algorithm) {
            (Secret::P256(pair), Algorithm::Es256) | (Secret::P384(pair), Algorithm::Es384) => {
                Some(pair.sign(&random, message).ok()?.as_ref().to_vec())
            }
            (Secret::Ed25519(pair), Algorithm::EdDsa) => Some(pair.sign(message).as_ref().to_vec()),
            (Secret::Oct(key), algorithm) => mac(key, algorithm, message),
            (Secret::Rsa(pair), algorithm) => {
                let encoding: &dyn RsaEncoding = match algorithm {
                    Algorithm::Rs256 => &RSA_PKCS1_SHA256,
                    Algorithm::Rs384 => &RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Ps384 => &RSA_PSS_SHA384,
                    Algorithm::Ps512 => &RSA_PSS_SHA512,
                    _ => return None,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            _ => None,
        }
    }

    /// Whether a signature is this key's: said by `ring`, as an oracle for those who verify by other means.
    #[must_use]
    pub fn is_signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let with = |verifying: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(verifying, key).verify(message, signature).is_ok()
        };
        match (&self.secret, algorithm) {
            (Secret::P256(pair), Algorithm::Es256) => {
                with(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())
            }
            (Secret::P384(pair), Algorithm::Es384) => {
                with(&ECDSA_P384_SHA384_FIXED, pair.public_key().as_ref())
            }
            (Secret::Ed25519(pair), Algorithm::EdDsa) => with(&ED25519, pair.public_key().as_ref()),
            (Secret::Rsa(pair), Algorithm::Rs256) => {
                with(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref())
            }
            (Secret::Rsa(pair), Algorithm::Ps512) => with(&RSA_PSS_2048_8192_SHA512, pair.public().as_ref()),
            (Secret::Oct(key), _) => mac(key, algorithm, message).is_some_and(|code| code == signature),
            _ => false,
        }
    }

    /// The public key as X.509 writes it (`SubjectPublicKeyInfo`), of RSA keys.
    #[must_use]
    pub fn rsa_spki(&self) -> Option<Vec<u8>> {
        let member = |name| {
            let text = self.jwk.get(name).and_then(Value::as_str)?;
            URL_SAFE_NO_PAD.decode(text).ok()
        };
        let key = der(0x30, &[integer(&member("n")?), integer(&member("e")?)].concat());
        // rsaEncryption, and its parameters: none.
        let algorithm = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
        let bits = der(0x03, &[vec![0], key].concat());
        Some(der(0x30, &[der(0x30, &algorithm), bits].concat()))
    }
}

/// HMAC with any bytes as the key.
#[must_use]
pub fn mac(key: &[u8], algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
    let hash = match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => return None,
    };
    Some(hmac::sign(&hmac::Key::new(hash, key), message).as_ref().to_vec())
}

/// r and s of a fixed length as the DER that X.509 and TLS use.
#[must_use]
pub fn ecdsa_der(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    der(0x30, &[integer(r), integer(s)].concat())
}

/// The other s that goes with the same r on P-256: `n - s`.
#[must_use]
pub fn p256_other_s(fixed: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let mut borrow = false;
    let mut other: Vec<u8> = Vec::with_capacity(fixed.len());
    for (order, s) in ORDER.iter().zip(s).rev() {
        let (difference, under) = order.overflowing_sub(*s);
        let (difference, under_again) = difference.overflowing_sub(u8::from(borrow));
        borrow = under || under_again;
        other.push(difference);
    }
    other.reverse();
    [r.to_vec(), other].concat()
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len().saturating_sub(1));
    let mut digits = bytes.get(zeros..).unwrap_or_default().to_vec();
    if digits.first().is_none_or(|first| *first >= 0x80) {
        digits.insert(0, 0);
    }
    der(0x02, &digits)
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let digits: Vec<u8> = length.iter().copied().skip_while(|byte| *byte == 0).collect();
    match digits.as_slice() {
        [] => out.push(0),
        [one] if *one < 0x80 => out.push(*one),
        more => {
            out.push(0x80 | u8::try_from(more.len()).unwrap_or(u8::MAX));
            out.extend(more);
        }
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_x_690_wants_them() {
        assert_eq!(integer(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0]), [2, 1, 0]);
        assert_eq!(der(4, &[7; 200])[..3], [4, 0x81, 200]);
        assert_eq!(der(4, &[7; 300])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn the_other_s_of_the_other_s_is_the_first() {
        let fixed: Vec<u8> = (1..=64).collect();
        let other = p256_other_s(&fixed);
        assert_ne!(other, fixed);
        assert_eq!(p256_other_s(&other), fixed);
    }
}
