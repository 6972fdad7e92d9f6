//! Keys that verify. One that is weak, or no key at all, cannot be made.

mod roca;
mod spki;

use std::fmt;

use p256::elliptic_curve::point::AffineCoordinates as _;
use rsa::BoxedUint;
use rsa::traits::PublicKeyParts as _;

use super::algorithm::Algorithm;

/// A key, the name it goes by, and the one algorithm it is for, if its owner named one.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    material: Material,
    id: Option<Box<str>>,
    only: Option<Algorithm>,
    /// SubjectPublicKeyInfo in DER; empty for a secret
    spki: Box<[u8]>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Material {
    Rsa(Box<rsa::PublicKey>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    P384(Box<p384::ecdsa::VerifyingKey>),
    P521(Box<p521::ecdsa::VerifyingKey>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
    Secret(Box<[u8]>),
}

/// Why there is no such key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// An RSA modulus outside of 2048 to 8192 bits, even, or made by a faulty generator (CVE-2017-15361)
    Modulus,
    /// An RSA exponent that is even, below 65537 or above 33 bits
    Exponent,
    /// Coordinates that are no point of the curve, or not of its length
    Point,
    /// A secret shorter than the shortest hash
    Secret,
}

/// The curves of ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
    P521,
}

/// A key and an algorithm that fits it; there are no others.
#[derive(Clone, Copy, Debug)]
pub struct Pairing<'k> {
    key: &'k Key,
    algorithm: Algorithm,
}

