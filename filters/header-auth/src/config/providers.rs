//! The providers of a configuration: kinds, sources, keys and users.

use std::collections::BTreeMap;
use std::rc::Rc;

use wayside_sdk::{Checks, OwnedName};

use super::raw::{RawKey, RawProvider, RawSource, RawUser};
use super::{NOT_SHOWN, signatures, tokens};
use crate::authorization::is_token;
use crate::digest::{Digest, bytes_from_hex};
use crate::kinds::{ApiKeys, Basic, Kind};
use crate::provider::Provider;
use crate::source::Source;
use crate::store::{ApiKey, Holder, KeyStore, Salt, SaltedPassword, User, UserStore};
use crate::timestamp::Timestamp;

pub(super) type Providers = BTreeMap<String, Rc<Provider>>;

pub(super) fn check(raw: BTreeMap<String, RawProvider>, at: &mut Checks<'_>) -> Providers {
    let mut providers = Providers::new();
    for (name, raw) in raw {
        let at = &mut at.at(&name);
        let letters =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        if !(1..=64).contains(&name.len()) || !name.bytes().all(letters) {
            at.refuse("a name of 1 to 64 of a-z, 0-9, _ and -", NOT_SHOWN);
        }
        // Whoever has signed a message has signed it for the upstream too, and a token is for whoever can verify it.
        let hide = raw.hide.unwrap_or(!matches!(raw.kind.as_str(), "http_signature" | "jwt"));
        if let Some(kind) = check_kind(&name, raw, at) {
            providers.insert(name.clone(), Rc::new(Provider { name, kind, hide }));
        }
    }
    providers
}

fn check_kind(name: &str, raw: RawProvider, at: &mut Checks<'_>) -> Option<Kind> {
    match raw.kind.as_str() {
        "api_key" => check_api_keys(raw, at).map(Kind::ApiKeys),
        "basic" => check_basic(raw, at).map(Kind::Basic),
        "http_signature" => signatures::check(name, raw, at).map(Box::new).map(Kind::HttpSignature),
        "jwt" => tokens::check(name, raw, at).map(Box::new).map(Kind::Tokens),
        _ => {
            at.at("kind").refuse(
                "`api_key`, `basic`, `http_signature` or `jwt`, the kinds this version has",
                NOT_SHOWN,
            );
            None
        }
    }
}

fn check_api_keys(raw: RawProvider, at: &mut Checks<'_>) -> Option<ApiKeys> {
    raw.only(&["sources", "keys"], at);
    let sources = check_sources(raw.sources.unwrap_or_default(), &mut at.at("sources"));
    let keys = check_keys(raw.keys.unwrap_or_default(), &mut at.at("keys"));
    Some(ApiKeys { sources: sources?, keys: keys? })
}

fn check_basic(raw: RawProvider, at: &mut Checks<'_>) -> Option<Basic> {
    raw.only(&["users"], at);
    check_users(raw.users.unwrap_or_default(), &mut at.at("users")).map(Basic::new)
}

pub(super) fn check_sources(raw: Vec<RawSource>, at: &mut Checks<'_>) -> Option<Vec<Source>> {
    if raw.is_empty() {
        at.refuse("at least one source", "none");
        return None;
    }
    let count = raw.len();
    let mut sources: Vec<Source> = Vec::with_capacity(count);
    for (index, raw) in raw.into_iter().enumerate() {
        let at = &mut at.at(index);
        match check_source(raw, at) {
            Some(source) if sources.contains(&source) => {
                at.refuse("each source once", "a second one like it")
            }
            Some(source) => sources.push(source),
            None => {}
        }
    }
    (sources.len() == count).then_some(sources)
}

fn check_source(raw: RawSource, at: &mut Checks<'_>) -> Option<Source> {
    match (raw.header, raw.scheme, raw.query, raw.cookie) {
        (Some(name), scheme, None, None) => check_header_source(&name, scheme, at),
        (None, None, Some(name), None) => parameter_name(name, &mut at.at("query")).map(Source::Query),
        (None, None, None, Some(name)) => parameter_name(name, &mut at.at("cookie")).map(Source::Cookie),
        _ => {
            at.refuse(
                "one of `header` (with `scheme` for `authorization`), `query` and `cookie`",
                "another combination",
            );
            None
        }
    }
}

fn check_header_source(name: &str, scheme: Option<String>, at: &mut Checks<'_>) -> Option<Source> {
    let Some(header) = OwnedName::parse(name) else {
        at.at("header").refuse("a header name", NOT_SHOWN);
        return None;
    };
    match (header.as_str(), scheme) {
        ("authorization", Some(scheme)) => {
            let taken = scheme.eq_ignore_ascii_case("Basic");
            if taken || scheme.is_empty() || !scheme.bytes().all(is_token) {
                at.at("scheme").refuse("an authentication scheme other than Basic", NOT_SHOWN);
                return None;
            }
            Some(Source::Scheme(scheme))
        }
        ("authorization", None) => {
            at.refuse("a `scheme` beside `authorization`, such as \"Bearer\"", "none");
            None
        }
        ("cookie", _) => {
            at.at("header").refuse("the source `cookie` with the cookie's name", "the whole header");
            None
        }
        (_, Some(_)) => {
            at.at("scheme").refuse("no scheme but beside `authorization`", "one");
            None
        }
        (header, None) => Some(Source::Header(header.to_owned())),
    }
}

