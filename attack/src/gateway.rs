//! What is known of the target: where which credential is asked for, and credentials that are good there.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use crate::{
    keys::{Algorithm, Key},
    message::Message,
};

/// A gateway as its configuration for header-auth describes it. Only what attacks need is read: whether the configuration is right
/// is the filter's to say.
#[derive(Debug)]
pub struct Gateway {
    pub providers: Vec<Provider>,
    /// Names of the headers that tell the upstream who calls: subject, provider, scopes.
    pub identity: [String; 3],
    /// Where nobody is asked for anything.
    pub public: Option<String>,
    /// Paths that are guarded while most others are not: a spelling of them that misses the rule gets in.
    pub guarded: Vec<String>,
    pub case_insensitive: bool,
    pub bypass_preflight: bool,
    /// What requests say whom they mean, where a signature covers it.
    pub authority: String,
    pub max_credential_bytes: usize,
}

#[derive(Debug)]
pub struct Provider {
    pub name: String,
    /// A path at which this provider's credential is enough, and needed.
    pub place: String,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    ApiKey {
        sources: Vec<Source>,
        key: Option<Secret>,
    },
    Basic {
        user: Option<(String, Secret)>,
    },
    Jwt(Issuer),
    Signatures(Signers),
    Webhooks(Webhooks),
    /// One that is not attacked yet: it is listed.
    Other(String),
}

/// Who signs tokens that the gateway believes.
#[derive(Debug)]
pub struct Issuer {
    pub issuer: Option<String>,
    pub audiences: Vec<String>,
    /// What the provider takes, as far as this kit can sign it.
    pub algorithms: Vec<Algorithm>,
    /// What `typ` must be, where it matters.
    pub typ: Option<String>,
    pub sources: Vec<Source>,
    pub keys: Vec<Key>,
    /// Of every good token, beside those that the configuration asks for.
    pub claims: Map<String, Value>,
}

/// Who signs messages (RFC 9421).
#[derive(Debug)]
pub struct Signers {
    pub label: Option<String>,
    pub tag: Option<String>,
    /// Whether the gateway takes the same message twice.
    pub replays: bool,
    /// Each with the `keyid` that the gateway knows it by as `kid`, and with what the gateway expects of it.
    pub keys: Vec<(Algorithm, Key)>,
}

/// Who signs webhooks with a secret that the gateway has too.
#[derive(Debug)]
pub struct Webhooks {
    pub profile: Profile,
    /// Whether the gateway takes the same message twice.
    pub replays: bool,
    /// As the service shows it.
    pub secret: Option<Secret>,
}

/// In which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    StandardWebhooks,
    GitHub,
    Stripe,
}

/// A credential's text, which no debug print shows.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

/// Where a credential stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Header(String),
    Scheme(String),
    Query(String),
    Cookie(String),
}

impl Source {
    /// A request with this credential in this place.
    #[must_use]
    pub fn carry(&self, message: Message, credential: impl AsRef<[u8]>) -> Message {
        let credential = credential.as_ref();
        match self {
            Source::Header(name) => message.header(name.as_str(), credential),
            Source::Scheme(scheme) => {
                message.header("authorization", [scheme.as_bytes(), b" ", credential].concat())
            }
            Source::Query(name) => {
                let mut target = message.target.clone();
                target.push(if target.contains(&b'?') { b'&' } else { b'?' });
                target.extend([name.as_bytes(), b"=", credential].concat());
                Message { target, ..message }
            }
            Source::Cookie(name) => message.header("cookie", [name.as_bytes(), b"=", credential].concat()),
        }
    }
}

/// The configuration or the credentials cannot be used: where and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct BadGateway {
    at: String,
    why: String,
}

fn bad(at: impl Into<String>, why: impl Into<String>) -> BadGateway {
    BadGateway { at: at.into(), why: why.into() }
}

/// Good credentials of one provider, as the second file holds them.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Credentials {
    key: Option<Secret>,
    user: Option<String>,
    password: Option<Secret>,
    secret: Option<Secret>,
    jwks: Option<Jwks>,
    claims: Map<String, Value>,
}

#[derive(serde::Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

