//! Keys, secrets and certificates, and what is asked of those who hold them.

use wayside_sdk::config::schema::JsonSchema;
use wayside_sdk::config::schema::schemars::{Schema, SchemaGenerator, json_schema};
use wayside_sdk::config::schema::serde::Serialize;
use wayside_sdk::units::DurationText;

use super::no_scopes;

#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", untagged)]
pub(super) enum Keys {
    Configured(KeySet),
    Fetched(Fetched),
}

/// A key set that is kept at its provider.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
pub(super) struct Fetched {
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
pub(super) struct KeySet(#[schemars(schema_with = "key_set")] ());

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(crate = "wayside_sdk::config::schema::schemars")]
#[serde(crate = "wayside_sdk::config::schema::serde")]
pub(super) struct WantedClaims(#[schemars(schema_with = "wanted_claims")] ());

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
pub(super) enum TokenAlgorithm {
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
pub(super) struct Signer {
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
pub(super) struct SharedSecret {
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
pub(super) enum Encoding {
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
pub(super) enum Profile {
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
    json_schema!({ "type": ["object", "null"], "required": ["kty"], "additionalProperties": {} })
}

/// Whoever has shown a certificate of which all that is given here is so: one of `uri_san`, `dns_san`, `subject` and `sha256` at least.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
pub(super) struct Client {
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
pub(super) enum Validation {
    /// This connection's own, as Envoy tells (`connection.peer_certificate_valid`, from 1.40 on): not one that took up a session again.
    Handshake,
    /// The listener lets nobody connect with a certificate that it does not trust (no `ACCEPT_UNTRUSTED`), so all that are shown count.
    Listener,
}

/// By its name in the registry of HTTP signature algorithms.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars")]
pub(super) enum Algorithm {
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
pub(super) enum ContentDigest {
    /// Of a request that has content.
    Required,
    /// Content that is not covered is not protected.
    IfCovered,
}

#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
pub(super) enum Replay {
    Refuse,
    Allow,
}

/// What type of structured field (RFC 9651).
#[derive(Debug, JsonSchema)]
#[schemars(crate = "wayside_sdk::config::schema::schemars", rename_all = "snake_case")]
pub(super) enum Structure {
    Item,
    List,
    Dictionary,
}
