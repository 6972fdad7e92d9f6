//! `sign` and `verify_signature`: PKCS#1 v1.5 with RSA keys, ECDSA with the NIST curves, over a hash.
//!
//! Envoy `source/common/crypto/crypto_impl.cc`, with BoringSSL's own choice of keys.

use bytes::Bytes;
use p256::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
use rsa::{
    Pkcs1v15Sign,
    pkcs8::{DecodePrivateKey as _, DecodePublicKey as _},
};
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

use super::wire::{Message, Writer};
use crate::abi::{CallStatus, ForeignAnswer};

/// Fields of `SignArguments` and `VerifySignatureArguments`.
mod field {
    pub(super) const HASH: u32 = 1;
    pub(super) const KEY: u32 = 2;
    pub(super) const TEXT_TO_SIGN: u32 = 3;
    pub(super) const PRIVATE_KEY_PEM: u32 = 4;
    pub(super) const SIGNATURE: u32 = 3;
    pub(super) const TEXT_SIGNED: u32 = 4;
    pub(super) const PUBLIC_KEY_PEM: u32 = 5;
}

#[derive(Clone, Copy, Debug)]
enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "sha1" => Hash::Sha1,
            "sha224" => Hash::Sha224,
            "sha256" => Hash::Sha256,
            "sha384" => Hash::Sha384,
            "sha512" => Hash::Sha512,
            _ => return None,
        })
    }

    fn of(self, text: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha1 => Sha1::digest(text).to_vec(),
            Hash::Sha224 => Sha224::digest(text).to_vec(),
            Hash::Sha256 => Sha256::digest(text).to_vec(),
            Hash::Sha384 => Sha384::digest(text).to_vec(),
            Hash::Sha512 => Sha512::digest(text).to_vec(),
        }
    }

    /// With what the signature says about the hash.
    fn padding(self) -> Pkcs1v15Sign {
        match self {
            Hash::Sha1 => Pkcs1v15Sign::new::<Sha1>(),
            Hash::Sha224 => Pkcs1v15Sign::new::<Sha224>(),
            Hash::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
            Hash::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
            Hash::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
        }
    }
}

/// A key as it was given, of the two fields that can hold one.
enum Given {
    Der(Bytes),
    Pem(String),
}

impl Given {
    /// `None`: neither, or both.
    fn of(der: Bytes, pem: Bytes) -> Option<Self> {
        match (der.is_empty(), pem.is_empty()) {
            (false, true) => Some(Given::Der(der)),
            (true, false) => Some(Given::Pem(String::from_utf8_lossy(&pem).into_owned())),
            _ => None,
        }
    }
}

macro_rules! read {
    ($given:expr, $key:ty, $der:ident, $pem:ident) => {
        match $given {
            Given::Der(der) => <$key>::$der(der).ok(),
            Given::Pem(pem) => <$key>::$pem(pem).ok(),
        }
    };
}

enum PrivateKey {
    Rsa(Box<rsa::PrivateKey>),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
}

enum PublicKey {
    Rsa(rsa::PublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
}

/// A key of a kind that signs no hashes, such as Ed25519; or no key.
enum Unfit {
    OtherKind,
    NoKey,
}

impl PrivateKey {
    fn read(given: &Given) -> Result<Self, Unfit> {
        read!(given, rsa::PrivateKey, from_pkcs8_der, from_pkcs8_pem)
            .map(|key| PrivateKey::Rsa(Box::new(key)))
            .or_else(|| {
                read!(given, p256::SecretKey, from_pkcs8_der, from_pkcs8_pem)
                    .map(|key| PrivateKey::P256(key.into()))
            })
            .or_else(|| {
                read!(given, p384::SecretKey, from_pkcs8_der, from_pkcs8_pem)
                    .map(|key| PrivateKey::P384(key.into()))
            })
            .or_else(|| {
                read!(given, p521::SecretKey, from_pkcs8_der, from_pkcs8_pem)
                    .map(|key| PrivateKey::P521(key.into()))
            })
            .ok_or_else(|| {
                let info = match given {
                    Given::Der(der) => rsa::pkcs8::PrivateKeyInfoRef::try_from(&der[..]).is_ok(),
                    Given::Pem(pem) => rsa::pkcs8::SecretDocument::from_pem(pem).is_ok(),
                };
                if info { Unfit::OtherKind } else { Unfit::NoKey }
            })
    }

