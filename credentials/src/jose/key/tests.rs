//! Which keys there are, what they pair with, and that their DER is right.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::DecodePublicKey as _;

use super::*;
use crate::jose::{Hash, Pure, Verifier as _};

fn bytes(base64url: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(base64url).unwrap()
}

/// RFC 7515 appendix A.2.
const MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pC\
gNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Z\
wKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

fn rfc_rsa() -> Key {
    Key::rsa(&bytes(MODULUS), &[1, 0, 1]).unwrap()
}

/// RFC 7515 appendix A.3.
fn rfc_p256() -> Key {
    let x = bytes("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
    Key::ec(Curve::P256, &x, &bytes("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")).unwrap()
}

#[test]
fn weak_rsa_keys_cannot_be_made() {
    let modulus = bytes(MODULUS);
    for exponent in [&[][..], &[0], &[1], &[3], &[1, 0, 0], &[0xff, 0xff], &[3, 0, 0, 0, 1], &[1; 9]] {
        assert_eq!(Key::rsa(&modulus, exponent), Err(Unfit::Exponent), "{exponent:?}");
    }
    assert_eq!(Key::rsa(&modulus[..255], &[1, 0, 1]), Err(Unfit::Modulus), "2040 bits and even");
    let mut short = modulus.clone();
    short[0] = 0x7f;
    assert_eq!(Key::rsa(&short, &[1, 0, 1]), Err(Unfit::Modulus), "2047 bits");
    let mut even = modulus.clone();
    even[255] &= 0xfe;
    assert_eq!(Key::rsa(&even, &[1, 0, 1]), Err(Unfit::Modulus), "even");
    assert_eq!(Key::rsa(&[1; 1025], &[1, 0, 1]), Err(Unfit::Modulus), "8193 bits");
}

#[test]
fn a_key_of_8192_bits_is_one_and_zeros_in_front_do_not_count() {
    let mut modulus = vec![0xff; 1024];
    assert!(Key::rsa(&modulus, &[1, 0, 1]).is_ok());
    modulus.insert(0, 0);
    assert_eq!(Key::rsa(&modulus, &[0, 1, 0, 1]), Key::rsa(&modulus[1..], &[1, 0, 1]));
}

#[test]
fn a_point_off_its_curve_or_of_another_length_is_no_key() {
    let x = bytes("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
    let y = bytes("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    assert!(Key::ec(Curve::P256, &x, &y).is_ok());
    assert_eq!(Key::ec(Curve::P256, &y, &x), Err(Unfit::Point));
    assert_eq!(Key::ec(Curve::P256, &[0; 32], &[0; 32]), Err(Unfit::Point));
    assert_eq!(Key::ec(Curve::P256, &[&[0], &x[..]].concat(), &y), Err(Unfit::Point));
    assert_eq!(Key::ec(Curve::P384, &x, &y), Err(Unfit::Point));
    // The neutral element has small order; so has the point of order two.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert_eq!(Key::ed25519(&neutral), Err(Unfit::Point));
    assert_eq!(Key::ed25519(&[0; 32]), Err(Unfit::Point));
    assert_eq!(Key::ed25519(&[1; 31]), Err(Unfit::Point));
}

#[test]
fn a_key_pairs_with_the_algorithms_of_its_kind_and_with_no_other() {
    let fits = |key: &Key| {
        let names = Algorithm::all().filter(|algorithm| key.with(*algorithm).is_some()).map(Algorithm::name);
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(fits(&rfc_rsa()), "RS256 RS384 RS512 PS256 PS384 PS512");
    assert_eq!(fits(&rfc_p256()), "ES256");
    assert_eq!(fits(&rfc_p256().only_for(Algorithm::Es256).unwrap()), "ES256");
    assert!(rfc_p256().only_for(Algorithm::Es384).is_none());
    assert_eq!(fits(&rfc_rsa().only_for(Algorithm::Ps(Hash::Sha384)).unwrap()), "PS384");
    assert_eq!(fits(&Key::secret(&[7; 32]).unwrap()), "HS256");
    assert_eq!(fits(&Key::secret(&[7; 63]).unwrap()), "HS256 HS384");
    assert_eq!(fits(&Key::secret(&[7; 64]).unwrap()), "HS256 HS384 HS512");
    assert_eq!(Key::secret(&[7; 31]), Err(Unfit::Secret));
}

#[test]
fn other_libraries_read_the_same_key_from_its_der() {
    let rsa = rfc_rsa();
    let spki = rsa.with(Algorithm::Rs(Hash::Sha256)).unwrap().spki().unwrap();
    assert!(*rsa.material() == Material::Rsa(Box::new(rsa::PublicKey::from_public_key_der(spki).unwrap())));
    let p256 = rfc_p256();
    let spki = p256.with(Algorithm::Es256).unwrap().spki().unwrap();
    let read = p256::ecdsa::VerifyingKey::from_public_key_der(spki).unwrap();
    assert!(*p256.material() == Material::P256(Box::new(read)));
    // The generators of the other two curves, which their crates know.
    let point = p384::PublicKey::from_affine(p384::AffinePoint::GENERATOR).unwrap().to_sec1_point(false);
    let p384 = Key::ec(Curve::P384, point.x().unwrap(), point.y().unwrap()).unwrap();
    let read =
        p384::ecdsa::VerifyingKey::from_public_key_der(p384.with(Algorithm::Es384).unwrap().spki().unwrap());
    assert!(*p384.material() == Material::P384(Box::new(read.unwrap())));
    let point = p521::PublicKey::from_affine(p521::AffinePoint::GENERATOR).unwrap().to_sec1_point(false);
    let p521 = Key::ec(Curve::P521, point.x().unwrap(), point.y().unwrap()).unwrap();
    let read =
        p521::ecdsa::VerifyingKey::from_public_key_der(p521.with(Algorithm::Es512).unwrap().spki().unwrap());
    assert!(*p521.material() == Material::P521(Box::new(read.unwrap())));
    let ed25519 = Key::ed25519(&bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")).unwrap();
    let read = ed25519_dalek::VerifyingKey::from_public_key_der(
        ed25519.with(Algorithm::EdDsa).unwrap().spki().unwrap(),
    );
    assert!(*ed25519.material() == Material::Ed25519(Box::new(read.unwrap())));
}

/// RFC 8037 appendix A.4: each bit of the signature counts, and so does its length.
#[test]
fn an_ed25519_signature_is_good_only_as_it_is() {
    let key = Key::ed25519(&bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")).unwrap();
    let pairing = key.with(Algorithm::EdDsa).unwrap();
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature =
        bytes("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    assert!(Pure.verify(pairing, message, &signature));
    for at in 0..64 {
        let mut wrong = signature.clone();
        wrong[at] ^= 1;
        assert!(!Pure.verify(pairing, message, &wrong), "{at}");
    }
    assert!(!Pure.verify(pairing, message, &signature[..63]));
    assert!(!Pure.verify(pairing, message, &[&signature[..], &[0]].concat()));
}

#[test]
fn debug_output_names_the_kind_and_keeps_the_secret() {
    let key = Key::secret(b"0123456789abcdef0123456789abcdef").unwrap().named("k1");
    assert_eq!(format!("{key:?}"), "Key { kind: \"secret\", id: Some(\"k1\"), only: None }");
}
