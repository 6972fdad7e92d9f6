//! Providers of kind `jwt`: whose tokens are taken, by which keys, and what they have to say.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use wayside_credentials::jose::{
    Algorithm, Expectations, Key, KeySet, LONGEST_KEY_ID, MOST_KEYS, Terms, Unfit, Unusable, Wanted,
};
use wayside_sdk::Checks;
use wayside_sdk::config::Json;
use wayside_sdk::units::DurationText;

use super::providers::check_sources;
use super::raw::{RawProvider, RawSecret, RawSigner};
use super::{NOT_SHOWN, jwks, shared};
use crate::kinds::{Keys, Seen, Shared, SharedKeys, Tokens};
use crate::source::Source;

const FIELDS: [&str; 14] = [
    "sources",
    "issuer",
    "audiences",
    "jwks",
    "secrets",
    "algorithms",
    "typ",
    "skew",
    "require_exp",
    "max_lifetime",
    "require_sub",
    "claims",
    "max_keys_tried",
    "cache_size",
];

pub(super) fn check(
    name: &str,
    mut raw: RawProvider,
    plaintext: bool,
    at: &mut Checks<'_>,
) -> Option<Tokens> {
    raw.only(&FIELDS, at);
    let keys = check_keys(name, raw.jwks.as_ref(), raw.secrets.take(), plaintext, at);
    let algorithms = check_algorithms(raw.algorithms.as_deref(), keys.as_ref(), &mut at.at("algorithms"));
    let sources = match raw.sources {
        Some(sources) => check_sources(sources, &mut at.at("sources")),
        None => Some(vec![Source::Scheme("Bearer".to_owned())]),
    };
    let max_keys_tried = raw.max_keys_tried.unwrap_or(4);
    if !(1..=16).contains(&max_keys_tried) {
        at.at("max_keys_tried").refuse("1 to 16", max_keys_tried);
    }
    let cache_size = raw.cache_size.unwrap_or(1000);
    if cache_size > 100_000 {
        at.at("cache_size").refuse("0 to 100000", cache_size);
    }
    let seen = Seen::up_to(usize::try_from(cache_size).unwrap_or_default());
    let typ = raw.typ;
    if typ.as_ref().is_some_and(String::is_empty) {
        at.at("typ").refuse("a media type such as `at+jwt`", "nothing");
    }
    let expected = Expectations {
        issuer: check_issuer(raw.issuer, &mut at.at("issuer"))?,
        audiences: check_audiences(raw.audiences, &mut at.at("audiences"))?,
        skew: check_time(raw.skew, Duration::from_secs(30), (0, 300), &mut at.at("skew"))?,
        require_exp: raw.require_exp.unwrap_or(true),
        max_lifetime: match raw.max_lifetime {
            Some(most) => {
                Some(check_time(Some(most), Duration::ZERO, (1, 31_536_000), &mut at.at("max_lifetime"))?)
            }
            None => None,
        },
        require_sub: raw.require_sub.unwrap_or(false),
        claims: check_claims(raw.claims.as_ref(), &mut at.at("claims"))?,
    };
    let max_keys_tried = usize::try_from(max_keys_tried).unwrap_or(4);
    let terms = Terms { algorithms: algorithms?, typ, max_keys_tried };
    Some(Tokens { sources: sources?, keys: keys?, terms, expected, seen })
}

fn check_keys(
    name: &str,
    jwks: Option<&Json>,
    secrets: Option<Vec<RawSecret>>,
    plaintext: bool,
    at: &mut Checks<'_>,
) -> Option<Keys> {
    match (jwks, secrets) {
        (jwks, Some(_)) if jwks.is_some() => {
            at.at("secrets").refuse("`jwks` or `secrets`: never secrets beside public keys", "both");
            None
        }
        (_, Some(secrets)) => check_secrets(secrets, plaintext, &mut at.at("secrets")),
        // A set may have members that mean nothing to us.
        (Some(remote), None) if remote.get("uri").is_some() && remote.get("keys").is_none() => {
            jwks::check(name, remote, &mut at.at("jwks")).map(Keys::Fetched)
        }
        (configured, None) => check_set(configured, plaintext, &mut at.at("jwks")).map(Keys::Configured),
    }
}

/// A key set as it stands: what is broken or weak is told by its place, what is for other purposes is passed over.
fn check_set(raw: Option<&Json>, plaintext: bool, at: &mut Checks<'_>) -> Option<Rc<KeySet>> {
    let Some(Json::List(entries)) = raw.and_then(|set| set.get("keys")) else {
        at.refuse(KEY_SET, if raw.is_some() { "no list `keys`" } else { "nothing" });
        return None;
    };
    let at = &mut at.at("keys");
    if entries.len() > MOST_KEYS {
        at.refuse(format_args!("at most {MOST_KEYS} keys"), entries.len());
        return None;
    }
    let mut keys: Vec<Key> = Vec::with_capacity(entries.len());
    let mut good = true;
    for (index, entry) in entries.iter().enumerate() {
        let at = &mut at.at(index);
        match check_key(entry, &keys, plaintext, at) {
            Ok(key) => keys.extend(key),
            Err(Refused) => good = false,
        }
    }
    if !good {
        return None;
    }
    let set = KeySet::of(keys);
    if set.is_none() {
        at.refuse(KEY_SET, "no key that can be used");
    }
    set.map(Rc::new)
}

