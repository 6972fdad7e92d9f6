//! Providers of kind `jwt`: whose tokens are taken, by which keys, and what they have to say.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use wayside_credentials::jose::{Algorithm, Expectations, KeySet, NoKeySet, Terms, Wanted};
use wayside_sdk::Checks;
use wayside_sdk::config::Json;
use wayside_sdk::units::DurationText;

use super::providers::check_sources;
use super::raw::RawProvider;
use super::{NOT_SHOWN, jwks};
use crate::kinds::{Keys, Seen, Tokens};
use crate::source::Source;

const FIELDS: [&str; 13] = [
    "sources",
    "issuer",
    "audiences",
    "jwks",
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

pub(super) fn check(name: &str, raw: RawProvider, at: &mut Checks<'_>) -> Option<Tokens> {
    raw.only(&FIELDS, at);
    let keys = match &raw.jwks {
        // A set may have members that mean nothing to us.
        Some(remote) if remote.get("uri").is_some() && remote.get("keys").is_none() => {
            jwks::check(name, remote, &mut at.at("jwks")).map(Keys::Fetched)
        }
        configured => check_keys(configured.as_ref(), &mut at.at("jwks")).map(Keys::Configured),
    };
    let configured = match &keys {
        Some(Keys::Configured(keys)) => Some(&**keys),
        _ => None,
    };
    let algorithms = check_algorithms(raw.algorithms.as_deref(), configured, &mut at.at("algorithms"));
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

fn check_keys(raw: Option<&Json>, at: &mut Checks<'_>) -> Option<Rc<KeySet>> {
    let found = match raw.map(KeySet::from_json) {
        Some(Ok(keys)) if keys.skipped() == 0 => return Some(Rc::new(keys)),
        Some(Ok(keys)) => {
            at.at("keys")
                .refuse("keys that are whole and strong enough", format_args!("{} others", keys.broken()));
            return None;
        }
        None => "nothing",
        Some(Err(NoKeySet::Syntax)) => "no list `keys`",
        Some(Err(NoKeySet::TooMany)) => "too many keys",
        Some(Err(NoKeySet::Empty)) => "no key that can be used",
    };
    at.refuse("a JSON Web Key Set (RFC 7517) with keys for signatures that are strong enough", found);
    None
}

/// What the keys are for, unless it is said: never secrets and public keys together.
fn check_algorithms(
    raw: Option<&[String]>,
    keys: Option<&KeySet>,
    at: &mut Checks<'_>,
) -> Option<Vec<Algorithm>> {
    let secret = keys.is_some_and(|keys| keys.keys().any(|key| key.is_secret()));
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
    let fits = |keys: &KeySet| {
        keys.keys().any(|key| algorithms.iter().any(|algorithm| key.with(*algorithm).is_some()))
    };
    if algorithms.len() == raw.len() && !keys.is_none_or(fits) {
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
