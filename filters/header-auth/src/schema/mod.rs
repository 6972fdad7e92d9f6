//! What the configuration may hold, told as JSON Schema: the same fields as the reader's, as the tests of the package `schemas`
//! show. Native only, and in no module.

#![allow(dead_code, reason = "described, never made")]

mod holders;

use holders::{
    Client, ContentDigest, Keys, Profile, Replay, SharedSecret, Signer, Structure, TokenAlgorithm,
    Validation, WantedClaims,
};
use std::collections::BTreeMap;
use wayside_sdk::Mode;

use wayside_sdk::config::schema::serde::Serialize;
use wayside_sdk::config::schema::{JsonSchema, RuleSchema, Version1};
use wayside_sdk::units::DurationText;

/// Who is let in, and how upstreams are told who it is.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
pub struct Document {
    /// Of the configuration's form; a module says which it reads.
    version: Version1,
    /// What the filter does with its decisions.
    #[schemars(default)]
    mode: Mode,
    /// Kinds of credentials by names of your own: 1 to 64 of a-z, 0-9, _ and -.
    #[schemars(default = "no_providers", extend("propertyNames" = { "pattern": "^[a-z0-9_-]{1,64}$" }))]
    providers: BTreeMap<String, Provider>,
    #[schemars(default)]
    identity: Identity,
    /// What holds where no rule says otherwise; `require` must be given.
    #[schemars(default)]
    defaults: Access,
    /// The first that matches holds.
    #[schemars(default = "no_rules", length(max = 1000))]
    rules: Vec<RuleSchema<Access>>,
    /// What becomes of a path that servers read differently.
    #[schemars(default)]
    on_ambiguous_path: OnAmbiguousPath,
    /// Whether the servers behind take `/Admin` for `/admin`.
    #[schemars(default)]
    case_insensitive: bool,
    /// Whether what browsers ask before a request of another origin (`OPTIONS` with `origin` and `access-control-request-method`) passes
    /// without a credential.
    #[schemars(default)]
    bypass_preflight: bool,
    /// Whether secrets may stand here as they are: for trying things out.
    #[schemars(default)]
    allow_plaintext: bool,
    /// In challenges: visible ASCII without `"` and `\`.
    #[schemars(default = "realm", regex(pattern = "^[ !#-\\[\\]-~]{1,128}$"))]
    challenge_realm: String,
    /// The longest credential that is looked at.
    #[schemars(default = "max_credential_bytes", range(min = 1, max = 65_536))]
    max_credential_bytes: u64,
    #[schemars(default)]
    replay: ReplayTable,
    /// Where routes say otherwise: a text at `filter_metadata[this]["header_auth"]`, the name of a rule or a rule's `config` as JSON.
    #[schemars(default = "namespace", length(min = 1, max = 256))]
    route_metadata_namespace: String,
    /// What becomes of requests whose route says what cannot be understood.
    #[schemars(default)]
    on_bad_override: OnBadOverride,
    /// Whether access logs are told who was recognised: `%FILTER_STATE(wasm.l7.auth:PLAIN)%`.
    #[schemars(default = "yes")]
    publish: bool,
    #[schemars(default)]
    metrics: Metrics,
}

fn namespace() -> &'static str {
    "l7.filters"
}

#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum OnBadOverride {
    /// They are refused.
    #[default]
    Deny,
    /// The rules hold, as if it said nothing.
    Default,
}

fn no_providers() -> BTreeMap<String, ()> {
    BTreeMap::new()
}

fn no_rules() -> [(); 0] {
    []
}

fn realm() -> &'static str {
    "api"
}

fn max_credential_bytes() -> u64 {
    8192
}

#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum OnAmbiguousPath {
    /// The request is refused.
    #[default]
    Reject,
}