const KEY_SET: &str = "a JSON Web Key Set (RFC 7517) with keys for signatures that are strong enough";

/// It has been told why.
struct Refused;

/// A key that stands behind those before it; none of those for other purposes.
fn check_key(
    entry: &Json,
    before: &[Key],
    plaintext: bool,
    at: &mut Checks<'_>,
) -> Result<Option<Key>, Refused> {
    let (field, expected) = match Key::from_jwk(entry) {
        Ok(key) if key.is_secret() && !plaintext => (
            "k",
            "no secret but with `allow_plaintext`: `secrets` name the variables of the VM's environment that hold them",
        ),
        Ok(key) if before.contains(&key) => ("", "each key once"),
        Ok(key) if before.iter().any(|other| other.is_secret() != key.is_secret()) => {
            ("kty", "public keys alone or secrets alone: who takes one for the other lets anybody sign")
        }
        Ok(key) => return Ok(Some(key)),
        Err(Unusable::Purpose | Unusable::Kind) => return Ok(None),
        Err(Unusable::Member(name)) => (name, "a member as RFC 7517 and RFC 7518 have it"),
        Err(Unusable::Unfit(unfit)) => match unfit {
            Unfit::Modulus => ("n", "an odd modulus of 2048 to 8192 bits"),
            Unfit::Exponent => ("e", "an odd exponent from 65537 on"),
            Unfit::Point => ("", "a point of the curve"),
            Unfit::Secret => ("k", "at least 32 bytes"),
        },
    };
    match field {
        "" => at.refuse(expected, "another (not shown)"),
        field => at.at(field).refuse(expected, "another (not shown)"),
    }
    Err(Refused)
}

/// Whose tokens are known by secrets, each by a `kid`.
fn check_secrets(raw: Vec<RawSecret>, plaintext: bool, at: &mut Checks<'_>) -> Option<Keys> {
    let count = raw.len();
    if !(1..=MOST_KEYS).contains(&count) {
        at.refuse(format_args!("1 to {MOST_KEYS} secrets"), count);
        return None;
    }
    let mut secrets: Vec<(String, Shared)> = Vec::with_capacity(count);
    for (index, raw) in raw.into_iter().map(RawSigner::from).enumerate() {
        let at = &mut at.at(index);
        if secrets.iter().any(|(id, _)| *id == raw.id) || !(1..=LONGEST_KEY_ID).contains(&raw.id.len()) {
            at.at("id").refuse("a `kid` of 1 to 256 bytes, each once", NOT_SHOWN);
            continue;
        }
        let id = raw.id.clone();
        secrets.extend(shared::check_kid(raw, plaintext, at).map(|shared| (id, shared)));
    }
    (secrets.len() == count).then(|| Keys::Shared(SharedKeys::new(secrets)))
}

/// What the keys are for, unless it is said: never secrets and public keys together.
fn check_algorithms(
    raw: Option<&[String]>,
    keys: Option<&Keys>,
    at: &mut Checks<'_>,
) -> Option<Vec<Algorithm>> {
    let configured = match keys {
        Some(Keys::Configured(keys)) => Some(&**keys),
        _ => None,
    };
    let secret = matches!(keys, Some(Keys::Shared(_)))
        || configured.is_some_and(|keys| keys.keys().any(|key| key.is_secret()));
    let Some(raw) = raw else {
        return Some(Algorithm::all().filter(|algorithm| algorithm.is_symmetric() == secret).collect());
    };
    let mut algorithms = Vec::with_capacity(raw.len());
    for (index, name) in raw.iter().enumerate() {
        match Algorithm::named(name) {
            Some(algorithm) => algorithms.push(algorithm),
            None => at.at(index).refuse("an algorithm of RFC 7518 or RFC 8037 that signs", NOT_SHOWN),
        }
    }
    let fits = match (keys, configured) {
        (_, Some(keys)) => {
            keys.keys().any(|key| algorithms.iter().any(|algorithm| key.with(*algorithm).is_some()))
        }
        (Some(Keys::Shared(_)), None) => algorithms.iter().any(|algorithm| algorithm.is_symmetric()),
        _ => true,
    };
    if algorithms.len() == raw.len() && !fits {
        at.refuse("an algorithm that one of the keys is for", "others");
        return None;
    }
    (algorithms.len() == raw.len()).then_some(algorithms)
}

fn check_issuer(raw: Option<String>, at: &mut Checks<'_>) -> Option<String> {
    let issuer = raw.filter(|issuer| !issuer.is_empty());
    if issuer.is_none() {
        at.refuse("whose tokens these are, as in their `iss`", "nothing");
    }
    issuer
}

fn check_audiences(raw: Option<Vec<String>>, at: &mut Checks<'_>) -> Option<Vec<String>> {
    let Some(audiences) = raw else { return Some(Vec::new()) };
    if audiences.is_empty() || audiences.iter().any(String::is_empty) {
        at.refuse("names by which tokens mean us", "none");
        return None;
    }
    Some(audiences)
}

