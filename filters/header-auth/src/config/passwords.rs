//! API keys and users: what is stored in the place of their secrets.

use std::rc::Rc;

use wayside_credentials::passwords::{
    Digest, KeyStore, NamedStore, Period, Salt, Stored, Unreadable, bytes_from_hex,
};
use wayside_sdk::{Checks, Redacted};

use super::NOT_SHOWN;
use super::providers::{check_holder, check_sources, moment, variable};
use super::raw::{Hex, RawForm, RawKey, RawProvider, RawSalted, RawUser};
use crate::kinds::{ApiKeys, Basic, StoredKeys};
use crate::store::Holder;

pub(super) fn check_api_keys(raw: RawProvider, plaintext: bool, at: &mut Checks<'_>) -> Option<ApiKeys> {
    raw.only(&["sources", "form", "keys", "pepper_env", "allow_slow_hash"], at);
    let sources = check_sources(raw.sources.unwrap_or_default(), &mut at.at("sources"));
    let terms = Terms {
        form: raw.form.unwrap_or(RawForm::Key),
        slow: raw.allow_slow_hash.unwrap_or(false),
        pepper: raw.pepper_env.is_some(),
        plaintext,
    };
    let keys = check_keys(raw.keys.unwrap_or_default(), &terms, &mut at.at("keys"));
    let pepper_env = match raw.pepper_env {
        Some(name) => Some(variable(name, &mut at.at("pepper_env"))?),
        None => None,
    };
    Some(ApiKeys::new(sources?, keys?, pepper_env))
}

/// What keys of one provider may be.
struct Terms {
    form: RawForm,
    slow: bool,
    pepper: bool,
    plaintext: bool,
}

fn check_keys(raw: Vec<RawKey>, terms: &Terms, at: &mut Checks<'_>) -> Option<StoredKeys> {
    if raw.is_empty() {
        at.refuse("at least one key", "none");
        return None;
    }
    let (mut whole, mut named) = (KeyStore::default(), NamedStore::default());
    let mut good = true;
    for (index, raw) in raw.into_iter().enumerate() {
        let at = &mut at.at(index);
        let Some((stored, holder, period)) = check_key(raw, terms, at) else {
            good = false;
            continue;
        };
        let kept = match (terms.form, &stored) {
            (RawForm::IdSecret, _) => {
                let id = holder.name.clone();
                named
                    .insert(&id, stored, holder, period)
                    .map_err(|_| ("at most four keys with one `id`", "more"))
            }
            (RawForm::Key, Stored::Peppered(digest)) => {
                whole.insert_peppered(*digest, holder, period).map_err(|_| ONCE)
            }
            (RawForm::Key, Stored::Sha256(digest)) => whole.insert(*digest, holder, period).map_err(|_| ONCE),
            (RawForm::Key, _) => {
                Err(("\"form\": \"id.secret\" with slow hashes, which cannot be searched", "another"))
            }
        };
        if let Err((expected, found)) = kept {
            at.refuse(expected, found);
            good = false;
        }
    }
    good.then_some(match terms.form {
        RawForm::Key => StoredKeys::Whole(whole),
        RawForm::IdSecret => StoredKeys::Named(named),
    })
}

const ONCE: (&str, &str) = ("each digest once", "one that is there already");

fn check_key(raw: RawKey, terms: &Terms, at: &mut Checks<'_>) -> Option<(Stored, Rc<Holder>, Period)> {
    let mut given = Given::default();
    if let Some(hex) = raw.sha256 {
        given.add(digest(&hex, b"", &mut at.at("sha256")).map(Stored::Sha256));
    }
    if let Some(hex) = raw.hmac_sha256 {
        let at = &mut at.at("hmac_sha256");
        if !terms.pepper {
            at.refuse("a `pepper_env` in the provider with it", "none");
        }
        given.add(digest(&hex, b"", at).map(Stored::Peppered));
    }
    if let Some(text) = raw.bcrypt {
        given.add(slow(Stored::bcrypt(&text), BCRYPT, terms.slow, &mut at.at("bcrypt")));
    }
    if let Some(text) = raw.argon2id {
        given.add(slow(Stored::argon2id(&text), ARGON2ID, terms.slow, &mut at.at("argon2id")));
    }
    if let Some(key) = raw.key {
        given.add(key.allowed(terms.plaintext, &mut at.at("key")).map(|key| digested(&key)));
    }
    let stored = given.only("one of `sha256`, `hmac_sha256`, `bcrypt` and `argon2id`", at);
    let not_before = moment(raw.not_before, &mut at.at("not_before"));
    let not_after = moment(raw.not_after, &mut at.at("not_after"));
    if let (Some(Some(start)), Some(Some(end))) = (not_before, not_after)
        && start >= end
    {
        at.at("not_after").refuse("a time after `not_before`", "an earlier one");
        return None;
    }
    let shown = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'.' | b',' | b';' | b'"' | b'\\');
    if terms.form == RawForm::IdSecret && !raw.id.bytes().all(shown) {
        at.at("id")
            .refuse("visible ASCII characters without . , ; \" and \\: it is a part of the key", NOT_SHOWN);
        return None;
    }
    let holder = check_holder(raw.id, raw.scopes, "id", at);
    Some((stored?, holder?, Period { not_before: not_before?, not_after: not_after? }))
}

