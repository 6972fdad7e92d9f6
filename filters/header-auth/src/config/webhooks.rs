//! Providers of kind `hmac`: whose messages are signed with a secret that both sides have, and in which way.

use wayside_credentials::messages::webhook::Profile;
use wayside_sdk::Checks;

use super::raw::{RawProfile, RawProvider, RawSecret, RawSigner};
use super::signatures::{check_max_age, check_max_body, check_replay};
use super::{shared, signatures};
use crate::kinds::{Entitled, Kind, Shared, Webhooks};

pub(super) fn check(name: &str, raw: RawProvider, plaintext: bool, at: &mut Checks<'_>) -> Option<Kind> {
    let profile = match raw.profile {
        Some(RawProfile::Rfc9421) => {
            let signed = signatures::check_shared(name, raw, plaintext, at);
            return signed.map(Box::new).map(Kind::HttpSignature);
        }
        Some(RawProfile::StandardWebhooks) => Profile::StandardWebhooks,
        Some(RawProfile::GitHub) => Profile::GitHub,
        Some(RawProfile::Stripe) => Profile::Stripe,
        None => {
            at.at("profile").refuse("`rfc9421`, `standard_webhooks`, `github` or `stripe`", "nothing");
            return None;
        }
    };
    raw.only(&["profile", "secrets", "max_age", "replay", "max_body"], at);
    let max_age = check_max_age(raw.max_age, &mut at.at("max_age"));
    let max_body = check_max_body(raw.max_body, &mut at.at("max_body"));
    let secrets = check_secrets(raw.secrets.unwrap_or_default(), plaintext, &mut at.at("secrets"));
    let webhooks =
        Webhooks::new(name.to_owned(), profile, secrets?, max_age, check_replay(raw.replay), max_body?);
    Some(Kind::Webhooks(Box::new(webhooks)))
}

/// Of one service, which changes them: several may have one id.
fn check_secrets(
    raw: Vec<RawSecret>,
    plaintext: bool,
    at: &mut Checks<'_>,
) -> Option<Vec<(Shared, Entitled)>> {
    let count = raw.len();
    if !(1..=MOST_SECRETS).contains(&count) {
        at.refuse(format_args!("1 to {MOST_SECRETS} secrets"), count);
        return None;
    }
    let mut secrets = Vec::with_capacity(count);
    for (index, raw) in raw.into_iter().map(RawSigner::from).enumerate() {
        let at = &mut at.at(index);
        if raw.encoding.is_some() {
            at.at("encoding").refuse("no such field: the service says how its secrets are written", "one");
        }
        secrets.extend(shared::check(raw, plaintext, at));
    }
    (secrets.len() == count).then_some(secrets)
}

