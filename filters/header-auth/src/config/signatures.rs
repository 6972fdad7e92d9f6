//! Providers of kind `http_signature`: who signs, and what a signature has to be.

use std::collections::BTreeMap;
use std::time::Duration;

use wayside_credentials::jose::{Algorithm, Key};
use wayside_credentials::messages::component::{Structure, Structures, is_whole};
use wayside_credentials::messages::signature::{Policy, Required, Signer, algorithm_named, algorithm_names};
use wayside_sdk::config::Json;
use wayside_sdk::units::DurationText;
use wayside_sdk::{Checks, OwnedName};

use super::raw::{RawContentDigest, RawProvider, RawReplay, RawSigner, RawStructure};
use super::{NOT_SHOWN, shared};
use crate::kinds::{Entitled, HttpSignature, Replay, Signing};

const MAX_AGE: Duration = Duration::from_secs(300);
const SKEW: Duration = Duration::from_secs(30);
const MOST_SKEW: Duration = Duration::from_secs(300);
const MAX_BODY: u64 = 1024 * 1024;
/// What 32 bits can address, with room for the copies it takes to look at a body.
const MOST_BODY: u64 = 64 * 1024 * 1024;

/// What a signature has to be, whoever makes it.
const TERMS: [&str; 10] = [
    "label",
    "tag",
    "required_components",
    "content_digest",
    "max_age",
    "skew",
    "require_nonce",
    "replay",
    "max_body",
    "structured_fields",
];

pub(super) fn check(
    name: &str,
    mut raw: RawProvider,
    plaintext: bool,
    at: &mut Checks<'_>,
) -> Option<HttpSignature> {
    raw.only(&[&["signers"], &TERMS[..]].concat(), at);
    let signers = raw.signers.take().unwrap_or_default();
    let check = |raw, at: &mut Checks<'_>| check_signer(raw, plaintext, at);
    let signers = each(signers, "at least one signer", check, &mut at.at("signers"));
    check_terms(name, raw, "signers", signers, at)
}

/// The same of those who have a secret with us.
pub(super) fn check_shared(
    name: &str,
    mut raw: RawProvider,
    plaintext: bool,
    at: &mut Checks<'_>,
) -> Option<HttpSignature> {
    raw.only(&[&["profile", "secrets"], &TERMS[..]].concat(), at);
    let secrets = raw.secrets.take().unwrap_or_default();
    let check = |raw: RawSigner, at: &mut Checks<'_>| {
        let id = check_id(&raw.id, at);
        let (shared, entitled) = shared::check(raw, plaintext, at)?;
        Some((Signing::Shared(id?, shared), entitled))
    };
    let secrets: Vec<RawSigner> = secrets.into_iter().map(RawSigner::from).collect();
    let signers = each(secrets, "at least one secret", check, &mut at.at("secrets"));
    check_terms(name, raw, "secrets", signers, at)
}

type Signers = Vec<(Signing, Entitled)>;

fn check_terms(
    name: &str,
    raw: RawProvider,
    field: &'static str,
    signers: Option<Signers>,
    at: &mut Checks<'_>,
) -> Option<HttpSignature> {
    let max_body = check_max_body(raw.max_body, &mut at.at("max_body"));
    let skew = raw.skew.map_or(SKEW, |skew| skew.0);
    if skew > MOST_SKEW {
        at.at("skew").refuse("0s to 5m", NOT_SHOWN);
    }
    let max_age = check_max_age(raw.max_age, &mut at.at("max_age"));
    let content = !matches!(raw.content_digest, Some(RawContentDigest::IfCovered));
    let required = check_required(raw.required_components, content, &mut at.at("required_components"));
    let structures =
        check_structures(raw.structured_fields.unwrap_or_default(), &mut at.at("structured_fields"));
    let policy = Policy {
        label: raw.label,
        tag: raw.tag,
        required: required?,
        nonce_required: raw.require_nonce.unwrap_or_default(),
        max_age,
        skew,
        structures: structures?,
    };
    Some(HttpSignature::new(name.to_owned(), field, signers?, policy, check_replay(raw.replay), max_body?))
}

pub(super) fn check_replay(replay: Option<RawReplay>) -> Replay {
    match replay {
        Some(RawReplay::Allow) => Replay::Allowed,
        Some(RawReplay::Refuse) | None => Replay::Refused,
    }
}

pub(super) fn check_max_age(max_age: Option<DurationText>, at: &mut Checks<'_>) -> Duration {
    let max_age = max_age.map_or(MAX_AGE, |max_age| max_age.0);
    if max_age.is_zero() {
        at.refuse("more than 0s", NOT_SHOWN);
    }
    max_age
}

pub(super) fn check_max_body(max_body: Option<u64>, at: &mut Checks<'_>) -> Option<usize> {
    let max_body = max_body.unwrap_or(MAX_BODY);
    if !(1..=MOST_BODY).contains(&max_body) {
        at.refuse(format_args!("1 to {MOST_BODY} bytes"), max_body);
    }
    usize::try_from(max_body).ok()
}