impl Key {
    /// RSA, from modulus and exponent as big-endian numbers.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Key, Unfit> {
        let modulus = significant(modulus);
        let first = modulus.first().ok_or(Unfit::Modulus)?;
        let bits = modulus.len().saturating_mul(8).saturating_sub(first.leading_zeros() as usize);
        let odd = modulus.last().is_some_and(|last| last & 1 == 1);
        if !(2048..=8192).contains(&bits) || !odd || roca::is_suspect(modulus) {
            return Err(Unfit::Modulus);
        }
        let exponent = significant(exponent);
        let value = match exponent.len() {
            1..=8 => exponent.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte)),
            _ => return Err(Unfit::Exponent),
        };
        if !(65537..=rsa::PublicKey::MAX_PUB_EXPONENT).contains(&value) || value & 1 == 0 {
            return Err(Unfit::Exponent);
        }
        let key = rsa::PublicKey::new(
            BoxedUint::from_be_slice_vartime(modulus),
            BoxedUint::from_be_slice_vartime(exponent),
        )
        .map_err(|_| Unfit::Modulus)?;
        Ok(Key::of(Material::Rsa(Box::new(key)), spki::rsa(modulus, exponent)))
    }

    /// ECDSA, from a point's coordinates, each of the curve's full length (RFC 7518 section 6.2.1.2).
    ///
    /// # Errors
    /// See [`Unfit`].
    pub fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<Key, Unfit> {
        // Without a look at compressed points, whose square roots are a lot of code.
        macro_rules! point {
            ($curve:ident, $kind:ident) => {{
                let (x, y) = (x.try_into().ok()?, y.try_into().ok()?);
                let point = Option::from($curve::AffinePoint::from_coordinates(x, y))?;
                $curve::ecdsa::VerifyingKey::from_affine(point).ok().map(Box::new).map(Material::$kind)
            }};
        }
        let material = || match curve {
            Curve::P256 => point!(p256, P256),
            Curve::P384 => point!(p384, P384),
            Curve::P521 => point!(p521, P521),
        };
        let spki = spki::ec(curve, &[&[4], x, y].concat());
        Ok(Key::of(material().ok_or(Unfit::Point)?, spki))
    }

    /// Ed25519, from its 32 bytes; none of small order, with which a signature would fit many messages.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub fn ed25519(point: &[u8]) -> Result<Key, Unfit> {
        let key = point.try_into().ok().and_then(|point| ed25519_dalek::VerifyingKey::from_bytes(point).ok());
        let key = key.filter(|key| !key.is_weak()).ok_or(Unfit::Point)?;
        Ok(Key::of(Material::Ed25519(Box::new(key)), spki::ed25519(point)))
    }

    /// A secret that both sides have; of 32 bytes at least, and it fits no hash that is longer (RFC 7518 section 3.2).
    ///
    /// # Errors
    /// See [`Unfit`].
    pub fn secret(secret: &[u8]) -> Result<Key, Unfit> {
        match secret.len() {
            32.. => Ok(Key::of(Material::Secret(secret.into()), Vec::new())),
            _ => Err(Unfit::Secret),
        }
    }

    fn of(material: Material, spki: Vec<u8>) -> Key {
        Key { material, id: None, only: None, spki: spki.into() }
    }

    /// The same by this name, JOSE's `kid` or RFC 9421's `keyid`.
    #[must_use]
    pub fn named(self, id: &str) -> Key {
        Key { id: Some(id.into()), ..self }
    }

    /// The same for this algorithm alone; `None` if it does not fit.
    #[must_use]
    pub fn only_for(self, algorithm: Algorithm) -> Option<Key> {
        self.with(algorithm)?;
        Some(Key { only: Some(algorithm), ..self })
    }

    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The one algorithm it is for.
    #[must_use]
    pub fn only(&self) -> Option<Algorithm> {
        self.only
    }

    /// Pairs it with an algorithm, if it is a key of that kind, strong enough, and not kept for another.
    #[must_use]
    pub fn with(&self, algorithm: Algorithm) -> Option<Pairing<'_>> {
        let suits = match (&self.material, algorithm) {
            (Material::Rsa(_), Algorithm::Rs(_) | Algorithm::Ps(_))
            | (Material::P256(_), Algorithm::Es256)
            | (Material::P384(_), Algorithm::Es384)
            | (Material::P521(_), Algorithm::Es512)
            | (Material::Ed25519(_), Algorithm::EdDsa) => true,
            (Material::Secret(secret), Algorithm::Hs(hash)) => secret.len() >= hash.size(),
            _ => false,
        };
        let kept = self.only.is_some_and(|only| only != algorithm);
        (suits && !kept).then_some(Pairing { key: self, algorithm })
    }

    /// Whether whoever has it can also sign.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self.material, Material::Secret(_))
    }

    pub(super) fn material(&self) -> &Material {
        &self.material
    }
}

impl<'k> Pairing<'k> {
    #[must_use]
    pub fn key(self) -> &'k Key {
        self.key
    }

    #[must_use]
    pub fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    /// The key as SubjectPublicKeyInfo in DER (RFC 5280); none of a secret.
    #[must_use]
    pub fn spki(self) -> Option<&'k [u8]> {
        Some(&*self.key.spki).filter(|spki| !spki.is_empty())
    }

    /// The one length its signatures have, in bytes.
    #[must_use]
    pub fn signature_size(self) -> usize {
        match &self.key.material {
            Material::Rsa(key) => key.size(),
            Material::P256(_) | Material::Ed25519(_) => 64,
            Material::P384(_) => 96,
            Material::P521(_) => 132,
            Material::Secret(_) => self.algorithm.hash().size(),
        }
    }
}

impl Curve {
    /// Bytes of a coordinate.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }
}

/// Without the zeros in front.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Of what kind it is and for what; its material is nobody's business.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.material {
            Material::Rsa(_) => "RSA",
            Material::P256(_) => "P-256",
            Material::P384(_) => "P-384",
            Material::P521(_) => "P-521",
            Material::Ed25519(_) => "Ed25519",
            Material::Secret(_) => "secret",
        };
        f.debug_struct("Key").field("kind", &kind).field("id", &self.id).field("only", &self.only).finish()
    }
}

#[cfg(test)]
mod tests;