#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
struct Provider {
    kind: Kind,
    /// Where an API key may stand; only of `api_key`, which needs one.
    sources: Option<Vec<Source>>,
    /// Whether a key is shown alone or after its id and a dot; only of `api_key`. Default: `key`.
    form: Option<Form>,
    /// Only of `api_key`, which needs one.
    keys: Option<Vec<Key>>,
    /// The variable in `vm_config.environment_variables` that holds the pepper of `hmac_sha256`, at least 32 bytes; only of `api_key`.
    #[schemars(length(min = 1))]
    pepper_env: Option<String>,
    /// Whether keys may be stored as `bcrypt` and `argon2id`, each check of which holds up a worker; only of `api_key`. Default: `false`.
    allow_slow_hash: Option<bool>,
    /// Only of `basic`, which needs one.
    users: Option<Vec<User>>,
    /// Whether users may have a `sha1`; only of `basic`. Default: `false`.
    allow_sha1: Option<bool>,
    /// In which way messages are signed; only of `hmac`, which needs one.
    profile: Option<Profile>,
    /// What both sides have; `hmac` needs one, and `jwt` may have them in the place of `jwks`.
    #[schemars(length(min = 1, max = 100))]
    secrets: Option<Vec<SharedSecret>>,
    /// Whoever may sign; only of `http_signature`, which needs one, as what follows is; but it is also of `hmac` with the profile `rfc9421`, and `max_age`,
    /// `replay` and `max_body` of all profiles.
    signers: Option<Vec<Signer>>,
    /// Only a signature with this label counts.
    label: Option<String>,
    /// Only a signature with this `tag` counts.
    tag: Option<String>,
    /// What a signature covers at least, in the place of `@method`, `@authority`, and `@target-uri` or `@path` with `@query`: names of headers in lower
    /// case, or of derived components.
    required_components: Option<Vec<String>>,
    /// Whether content has to be covered by `content-digest`. Default: `required`.
    content_digest: Option<ContentDigest>,
    /// How long a signature counts after its creation. Default: 5m.
    max_age: Option<DurationText>,
    /// How far clocks may be apart, up to 5m; also of `jwt`. Default: 30s.
    skew: Option<DurationText>,
    /// Whether a signature without `nonce` is refused. Default: `false`.
    require_nonce: Option<bool>,
    /// Whether the same message may come twice. Default: `refuse`.
    replay: Option<Replay>,
    /// The longest body that is waited for, in bytes. Default: 1 MiB.
    #[schemars(range(min = 1, max = 67_108_864))]
    max_body: Option<u64>,
    /// Headers that are structured fields, besides those that are registered.
    structured_fields: Option<BTreeMap<String, Structure>>,
    /// The `iss` of its tokens; only of `jwt`, which needs one, as what follows is.
    #[schemars(length(min = 1))]
    issuer: Option<String>,
    /// One of them must be in a token's `aud`. Without any, a token that has an `aud` is refused (RFC 7519, 4.1.3).
    #[schemars(length(min = 1), inner(length(min = 1)))]
    audiences: Option<Vec<String>>,
    /// The issuer's keys (RFC 7517), or where they are fetched; `jwt` needs them, or `secrets`.
    jwks: Option<Keys>,
    /// The only ones that are taken. Default: all that the keys are for, and never secrets beside public keys.
    #[schemars(length(min = 1))]
    algorithms: Option<Vec<TokenAlgorithm>>,
    /// What kind of token it must say it is, such as `at+jwt` (RFC 8725, 3.11).
    #[schemars(length(min = 1))]
    typ: Option<String>,
    /// Whether a token without `exp` is refused. Default: `true`.
    require_exp: Option<bool>,
    /// From `iat` to `exp`, up to a year; both must be there then.
    max_lifetime: Option<DurationText>,
    /// Whether a token without `sub` is refused. Default: `false`.
    require_sub: Option<bool>,
    /// Claims that a token must have: by name, or with a slash in front by the way down to it (RFC 6901).
    claims: Option<WantedClaims>,
    /// How many keys are tried on a token that names none. Default: 4.
    #[schemars(range(min = 1, max = 16))]
    max_keys_tried: Option<u64>,
    /// Whose certificates count; only of `mtls`, which needs one.
    clients: Option<Vec<Client>>,
    /// Who has to have found a certificate good; only of `mtls`. Default: `handshake`.
    validated_by: Option<Validation>,
    /// How many good tokens each VM remembers, so as not to verify them again; 0 for none. Default: 1000.
    #[schemars(range(max = 100_000))]
    cache_size: Option<u64>,
    /// Whether the credential is taken off the request; not if nothing is said and it is a token or a signature of the whole message.
    #[schemars(default = "yes")]
    hide: Option<bool>,
}

fn yes() -> bool {
    true
}

/// How an API key is shown.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars")]
enum Form {
    #[schemars(rename = "key")]
    Key,
    /// The id says which, the secret is compared.
    #[schemars(rename = "id.secret")]
    IdSecret,
}

#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
enum Kind {
    ApiKey,
    Basic,
    Hmac,
    HttpSignature,
    Jwt,
    Mtls,
}

/// What is remembered of what may be used once, by all workers and of all providers together.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct ReplayTable {
    /// So many at a time; what finds no room is refused.
    #[schemars(range(min = 64, max = 65_536))]
    capacity: u64,
}

impl Default for ReplayTable {
    fn default() -> ReplayTable {
        ReplayTable { capacity: 16_384 }
    }
}

/// One of `header` (with `scheme` for `authorization`), `query` and `cookie`.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
struct Source {
    header: Option<String>,
    /// Other than Basic.
    scheme: Option<String>,
    #[schemars(regex(pattern = "^[A-Za-z0-9._~-]+$"))]
    query: Option<String>,
    #[schemars(regex(pattern = "^[A-Za-z0-9._~-]+$"))]
    cookie: Option<String>,
}

