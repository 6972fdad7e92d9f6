//! Providers of kind `mtls`: whose certificates count, and who has to have found them good.

use wayside_credentials::passwords::{Digest, Period};
use wayside_sdk::Checks;

use super::NOT_SHOWN;
use super::providers::{check_holder, moment};
use super::raw::{RawClient, RawProvider, RawValidation};
use crate::kinds::{Client, Mtls, Named, Pattern, Validation};
use crate::means::CertificatePart;

pub(super) fn check(raw: RawProvider, at: &mut Checks<'_>) -> Option<Mtls> {
    raw.only(&["clients", "validated_by"], at);
    let validation = match raw.validated_by {
        Some(RawValidation::Listener) => Validation::Listener,
        Some(RawValidation::Handshake) | None => Validation::Handshake,
    };
    let at = &mut at.at("clients");
    let raw = raw.clients.unwrap_or_default();
    if raw.is_empty() {
        at.refuse("at least one client", "none");
        return None;
    }
    let count = raw.len();
    let checked = raw.into_iter().enumerate().filter_map(|(index, raw)| check_client(raw, &mut at.at(index)));
    let clients: Vec<Client> = checked.collect();
    (clients.len() == count).then(|| Mtls::new(clients, validation))
}

fn check_client(raw: RawClient, at: &mut Checks<'_>) -> Option<Client> {
    let given = [
        ("uri_san", CertificatePart::UriSan, &raw.uri_san),
        ("dns_san", CertificatePart::DnsSan, &raw.dns_san),
        ("subject", CertificatePart::Subject, &raw.subject),
        ("sha256", CertificatePart::Sha256, &raw.sha256),
    ];
    let mut wanted = Vec::new();
    let mut good = true;
    for (field, part, text) in given {
        let Some(text) = text else { continue };
        match pattern(part, text) {
            Ok(pattern) => wanted.push((part, pattern)),
            Err(expected) => {
                at.at(field).refuse(expected, NOT_SHOWN);
                good = false;
            }
        }
    }
    if good && wanted.is_empty() {
        at.refuse("at least one of `uri_san`, `dns_san`, `subject` and `sha256`", "none");
    }
    let not_before = moment(raw.not_before, &mut at.at("not_before"));
    let not_after = moment(raw.not_after, &mut at.at("not_after"));
    if let (Some(Some(start)), Some(Some(end))) = (not_before, not_after)
        && start >= end
    {
        at.at("not_after").refuse("a time after `not_before`", "an earlier one");
        return None;
    }
    let (_, first) = wanted.first()?;
    let named = match (raw.id, first) {
        (Some(id), _) => Named::Always(check_holder(id, raw.scopes.clone(), "id", at)?),
        (None, _) if !super::check_scopes(&raw.scopes, &mut at.at("scopes")) => return None,
        (None, _) => Named::ByPart,
    };
    let period = Period { not_before: not_before?, not_after: not_after? };
    good.then_some(Client { wanted, named, scopes: raw.scopes, period })
}