impl Gateway {
    /// From header-auth's configuration, and from good credentials by the name of their provider: an API key (`key`), a user
    /// (`user`, `password`), a `secret` of webhooks, private keys that sign tokens (`jwks`, with `claims` that good tokens need).
    ///
    /// # Errors
    /// A text is no JSON, the configuration has no providers, a private key is none, or credentials name no provider.
    pub fn new(config: &str, credentials: Option<&str>) -> Result<Gateway, BadGateway> {
        let config: Value =
            serde_json::from_str(config).map_err(|error| bad("configuration", error.to_string()))?;
        let credentials = credentials.unwrap_or("{}");
        let mut credentials: BTreeMap<String, Credentials> =
            serde_json::from_str(credentials).map_err(|error| bad("credentials", error.to_string()))?;
        let providers = config.get("providers").and_then(Value::as_object);
        let providers = providers
            .ok_or_else(|| bad("/providers", "found no object, expected header-auth's providers"))?;
        let places = Places::of(&config);
        let mut known = Vec::new();
        for (name, provider) in providers {
            let given = credentials.remove(name).unwrap_or_default();
            let kind = kind(name, provider, given)?;
            known.push(Provider { name: name.clone(), place: places.of_provider(name), kind });
        }
        if let Some(name) = credentials.keys().next() {
            return Err(bad(
                format!("credentials/{name}"),
                "found no provider of this name in the configuration",
            ));
        }
        let prefix = text(&config, "/identity/prefix").unwrap_or("x-auth-");
        let identity = ["subject", "provider", "scopes"].map(|field| {
            let named = text(&config, &format!("/identity/headers/{field}"));
            named.map_or_else(|| format!("{prefix}{field}"), str::to_owned)
        });
        let is_on = |field: &str| config.get(field) == Some(&Value::Bool(true));
        let limit = config.get("max_credential_bytes").and_then(Value::as_u64);
        Ok(Gateway {
            providers: known,
            identity,
            public: places.public,
            guarded: places.guarded,
            case_insensitive: is_on("case_insensitive"),
            bypass_preflight: is_on("bypass_preflight"),
            authority: "lab.example".to_owned(),
            max_credential_bytes: limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(8192),
        })
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(more)) => more.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn kind(name: &str, provider: &Value, given: Credentials) -> Result<Kind, BadGateway> {
    let sources = sources(provider.get("sources"));
    Ok(match text(provider, "/kind") {
        Some("api_key") => Kind::ApiKey { sources, key: given.key },
        Some("basic") => Kind::Basic { user: given.user.zip(given.password) },
        Some("http_signature") => Kind::Signatures(Signers {
            label: text(provider, "/label").map(str::to_owned),
            tag: text(provider, "/tag").map(str::to_owned),
            replays: text(provider, "/replay") == Some("allow"),
            keys: signing(provider, keys(name, given.jwks)?),
        }),
        Some(kind @ "hmac") => match profile(provider) {
            Some(profile) => Kind::Webhooks(Webhooks {
                profile,
                replays: text(provider, "/replay") == Some("allow"),
                secret: given.secret,
            }),
            None => Kind::Other(kind.to_owned()),
        },
        Some("jwt") => {
            let keys = keys(name, given.jwks)?;
            let named = texts(provider.get("algorithms"));
            let algorithms: Vec<Algorithm> = if named.is_empty() {
                let signing = |key: &Key| key.algorithms().first().copied();
                keys.iter().filter_map(signing).collect()
            } else {
                named.iter().filter_map(|name| Algorithm::named(name)).collect()
            };
            let sources =
                if sources.is_empty() { vec![Source::Scheme("Bearer".to_owned())] } else { sources };
            Kind::Jwt(Issuer {
                issuer: texts(provider.get("issuer")).into_iter().next(),
                audiences: texts(provider.get("audiences")),
                algorithms,
                typ: texts(provider.get("typ")).into_iter().next(),
                sources,
                keys,
                claims: given.claims,
            })
        }
        Some(other) => Kind::Other(other.to_owned()),
        None => {
            return Err(bad(
                format!("/providers/{name}/kind"),
                "found no text, expected a kind of credential",
            ));
        }
    })
}

fn profile(provider: &Value) -> Option<Profile> {
    match text(provider, "/profile")? {
        "standard_webhooks" => Some(Profile::StandardWebhooks),
        "github" => Some(Profile::GitHub),
        "stripe" => Some(Profile::Stripe),
        _ => None,
    }
}

fn keys(name: &str, given: Option<Jwks>) -> Result<Vec<Key>, BadGateway> {
    let keys = given.map(|jwks| jwks.keys).unwrap_or_default();
    let read = |(index, jwk)| {
        let at = || format!("credentials/{name}/jwks/keys/{index}");
        Key::from_jwk(jwk).map_err(|error| bad(at(), error.to_string()))
    };
    keys.iter().enumerate().map(read).collect()
}

/// Keys with the algorithms by which the configuration knows them.
fn signing(provider: &Value, keys: Vec<Key>) -> Vec<(Algorithm, Key)> {
    let signers = provider.get("signers").and_then(Value::as_array);
    let of = |key: &Key| {
        let signer = signers?.iter().find(|signer| signer["id"].as_str() == key.kid())?;
        let algorithm = match signer["algorithm"].as_str()? {
            "ed25519" => Algorithm::EdDsa,
            "ecdsa-p256-sha256" => Algorithm::Es256,
            "ecdsa-p384-sha384" => Algorithm::Es384,
            "rsa-pss-sha512" => Algorithm::Ps512,
            "rsa-v1_5-sha256" => Algorithm::Rs256,
            _ => return None,
        };
        key.algorithms().contains(&algorithm).then_some(algorithm)
    };
    keys.into_iter().filter_map(|key| Some((of(&key)?, key))).collect()
}

fn sources(value: Option<&Value>) -> Vec<Source> {
    let one = |source: &Value| {
        let member = |name: &str| source.get(name).and_then(Value::as_str).map(str::to_owned);
        match (member("header"), member("scheme")) {
            (Some(_), Some(scheme)) => Some(Source::Scheme(scheme)),
            (Some(header), None) => Some(Source::Header(header)),
            _ => member("query").map(Source::Query).or(member("cookie").map(Source::Cookie)),
        }
    };
    value.and_then(Value::as_array).into_iter().flatten().filter_map(one).collect()
}

/// What is asked for where.
struct Places {
    /// Path and what its rule requires; the defaults last, at a path that no rule is likely to name.
    rules: Vec<(String, Value)>,
    public: Option<String>,
    guarded: Vec<String>,
}

const NOWHERE: &str = "/wayside-attack";

impl Places {
    fn of(config: &Value) -> Places {
        let default = config.pointer("/defaults/require").cloned().unwrap_or(Value::Null);
        let mut rules = Vec::new();
        for rule in config.get("rules").and_then(Value::as_array).into_iter().flatten() {
            let path = rule.pointer("/match/path");
            let only_a_path =
                rule.get("match").and_then(Value::as_object).is_some_and(|found| found.len() == 1);
            let Some(path) = path.and_then(path_of).filter(|_| only_a_path) else { continue };
            let require = rule.pointer("/config/require").unwrap_or(&default);
            rules.push((path, require.clone()));
        }
        let open = |require: &Value| *require == Value::String("none".to_owned());
        let guarded = if open(&default) {
            let closed =
                rules.iter().filter(|(_, require)| require.get("any").or(require.get("all")).is_some());
            closed.map(|(path, _)| path.clone()).collect()
        } else {
            Vec::new()
        };
        rules.push((NOWHERE.to_owned(), default));
        let public = rules.iter().rev().find(|(_, require)| open(require)).map(|(path, _)| path.clone());
        Places { rules, public, guarded }
    }

