//! One way of proving who is calling: which credential it takes from a request and what it finds in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::source::{Flaw, Header, Source, present, token_of};
use crate::store::{Holder, KeyStore, Rejection, UserStore};
use crate::timestamp::Timestamp;

#[derive(Debug)]
pub struct Provider {
    pub name: String,
    pub kind: Kind,
    /// Whether the upstream must not see the credential
    pub hide: bool,
}

#[derive(Debug)]
pub enum Kind {
    ApiKey { sources: Vec<Source>, keys: KeyStore },
    Basic { source: [Source; 1], users: UserStore },
}

/// What a provider says about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding<'p> {
    /// No credential for this provider
    Absent,
    Valid(&'p Holder),
    Rejected(Rejection),
    Flawed(Flaw),
}

impl Kind {
    pub fn basic(users: UserStore) -> Self {
        Self::Basic { source: [Source::Scheme("Basic".into())], users }
    }

    pub fn sources(&self) -> &[Source] {
        match self {
            Self::ApiKey { sources, .. } => sources,
            Self::Basic { source, .. } => source,
        }
    }
}

impl Provider {
    /// Looks for this provider's credential and checks it at `now`.
    pub fn examine(
        &self,
        headers: &[Header<'_>],
        max_credential_bytes: usize,
        now: Timestamp,
    ) -> Finding<'_> {
        let verdict = match &self.kind {
            Kind::ApiKey { sources, keys } => match present(sources, headers, max_credential_bytes) {
                Ok(None) => return Finding::Absent,
                Ok(Some(key)) => keys.verify(&key, now),
                Err(flaw) => return Finding::Flawed(flaw),
            },
            Kind::Basic { users, .. } => match token_of(headers, "Basic", max_credential_bytes) {
                Ok(None) => return Finding::Absent,
                Ok(Some(token)) => match decode_basic(token) {
                    Some(pair) => users.verify(&pair.user, &pair.password),
                    None => return Finding::Flawed(Flaw::Malformed),
                },
                Err(flaw) => return Finding::Flawed(flaw),
            },
        };
        match verdict {
            Ok(holder) => Finding::Valid(holder),
            Err(rejection) => Finding::Rejected(rejection),
        }
    }

    /// The challenge to send when this provider's credential is missing or bad: RFC 9110, 11.6.1.
    pub fn challenge(&self, realm: &str, finding: &Finding<'_>) -> String {
        match &self.kind {
            // RFC 7617, 2.1
            Kind::Basic { .. } => format!("Basic realm=\"{realm}\", charset=\"UTF-8\""),
            Kind::ApiKey { sources, .. } => {
                let scheme = sources.iter().find_map(|source| match source {
                    Source::Scheme(scheme) => Some(scheme.as_str()),
                    Source::Header(_) | Source::Query(_) | Source::Cookie(_) => None,
                });
                let scheme = scheme.unwrap_or("ApiKey");
                // RFC 6750, 3.1: no error code for a request that carried no token.
                let refused = matches!(finding, Finding::Rejected(_));
                let error = if refused && scheme.eq_ignore_ascii_case("Bearer") {
                    ", error=\"invalid_token\""
                } else {
                    ""
                };
                format!("{scheme} realm=\"{realm}\"{error}")
            }
        }
    }
}

struct Pair {
    user: Vec<u8>,
    password: Vec<u8>,
}

/// RFC 7617, 2: `user:password` in standard base64 with its padding; no control bytes, and here no empty user.
fn decode_basic(token: &[u8]) -> Option<Pair> {
    let decoded = STANDARD.decode(token).ok()?;
    if decoded.iter().any(u8::is_ascii_control) {
        return None;
    }
    let colon = decoded.iter().position(|byte| *byte == b':').filter(|at| *at > 0)?;
    let (user, password) = decoded.split_at_checked(colon)?;
    let password = password.strip_prefix(b":")?;
    Some(Pair { user: user.to_vec(), password: password.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(token: &str) -> Option<(String, String)> {
        let text = |bytes: Vec<u8>| bytes.escape_ascii().to_string();
        decode_basic(token.as_bytes()).map(|pair| (text(pair.user), text(pair.password)))
    }

    #[test]
    fn the_first_colon_ends_the_user() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(decoded("dTpw"), pair("u", "p"));
        assert_eq!(decoded("dTpwOnE="), pair("u", "p:q"));
        assert_eq!(decoded("dTo="), pair("u", ""));
        assert_eq!(decoded("dTr8"), pair("u", "\\xfc"));
    }

    #[test]
    fn what_is_not_one_canonical_encoding_of_a_pair_is_refused() {
        for (token, why) in [
            ("", "nothing"),
            ("dXA=", "no colon"),
            ("OnA=", "no user"),
            ("dTo", "no padding"),
            ("dTo==", "too much padding"),
            ("dTp=", "unused bits"),
            ("dTpw\n", "a line break"),
            ("dT pw", "a space"),
            ("dTr-", "the other alphabet"),
            ("dToAcA==", "a NUL"),
            ("dTp/", "DEL"),
        ] {
            assert_eq!(decoded(token), None, "{why}");
        }
    }
}
