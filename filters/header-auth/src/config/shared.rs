//! Secrets that both sides have, and who has them.

use wayside_sdk::Checks;

use super::providers::{check_holder, moment, variable};
use super::raw::{NAME_IT, Plaintext, RawEncoding, RawSigner};
use crate::kinds::{Encoding, Entitled, Kept, Shared};

pub(super) fn check(mut raw: RawSigner, plaintext: bool, at: &mut Checks<'_>) -> Option<(Shared, Entitled)> {
    let no_key = absent(
        &[("algorithm", raw.algorithm.is_some()), ("jwk", raw.jwk.is_some())],
        "no such field beside a secret",
        at,
    );
    let kept = check_kept(raw.secret_env.take(), raw.secret.take(), plaintext, at);
    let encoding = match raw.encoding.take() {
        None | Some(RawEncoding::Text) => Encoding::Text,
        Some(RawEncoding::Base64) => Encoding::Base64,
        Some(RawEncoding::Base64Url) => Encoding::Base64Url,
    };
    let entitled = check_entitled(raw, at);
    no_key?;
    Some((Shared { kept: kept?, encoding }, entitled?))
}

/// None of these fields, which are there or not.
fn absent(fields: &[(&str, bool)], expected: &str, at: &mut Checks<'_>) -> Option<()> {
    for (field, _) in fields.iter().filter(|(_, is_given)| *is_given) {
        at.at(field).refuse(expected, "one");
    }
    fields.iter().all(|(_, is_given)| !is_given).then_some(())
}

/// A secret by a `kid`: whom it speaks for and when, its tokens say.
pub(super) fn check_kid(raw: RawSigner, plaintext: bool, at: &mut Checks<'_>) -> Option<Shared> {
    let said = [
        ("subject", raw.subject.is_some()),
        ("not_before", raw.not_before.is_some()),
        ("not_after", raw.not_after.is_some()),
        ("scopes", !raw.scopes.is_empty()),
    ];
    absent(&said, "no such field: tokens say it themselves", at)?;
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
pub(super) fn check_entitled(raw: RawSigner, at: &mut Checks<'_>) -> Option<Entitled> {
    let secret = [
        ("secret_env", raw.secret_env.is_some()),
        ("secret", raw.secret.is_some()),
        ("encoding", raw.encoding.is_some()),
    ];
    absent(&secret, "no such field beside a key", at)?;
    let not_before = moment(raw.not_before, &mut at.at("not_before"));
    let not_after = moment(raw.not_after, &mut at.at("not_after"));
    let field = if raw.subject.is_some() { "subject" } else { "id" };
    let holder = check_holder(raw.subject.unwrap_or(raw.id), raw.scopes, field, at);
    Some(Entitled { holder: holder?, not_before: not_before?, not_after: not_after? })
}