/// What a part of a certificate has to be; else what had been expected.
fn pattern(part: CertificatePart, text: &str) -> Result<Pattern, &'static str> {
    let visible = (1..=2048).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    match part {
        CertificatePart::UriSan => {
            let parts = text.split_once(':').filter(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
            let starred = text.contains('*');
            match text.strip_suffix('*') {
                _ if !visible || parts.is_none() => {}
                Some(above)
                    if above.ends_with('/')
                        && !above.ends_with(":/")
                        && !above.contains('*')
                        && !above.ends_with("//") =>
                {
                    return Ok(Pattern::Below(above.to_owned()));
                }
                None if !starred => return Ok(Pattern::Is(text.to_owned())),
                Some(_) | None => {}
            }
            Err("a URI such as `spiffe://shop/ns/a/sa/b`, or with `/*` at its end all that are below it")
        }
        CertificatePart::DnsSan => {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            if !visible || !text.bytes().all(letters) {
                return Err("the name of a host: letters, digits, `-`, `_` and `.`");
            }
            Ok(Pattern::IsLike(text.to_owned()))
        }
        CertificatePart::Subject => {
            if !(1..=2048).contains(&text.len()) || text.chars().any(char::is_control) {
                return Err("a distinguished name of RFC 2253, such as `CN=client,O=shop`");
            }
            Ok(Pattern::Is(text.to_owned()))
        }
        CertificatePart::Sha256 => match Digest::from_hex(text) {
            Some(_) => Ok(Pattern::IsLike(text.to_owned())),
            None => Err("64 hexadecimal digits"),
        },
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use wayside_sdk::Configuration as _;

    use crate::config::Config;

    fn check(provider: &str, expected: Expect) {
        let text = format!(
            r#"{{"version": 1, "providers": {{"p": {{"kind": "mtls", {provider}}}}}, "defaults": {{"require": {{"any": ["p"]}}}}}}"#
        );
        let told = match Config::parse(text.as_bytes()) {
            Ok(_) => "accepted".to_owned(),
            Err(errors) => errors.to_string(),
        };
        expected.assert_eq(&told);
    }

    #[test]
    fn a_client_is_known_by_any_part_of_a_certificate() {
        let client = |client: &str, expected| check(&format!(r#""clients": [{{{client}}}]"#), expected);
        for good in [
            r#""uri_san": "spiffe://shop/ns/a/sa/b""#,
            r#""uri_san": "spiffe://shop/*", "scopes": ["a"]"#,
            r#""uri_san": "urn:a", "dns_san": "A.example", "subject": "CN=ü", "id": "a""#,
            r#""sha256": "926127796474A6572024f4aee57ba875864dc88ecbabe40e5e17d8f638c691c6""#,
            r#""dns_san": "a", "not_before": "2026-01-01T00:00:00Z", "not_after": "2027-01-01T00:00:00Z""#,
        ] {
            client(good, expect!["accepted"]);
        }
        check(r#""validated_by": "listener", "clients": [{"dns_san": "a"}]"#, expect!["accepted"]);
    }

    #[test]
    fn what_would_let_everybody_in_or_nobody_is_refused_without_being_repeated() {
        let client = |client: &str, expected| check(&format!(r#""clients": [{{{client}}}]"#), expected);
        let uri = || {
            expect![
                "/providers/p/clients/0/uri_san: expected a URI such as `spiffe://shop/ns/a/sa/b`, or with `/*` at its end all that are below it, found another value (not shown)"
            ]
        };
        for bad in [
            "",
            "shop",
            "*",
            "spiffe://*",
            "spiffe:/*",
            "spiffe://shop/*/b",
            "spiffe://shop/a*",
            "spiffe://shop/**",
            "spiffe://a b/c",
        ] {
            client(&format!(r#""uri_san": "{bad}""#), uri());
        }
        client(
            r#""dns_san": "*.example""#,
            expect![
                "/providers/p/clients/0/dns_san: expected the name of a host: letters, digits, `-`, `_` and `.`, found another value (not shown)"
            ],
        );
        client(
            r#""subject": """#,
            expect![
                "/providers/p/clients/0/subject: expected a distinguished name of RFC 2253, such as `CN=client,O=shop`, found another value (not shown)"
            ],
        );
        client(
            r#""sha256": "abc""#,
            expect![
                "/providers/p/clients/0/sha256: expected 64 hexadecimal digits, found another value (not shown)"
            ],
        );
        client(
            r#""id": "a""#,
            expect![
                "/providers/p/clients/0: expected at least one of `uri_san`, `dns_san`, `subject` and `sha256`, found none"
            ],
        );
        client(
            r#""dns_san": "a", "scopes": ["a b"]"#,
            expect![[
                r#"/providers/p/clients/0/scopes/0: expected a scope of visible ASCII characters without " and \, found another value (not shown)"#
            ]],
        );
        client(
            r#""dns_san": "a", "not_before": "2027-01-01T00:00:00Z", "not_after": "2026-01-01T00:00:00Z""#,
            expect![
                "/providers/p/clients/0/not_after: expected a time after `not_before`, found an earlier one"
            ],
        );
        check(r#""clients": []"#, expect!["/providers/p/clients: expected at least one client, found none"]);
        check(
            r#""keys": [], "clients": [{"dns_san": "a"}]"#,
            expect!["/providers/p/keys: expected no such field in a provider of kind `mtls`, found one"],
        );
        check(
            r#""validated_by": "nobody", "clients": [{"dns_san": "a"}]"#,
            expect![
                "/providers/p/validated_by: expected one of `handshake`, `listener`, found another name (not shown)"
            ],
        );
    }
}
