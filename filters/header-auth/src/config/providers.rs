//! The providers of a configuration, and what several kinds of them have.

use std::collections::BTreeMap;
use std::rc::Rc;

use wayside_sdk::{Checks, OwnedName};

use super::raw::{RawProvider, RawSource};
use super::{NOT_SHOWN, certificates, passwords, signatures, tokens, webhooks};
use crate::authorization::is_token;
use crate::kinds::Kind;
use crate::provider::Provider;
use crate::source::Source;
use crate::store::Holder;
use crate::timestamp::Timestamp;

pub(super) type Providers = BTreeMap<String, Rc<Provider>>;

pub(super) fn check(raw: BTreeMap<String, RawProvider>, plaintext: bool, at: &mut Checks<'_>) -> Providers {
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
        if let Some(kind) = check_kind(&name, raw, plaintext, at) {
            providers.insert(name.clone(), Rc::new(Provider { name, kind, hide }));
        }
    }
    providers
}

fn check_kind(name: &str, raw: RawProvider, plaintext: bool, at: &mut Checks<'_>) -> Option<Kind> {
    match raw.kind.as_str() {
        "api_key" => passwords::check_api_keys(raw, plaintext, at).map(Kind::ApiKeys),
        "basic" => passwords::check_basic(raw, plaintext, at).map(Kind::Basic),
        "hmac" => webhooks::check(name, raw, plaintext, at),
        "http_signature" => {
            signatures::check(name, raw, plaintext, at).map(Box::new).map(Kind::HttpSignature)
        }
        "jwt" => tokens::check(name, raw, plaintext, at).map(Box::new).map(Kind::Tokens),
        "mtls" => certificates::check(raw, at).map(Kind::Mtls),
        _ => {
            at.at("kind").refuse(
                "`api_key`, `basic`, `hmac`, `http_signature`, `jwt` or `mtls`, the kinds this version has",
                NOT_SHOWN,
            );
            None
        }
    }
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

/// The name of a variable of the VM's environment.
pub(super) fn variable(name: String, at: &mut Checks<'_>) -> Option<String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        at.refuse("the name of an environment variable of the VM", NOT_SHOWN);
        return None;
    }
    Some(name)
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