/// What is named replaces what is required otherwise, the digest of content apart.
fn check_required(raw: Option<Vec<String>>, content: bool, at: &mut Checks<'_>) -> Option<Required> {
    let Some(components) = raw else {
        return Some(Required { content, ..Required::default() });
    };
    let mut good = true;
    for (index, component) in components.iter().enumerate() {
        if !is_whole(component) {
            at.at(index).refuse(
                "the name of a header in lower case, or of a derived component without parameters",
                NOT_SHOWN,
            );
            good = false;
        }
    }
    good.then_some(Required { components, target: false, content })
}

fn check_structures(raw: BTreeMap<String, RawStructure>, at: &mut Checks<'_>) -> Option<Structures> {
    let mut structures = Vec::with_capacity(raw.len());
    let count = raw.len();
    for (name, structure) in raw {
        match OwnedName::parse(&name) {
            Some(name) => structures.push((
                name.as_str().to_owned(),
                match structure {
                    RawStructure::Item => Structure::Item,
                    RawStructure::List => Structure::List,
                    RawStructure::Dictionary => Structure::Dictionary,
                },
            )),
            None => at.refuse("names of headers", NOT_SHOWN),
        }
    }
    (structures.len() == count).then(|| Structures::new(structures))
}

/// One signer for each entry, no two by one name.
fn each<T>(
    raw: Vec<T>,
    expected: &str,
    check: impl Fn(T, &mut Checks<'_>) -> Option<(Signing, Entitled)>,
    at: &mut Checks<'_>,
) -> Option<Signers> {
    if raw.is_empty() {
        at.refuse(expected, "none");
        return None;
    }
    let count = raw.len();
    let mut signers = Signers::with_capacity(count);
    for (index, raw) in raw.into_iter().enumerate() {
        let at = &mut at.at(index);
        let Some((signing, entitled)) = check(raw, at) else { continue };
        if signers.iter().any(|(other, _)| other.id() == signing.id()) {
            at.at("id").refuse("each id once", "one that is there already");
            continue;
        }
        signers.push((signing, entitled));
    }
    (signers.len() == count).then_some(signers)
}

/// A `keyid`.
fn check_id(id: &str, at: &mut Checks<'_>) -> Option<String> {
    let visible = id.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !visible || !(1..=256).contains(&id.len()) {
        at.at("id").refuse("1 to 256 visible ASCII characters, as a `keyid` has them", NOT_SHOWN);
        return None;
    }
    Some(id.to_owned())
}

fn check_signer(mut raw: RawSigner, plaintext: bool, at: &mut Checks<'_>) -> Option<(Signing, Entitled)> {
    let id = check_id(&raw.id, at);
    let algorithm = check_algorithm(&raw.algorithm.take().unwrap_or_default(), &mut at.at("algorithm"));
    if let Some(Algorithm::Hs(_)) = algorithm {
        let (shared, entitled) = shared::check(raw, plaintext, at)?;
        return Some((Signing::Shared(id?, shared), entitled));
    }
    let key = check_jwk(raw.jwk.take().as_ref(), &mut at.at("jwk"));
    let entitled = shared::check_entitled(raw, at);
    let signer = Signer::new(key?.named(&id?), algorithm?);
    if signer.is_none() {
        at.at("algorithm").refuse("an algorithm of this kind of key", "one of another kind");
    }
    Some((Signing::Public(signer?), entitled?))
}

fn check_algorithm(name: &str, at: &mut Checks<'_>) -> Option<Algorithm> {
    let algorithm = algorithm_named(name);
    if algorithm.is_none() {
        let names: Vec<&str> = algorithm_names().collect();
        at.refuse(format_args!("one of {}", names.join(", ")), NOT_SHOWN);
    }
    algorithm
}

/// A public key (RFC 7517 and 7518, section 6).
fn check_jwk(jwk: Option<&Json>, at: &mut Checks<'_>) -> Option<Key> {
    for field in ["d", "p", "q", "dp", "dq", "qi", "k"] {
        if jwk.is_some_and(|jwk| jwk.get(field).is_some()) {
            at.at(field).refuse("a public key", "a part of a private one");
            return None;
        }
    }
    let key = jwk.and_then(|jwk| Key::from_jwk(jwk).ok()).filter(|key| !key.is_secret());
    if key.is_none() {
        at.refuse("a public key as JWK: RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519", NOT_SHOWN);
    }
    key
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use wayside_sdk::Configuration as _;

    const ED25519: &str =
        r#"{"kty": "OKP", "crv": "Ed25519", "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}"#;

    fn signer(more: &str) -> String {
        format!(r#""signers": [{{"id": "k", "algorithm": "ed25519", "jwk": {ED25519}{more}}}]"#)
    }

    /// A configuration with one provider, which has these fields.
    fn refusal(fields: &str) -> String {
        let text = format!(
            r#"{{"version": 1, "providers": {{"p": {{"kind": "http_signature", {fields}}}}}, "defaults": {{"require": {{"any": ["p"]}}}}}}"#
        );
        Config::parse(text.as_bytes()).map_or_else(|errors| errors.to_string(), |_| "accepted".to_owned())
    }

    #[test]
    fn signers_have_a_name_an_algorithm_and_a_public_key_that_fits_it() {
        for more in [
            "",
            r#", "subject": "acme", "scopes": ["a"], "not_before": "2026-01-01T00:00:00Z", "not_after": "2027-01-01T00:00:00Z""#,
        ] {
            assert_eq!(refusal(&signer(more)), "accepted", "{more}");
        }
        let one = |id: &str, algorithm: &str, jwk: &str| {
            refusal(&format!(r#""signers": [{{"id": "{id}", "algorithm": "{algorithm}", "jwk": {jwk}}}]"#))
        };
        for (message, place) in [
            (refusal(r#""hide": true"#), "signers: expected at least one signer"),
            (one("", "ed25519", ED25519), "signers/0/id: expected 1 to 256"),
            (one("k\u{e4}", "ed25519", ED25519), "signers/0/id: expected 1 to 256"),
            (one("k", "EdDSA", ED25519), "signers/0/algorithm: expected one of ed25519, ecdsa-p256-sha256"),
            (one("k", "rsa-pss-sha512", ED25519), "signers/0/algorithm: expected an algorithm of this kind"),
            (one("k", "hmac-sha256", ED25519), "signers/0/jwk: expected no such field beside a secret"),
            (one("k", "ed25519", "{}"), "signers/0/jwk: expected a public key"),
            (one("k", "ed25519", &ED25519.replace("JrQL", "")), "signers/0/jwk: expected a public key"),
            (one("k", "ed25519", &ED25519.replace("\"x\"", "\"d\": \"hunter2\", \"x\"")), "signers/0/jwk/d"),
            (
                one("k", "hmac-sha256", r#"{"kty": "oct", "k": "hunter2"}"#),
                "signers/0/jwk: expected no such field",
            ),
            (one("k", "ed25519", r#"{"kty": "oct", "k": "hunter2"}"#), "signers/0/jwk/k"),
            (
                refusal(
                    &signer("").replace(
                        "]",
                        &format!(r#", {{"id": "k", "algorithm": "ed25519", "jwk": {ED25519}}}]"#),
                    ),
                ),
                "signers/1/id",
            ),
            (refusal(&signer(r#", "secret": "hunter2""#)), "signers/0/secret: expected no such field"),
            (refusal(&signer(r#", "password": "hunter2""#)), "signers/0/password: unknown field"),
        ] {
            assert!(message.starts_with(&format!("/providers/p/{place}")), "{place}: {message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn what_a_signature_has_to_be_is_checked_when_it_is_configured() {
        for good in [
            r#""required_components": []"#,
            r#""required_components": ["@method", "@path", "date"], "content_digest": "if_covered""#,
            r#""label": "sig1", "tag": "app", "max_age": "99999h", "skew": "5m", "require_nonce": true"#,
            r#""replay": "allow", "max_body": 1, "structured_fields": {"X-Dict": "dictionary"}, "hide": true"#,
        ] {
            assert_eq!(refusal(&format!("{}, {good}", signer(""))), "accepted", "{good}");
        }
        for (bad, place) in [
            (r#""required_components": ["@method", "Date"]"#, "required_components/1"),
            (r#""required_components": ["@query-param"]"#, "required_components/0"),
            (r#""required_components": ["@signature-params"]"#, "required_components/0"),
            (r#""content_digest": "never""#, "content_digest"),
            (r#""max_age": "0s""#, "max_age: expected more than 0s"),
            (r#""skew": "301s""#, "skew: expected 0s to 5m"),
            (r#""replay": "maybe""#, "replay"),
            (r#""max_body": 0"#, "max_body: expected 1 to 67108864 bytes"),
            (r#""structured_fields": {"a b": "list"}"#, "structured_fields: expected names of headers"),
            (r#""keys": []"#, "keys: expected no such field in a provider of kind `http_signature`"),
        ] {
            let message = refusal(&format!("{}, {bad}", signer("")));
            assert!(message.starts_with(&format!("/providers/p/{place}")), "{bad}: {message}");
        }
    }

    #[test]
    fn the_table_of_what_was_used_has_bounds() {
        let with = |capacity: u64| {
            let text = format!(
                r#"{{"version": 1, "replay": {{"capacity": {capacity}}}, "defaults": {{"require": "none"}}}}"#
            );
            Config::parse(text.as_bytes())
                .map(|config| config.replay_room)
                .map_err(|errors| errors.to_string())
        };
        assert_eq!((with(64), with(16_384), with(65_536)), (Ok(1), Ok(256), Ok(1024)));
        for capacity in [0, 63, 65_537] {
            assert!(with(capacity).unwrap_err().starts_with("/replay/capacity: expected 64 to 65536"));
        }
    }
}
