//! Secrets that both sides have, and who has them.

use wayside_sdk::Checks;

use super::providers::{check_holder, moment, variable};
use super::raw::{NAME_IT, Plaintext, RawEncoding, RawSecret};
use crate::kinds::{Encoding, Entitled, Kept, Shared};

pub(super) fn check(mut raw: RawSecret, plaintext: bool, at: &mut Checks<'_>) -> Option<(Shared, Entitled)> {
    let kept = check_kept(raw.secret_env.take(), raw.secret.take(), plaintext, at);
    let encoding = match raw.encoding.take() {
        None | Some(RawEncoding::Text) => Encoding::Text,
        Some(RawEncoding::Base64) => Encoding::Base64,
        Some(RawEncoding::Base64Url) => Encoding::Base64Url,
    };
    let entitled = check_entitled(raw, at);
    Some((Shared { kept: kept?, encoding }, entitled?))
}

/// A secret by a `kid`: whom it speaks for and when, its tokens say.
pub(super) fn check_kid(raw: RawSecret, plaintext: bool, at: &mut Checks<'_>) -> Option<Shared> {
    for (field, is_given) in [
        ("subject", raw.subject.is_some()),
        ("not_before", raw.not_before.is_some()),
        ("not_after", raw.not_after.is_some()),
        ("scopes", !raw.scopes.is_empty()),
    ] {
        if is_given {
            at.at(field).refuse("no such field: tokens say it themselves", "one");
        }
    }
    check(raw, plaintext, at).map(|(shared, _)| shared)
}

fn check_kept(
    variable_name: Option<String>,
    written: Option<Plaintext>,
    plaintext: bool,
    at: &mut Checks<'_>,
) -> Option<Kept> {
    match (variable_name, written) {
        (Some(name), None) => variable(name, &mut at.at("secret_env")).map(Kept::Variable),
        (None, Some(secret)) => {
            secret.or_else_say(plaintext, NAME_IT, &mut at.at("secret")).map(Kept::Written)
        }
        (variable_name, _) => {
            let found = if variable_name.is_some() { "both" } else { "neither" };
            at.refuse("one of `secret_env` and `secret`", found);
            None
        }
    }
}

/// Whose it is and when it counts, of what has no secret of its own.
pub(super) fn check_entitled(raw: RawSecret, at: &mut Checks<'_>) -> Option<Entitled> {
    for (field, is_given) in [
        ("secret_env", raw.secret_env.is_some()),
        ("secret", raw.secret.is_some()),
        ("encoding", raw.encoding.is_some()),
    ] {
        if is_given {
            at.at(field).refuse("no such field but where a secret is shared", "one");
        }
    }
    let not_before = moment(raw.not_before, &mut at.at("not_before"));
    let not_after = moment(raw.not_after, &mut at.at("not_after"));
    let field = if raw.subject.is_some() { "subject" } else { "id" };
    let holder = check_holder(raw.subject.unwrap_or(raw.id), raw.scopes, field, at);
    Some(Entitled { holder: holder?, not_before: not_before?, not_after: not_after? })
}
