//! AU-12: the same signed request to two workers at once.

use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use wayside_attack::keys::{Algorithm, Key};
use wayside_proof::{Answer, Proxy, Upstream};

use crate::signed::{Line, door};

const ROUNDS: u32 = 10_000;

/// RFC 9421, B.1.4.
fn key() -> anyhow::Result<Key> {
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "k",
        "d": "n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU", "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs",
    });
    Key::from_jwk(&jwk).ok().context("a key")
}

#[expect(clippy::disallowed_methods, reason = "a real gateway checks them at a real time")]
fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs())
}

fn request(key: &Key, nonce: u32) -> anyhow::Result<String> {
    let parameters =
        format!(r#"("@method" "@authority" "@path" "@query");created={};keyid="k";nonce="{nonce}""#, now()?);
    let base = format!(
        "\"@method\": GET\n\"@authority\": example.com\n\"@path\": /a\n\"@query\": ?\n\"@signature-params\": {parameters}"
    );
    let signature = key.sign(Algorithm::EdDsa, base.as_bytes()).context("a signature")?;
    let signature = STANDARD.encode(signature);
    Ok(format!(
        "GET /a HTTP/1.1\r\nHost: example.com\r\nSignature-Input: s={parameters}\r\nSignature: s=:{signature}:\r\n\r\n"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn au_12_of_the_same_request_to_two_workers_at_once_exactly_one_passes() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("AU-12") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let key = key()?;
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let provider = json!({
        "kind": "http_signature",
        "signers": [{ "id": "k", "algorithm": "ed25519", "jwk": key.public_jwk() }],
        "require_nonce": true,
    });
    let door = door("once", upstream.address, &crate::HEADER_AUTH, &provider);
    let mut proxy = Proxy::start(&envoy, 2, &[door]).await?;
    // The listener gives each worker as many connections as any other.
    let (mut one, mut other) =
        (Line::to(proxy.address("once")?).await?, Line::to(proxy.address("once")?).await?);
    for round in 0..ROUNDS {
        let request = request(&key, round)?;
        let (first, second) = tokio::join!(one.ask(&request), other.ask(&request));
        let mut statuses = [first?, second?];
        statuses.sort_unstable();
        ensure!(statuses == [200, 401], "round {round}: {statuses:?}");
    }
    ensure!(upstream.requests() == u64::from(ROUNDS), "{} passed", upstream.requests());
    let refused = proxy.counted("l7_auth_replay_hit_total").await?;
    ensure!(refused == u64::from(ROUNDS), "{refused} were refused as replayed");
    proxy.must_be_well()
}

#[tokio::test(flavor = "multi_thread")]
async fn au_12_where_nothing_more_can_be_remembered_nothing_passes() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("AU-12") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let key = key()?;
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let provider = json!({
        "kind": "http_signature",
        "signers": [{ "id": "k", "algorithm": "ed25519", "jwk": key.public_jwk() }],
    });
    let mut door = door("full", upstream.address, &crate::HEADER_AUTH, &provider);
    // One in each of the 64 sets.
    let configuration = &mut door.native[0]["typed_config"]["config"]["configuration"]["value"];
    let text = configuration.as_str().context("a text")?.replacen('{', r#"{"replay": {"capacity": 64}, "#, 1);
    *configuration = text.into();
    let mut proxy = Proxy::start(&envoy, 2, &[door]).await?;
    let mut line = Line::to(proxy.address("full")?).await?;
    let (mut passed, mut full) = (0_u64, 0_u64);
    for nonce in 0..1000 {
        match line.ask(&request(&key, nonce)?).await? {
            200 => passed += 1,
            503 => full += 1,
            status => anyhow::bail!("{status}"),
        }
    }
    ensure!(passed == 64 && full == 936, "{passed} passed, {full} found no room");
    ensure!(upstream.requests() == 64, "{} reached the upstream", upstream.requests());
    ensure!(proxy.counted("l7_auth_replay_full_total").await? == 936);
    proxy.must_be_well()
}
