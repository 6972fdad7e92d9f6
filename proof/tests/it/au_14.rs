//! AU-14: identities that clients bring, in every spelling and on every kind of route.

use anyhow::ensure;
use serde_json::json;
use wayside_proof::{Door, Proxy, Wasm};

use crate::echo;

const SPELLINGS: [&str; 12] = [
    "x-auth-{}",
    "X-Auth-{}",
    "X-AUTH-{}",
    "x_auth_{}",
    "X_Auth_{}",
    "x-auth_{}",
    "x_auth-{}",
    "x.auth.{}",
    "x!auth~{}",
    "x-auth-{}-",
    "x*auth*{}",
    "x`auth'{}",
];
/// These Envoy itself takes for no names.
const NO_NAMES: [&str; 4] = ["x-auth-{} ", "x-auth-\u{e9}{}", "x auth {}", "x-auth-{}\t"];
const IDENTITIES: [&str; 4] = ["subject", "provider", "scopes", "tenant"];
const KEY: &str = "x-api-key: demo-key-0001-not-a-secret";

/// What the upstream is told of identities, in any spelling.
fn told(body: &str) -> Vec<String> {
    let is_identity = |line: &&str| {
        let name: String = line.chars().take_while(|letter| *letter != ':').collect();
        let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        plain.to_ascii_lowercase().starts_with("x-auth-")
    };
    body.lines().filter(is_identity).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn au_14_no_identity_of_a_client_s_own_reaches_the_upstream_in_any_spelling() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("AU-14") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let upstream = echo::upstream().await?;
    let configuration = json!({
        "version": 1,
        "providers": { "partners": { "kind": "api_key", "sources": [{ "header": "x-api-key" }], "keys": [{
            "id": "acme", "sha256": "926127796474a6572024f4aee57ba875864dc88ecbabe40e5e17d8f638c691c6", "scopes": ["read"],
        }] } },
        "identity": { "claims": { "tenant": "x-auth-tenant" } },
        "defaults": { "require": { "any": ["partners"] } },
        "rules": [
            { "match": { "path": { "prefix": "/public" } }, "config": { "require": "none" } },
            { "match": { "path": { "prefix": "/optional" } }, "config": { "require": { "optional": ["partners"] } } },
        ],
    });
    let filter = Wasm { module: crate::HEADER_AUTH.clone(), vm_id: "spoofed".to_owned(), configuration };
    let mut proxy =
        Proxy::start(&envoy, 1, &[Door::new("spoofed", upstream.address).filters([filter])]).await?;
    let to = proxy.address("spoofed")?;
    let known = ["x-auth-provider: partners", "x-auth-scopes: read", "x-auth-subject: acme"];
    let routes: [(&str, bool, &[&str]); 4] = [
        ("/public", false, &[]),
        ("/optional", false, &[]),
        ("/optional", true, &known),
        ("/protected", true, &known),
    ];
    let (mut sent, mut wrong) = (0, Vec::new());
    for (path, with_key, expected) in routes {
        for spelling in SPELLINGS.iter().chain(&NO_NAMES) {
            for identity in IDENTITIES {
                // Alone, twice, with the hop told to drop what the filter sets, and with a value that has another behind it.
                let name = spelling.replace("{}", identity);
                let line = format!("{name}: intruder");
                let connection = format!("connection: {name}");
                for lines in [vec![line.as_str()], vec![&line, &line], vec![&line, &connection]] {
                    let lines: Vec<&str> = lines.into_iter().chain(with_key.then_some(KEY)).collect();
                    let answer = echo::get(to, path, &lines).await?;
                    let mut heard = told(&answer.body);
                    heard.sort();
                    sent += 1;
                    let good = match answer.status {
                        200 => heard == expected && !answer.body.contains("intruder"),
                        400 => NO_NAMES.contains(spelling) || lines.contains(&connection.as_str()),
                        _ => false,
                    };
                    if !good {
                        wrong.push((path, lines.join("; "), answer.status, heard));
                    }
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{} of {sent}: {wrong:#?}", wrong.len());
    ensure!(sent == 4 * 16 * 4 * 3, "{sent}");
    proxy.must_be_well()
}
