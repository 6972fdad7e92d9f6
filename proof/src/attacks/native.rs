//! The lab as Envoy's own filters are told of it: `jwt_authn`, `api_key_auth` and `basic_auth`, each where its credential is asked for.

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use wayside_attack::LAB;

const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters.http";
/// SHA-1 of the lab's one password: `basic_auth` knows nothing else.
const PASSWORD: &str = "{SHA}POjQMNQW1NfYyWtu4ZyNpwwV7k4=";

/// `jwt_authn` chooses by its own rules; the others are off until a route turns them on.
pub(super) fn filters(strict: bool) -> anyhow::Result<Vec<Value>> {
    let (config, credentials) = lab()?;
    let credential = |pointer: &str| {
        credentials.pointer(pointer).and_then(Value::as_str).with_context(|| format!("found no {pointer}"))
    };
    let keys = json!({
        "@type": format!("{FILTERS}.api_key_auth.v3.ApiKeyAuth"),
        "credentials": [{ "key": credential("/partners/key")?, "client": "lab" }],
        "key_sources": config["providers"]["partners"]["sources"],
        "forwarding": { "header": "x-auth-subject", "hide_credentials": true },
    });
    let basic = json!({
        "@type": format!("{FILTERS}.basic_auth.v3.BasicAuth"),
        "users": { "inline_string": format!("{}:{PASSWORD}\n", credential("/people/user")?) },
        "forward_username_header": "x-auth-subject",
    });
    let mut filters = vec![
        json!({ "name": "partners", "typed_config": keys, "disabled": true }),
        json!({ "name": "people", "typed_config": basic, "disabled": true }),
    ];
    if let Some(provider) = config.pointer("/providers/corp") {
        filters.push(
            json!({ "name": "corp", "typed_config": tokens(&config, provider, &credentials, strict)? }),
        );
    }
    Ok(filters)
}

fn lab() -> anyhow::Result<(Value, Value)> {
    Ok((serde_json::from_str(LAB.0)?, serde_json::from_str(LAB.1)?))
}

/// Prefixes that the lab's rules guard, and the one provider of each.
fn guarded(config: &Value) -> impl Iterator<Item = (&str, &str)> {
    let rules = config["rules"].as_array().into_iter().flatten();
    rules.filter_map(|rule| {
        let prefix = rule.pointer("/match/path/prefix").and_then(Value::as_str)?;
        Some((prefix, rule.pointer("/config/require/any/0").and_then(Value::as_str)?))
    })
}

fn tokens(config: &Value, provider: &Value, credentials: &Value, strict: bool) -> anyhow::Result<Value> {
    // One provider for both kinds of keys, as nothing there keeps them apart.
    let jwks = ["corp", "legacy"].into_iter().filter_map(|name| credentials[name]["jwks"]["keys"].as_array());
    let keys: Vec<Value> = jwks.flatten().filter_map(|key| public(key, strict)).collect();
    let mut corp = json!({
        "issuer": provider["issuer"],
        "audiences": provider["audiences"],
        "local_jwks": { "inline_string": json!({ "keys": keys }).to_string() },
        "forward": true,
        "claim_to_headers": [{ "header_name": "x-auth-subject", "claim_name": "sub" }],
    });
    if strict {
        corp["require_expiration"] = json!(true);
        corp["max_lifetime"] = json!("3600s");
        corp["clock_skew_seconds"] = json!(30);
    }
    let mine = guarded(config).filter(|(_, provider)| *provider == "corp");
    let rule = |(prefix, provider)| json!({ "match": { "prefix": prefix }, "requires": { "provider_name": provider } });
    Ok(json!({
        "@type": format!("{FILTERS}.jwt_authn.v3.JwtAuthentication"),
        "providers": { "corp": corp },
        "rules": mine.map(rule).collect::<Vec<_>>(),
    }))
}

/// What `jwt_authn` needs of a key; it reads no `alg` where there is none.
fn public(key: &Value, strict: bool) -> Option<Value> {
    let mut members: Map<String, Value> = key.as_object()?.clone();
    for secret in ["d", "p", "q", "dp", "dq", "qi"] {
        members.remove(secret);
    }
    if strict {
        let alg = match (key["kty"].as_str()?, key["crv"].as_str()) {
            ("RSA", _) => "RS256",
            ("EC", Some("P-256")) => "ES256",
            ("EC", _) => "ES384",
            ("OKP", _) => "EdDSA",
            _ => "HS256",
        };
        members.insert("alg".to_owned(), json!(alg));
    }
    Some(Value::Object(members))
}

/// Which filter is on where.
pub(super) fn routes(cluster: &str) -> anyhow::Result<Vec<Value>> {
    let (config, _) = lab()?;
    let route = |(prefix, provider): (&str, &str)| {
        let on = json!({ "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {} });
        json!({
            "match": { "prefix": prefix },
            "route": { "cluster": cluster },
            "typed_per_filter_config": { provider: on },
        })
    };
    Ok(guarded(&config).filter(|(_, provider)| *provider != "corp").map(route).collect())
}