#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
struct Key {
    /// Whom the upstream is told of.
    #[schemars(length(min = 1, max = 128))]
    id: String,
    /// The key itself; only with `allow_plaintext`.
    key: Option<String>,
    /// Of the key, in hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9A-Fa-f]{64}$"))]
    sha256: Option<String>,
    /// The same with the pepper as key (RFC 2104).
    #[schemars(regex(pattern = "^[0-9A-Fa-f]{64}$"))]
    hmac_sha256: Option<String>,
    /// `$2b$`, a cost of 04 to 12, and salt and hash.
    bcrypt: Option<String>,
    /// `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    argon2id: Option<String>,
    /// In UTC: `2027-01-01T00:00:00Z`.
    not_before: Option<String>,
    not_after: Option<String>,
    /// RFC 6749, 3.3.
    #[schemars(default = "no_scopes", inner(regex(pattern = "^[!#-\\[\\]-~]+$")))]
    scopes: Vec<String>,
}

fn no_scopes() -> [(); 0] {
    []
}

#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
struct User {
    /// Whom the upstream is told of; without `:`.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[^:]*$"))]
    name: String,
    /// The password itself; only with `allow_plaintext`.
    password: Option<String>,
    sha256_salted: Option<Salted>,
    /// `$2b$`, a cost of 04 to 12, and salt and hash.
    bcrypt: Option<String>,
    /// `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    argon2id: Option<String>,
    /// `{SHA}` and base64; only with `allow_sha1`.
    sha1: Option<String>,
    /// RFC 6749, 3.3.
    #[schemars(default = "no_scopes", inner(regex(pattern = "^[!#-\\[\\]-~]+$")))]
    scopes: Vec<String>,
}

/// SHA-256 of salt and password.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
struct Salted {
    #[schemars(regex(pattern = "^[0-9A-Fa-f]{32}$"))]
    salt: String,
    #[schemars(regex(pattern = "^[0-9A-Fa-f]{64}$"))]
    digest: String,
}

/// The headers in which the upstream is told who is calling. What requests bring in them is taken off.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Identity {
    /// All headers that begin with it are taken off: the start of a header's name, with `-` at its end.
    #[schemars(regex(pattern = "-$"), length(min = 3))]
    prefix: String,
    headers: IdentityHeaders,
    /// Claims of a token by name, or with a slash in front by the way down to it (RFC 6901), and the headers that tell of them.
    claims: BTreeMap<String, String>,
}

/// Three different names. Default: the prefix and the field's name.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct IdentityHeaders {
    #[schemars(length(min = 1))]
    subject: Option<String>,
    #[schemars(length(min = 1))]
    provider: Option<String>,
    #[schemars(length(min = 1))]
    scopes: Option<String>,
}

impl Default for Identity {
    fn default() -> Identity {
        Identity {
            prefix: "x-auth-".to_owned(),
            headers: IdentityHeaders::default(),
            claims: BTreeMap::new(),
        }
    }
}

/// What is demanded of a request.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Access {
    require: Option<Require>,
    authorize: Option<Authorize>,
}

/// Which credentials; providers by their names.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Require {
    /// Open to all.
    None,
    /// A good one of any of these.
    Any(Vec<String>),
    /// A good one of each of these.
    All(Vec<String>),
    /// None at all, or only good ones.
    Optional(Vec<String>),
}

/// What must hold of who was recognised, at least one of these.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Authorize {
    #[schemars(length(min = 1))]
    subjects: Option<Vec<String>>,
    #[schemars(length(min = 1), inner(regex(pattern = "^[!#-\\[\\]-~]+$")))]
    scopes_all: Option<Vec<String>>,
    #[schemars(length(min = 1), inner(regex(pattern = "^[!#-\\[\\]-~]+$")))]
    scopes_any: Option<Vec<String>>,
    /// `GET` is also `HEAD`.
    #[schemars(length(min = 1), inner(regex(pattern = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")))]
    methods: Option<Vec<String>>,
    /// Of a token: by name, or with a slash in front by the way down to it (RFC 6901).
    claims: Option<WantedClaims>,
}

/// How metrics are named and bounded.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields, default)]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct Metrics {
    /// Before every name, without the `_` that follows it.
    #[schemars(regex(pattern = "^[a-z0-9_]{1,32}$"))]
    prefix: String,
    /// What series are told apart by, each once.
    #[schemars(extend("uniqueItems" = true))]
    labels: Vec<Label>,
    /// Series of all metrics together.
    #[schemars(range(min = 1, max = 100_000))]
    max_series: u64,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
#[serde(crate = "wayside_sdk::config::schema::serde", rename_all = "snake_case")]
enum Label {
    Provider,
    Reason,
    Rule,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            prefix: "l7".to_owned(),
            labels: vec![Label::Provider, Label::Reason, Label::Rule],
            max_series: 1000,
        }
    }
}
