//! The configuration as it stands in JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny};
use wayside_sdk::config::Json;
use wayside_sdk::policy::RawRule;
use wayside_sdk::units::DurationText;
use wayside_sdk::{Checks, ConfigErrors, Mode, Redacted};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    #[serde(rename = "version")]
    _version: u64,
    #[serde(default)]
    pub(super) mode: Mode,
    #[serde(default)]
    pub(super) providers: BTreeMap<String, RawProvider>,
    #[serde(default)]
    pub(super) identity: RawIdentity,
    #[serde(default)]
    pub(super) defaults: RawAccess,
    #[serde(default)]
    pub(super) rules: Vec<RawRule>,
    #[serde(default)]
    #[expect(dead_code, reason = "one value so far; reading it refuses the others")]
    pub(super) on_ambiguous_path: OnAmbiguousPath,
    #[serde(default)]
    pub(super) case_insensitive: bool,
    #[serde(default)]
    pub(super) bypass_preflight: bool,
    #[serde(default)]
    pub(super) allow_plaintext: bool,
    #[serde(default = "default_realm")]
    pub(super) challenge_realm: String,
    #[serde(default = "default_max_credential_bytes")]
    pub(super) max_credential_bytes: u64,
    #[serde(default)]
    pub(super) replay: RawReplayTable,
    #[serde(default = "default_namespace")]
    pub(super) route_metadata_namespace: String,
    #[serde(default)]
    pub(super) on_bad_override: OnBadOverride,
    #[serde(default = "default_publish")]
    pub(super) publish: bool,
    #[serde(default)]
    pub(super) metrics: RawMetrics,
}

fn default_realm() -> String {
    "api".to_owned()
}

fn default_namespace() -> String {
    "l7.filters".to_owned()
}

fn default_publish() -> bool {
    true
}

/// What becomes of a request whose route asks for what cannot be understood.
#[derive(serde::Deserialize, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnBadOverride {
    #[default]
    Deny,
    Default,
}

