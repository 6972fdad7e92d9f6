//! Authentication: header-auth beside Envoy's own filters and a script that does the least one can. Goals F1 to F4.

use std::time::SystemTime;

use serde_json::{Value, json};
use wayside_attack::{
    Gateway, LAB,
    gateway::{Issuer, Kind},
    keys::Algorithm,
};

use super::{
    modules::Modules,
    rows::{EIGHT, Row, Setup, Stage, configuration},
};

const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters.http";
const KEY: &str = "k-3f9a1c7e5b2d4860";
/// Longer than any run; seconds.
const LIFETIME: u64 = 24 * 3600;

pub(super) fn rows(modules: &Modules) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |name: &str, copies: usize, stage: Stage, headers: Vec<String>| {
        let name = if copies == 1 { name.to_owned() } else { format!("{name} ×{copies}") };
        rows.push(Row { name, setup: Setup::Direct, chain: vec![stage], copies, headers });
    };
    let ours = |configuration: Value| {
        let module = modules.get("header_auth").cloned()?;
        Some(Stage::Wasm { module, configuration: configuration.to_string() })
    };
    for copies in [1, EIGHT] {
        add("Lua, get and set", copies, Stage::Native(lua()), Vec::new());
        add("api_key_auth", copies, Stage::Native(api_key_auth()), Vec::new());
    }
    if let Some(stage) = ours(configuration("header-auth", 1)) {
        add("header-auth, ours", 1, stage, Vec::new());
    }
    let Some(issuer) = issuer() else { return rows };
    for (name, algorithm, provider) in [
        ("HS256", Algorithm::Hs256, "legacy"),
        ("RS256", Algorithm::Rs256, "corp"),
        ("ES256", Algorithm::Es256, "corp"),
    ] {
        let Some(token) = token(&issuer, algorithm) else { continue };
        let headers = vec![format!("authorization: Bearer {token}")];
        for copies in [1, EIGHT] {
            add(&format!("jwt_authn, {name}"), copies, Stage::Native(jwt_authn()), headers.clone());
            // The load sends one token over and over, which the filter would remember.
            if let Some(stage) = ours(tokens(provider, Some(0))) {
                add(&format!("header-auth, {name}"), copies, stage, headers.clone());
            }
            if let Some(stage) = ours(tokens(provider, None)).filter(|_| name == "RS256") {
                add("header-auth, a token seen before", copies, stage, headers.clone());
            }
        }
    }
    rows
}

/// Who signs the kit's tokens, with all keys of the lab in one hand.
fn issuer() -> Option<Issuer> {
    let gateway = Gateway::new(LAB.0, Some(LAB.1)).ok()?;
    let issuers = gateway.providers.into_iter().filter_map(|provider| match provider.kind {
        Kind::Jwt(issuer) => Some(issuer),
        _ => None,
    });
    issuers.reduce(|mut all, more| {
        all.keys.extend(more.keys);
        all.algorithms.extend(more.algorithms);
        all
    })
}

#[expect(clippy::disallowed_methods, reason = "tokens are minted for the real Envoy's clock")]
fn token(issuer: &Issuer, algorithm: Algorithm) -> Option<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    issuer.token(algorithm, now, LIFETIME)
}

/// Reads the header that a key comes in and sets the one that a name goes out in.
fn lua() -> Value {
    let script = "function envoy_on_request(handle)\n  local headers = handle:headers()\n  \
                  headers:replace('x-auth-subject', headers:get('x-api-key'))\nend\n";
    json!({ "@type": format!("{FILTERS}.lua.v3.Lua"), "default_source_code": { "inline_string": script } })
}

/// Our key among a hundred others.
fn api_key_auth() -> Value {
    let others = (0..100)
        .map(|number| json!({ "key": format!("k-other-{number:04}"), "client": format!("c{number}") }));
    let credentials: Vec<Value> = others.chain([json!({ "key": KEY, "client": "shop" })]).collect();
    json!({
        "@type": format!("{FILTERS}.api_key_auth.v3.ApiKeyAuth"),
        "credentials": credentials,
        "key_sources": [{ "header": "x-api-key" }],
        "forwarding": { "header": "x-auth-subject" },
    })
}

/// A provider of the lab: `corp` signs with private keys, `legacy` with secrets.
fn tokens(name: &str, cache_size: Option<u64>) -> Value {
    let lab: Value = serde_json::from_str(LAB.0).unwrap_or_default();
    let mut provider = lab["providers"][name].clone();
    if let Some(size) = cache_size {
        provider["cache_size"] = size.into();
    }
    json!({
        "version": 1,
        "providers": { name: provider },
        "defaults": { "require": { "any": [name] } },
    })
}

fn jwt_authn() -> Value {
    let lab: Value = serde_json::from_str(LAB.0).unwrap_or_default();
    let (corp, legacy) = (&lab["providers"]["corp"], &lab["providers"]["legacy"]);
    let keys = [corp, legacy].into_iter().filter_map(|provider| provider["jwks"]["keys"].as_array());
    let keys: Vec<&Value> = keys.flatten().collect();
    json!({
        "@type": format!("{FILTERS}.jwt_authn.v3.JwtAuthentication"),
        "providers": { "corp": {
            "issuer": corp["issuer"],
            "audiences": corp["audiences"],
            "local_jwks": { "inline_string": json!({ "keys": keys }).to_string() },
            "forward": true,
            "require_expiration": true,
            "claim_to_headers": [{ "header_name": "x-auth-subject", "claim_name": "sub" }],
        } },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "corp" } }],
    })
}
