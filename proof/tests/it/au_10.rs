//! AU-10: what clients are told that they could have sent.

use anyhow::ensure;
use serde_json::json;
use wayside_proof::{Answer, Door, Proxy, Upstream, Wasm};

use crate::echo;

#[tokio::test(flavor = "multi_thread")]
async fn au_10_each_scheme_is_a_challenge_of_its_own_and_an_error_is_told_of_a_token_alone()
-> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("AU-10") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let configuration = json!({
        "version": 1,
        "challenge_realm": "the shop",
        "providers": {
            "corp": { "kind": "jwt", "issuer": "i", "jwks": { "keys": [key.clone()] } },
            "partners": { "kind": "api_key", "sources": [{ "header": "x-api-key" }], "keys": [{
                "id": "acme", "sha256": "926127796474a6572024f4aee57ba875864dc88ecbabe40e5e17d8f638c691c6",
            }] },
            "people": { "kind": "basic", "users": [{ "name": "reader", "sha256_salted": {
                "salt": "f1fc6d9bd0dc81634449f5731b0fe3f6",
                "digest": "31898cfce0f7a5dc70a1e374c94b0b95af4a9e2dcb15475301c9ad5fa0b09c3d",
            } }] },
            "signed": { "kind": "http_signature", "signers": [{ "id": "k", "algorithm": "ed25519", "jwk": key }] },
            "mesh": { "kind": "mtls", "clients": [{ "uri_san": "spiffe://shop/a" }] },
        },
        "defaults": { "require": { "any": ["corp"] } },
        "rules": [
            { "match": { "path": { "prefix": "/basic" } }, "config": { "require": { "any": ["people"] } } },
            { "match": { "path": { "prefix": "/mesh" } }, "config": { "require": { "any": ["mesh"] } } },
            { "match": { "path": { "prefix": "/several" } },
                "config": { "require": { "any": ["people", "corp", "mesh", "partners", "signed"] } } },
        ],
    });
    let filter = Wasm { module: crate::HEADER_AUTH.clone(), vm_id: "challenges".to_owned(), configuration };
    let mut proxy =
        Proxy::start(&envoy, 1, &[Door::new("challenges", upstream.address).filters([filter])]).await?;
    let to = proxy.address("challenges")?;
    const BEARER: &str = r#"Bearer realm="the shop""#;
    const REFUSED: &str = r#"Bearer realm="the shop", error="invalid_token""#;
    const BASIC: &str = r#"Basic realm="the shop", charset="UTF-8""#;
    const KEY: &str = r#"ApiKey realm="the shop""#;
    const SIGNATURE: &str = r#"Signature realm="the shop""#;
    let token = "authorization: Bearer a.b.c";
    let password = "authorization: Basic cmVhZGVyOndyb25n";
    let cases: [(&str, &[&str], u16, &[&str]); 9] = [
        ("/x", &[], 401, &[BEARER]),
        ("/x", &[token], 401, &[REFUSED]),
        ("/x", &[password], 401, &[BEARER]),
        ("/basic", &[], 401, &[BASIC]),
        ("/basic", &[password], 401, &[BASIC]),
        ("/several", &[], 401, &[BASIC, BEARER, KEY, SIGNATURE]),
        ("/several", &[token], 401, &[BASIC, REFUSED, KEY, SIGNATURE]),
        ("/mesh", &[], 403, &[]),
        ("/several", &["authorization: Bearer"], 400, &[]),
    ];
    for (path, lines, status, challenges) in cases {
        let answer = echo::get(to, path, lines).await?;
        let told: Vec<&str> = answer.all("www-authenticate").collect();
        ensure!(
            (answer.status, told.as_slice()) == (status, challenges),
            "{path} {lines:?}: {} {told:?}",
            answer.status
        );
    }
    proxy.must_be_well()
}