fn default_max_credential_bytes() -> u64 {
    8192
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnAmbiguousPath {
    #[default]
    Reject,
}

macro_rules! providers {
    ($($field:ident: $type:ty,)*) => {
        /// The fields of all kinds: which of them a kind has, it says itself ([`only`](RawProvider::only)).
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct RawProvider {
            pub(super) kind: String,
            /// Most kinds hide what they have verified
            #[serde(default)]
            pub(super) hide: Option<bool>,
            $(#[serde(default)] pub(super) $field: Option<$type>,)*
        }

        impl RawProvider {
            /// Refuses what a provider of this kind does not have.
            pub(super) fn only(&self, fields: &[&str], at: &mut Checks<'_>) {
                $(if self.$field.is_some() && !fields.contains(&stringify!($field)) {
                    let expected = format!("no such field in a provider of kind `{}`", self.kind);
                    at.at(stringify!($field)).refuse(expected, "one");
                })*
            }
        }
    };
}

providers! {
    sources: Vec<RawSource>,
    form: RawForm,
    keys: Vec<RawKey>,
    pepper_env: String,
    allow_slow_hash: bool,
    users: Vec<RawUser>,
    allow_sha1: bool,
    signers: Vec<RawSigner>,
    profile: RawProfile,
    secrets: Vec<RawSecret>,
    label: String,
    tag: String,
    required_components: Vec<String>,
    content_digest: RawContentDigest,
    max_age: DurationText,
    skew: DurationText,
    require_nonce: bool,
    replay: RawReplay,
    max_body: u64,
    structured_fields: BTreeMap<String, RawStructure>,
    issuer: String,
    audiences: Vec<String>,
    jwks: Json,
    algorithms: Vec<String>,
    typ: String,
    require_exp: bool,
    max_lifetime: DurationText,
    require_sub: bool,
    claims: BTreeMap<String, Json>,
    max_keys_tried: u64,
    clients: Vec<RawClient>,
    validated_by: RawValidation,
    cache_size: u64,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSource {
    #[serde(default)]
    pub(super) header: Option<String>,
    #[serde(default)]
    pub(super) scheme: Option<String>,
    #[serde(default)]
    pub(super) query: Option<String>,
    #[serde(default)]
    pub(super) cookie: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKey {
    pub(super) id: String,
    #[serde(default)]
    pub(super) key: Option<Plaintext>,
    #[serde(default, rename = "secret")]
    _secret: NotHere,
    #[serde(default, rename = "password")]
    _password: NotHere,
    #[serde(default)]
    pub(super) sha256: Option<Hex>,
    #[serde(default)]
    pub(super) hmac_sha256: Option<Hex>,
    #[serde(default)]
    pub(super) bcrypt: Option<String>,
    #[serde(default)]
    pub(super) argon2id: Option<String>,
    #[serde(default)]
    pub(super) not_before: Option<String>,
    #[serde(default)]
    pub(super) not_after: Option<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
}

/// Whoever signs messages, with a key or with a secret that we have too.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSigner {
    pub(super) id: String,
    #[serde(default)]
    pub(super) algorithm: Option<String>,
    #[serde(default)]
    pub(super) jwk: Option<Json>,
    #[serde(default)]
    pub(super) secret_env: Option<String>,
    #[serde(default)]
    pub(super) secret: Option<Plaintext>,
    #[serde(default)]
    pub(super) encoding: Option<RawEncoding>,
    #[serde(default)]
    pub(super) subject: Option<String>,
    #[serde(default)]
    pub(super) not_before: Option<String>,
    #[serde(default)]
    pub(super) not_after: Option<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
}

/// A secret that both sides have.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecret {
    id: String,
    #[serde(default)]
    secret_env: Option<String>,
    #[serde(default)]
    secret: Option<Plaintext>,
    #[serde(default)]
    encoding: Option<RawEncoding>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    not_before: Option<String>,
    #[serde(default)]
    not_after: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
}

impl From<RawSecret> for RawSigner {
    fn from(raw: RawSecret) -> Self {
        let RawSecret { id, secret_env, secret, encoding, subject, not_before, not_after, scopes } = raw;
        let (algorithm, jwk) = (None, None);
        Self { id, algorithm, jwk, secret_env, secret, encoding, subject, not_before, not_after, scopes }
    }
}

/// Whoever has a certificate.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClient {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) uri_san: Option<String>,
    #[serde(default)]
    pub(super) dns_san: Option<String>,
    #[serde(default)]
    pub(super) subject: Option<String>,
    #[serde(default)]
    pub(super) sha256: Option<String>,
    #[serde(default)]
    pub(super) not_before: Option<String>,
    #[serde(default)]
    pub(super) not_after: Option<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
}

#[derive(serde::Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawValidation {
    Handshake,
    Listener,
}

#[derive(serde::Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawEncoding {
    Text,
    Base64,
    Base64Url,
}

#[derive(serde::Deserialize, Clone, Copy)]
pub(super) enum RawProfile {
    #[serde(rename = "rfc9421")]
    Rfc9421,
    #[serde(rename = "standard_webhooks")]
    StandardWebhooks,
    #[serde(rename = "github")]
    GitHub,
    #[serde(rename = "stripe")]
    Stripe,
}

#[derive(serde::Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawContentDigest {
    Required,
    IfCovered,
}

#[derive(serde::Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawReplay {
    Refuse,
    Allow,
}

#[derive(serde::Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawStructure {
    Item,
    List,
    Dictionary,
}

/// What is remembered of all providers together.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReplayTable {
    #[serde(default = "default_replay_capacity")]
    pub(super) capacity: u64,
}

impl Default for RawReplayTable {
    fn default() -> Self {
        Self { capacity: default_replay_capacity() }
    }
}

