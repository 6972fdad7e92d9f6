//! Public keys as SubjectPublicKeyInfo in DER, for whoever else does the arithmetic: RFC 5280, RFC 3279, RFC 5480 and RFC 8410.

use super::Curve;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 2;
const BIT_STRING: u8 = 3;

/// `rsaEncryption` with its empty parameters.
const RSA: &[u8] = &[0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
/// `id-Ed25519`
const ED25519: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
/// `id-ecPublicKey` with each curve
const P256: &[u8] =
    &[0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22];
const P521: &[u8] = &[0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x23];

/// Of numbers without zeros in front.
pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let numbers = element(SEQUENCE, &[integer(modulus), integer(exponent)].concat());
    subject(RSA, &numbers)
}

/// Of an uncompressed point.
pub(super) fn ec(curve: Curve, point: &[u8]) -> Vec<u8> {
    let algorithm = match curve {
        Curve::P256 => P256,
        Curve::P384 => P384,
        Curve::P521 => P521,
    };
    subject(algorithm, point)
}

pub(super) fn ed25519(point: &[u8]) -> Vec<u8> {
    subject(ED25519, point)
}

fn subject(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let key = element(BIT_STRING, &[&[0], key].concat());
    element(SEQUENCE, &[algorithm, &key].concat())
}

/// Positive: a first bit that is set would be a sign.
fn integer(number: &[u8]) -> Vec<u8> {
    match number.first() {
        Some(0x80..) => element(INTEGER, &[&[0], number].concat()),
        _ => element(INTEGER, number),
    }
}

/// Of less than 64 KiB, which no key comes near.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    match (high, low) {
        (0, 0..=0x7f) => [&[tag, low], content].concat(),
        (0, _) => [&[tag, 0x81, low], content].concat(),
        _ => [&[tag, 0x82, high, low], content].concat(),
    }
}