    fn sign(&self, hash: Hash, text: &[u8]) -> Option<Vec<u8>> {
        let digest = hash.of(text);
        match self {
            PrivateKey::Rsa(key) => key.sign(hash.padding(), &digest).ok(),
            PrivateKey::P256(key) => {
                let signature: p256::ecdsa::DerSignature = key.sign_prehash(&digest).ok()?;
                Some(signature.as_bytes().to_vec())
            }
            PrivateKey::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign_prehash(&digest).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
            PrivateKey::P521(key) => {
                let signature: p521::ecdsa::Signature = key.sign_prehash(&digest).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
        }
    }
}

impl PublicKey {
    fn read(given: &Given) -> Option<Self> {
        read!(given, rsa::PublicKey, from_public_key_der, from_public_key_pem)
            .map(PublicKey::Rsa)
            .or_else(|| {
                read!(given, p256::PublicKey, from_public_key_der, from_public_key_pem)
                    .map(|key| PublicKey::P256(key.into()))
            })
            .or_else(|| {
                read!(given, p384::PublicKey, from_public_key_der, from_public_key_pem)
                    .map(|key| PublicKey::P384(key.into()))
            })
            .or_else(|| {
                read!(given, p521::PublicKey, from_public_key_der, from_public_key_pem)
                    .map(|key| PublicKey::P521(key.into()))
            })
    }

    fn verifies(&self, hash: Hash, signature: &[u8], text: &[u8]) -> bool {
        let digest = hash.of(text);
        match self {
            PublicKey::Rsa(key) => key.verify(hash.padding(), &digest, signature).is_ok(),
            PublicKey::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&digest, &signature).is_ok()),
            PublicKey::P384(key) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&digest, &signature).is_ok()),
            PublicKey::P521(key) => p521::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&digest, &signature).is_ok()),
        }
    }
}

pub(super) fn sign(arguments: &Bytes) -> ForeignAnswer {
    let Some((arguments, hash_name)) = Message::parse(arguments).and_then(|message| {
        let hash = message.text(field::HASH)?;
        Some((message, hash))
    }) else {
        return ForeignAnswer::status(CallStatus::BadArgument);
    };
    let Some(given) = Given::of(arguments.bytes(field::KEY), arguments.bytes(field::PRIVATE_KEY_PEM)) else {
        return ForeignAnswer::status(CallStatus::BadArgument);
    };
    let failed = |error: &str| ForeignAnswer::result(Writer::default().bytes(3, error.as_bytes()).done());
    let Some(hash) = Hash::named(&hash_name) else {
        return failed(&format!("{hash_name} is not supported."));
    };
    let corrupted = "Invalid private key: key data is corrupted or malformed.";
    match PrivateKey::read(&given) {
        Err(Unfit::NoKey) => failed("Invalid key type: private key required for signing operation."),
        Err(Unfit::OtherKind) => failed(corrupted),
        Ok(key) => match key.sign(hash, &arguments.bytes(field::TEXT_TO_SIGN)) {
            Some(signature) => {
                ForeignAnswer::result(Writer::default().truth(1, true).bytes(2, &signature).done())
            }
            None => failed(corrupted),
        },
    }
}

pub(super) fn verify(arguments: &Bytes) -> ForeignAnswer {
    let Some((arguments, hash_name)) = Message::parse(arguments).and_then(|message| {
        let hash = message.text(field::HASH)?;
        Some((message, hash))
    }) else {
        return ForeignAnswer::status(CallStatus::BadArgument);
    };
    let Some(given) = Given::of(arguments.bytes(field::KEY), arguments.bytes(field::PUBLIC_KEY_PEM)) else {
        return ForeignAnswer::status(CallStatus::BadArgument);
    };
    let failed = |error: &str| ForeignAnswer::result(Writer::default().bytes(2, error.as_bytes()).done());
    let Some(hash) = Hash::named(&hash_name) else {
        return failed(&format!("{hash_name} is not supported."));
    };
    let Some(key) = PublicKey::read(&given) else {
        return failed("Failed to initialize digest verify.");
    };
    let (signature, text) = (arguments.bytes(field::SIGNATURE), arguments.bytes(field::TEXT_SIGNED));
    if key.verifies(hash, &signature, &text) {
        ForeignAnswer::result(Writer::default().truth(1, true).done())
    } else {
        failed("Failed to verify digest. Error code: 0")
    }
}
