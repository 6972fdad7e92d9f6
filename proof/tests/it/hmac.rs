//! Messages that are signed with a secret both sides have, in the real Envoy: the secret comes from the VM's environment.

use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac::{HMAC_SHA256, Key, sign};
use serde_json::{Value, json};
use wayside_proof::{Answer, Door, Proxy, Upstream};

use crate::signed::{Line, door};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const CONTENT: &str = r#"{"id": "evt_1"}"#;

#[expect(clippy::disallowed_methods, reason = "a real gateway checks them at a real time")]
fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs())
}

/// The head of a webhook (standardwebhooks.com) with this content, which follows in chunks.
pub(crate) fn webhook(id: &str, content: &str, more: &str) -> anyhow::Result<String> {
    let secret = STANDARD.decode(SECRET.trim_start_matches("whsec_"))?;
    let time = now()?;
    let code = sign(&Key::new(HMAC_SHA256, &secret), format!("{id}.{time}.{content}").as_bytes());
    let code = STANDARD.encode(code);
    Ok(format!(
        "POST /hooks HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\nWebhook-Id: {id}\r\n\
         Webhook-Timestamp: {time}\r\nWebhook-Signature: v1,{code}\r\n{more}\r\n"
    ))
}

pub(crate) fn chunk(content: &str) -> String {
    format!("{:x}\r\n{content}\r\n", content.len())
}

/// What its environment holds, by name.
pub(crate) fn provider() -> Value {
    json!({ "kind": "hmac", "profile": "standard_webhooks", "secrets": [{ "id": "acme", "secret_env": "HOOKS" }] })
}

/// With variables for the filter's VM.
pub(crate) fn with_environment(mut door: Door, environment: &Value) -> Door {
    door.native[0]["typed_config"]["config"]["vm_config"]["environment_variables"] =
        json!({ "key_values": environment });
    door
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_webhook_passes_the_real_envoy_once_and_with_its_own_content() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("webhooks") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let mut provider = provider();
    provider["max_body"] = json!(100);
    let door = door("hooks", upstream.address, &crate::HEADER_AUTH, &provider);
    let door = with_environment(door, &json!({ "HOOKS": SECRET }));
    let mut proxy = Proxy::start(&envoy, 2, &[door]).await?;
    for at in 1..CONTENT.len() {
        let (first, second) = CONTENT.split_at(at);
        let mut line = Line::to(proxy.address("hooks")?).await?;
        line.write(&webhook(&format!("msg_{at}"), CONTENT, "")?).await?;
        line.write(&chunk(first)).await?;
        let status = line.ask(&format!("{}0\r\n\r\n", chunk(second))).await?;
        ensure!(status == 200, "cut at {at}: {status}");
    }
    let passed = upstream.requests();
    let again = webhook("again", CONTENT, "")?;
    let other = webhook("other", CONTENT, "")?;
    let long = "a".repeat(101);
    for (what, request, content, expected) in [
        ("the first time", &again, CONTENT, 200),
        ("the same again", &again, CONTENT, 401),
        ("other content", &other, r#"{"id": "evt_2"}"#, 401),
        ("no content", &other, "", 401),
        ("another id", &other.replace("Webhook-Id: other", "Webhook-Id: others"), CONTENT, 401),
        ("another time", &other.replace("Webhook-Timestamp: 1", "Webhook-Timestamp: 2"), CONTENT, 401),
        ("two ids", &other.replace("Webhook-Id: ", "Webhook-Id: x\r\nWebhook-Id: "), CONTENT, 400),
        ("no time", &other.replace("Webhook-Timestamp: ", "X: "), CONTENT, 400),
        ("no signature at all", &other.replace("Webhook-", "X-"), CONTENT, 401),
        ("too much content", &webhook("long", &long, "")?, &long, 413),
        ("as it was signed, at last", &other, CONTENT, 200),
    ] {
        let content = if content.is_empty() { String::new() } else { chunk(content) };
        let mut line = Line::to(proxy.address("hooks")?).await?;
        let status = line.ask(&format!("{request}{content}0\r\n\r\n")).await?;
        ensure!(status == expected, "{what}: {status}");
    }
    ensure!(upstream.requests() == passed + 2, "{} more passed", upstream.requests() - passed);
    proxy.must_be_well()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_secret_the_real_envoy_refuses_the_configuration() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("webhooks without a secret") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let door = door("hooks", upstream.address, &crate::HEADER_AUTH, &provider());
    let door = with_environment(door, &json!({ "OTHER": SECRET }));
    let refused = Proxy::start(&envoy, 1, &[door]).await.err().context("it started")?.to_string();
    let place = "/providers/signed/secrets/0/secret_env: expected a variable";
    ensure!(refused.contains(place), "{refused}");
    ensure!(!refused.contains(SECRET), "{refused}");
    Ok(())
}
