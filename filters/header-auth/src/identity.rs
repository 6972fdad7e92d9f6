//! The headers by which the upstream learns who is calling: nobody else may write them, in any spelling.

use wayside_credentials::jose::Claims;
use wayside_sdk::config::Json;

use crate::source::{Edit, Header, Text};

/// Which headers carry an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// Every header that starts with this is an identity header, such as `x-auth-`
    pub prefix: String,
    pub subject: String,
    pub provider: String,
    pub scopes: String,
    /// Claims of a token by name, and the headers that tell of them
    pub claims: Vec<(String, String)>,
}

/// Who a credential belongs to. The strings are ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity<'p> {
    /// Empty for nobody in particular
    pub subject: String,
    pub provider: &'p str,
    /// Space separated; empty for none
    pub scopes: String,
}

impl IdentityHeaders {
    /// The identity headers on a request as it came, each name once; with them a `connection` that names one, by which
    /// the next hop would be told to drop what is set here (RFC 9110, 7.6.1).
    pub fn claimed<'a>(&self, headers: &[Header<'a>]) -> Vec<&'a [u8]> {
        let starts = self.starts();
        let mut claimed: Vec<&[u8]> = Vec::new();
        for (name, value) in headers {
            // Nearly all are none by their first byte.
            let may_be = name.first().is_some_and(|first| starts & bit(*first) != 0);
            if (may_be && self.covers(name) || self.is_dropped_by(name, value)) && !claimed.contains(name) {
                claimed.push(name);
            }
        }
        claimed
    }

    /// The first bytes of all identity headers, as a set in which some look alike.
    fn starts(&self) -> u32 {
        let names = [&self.prefix, &self.subject, &self.provider, &self.scopes];
        let names = names.into_iter().chain(self.claims.iter().map(|(_, header)| header));
        names.filter_map(|name| name.as_bytes().first()).fold(0, |starts, first| starts | bit(*first))
    }

    /// Whether a server could take this name for an identity header. CGI, WSGI and others turn every character but
    /// letters and digits into `_`, so all of those count as the same one.
    pub fn covers(&self, name: &[u8]) -> bool {
        let is = |known: &str| name.len() == known.len() && starts_like(name, known);
        starts_like(name, &self.prefix)
            || is(&self.subject)
            || is(&self.provider)
            || is(&self.scopes)
            || self.claims.iter().any(|(_, header)| is(header))
    }

    fn is_dropped_by(&self, name: &[u8], value: &[u8]) -> bool {
        name.len() == b"connection".len()
            && name.eq_ignore_ascii_case(b"connection")
            && value.split(|byte| *byte == b',').any(|option| self.covers(option.trim_ascii()))
    }

    pub fn edits_for<'p>(&'p self, identity: Identity<'p>) -> impl Iterator<Item = Edit<'p>> {
        [
            (&self.subject, Text::from(identity.subject.into_bytes())),
            (&self.provider, identity.provider.as_bytes().into()),
            (&self.scopes, identity.scopes.into_bytes().into()),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| Edit::Set(name.as_bytes().into(), value))
    }

    /// Claims that are texts, whole numbers or truth values, or lists of those.
    pub fn edits_for_claims<'p>(&'p self, claims: &Claims) -> impl Iterator<Item = Edit<'p>> {
        let headers = self.claims.iter();
        let told = headers.filter_map(|(claim, header)| Some((header, value_of(claims.get(claim)?)?)));
        told.map(|(header, value)| Edit::Set(header.as_bytes().into(), value.into_bytes().into()))
    }
}

/// A claim as a header's value; members of a list with commas between. `None` for what has no such form.
fn value_of(claim: &Json) -> Option<String> {
    let members = match claim {
        Json::List(members) => members.as_slice(),
        one => std::slice::from_ref(one),
    };
    let told: Option<Vec<String>> = members
        .iter()
        .map(|member| match member {
            Json::Text(text) => Some(encode_value(text).replace(',', "%2C")),
            Json::Bool(told) => Some(if *told { "true" } else { "false" }.to_owned()),
            Json::Unsigned(number) => Some(number.to_string()),
            Json::Negative(number) => Some(number.to_string()),
            Json::Null | Json::Float(_) | Json::List(_) | Json::Object(_) => None,
        })
        .collect();
    told.map(|told| told.join(",")).filter(|told| !told.is_empty())
}