    /// Where this provider alone is enough.
    fn of_provider(&self, name: &str) -> String {
        let named = |require: &Value, how: &str| {
            let names = texts(require.get(how));
            (how == "any" || names.len() == 1) && names.iter().any(|given| given == name)
        };
        let found = self.rules.iter().find(|(_, require)| named(require, "any") || named(require, "all"));
        found.map_or_else(|| NOWHERE.to_owned(), |(path, _)| path.clone())
    }
}

/// A path that a rule's condition holds for.
fn path_of(condition: &Value) -> Option<String> {
    let member = |name: &str| condition.get(name).and_then(Value::as_str);
    if let Some(prefix) = member("prefix") {
        return Some(format!("{}/x", prefix.trim_end_matches('/')));
    }
    if let Some(exact) = member("exact") {
        return Some(exact.to_owned());
    }
    let segments = member("template")?.split('/');
    let filled = segments.map(|segment| if segment.starts_with('{') { "1" } else { segment });
    Some(filled.collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{
        "providers": {
            "keys": { "kind": "api_key", "sources": [{ "header": "x-api-key" }, { "cookie": "key" }] },
            "corp": { "kind": "jwt", "issuer": "https://idp", "audiences": ["shop"], "algorithms": ["RS256", "XX1"] }
        },
        "defaults": { "require": "none" },
        "rules": [
            { "match": { "path": { "exact": "/free" } }, "config": { "require": "none" } },
            { "match": { "path": { "prefix": "/both" } }, "config": { "require": { "all": ["keys", "corp"] } } },
            { "match": { "path": { "template": "/a/{id}" } }, "config": { "require": { "any": ["keys", "corp"] } } }
        ] }"#;

    #[test]
    fn a_place_is_where_one_provider_is_enough() {
        let gateway = Gateway::new(CONFIG, None).expect("a good configuration");
        let places: Vec<_> =
            gateway.providers.iter().map(|provider| (&*provider.name, &*provider.place)).collect();
        assert_eq!(places, [("keys", "/a/1"), ("corp", "/a/1")]);
        assert_eq!(gateway.guarded, ["/both/x", "/a/1"]);
        assert_eq!(gateway.public.as_deref(), Some(NOWHERE));
        assert_eq!(gateway.identity[0], "x-auth-subject");
    }

    #[test]
    fn what_cannot_be_used_is_named_and_secrets_are_not() {
        let error = |config: &str, credentials| {
            Gateway::new(config, Some(credentials)).expect_err("nobody can use this").to_string()
        };
        assert_eq!(error("{}", "{}"), "/providers: found no object, expected header-auth's providers");
        let said = error(CONFIG, r#"{"corp":{"jwks":{"keys":[{"kty":"oct","k":"s%cret"}]}}}"#);
        assert!(said.starts_with("credentials/corp/jwks/keys/0: expected a private JWK"), "{said}");
        assert!(!said.contains("s%cret"), "{said}");
        assert!(error(CONFIG, r#"{"nobody":{}}"#).starts_with("credentials/nobody: found no provider"));
    }
}