fn parameter_name(name: String, at: &mut Checks<'_>) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if name.is_empty() || !name.bytes().all(plain) {
        at.refuse("a name of letters, digits and -._~", NOT_SHOWN);
        return None;
    }
    Some(name)
}

fn check_keys(raw: Vec<RawKey>, at: &mut Checks<'_>) -> Option<KeyStore> {
    if raw.is_empty() {
        at.refuse("at least one key", "none");
        return None;
    }
    let mut keys = KeyStore::default();
    let mut good = true;
    for (index, raw) in raw.into_iter().enumerate() {
        let at = &mut at.at(index);
        let Some(key) = check_key(raw, at) else {
            good = false;
            continue;
        };
        if keys.insert(key).is_err() {
            at.at("sha256").refuse("each digest once", "one that is there already");
            good = false;
        }
    }
    good.then_some(keys)
}

fn check_key(raw: RawKey, at: &mut Checks<'_>) -> Option<ApiKey> {
    let digest = Digest::from_hex(&raw.sha256.0);
    if digest.is_none() {
        at.at("sha256")
            .refuse("64 hexadecimal digits", format_args!("{} characters (not shown)", raw.sha256.0.len()));
    }
    let empty = digest.is_some_and(|digest| digest.matches(&Digest::of(&[])).into());
    if empty {
        at.at("sha256").refuse("the digest of a key", "the digest of nothing");
    }
    let not_before = moment(raw.not_before, &mut at.at("not_before"));
    let not_after = moment(raw.not_after, &mut at.at("not_after"));
    if let (Some(Some(start)), Some(Some(end))) = (not_before, not_after)
        && start >= end
    {
        at.at("not_after").refuse("a time after `not_before`", "an earlier one");
        return None;
    }
    let holder = check_holder(raw.id, raw.scopes, "id", at);
    Some(ApiKey {
        digest: digest.filter(|_| !empty)?,
        holder: holder?,
        not_before: not_before?,
        not_after: not_after?,
    })
}

/// `Some(None)` where no time is given, `None` where a bad one is.
pub(super) fn moment(text: Option<String>, at: &mut Checks<'_>) -> Option<Option<Timestamp>> {
    let Some(text) = text else { return Some(None) };
    match Timestamp::parse(&text) {
        Ok(time) => Some(Some(time)),
        Err(_) => {
            at.refuse("a time from 1970 on in UTC, such as \"2027-01-01T00:00:00Z\"", NOT_SHOWN);
            None
        }
    }
}

fn check_users(raw: Vec<RawUser>, at: &mut Checks<'_>) -> Option<UserStore> {
    if raw.is_empty() {
        at.refuse("at least one user", "none");
        return None;
    }
    let mut users = UserStore::default();
    let mut good = true;
    for (index, raw) in raw.into_iter().enumerate() {
        let at = &mut at.at(index);
        let Some(user) = check_user(raw, at) else {
            good = false;
            continue;
        };
        if users.insert(user).is_err() {
            at.at("name").refuse("each user once", "one who is there already");
            good = false;
        }
    }
    good.then_some(users)
}

fn check_user(raw: RawUser, at: &mut Checks<'_>) -> Option<User> {
    let salted = &mut at.at("sha256_salted");
    let salt = bytes_from_hex(&raw.sha256_salted.salt.0);
    if salt.is_none() {
        let found = format_args!("{} characters (not shown)", raw.sha256_salted.salt.0.len()).to_string();
        salted.at("salt").refuse("32 hexadecimal digits", found);
    }
    let digest = Digest::from_hex(&raw.sha256_salted.digest.0);
    if digest.is_none() {
        let found = format_args!("{} characters (not shown)", raw.sha256_salted.digest.0.len()).to_string();
        salted.at("digest").refuse("64 hexadecimal digits", found);
    }
    let password = salt.zip(digest).map(|(salt, digest)| SaltedPassword { salt: Salt(salt), digest });
    let empty =
        password.is_some_and(|password| password.digest.matches(&Digest::of(&[&password.salt.0])).into());
    if empty {
        salted.at("digest").refuse("the digest of salt and password", "the digest of the salt alone");
    }
    if raw.name.contains(':') {
        at.at("name").refuse("a name without `:`", NOT_SHOWN);
        return None;
    }
    let holder = check_holder(raw.name, raw.scopes, "name", at);
    Some(User { password: password.filter(|_| !empty)?, holder: holder? })
}

pub(super) fn check_holder(
    name: String,
    scopes: Vec<String>,
    field: &str,
    at: &mut Checks<'_>,
) -> Option<Rc<Holder>> {
    if !(1..=128).contains(&name.len()) || name.chars().any(char::is_control) {
        at.at(field).refuse("1 to 128 bytes without control characters", NOT_SHOWN);
        return None;
    }
    let good = super::check_scopes(&scopes, &mut at.at("scopes"));
    good.then(|| Rc::new(Holder { name, scopes }))
}
