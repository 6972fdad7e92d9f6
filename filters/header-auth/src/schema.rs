//! What the configuration may hold, told as JSON Schema: the same fields as the reader's, as the tests of the package `schemas`
//! show. Native only, and in no module.

#![allow(dead_code, reason = "described, never made")]

use std::collections::BTreeMap;
use wayside_sdk::Mode;
use wayside_sdk::config::schema::schemars::{Schema, SchemaGenerator, json_schema};
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

#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", untagged)]
enum Keys {
    Configured(KeySet),
    Fetched(Fetched),
}

/// A key set that is kept at its provider.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
struct Fetched {
    /// Its path.
    #[schemars(length(max = 2048), regex(pattern = "^/[!-\"$-~]*$"))]
    uri: String,
    /// Of Envoy's.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[!-~]*$"))]
    cluster: String,
    /// What is sent as `:authority`: a host, with or without a port. Default: the cluster's name.
    #[schemars(length(min = 1, max = 255))]
    host: Option<String>,
    /// After this time it is fetched anew; `min_refetch` or more, up to 168h. Default: 10m.
    refresh: Option<DurationText>,
    /// What requests ask for is fetched no more often than this: 1s to 1h. Default: 30s.
    min_refetch: Option<DurationText>,
    /// Of a fetch: 1ms to 1m. Default: 2s.
    timeout: Option<DurationText>,
    /// How long it is used after a refresh was due and failed, up to 720h. Default: 24h.
    stale_if_error: Option<DurationText>,
    /// How long a request may wait for a key that is being fetched, up to 1m. Default: 2s.
    wait: Option<DurationText>,
}

#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars")]
struct KeySet(#[schemars(schema_with = "key_set")] ());

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars")]
#[serde(crate = "wayside_sdk::config::schema::serde")]
struct WantedClaims(#[schemars(schema_with = "wanted_claims")] ());

/// RSA of 2048 to 8192 bits, P-256, P-384, P-521, Ed25519, or secrets of 32 bytes and more.
fn key_set(_: &mut SchemaGenerator) -> Schema {
    let key = json_schema!({ "type": "object", "required": ["kty"], "additionalProperties": {} });
    json_schema!({
        "type": "object",
        "required": ["keys"],
        "properties": { "keys": { "type": "array", "items": key, "minItems": 1, "maxItems": 100 } },
        "additionalProperties": {},
    })
}

/// A value, or several, each of which must be the claim or one of its members.
fn wanted_claims(_: &mut SchemaGenerator) -> Schema {
    let value = json_schema!({ "type": ["string", "integer", "boolean"] });
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "additionalProperties": { "anyOf": [value, { "type": "array", "items": value, "minItems": 1 }] },
    })
}

/// RFC 7518, 3.1, and RFC 8037; `Ed25519` is `EdDSA` by the name of RFC 9864.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars")]
enum TokenAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
    Ed25519,
    HS256,
    HS384,
    HS512,
}

/// Whoever signs messages (RFC 9421).
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
struct Signer {
    /// The `keyid` of its signatures.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[ -~]*$"))]
    id: String,
    algorithm: Algorithm,
    /// The public key (RFC 7517), of every algorithm but `hmac-sha256`.
    #[schemars(schema_with = "jwk", default)]
    jwk: Option<()>,
    /// Of `hmac-sha256`: the variable in `vm_config.environment_variables` that holds the secret, of 32 bytes at least.
    #[schemars(length(min = 1))]
    secret_env: Option<String>,
    /// The secret itself; only with `allow_plaintext`.
    secret: Option<String>,
    encoding: Option<Encoding>,
    /// Whom the upstream is told of. Default: the id.
    #[schemars(length(min = 1, max = 128))]
    subject: Option<String>,
    /// In UTC: `2027-01-01T00:00:00Z`.
    not_before: Option<String>,
    not_after: Option<String>,
    /// RFC 6749, 3.3.
    #[schemars(default = "no_scopes", inner(regex(pattern = "^[!#-\\[\\]-~]+$")))]
    scopes: Vec<String>,
}