/// What a byte of a name counts as.
const FOLDED: [u8; 256] = {
    let mut table = [b'-'; 256];
    let mut rest: &mut [u8] = &mut table;
    let mut byte = 0_u8;
    while let Some((first, others)) = rest.split_first_mut() {
        if byte.is_ascii_alphanumeric() {
            *first = byte.to_ascii_lowercase();
        }
        byte = byte.wrapping_add(1);
        rest = others;
    }
    table
};

/// Looked at for every header of every request: nearly all differ in one of the first bytes.
fn starts_like(name: &[u8], known: &str) -> bool {
    name.len() >= known.len()
        && name.iter().zip(known.as_bytes()).all(|(given, known)| fold(*given) == fold(*known))
}

#[inline]
fn bit(first: u8) -> u32 {
    1 << (fold(first) & 31)
}

#[inline]
fn fold(byte: u8) -> u8 {
    FOLDED.get(usize::from(byte)).copied().unwrap_or(b'-')
}

/// Text as a header value: visible ASCII stays, everything else and `%` itself becomes `%XX`, so that the value can be
/// read back in one way only and never holds a line break.
pub fn encode_value(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%') {
        return text.to_owned();
    }
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            value.push(char::from(byte));
        } else {
            let digit =
                |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase();
            value.extend(['%', digit(byte >> 4), digit(byte & 0x0F)]);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity_headers() -> IdentityHeaders {
        IdentityHeaders {
            prefix: "x-auth-".into(),
            subject: "x-auth-subject".into(),
            provider: "x-auth-provider".into(),
            scopes: "x-scopes".into(),
            claims: Vec::new(),
        }
    }

    #[test]
    fn every_spelling_of_an_identity_header_is_one() {
        for name in [
            "x-auth-subject",
            "X-Auth-Subject",
            "x_auth_subject",
            "X_Auth_Subject",
            "x-auth_subject",
            "X-AUTH-ANYTHING",
            "x_auth_",
            "x-auth-",
            "x.auth.subject",
            "x-auth-subject ",
            "x!auth~subject",
            "X_SCOPES",
        ] {
            assert!(identity_headers().covers(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_that_only_look_alike_are_left() {
        for name in ["", "x-auth", "x-author", "ax-auth-subject", "authorization", "x-scopes-2", "xx-scopes"]
        {
            assert!(!identity_headers().covers(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn each_claimed_name_is_listed_once() {
        let headers: &[Header<'_>] = &[
            (b"x_auth_subject", b"a"),
            (b"accept", b"b"),
            (b"x_auth_subject", b"\xff"),
            (b"x-auth-role", b"root"),
        ];
        assert_eq!(identity_headers().claimed(headers), [&b"x_auth_subject"[..], b"x-auth-role"]);
    }

    #[test]
    fn a_connection_header_that_would_drop_an_identity_is_claimed_with_it() {
        let claimed = |value: &[u8]| !identity_headers().claimed(&[(b"Connection", value)]).is_empty();
        assert!(claimed(b"x-auth-subject"));
        assert!(claimed(b"keep-alive, X_Auth_Subject ,upgrade"));
        assert!(claimed(b"x-scopes"));
        for value in [&b""[..], b"keep-alive", b"upgrade, http2-settings", b"x-author", b"\xff"] {
            assert!(!claimed(value), "{}", value.escape_ascii());
        }
        assert!(identity_headers().claimed(&[(b"x-connection", b"x-auth-subject")]).is_empty());
    }

    #[test]
    fn values_are_visible_ascii_and_injective() {
        assert_eq!(encode_value("ann@example"), "ann@example");
        assert_eq!(encode_value("a b\r\nx: y"), "a%20b%0D%0Ax:%20y");
        assert_eq!(encode_value("100%"), "100%25");
        assert_eq!(encode_value("Zoë"), "Zo%C3%AB");
    }
}
