//! Names and passwords as of RFC 7617.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use wayside_credentials::passwords::{NamedStore, Verdicts};
use wayside_sdk::Checks;

use super::{Examine, Finding, View};
use crate::denial::Reason;
use crate::means::{Event, Means, Vm};
use crate::source::{Source, token_of};
use crate::store::Holder;

#[derive(Debug)]
pub struct Basic {
    source: [Source; 1],
    users: NamedStore<Rc<Holder>>,
}

impl Basic {
    pub fn new(users: NamedStore<Rc<Holder>>) -> Self {
        Self { source: [Source::Scheme("Basic".into())], users }
    }
}

impl Examine for Basic {
    fn arm(&self, vm: &dyn Vm, _: &mut Checks<'_>) {
        if self.users.is_slow() {
            self.users.keep(vm.random().as_ref().and_then(Verdicts::new));
        }
    }

    fn examine(&self, request: &View<'_>, means: &dyn Means) -> Finding {
        let token = match token_of(request.headers, "Basic", request.max_credential_bytes) {
            Ok(None) => return Finding::Absent,
            Ok(Some(token)) => token,
            Err(flaw) => return flaw.into(),
        };
        let Some(pair) = decode_basic(token) else {
            return Reason::MalformedCredential.into();
        };
        if self.users.is_slow() {
            means.noticed(Event::Verifies);
        }
        let found = self.users.verify(&pair.user, &pair.password, None, request.now);
        means.noticed_kept(found.kept);
        super::found(found.holder)
    }

    fn sources(&self) -> &[Source] {
        &self.source
    }

    fn challenge(&self, realm: &str, _: Option<Reason>) -> Option<String> {
        // RFC 7617, 2.1
        Some(format!("Basic realm=\"{realm}\", charset=\"UTF-8\""))
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