/// The content is hashed for each.
const MOST_SECRETS: usize = 16;

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::means::Vm;
    use wayside_sdk::{Configuration as _, Redacted};

    /// A VM with these variables.
    struct Given(&'static [(&'static str, &'static str)]);

    impl Vm for Given {
        fn secret(&self, name: &str) -> Option<Redacted<Vec<u8>>> {
            let found = self.0.iter().find(|(known, _)| *known == name)?;
            Some(found.1.as_bytes().to_vec().into())
        }

        fn random(&self) -> Option<[u8; 32]> {
            None
        }
    }

    const VM: Given = Given(&[
        ("S", "hunter2-of-sixteen-bytes-at-the-least"),
        ("SHORT", "hunter2"),
        ("WH", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("B64", "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="),
        ("URL", "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ"),
    ]);

    /// What is said of a configuration whose one provider has these fields, when it is read or when the VM is asked.
    fn told(fields: &str) -> String {
        let plain = fields.replace("PLAIN ", "");
        let allow = plain != fields;
        let text = format!(
            r#"{{"version": 1, "allow_plaintext": {allow}, "providers": {{"p": {{{plain}}}}}, "defaults": {{"require": {{"any": ["p"]}}}}}}"#
        );
        let read = Config::parse(text.as_bytes()).and_then(|config| {
            assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
            config.arm(&VM)
        });
        let told = read.map_or_else(|errors| errors.to_string(), |()| "accepted".to_owned());
        assert!(!told.contains("hunter2"), "{told}");
        told
    }

    fn hmac(profile: &str, secret: &str) -> String {
        told(&format!(r#""kind": "hmac", "profile": "{profile}", "secrets": [{secret}]"#))
    }

    #[test]
    fn secrets_come_from_the_vm_or_with_permission_from_the_configuration() {
        for (profile, secret) in [
            ("github", r#"{"id": "a", "secret_env": "S"}"#),
            (
                "github",
                r#"{"id": "a", "secret_env": "S"}, {"id": "a", "secret_env": "S", "not_after": "2027-01-01T00:00:00Z"}"#,
            ),
            ("stripe", r#"{"id": "a", "secret_env": "S", "subject": "b", "scopes": ["c"]}"#),
            ("standard_webhooks", r#"{"id": "a", "secret_env": "WH"}"#),
            ("rfc9421", r#"{"id": "a", "secret_env": "S"}, {"id": "b", "secret_env": "S"}"#),
            ("rfc9421", r#"{"id": "a", "secret_env": "B64", "encoding": "base64"}"#),
            ("rfc9421", r#"{"id": "a", "secret_env": "URL", "encoding": "base64url"}"#),
            ("github", r#"PLAIN {"id": "a", "secret": "hunter2-of-sixteen-bytes"}"#),
        ] {
            assert_eq!(hmac(profile, secret), "accepted", "{profile} {secret}");
        }
    }

    /// Profile, secrets, and what is said of them.
    const NONE: &[(&str, &str, &str)] = &[
        ("github", "", ": expected 1 to 16 secrets, found 0"),
        ("rfc9421", "", ": expected at least one secret"),
        ("github", r#"{"id": "a"}"#, "/0: expected one of `secret_env` and `secret`, found neither"),
        (
            "github",
            r#"PLAIN {"id": "a", "secret": "hunter2-of-sixteen-bytes", "secret_env": "S"}"#,
            "/0: expected one of `secret_env` and `secret`, found both",
        ),
        (
            "github",
            r#"{"id": "a", "secret": "hunter2-of-sixteen-bytes"}"#,
            "/0/secret: secrets in plaintext are refused",
        ),
        (
            "github",
            r#"PLAIN {"id": "a", "secret": "hunter2"}"#,
            "/0/secret: expected a secret of at least 16 bytes, found another (not shown)",
        ),
        (
            "github",
            r#"{"id": "a", "secret_env": ""}"#,
            "/0/secret_env: expected the name of an environment variable",
        ),
        (
            "github",
            r#"{"id": "a", "secret_env": "NONE"}"#,
            "/0/secret_env: expected a variable in `vm_config.environment_variables`, found none of that name",
        ),
        (
            "stripe",
            r#"{"id": "a", "secret_env": "S"}, {"id": "a", "secret_env": "SHORT"}"#,
            "/1/secret_env: expected a secret of at least 16 bytes",
        ),
        (
            "standard_webhooks",
            r#"{"id": "a", "secret_env": "S"}"#,
            "/0/secret_env: expected `whsec_` and base64",
        ),
        (
            "rfc9421",
            r#"{"id": "a", "secret_env": "SHORT"}"#,
            "/0/secret_env: expected a secret of at least 32 bytes",
        ),
        (
            "rfc9421",
            r#"{"id": "a", "secret_env": "URL", "encoding": "base64"}"#,
            "/0/secret_env: expected a secret of at least 32 bytes, found what is not in its `encoding`",
        ),
        (
            "rfc9421",
            r#"{"id": "a", "secret_env": "S"}, {"id": "a", "secret_env": "B64"}"#,
            "/1/id: expected each id once",
        ),
        (
            "github",
            r#"{"id": "a", "secret_env": "S", "encoding": "text"}"#,
            "/0/encoding: expected no such field",
        ),
        ("github", r#"{"id": "", "secret_env": "S"}"#, "/0/id: expected 1 to 128 bytes"),
        ("github", r#"{"id": "a", "secret_env": "S", "scopes": ["a b"]}"#, "/0/scopes/0"),
        (
            "github",
            r#"{"id": "a", "secret_env": "S", "not_before": "hunter2"}"#,
            "/0/not_before: expected a time",
        ),
        ("github", r#"{"id": "a", "secret_env": "S", "keyid": "hunter2"}"#, "/0/keyid: unknown field"),
    ];

    #[test]
    fn a_secret_that_is_none_is_refused_by_its_place_and_never_shown() {
        for (profile, secret, place) in NONE {
            let message = hmac(profile, secret);
            assert!(
                message.starts_with(&format!("/providers/p/secrets{place}")),
                "{profile} {secret}: {message}"
            );
        }
    }

    #[test]
    fn a_profile_has_the_terms_that_mean_something_to_it() {
        let with = |profile: &str, more: &str| {
            told(&format!(r#""kind": "hmac", {profile} "secrets": [{{"id": "a", "secret_env": "S"}}]{more}"#))
        };
        for (profile, more) in [
            (
                r#""profile": "github","#,
                r#", "max_age": "1m", "replay": "allow", "max_body": 10, "hide": false"#,
            ),
            (
                r#""profile": "rfc9421","#,
                r#", "label": "l", "tag": "t", "skew": "1m", "require_nonce": true, "content_digest": "if_covered""#,
            ),
        ] {
            assert_eq!(with(profile, more), "accepted", "{profile}{more}");
        }
        for (profile, more, place) in [
            ("", "", "profile: expected `rfc9421`, `standard_webhooks`, `github` or `stripe`, found nothing"),
            (r#""profile": "hunter2","#, "", "profile: expected one of"),
            (r#""profile": "github","#, r#", "skew": "1s""#, "skew: expected no such field"),
            (r#""profile": "stripe","#, r#", "tag": "t""#, "tag: expected no such field"),
            (r#""profile": "stripe","#, r#", "max_age": "0s""#, "max_age: expected more than 0s"),
            (r#""profile": "stripe","#, r#", "max_body": 0"#, "max_body: expected 1 to 67108864 bytes"),
            (r#""profile": "rfc9421","#, r#", "signers": []"#, "signers: expected no such field"),
        ] {
            let message = with(profile, more);
            assert!(message.starts_with(&format!("/providers/p/{place}")), "{profile}{more}: {message}");
        }
    }

    #[test]
    fn a_signer_may_have_a_secret_with_us() {
        let with = |signer: &str| {
            told(&format!(r#""kind": "http_signature", "signers": [{{"id": "a", "algorithm": {signer}}}]"#))
        };
        assert_eq!(with(r#""hmac-sha256", "secret_env": "B64", "encoding": "base64""#), "accepted");
        for (signer, place) in [
            (r#""hmac-sha256""#, ": expected one of `secret_env` and `secret`, found neither"),
            (
                r#""hmac-sha256", "secret_env": "SHORT""#,
                "/secret_env: expected a secret of at least 32 bytes",
            ),
            (r#""hmac-sha256", "secret": "hunter2""#, "/secret: secrets in plaintext are refused"),
            (
                r#""hmac-sha256", "secret_env": "S", "jwk": {}"#,
                "/jwk: expected no such field beside a secret",
            ),
            (r#""ed25519""#, "/jwk: expected a public key"),
            (r#""ed25519", "secret_env": "S""#, "/jwk: expected a public key"),
            (r#""hmac", "secret_env": "S""#, "/algorithm: expected one of"),
        ] {
            let message = with(signer);
            assert!(message.starts_with(&format!("/providers/p/signers/0{place}")), "{signer}: {message}");
        }
    }

    #[test]
    fn tokens_are_verified_with_secrets_of_the_vm_and_none_stands_in_a_key_set() {
        let with = |fields: &str| {
            told(&format!(
                r#""kind": "jwt", "issuer": "i"{}{fields}"#,
                if fields.is_empty() { "" } else { ", " }
            ))
        };
        const OCT: &str =
            r#""jwks": {"keys": [{"kty": "oct", "k": "aHVudGVyMi1odW50ZXIyLWh1bnRlcjItaHVudGVyMi0"}]}"#;
        for fields in [
            r#""secrets": [{"id": "k", "secret_env": "S"}]"#,
            r#""secrets": [{"id": "k", "secret_env": "URL", "encoding": "base64url"}], "algorithms": ["HS512"]"#,
            &format!("PLAIN {OCT}"),
        ] {
            assert_eq!(with(fields), "accepted", "{fields}");
        }
        for (fields, place) in [
            (OCT, "jwks/keys/0/k: expected no secret but with `allow_plaintext`"),
            (r#""secrets": []"#, "secrets: expected 1 to 100 secrets"),
            (&format!(r#"PLAIN {OCT}, "secrets": []"#), "secrets: expected `jwks` or `secrets`"),
            (r#""secrets": [{"id": "k", "secret": "hunter2"}]"#, "secrets/0/secret: secrets in plaintext"),
            (
                r#""secrets": [{"id": "k", "secret_env": "SHORT"}]"#,
                "secrets/0/secret_env: expected a secret as long as the hash",
            ),
            (
                r#""secrets": [{"id": "k", "secret_env": "S"}], "algorithms": ["HS384"]"#,
                "secrets/0/secret_env: expected a secret as long",
            ),
            (
                r#""secrets": [{"id": "k", "secret_env": "S"}], "algorithms": ["RS256"]"#,
                "algorithms: expected an algorithm that one of the keys is for",
            ),
            (
                r#""secrets": [{"id": "k", "secret_env": "S"}, {"id": "k", "secret_env": "URL"}]"#,
                "secrets/1/id: expected a `kid`",
            ),
            (
                r#""secrets": [{"id": "k", "secret_env": "S", "subject": "a"}]"#,
                "secrets/0/subject: expected no such field",
            ),
            ("", "jwks: expected a JSON Web Key Set"),
        ] {
            let message = with(fields);
            assert!(message.starts_with(&format!("/providers/p/{place}")), "{fields}: {message}");
        }
    }
}