pub(super) fn check_basic(raw: RawProvider, plaintext: bool, at: &mut Checks<'_>) -> Option<Basic> {
    raw.only(&["users", "allow_sha1"], at);
    let sha1 = raw.allow_sha1.unwrap_or(false);
    let at = &mut at.at("users");
    let raw = raw.users.unwrap_or_default();
    if raw.is_empty() {
        at.refuse("at least one user", "none");
        return None;
    }
    let mut users = NamedStore::default();
    let mut good = true;
    for (index, raw) in raw.into_iter().enumerate() {
        let at = &mut at.at(index);
        let Some((stored, holder)) = check_user(raw, sha1, plaintext, at) else {
            good = false;
            continue;
        };
        let name = holder.name.clone();
        if users.contains(&name) || users.insert(&name, stored, holder, Period::default()).is_err() {
            at.at("name").refuse("each user once", "one who is there already");
            good = false;
        }
    }
    good.then(|| Basic::new(users))
}

fn check_user(
    raw: RawUser,
    sha1: bool,
    plaintext: bool,
    at: &mut Checks<'_>,
) -> Option<(Stored, Rc<Holder>)> {
    let mut given = Given::default();
    if let Some(raw) = &raw.sha256_salted {
        given.add(salted(raw, &mut at.at("sha256_salted")));
    }
    if let Some(text) = raw.bcrypt {
        given.add(slow(Stored::bcrypt(&text), BCRYPT, true, &mut at.at("bcrypt")));
    }
    if let Some(text) = raw.argon2id {
        given.add(slow(Stored::argon2id(&text), ARGON2ID, true, &mut at.at("argon2id")));
    }
    if let Some(text) = raw.sha1 {
        let at = &mut at.at("sha1");
        if !sha1 {
            at.refuse(
                "`allow_sha1` in the provider with it: whoever has the file finds such passwords quickly",
                "none",
            );
        }
        given.add(slow(Stored::sha1(&text), "{SHA} and 28 characters of base64", true, at));
    }
    if let Some(password) = raw.password {
        let password = password.allowed(plaintext, &mut at.at("password"));
        given.add(password.map(|password| digested(&password)));
    }
    let stored = given.only("one of `sha256_salted`, `bcrypt`, `argon2id` and `sha1`", at);
    if raw.name.contains(':') {
        at.at("name").refuse("a name without `:`", NOT_SHOWN);
        return None;
    }
    let holder = check_holder(raw.name, raw.scopes, "name", at);
    Some((stored?, holder?))
}

const BCRYPT: &str = "$2b$, a cost of 04 to 12, $ and 53 characters of salt and hash";
const ARGON2ID: &str =
    "$argon2id$v=19$m=…,t=…,p=…$salt$hash with at most 65536 KiB, 4 lanes, and 262144 KiB in all passes";

/// What is given of several things of which one is wanted.
#[derive(Default)]
struct Given {
    count: usize,
    stored: Option<Stored>,
}

impl Given {
    fn add(&mut self, stored: Option<Stored>) {
        self.count = self.count.saturating_add(1);
        self.stored = stored;
    }

    fn only(self, expected: &str, at: &mut Checks<'_>) -> Option<Stored> {
        match self.count {
            1 => self.stored,
            count => {
                at.refuse(expected, if count == 0 { "none" } else { "several" });
                None
            }
        }
    }
}

/// A secret that may stand in the configuration as it is.
fn digested(secret: &Redacted<String>) -> Stored {
    Stored::Sha256(Digest::of(&[secret.expose().as_bytes()]))
}

/// A digest, but not that of `nothing`.
fn digest(hex: &Hex, nothing: &[u8], at: &mut Checks<'_>) -> Option<Digest> {
    let digest = Digest::from_hex(&hex.0);
    match digest {
        None => at.refuse("64 hexadecimal digits", format_args!("{} characters (not shown)", hex.0.len())),
        Some(digest) if digest.matches(&Digest::of(&[nothing])).into() => {
            at.refuse("the digest of a secret", "the digest of nothing");
            return None;
        }
        Some(_) => {}
    }
    digest
}

fn salted(raw: &RawSalted, at: &mut Checks<'_>) -> Option<Stored> {
    let salt = bytes_from_hex(&raw.salt.0);
    if salt.is_none() {
        let found = format!("{} characters (not shown)", raw.salt.0.len());
        at.at("salt").refuse("32 hexadecimal digits", found);
    }
    let digest = digest(&raw.digest, &salt.unwrap_or_default(), &mut at.at("digest"));
    Some(Stored::Salted { salt: Salt(salt?), digest: digest? })
}

fn slow(read: Result<Stored, Unreadable>, form: &str, allowed: bool, at: &mut Checks<'_>) -> Option<Stored> {
    if !allowed {
        at.refuse("`allow_slow_hash` in the provider with it: each check holds up a worker", "none");
    }
    match read {
        Ok(stored) => Some(stored),
        Err(Unreadable::Form) => {
            at.refuse(form, NOT_SHOWN);
            None
        }
        Err(Unreadable::Cost) => {
            at.refuse(form, "other costs");
            None
        }
    }
}