fn check_time(
    raw: Option<DurationText>,
    default: Duration,
    (least, most): (u64, u64),
    at: &mut Checks<'_>,
) -> Option<Duration> {
    let Some(DurationText(time)) = raw else { return Some(default) };
    let (least, most) = (Duration::from_secs(least), Duration::from_secs(most));
    if !(least..=most).contains(&time) {
        at.refuse(format_args!("{} to {}", DurationText(least), DurationText(most)), DurationText(time));
        return None;
    }
    Some(time)
}

/// Claims by name, each with a value or with several that it must have.
pub(super) fn check_claims(raw: Option<&BTreeMap<String, Json>>, at: &mut Checks<'_>) -> Option<Vec<Wanted>> {
    let Some(raw) = raw else { return Some(Vec::new()) };
    if raw.is_empty() {
        at.refuse("at least one claim", "none");
        return None;
    }
    let mut wanted = Vec::with_capacity(raw.len());
    for (name, values) in raw {
        let values = match values {
            Json::List(values) => values.clone(),
            value => vec![value.clone()],
        };
        let plain = |value: &Json| {
            matches!(value, Json::Text(_) | Json::Bool(_) | Json::Unsigned(_) | Json::Negative(_))
        };
        if name.is_empty() || values.is_empty() || !values.iter().all(plain) {
            at.at(name).refuse("a text, a whole number or a truth value, or a list of those", NOT_SHOWN);
            continue;
        }
        wanted.push(Wanted { name: name.clone(), values });
    }
    (wanted.len() == raw.len()).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use wayside_sdk::Configuration as _;

    const RSA: &str = r#"{"kty": "RSA", "e": "AQAB", "n": "rVlCix9Yd4mFX65JL3rNHEmKToAJk2vOokQIPAlKz4RoLGLucHqZXBJ5YaWXs4D4BVt2n51h5Z5EEsniPtMM53d5SKgN0lUbclRDS93e2WLGSQzsL7LUTP9cZdB5nCwd6Aca2y8CGU42t9oBOq6v30bEweOt9HctI2LFDCsJKLJ7zlzAJXyElux2FW86zoDwXkVl5UIoXYVYr40EKLJgQrrrdfllO8NG8HuZPvZjYICAO_4o9jPCjxMtUKFMPBTr4H1SJIrD3XmUWeKKaSrudSkl11tyXkBcWaIkPs8ljtmX26mMjRMmEit0_heDy-eYZrKp-_NZY64YgsYV7yHpMw"}"#;
    const OCT: &str = r#"{"kty": "oct", "k": "aHVudGVyMi1odW50ZXIyLWh1bnRlcjItaHVudGVyMi0"}"#;

    fn told(keys: &[&str]) -> String {
        let text = format!(
            r#"{{"version": 1, "allow_plaintext": true, "providers": {{"p": {{"kind": "jwt", "issuer": "i", "jwks": {{"keys": [{}]}}}}}},
                "defaults": {{"require": {{"any": ["p"]}}}}}}"#,
            keys.join(", ")
        );
        Config::parse(text.as_bytes()).map_or_else(|errors| errors.to_string(), |_| "accepted".to_owned())
    }

    #[test]
    fn of_a_configured_set_each_key_that_cannot_be_meant_is_told_by_its_place() {
        let encrypts = RSA.replace("\"kty\"", "\"use\": \"enc\", \"kty\"");
        for keys in [&[RSA][..], &[OCT], &[RSA, &encrypts], &[r#"{"kty": "new"}"#, OCT]] {
            assert_eq!(told(keys), "accepted", "{keys:?}");
        }
        for (keys, place) in [
            (&[RSA, OCT][..], "/1/kty: expected public keys alone or secrets alone"),
            (&[OCT, RSA], "/1/kty: expected public keys alone or secrets alone"),
            (&[RSA, RSA], "/1: expected each key once"),
            (&[RSA, r#"{"kty": "oct", "k": "aHVudGVyMg"}"#], "/1/k: expected at least 32 bytes"),
            (&[&RSA.replace("AQAB", "Aw")], "/0/e: expected an odd exponent"),
            (&[&RSA.replace("rVlCix9", "")], "/0/n: expected an odd modulus"),
            (
                &[r#"{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}"#],
                "/0: expected a point of the curve",
            ),
            (&[&RSA.replace("\"e\"", "\"f\"")], "/0/e: expected a member"),
            (
                &[&encrypts],
                ": expected a JSON Web Key Set (RFC 7517) with keys for signatures that are strong enough, found no key",
            ),
        ] {
            let message = told(keys);
            assert!(message.starts_with(&format!("/providers/p/jwks/keys{place}")), "{keys:?}: {message}");
            assert!(!message.contains("hunter2") && !message.contains("aHVudGVyMg"), "{message}");
        }
        assert!(told(&[&RSA.replace("rVlCix9", ""), &RSA.replace("AQAB", "Aw")]).lines().count() == 2);
    }
}
