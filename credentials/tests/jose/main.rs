//! Tokens and keys by the vectors of others.

mod envoy;
mod rfcs;
mod wycheproof;

use wayside_credentials::jose::{Algorithm, Defect, Hash, KeySet, NoKey, NoKeySet, Pure, Terms, Unverified};

/// Everything that keys of such a set can be used with, and no mixture of secrets with public keys.
fn terms(keys: &KeySet) -> Terms {
    let symmetric = keys.keys().any(|key| key.is_secret());
    let algorithms = Algorithm::all().filter(|algorithm| algorithm.is_symmetric() == symmetric).collect();
    Terms { algorithms, typ: None, max_keys_tried: 4 }
}

fn verify(token: &str, keys: &KeySet) -> Result<Vec<u8>, Defect> {
    let terms = terms(keys);
    Unverified::parse(token.as_bytes(), &terms)?.verify(keys, terms.max_keys_tried, &Pure)
}

/// Secrets by these names.
fn secrets(names: &[&str]) -> Vec<String> {
    let secret = |name: &&str| format!(r#"{{"kty":"oct","kid":"{name}","k":"{}"}}"#, "abcd".repeat(11));
    names.iter().map(secret).collect()
}

fn set(keys: &[String]) -> Result<KeySet, NoKeySet> {
    KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
}

#[test]
fn what_is_no_key_is_passed_over_and_counted_and_an_empty_set_is_none() {
    let [good, other] = secrets(&["a", "b"]).try_into().expect("two");
    let weak = r#"{"kty":"oct","kid":"w","k":"AAAA"}"#.to_owned();
    let encrypts = good.replace(r#""kty""#, r#""use":"enc","kty""#).replace(r#""a""#, r#""e""#);
    let unknown = r#"{"kty":"AKP","kid":"x"}"#.to_owned();
    let keys = set(&[good.clone(), weak.clone(), encrypts, unknown.clone(), other]).expect("two good ones");
    assert_eq!((keys.keys().count(), keys.skipped(), keys.broken()), (2, 3, 1));
    assert_eq!(set(&[weak, unknown]), Err(NoKeySet::Empty));
    assert_eq!(set(&[]), Err(NoKeySet::Empty));
    assert_eq!(set(&vec![good; 101]), Err(NoKeySet::TooMany));
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, "\u{feff}{\"keys\":[]}"] {
        assert_eq!(KeySet::parse(text.as_bytes()), Err(NoKeySet::Syntax), "{text}");
    }
}

#[test]
fn a_broken_key_spoils_others_of_its_name_and_secrets_beside_public_keys_are_left_out() {
    let [good, other] = secrets(&["a", "b"]).try_into().expect("two");
    let broken = r#"{"kty":"oct","kid":"a","k":"A"}"#.to_owned();
    let keys = set(&[good.clone(), broken, other]).expect("one good one");
    assert_eq!(keys.keys().filter_map(|key| key.id()).collect::<Vec<_>>(), ["b"]);
    let public =
        r#"{"kty":"OKP","crv":"Ed25519","kid":"p","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let keys = set(&[good, public.to_owned()]).expect("one good one");
    assert_eq!(keys.keys().filter_map(|key| key.id()).collect::<Vec<_>>(), ["p"]);
}

#[test]
fn without_a_name_no_more_keys_are_tried_than_are_allowed() {
    let keys = secrets(&["a", "b", "c", "d", "e", "f"]);
    let keys = set(&keys).expect("six keys");
    let tried = |id, most| keys.candidates(id, Algorithm::Hs(Hash::Sha256), most).map(|keys| keys.len());
    assert_eq!((tried(None, 4), tried(Some("a"), 4)), (Ok(4), Ok(1)));
    assert_eq!((tried(Some("A"), 4), tried(Some(""), 4)), (Err(NoKey::Unknown), Err(NoKey::Unknown)));
    assert_eq!(keys.candidates(Some("a"), Algorithm::Es256, 4).map(drop), Err(NoKey::Unfit));
}