fn default_replay_capacity() -> u64 {
    16_384
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUser {
    pub(super) name: String,
    #[serde(default, rename = "key")]
    _key: NotHere,
    #[serde(default, rename = "secret")]
    _secret: NotHere,
    #[serde(default)]
    pub(super) password: Option<Plaintext>,
    #[serde(default)]
    pub(super) sha256_salted: Option<RawSalted>,
    #[serde(default)]
    pub(super) bcrypt: Option<String>,
    #[serde(default)]
    pub(super) argon2id: Option<String>,
    #[serde(default)]
    pub(super) sha1: Option<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSalted {
    pub(super) salt: Hex,
    pub(super) digest: Hex,
}

/// How an API key is written.
#[derive(serde::Deserialize, Clone, Copy, PartialEq, Eq)]
pub(super) enum RawForm {
    #[serde(rename = "key")]
    Key,
    #[serde(rename = "id.secret")]
    IdSecret,
}

const HASH_IT: &str = "plaintext credentials are refused; store a hash of the secret instead (with `allow_plaintext`, \
    they are taken as texts in the field `key` of a key and `password` of a user)";

/// Of what both sides need as it is.
pub(super) const NAME_IT: &str = "secrets in plaintext are refused; name the variable of the VM's environment that holds it in `secret_env` instead (with \
    `allow_plaintext`, it is taken as a text)";

/// A field that must not exist. Its value is not even read, so that it cannot appear in a message.
#[derive(Default)]
struct NotHere;

impl<'de> Deserialize<'de> for NotHere {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Err(D::Error::custom(HASH_IT))
    }
}

/// A secret as it is shown.
pub(super) struct Plaintext(Redacted<Option<String>>);

impl Plaintext {
    /// The secret, where it may be written and is a text; refused without being repeated otherwise.
    pub(super) fn allowed(self, allowed: bool, at: &mut Checks<'_>) -> Option<Redacted<String>> {
        self.or_else_say(allowed, HASH_IT, at)
    }

    /// The same, with this for who may not write it.
    pub(super) fn or_else_say(
        self,
        allowed: bool,
        instead: &str,
        at: &mut Checks<'_>,
    ) -> Option<Redacted<String>> {
        match self.0.into_inner() {
            Some(secret) if allowed && !secret.is_empty() => Some(Redacted::new(secret)),
            _ => {
                at.absorb(ConfigErrors::one(at.pointer(), instead));
                None
            }
        }
    }
}

impl<'de> Deserialize<'de> for Plaintext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secret = match Json::deserialize(deserializer)? {
            Json::Text(secret) => Some(secret),
            _ => None,
        };
        Ok(Self(Redacted::new(secret)))
    }
}

/// Hexadecimal digits. Whoever put a secret here by mistake does not find it in the log.
pub(super) struct Hex(pub(super) String);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Hex;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("hexadecimal digits")
            }

            fn visit_str<E>(self, text: &str) -> Result<Hex, E> {
                Ok(Hex(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawIdentity {
    pub(super) prefix: String,
    pub(super) headers: RawIdentityHeaders,
    pub(super) claims: BTreeMap<String, String>,
}

impl Default for RawIdentity {
    fn default() -> Self {
        Self { prefix: "x-auth-".to_owned(), headers: RawIdentityHeaders::default(), claims: BTreeMap::new() }
    }
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawIdentityHeaders {
    pub(super) subject: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) scopes: Option<String>,
}

/// `defaults`, and the `config` of a rule.
#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAccess {
    pub(super) require: Option<RawRequire>,
    pub(super) authorize: Option<RawAuthorize>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawRequire {
    None,
    Any(Vec<String>),
    All(Vec<String>),
    Optional(Vec<String>),
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAuthorize {
    pub(super) subjects: Option<Vec<String>>,
    pub(super) scopes_all: Option<Vec<String>>,
    pub(super) scopes_any: Option<Vec<String>>,
    pub(super) methods: Option<Vec<String>>,
    pub(super) claims: Option<BTreeMap<String, Json>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMetrics {
    pub(super) prefix: String,
    pub(super) labels: Vec<String>,
    pub(super) max_series: u64,
}

impl Default for RawMetrics {
    fn default() -> Self {
        let labels = ["provider", "reason", "rule"];
        Self { prefix: "l7".to_owned(), labels: labels.map(str::to_owned).to_vec(), max_series: 1000 }
    }
}