/// A secret that both sides have, and who has it.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
struct SharedSecret {
    /// Of `jwt` the `kid`, of `rfc9421` the `keyid`; each once. Of webhooks whom the upstream is told of.
    #[schemars(length(min = 1, max = 256))]
    id: String,
    /// The variable in `vm_config.environment_variables` that holds it: 16 bytes at least of webhooks, 32 of `rfc9421`, as long as the hash of `jwt`.
    #[schemars(length(min = 1))]
    secret_env: Option<String>,
    /// The secret itself; only with `allow_plaintext`.
    secret: Option<String>,
    /// Not of webhooks, whose services say how theirs are written.
    encoding: Option<Encoding>,
    /// Whom the upstream is told of. Default: the id. Not of `jwt`, as what follows.
    #[schemars(length(min = 1, max = 128))]
    subject: Option<String>,
    /// In UTC: `2027-01-01T00:00:00Z`.
    not_before: Option<String>,
    not_after: Option<String>,
    /// RFC 6749, 3.3.
    #[schemars(default = "no_scopes", inner(regex(pattern = "^[!#-\\[\\]-~]+$")))]
    scopes: Vec<String>,
}

/// How the secret's bytes are written. Default: `text`.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "lowercase")]
enum Encoding {
    /// As they are.
    Text,
    /// With padding (RFC 4648, section 4).
    Base64,
    /// Without (section 5).
    Base64Url,
}

/// Who signs in which way.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars")]
enum Profile {
    /// As `http_signature`, with `hmac-sha256`.
    #[schemars(rename = "rfc9421")]
    Rfc9421,
    /// standardwebhooks.com, v1.
    #[schemars(rename = "standard_webhooks")]
    StandardWebhooks,
    /// `x-hub-signature-256`.
    #[schemars(rename = "github")]
    GitHub,
    /// `stripe-signature`, v1.
    #[schemars(rename = "stripe")]
    Stripe,
}

/// RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519. What else a key says is passed over.
fn jwk(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "required": ["kty"], "additionalProperties": {} })
}

/// Whoever has shown a certificate of which all that is given here is so: one of `uri_san`, `dns_san`, `subject` and `sha256` at least.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
struct Client {
    /// Whom the upstream is told of. Default: what the certificate says there, of the first of the four that is given.
    #[schemars(length(min = 1, max = 128))]
    id: Option<String>,
    /// The first URI among its alternative names, or with `/*` at its end what that is below.
    #[schemars(length(max = 2048), regex(pattern = "^[!-)+-~]+:[!-)+-~]*[!-~]$"))]
    uri_san: Option<String>,
    /// The first DNS name among them, in either case.
    #[schemars(length(max = 2048), regex(pattern = "^[A-Za-z0-9._-]+$"))]
    dns_san: Option<String>,
    /// As of RFC 2253.
    #[schemars(length(min = 1, max = 2048))]
    subject: Option<String>,
    /// Of the whole certificate (DER), in hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9A-Fa-f]{64}$"))]
    sha256: Option<String>,
    /// In UTC: `2027-01-01T00:00:00Z`.
    not_before: Option<String>,
    not_after: Option<String>,
    /// RFC 6749, 3.3.
    #[schemars(default = "no_scopes", inner(regex(pattern = "^[!#-\\[\\]-~]+$")))]
    scopes: Vec<String>,
}

#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
enum Validation {
    /// This connection's own, as Envoy tells (`connection.peer_certificate_valid`, from 1.40 on): not one that took up a session again.
    Handshake,
    /// The listener lets nobody connect with a certificate that it does not trust (no `ACCEPT_UNTRUSTED`), so all that are shown count.
    Listener,
}

/// By its name in the registry of HTTP signature algorithms.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars")]
enum Algorithm {
    #[schemars(rename = "ed25519")]
    Ed25519,
    #[schemars(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    #[schemars(rename = "ecdsa-p384-sha384")]
    EcdsaP384Sha384,
    #[schemars(rename = "hmac-sha256")]
    HmacSha256,
    #[schemars(rename = "rsa-pss-sha512")]
    RsaPssSha512,
    #[schemars(rename = "rsa-v1_5-sha256")]
    RsaV15Sha256,
}

#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
enum ContentDigest {
    /// Of a request that has content.
    Required,
    /// Content that is not covered is not protected.
    IfCovered,
}

#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
enum Replay {
    Refuse,
    Allow,
}

/// What type of structured field (RFC 9651).
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
enum Structure {
    Item,
    List,
    Dictionary,
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
