//! AU-7 and AU-9: the signed requests of RFC 9421 in the real Envoy, which joins lines in its own way, and content in parts.

use anyhow::ensure;
use serde_json::{Value, json};
use wayside_proof::{Answer, Proxy, Upstream};

use crate::signed::{Line, door};

#[path = "../../../credentials/tests/message_signatures/vectors.rs"]
#[expect(dead_code, reason = "those of responses and of a sixth key")]
mod vectors;

use vectors::*;

const DIGEST: &str =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
const HELLO: &str = r#"{"hello": "world"}"#;

/// The appendix signs in 2021.
fn provider() -> Value {
    json!({
        "kind": "http_signature",
        "signers": [
            { "id": "test-key-rsa-pss", "algorithm": "rsa-pss-sha512", "jwk": { "kty": "RSA", "n": RSA_PSS, "e": "AQAB" } },
            { "id": "test-key-ecc-p256", "algorithm": "ecdsa-p256-sha256",
                "jwk": { "kty": "EC", "crv": "P-256", "x": P256_X, "y": P256_Y } },
            { "id": "test-key-ed25519", "algorithm": "ed25519", "jwk": { "kty": "OKP", "crv": "Ed25519", "x": ED25519 } },
        ],
        "required_components": [],
        "content_digest": "if_covered",
        "max_age": "99999h",
        "replay": "allow",
    })
}

/// The test request, as the appendix writes it, with these two lines more.
fn test_request(input: &str, signature: &str) -> String {
    format!(
        "POST /foo?param=Value&Pet=dog HTTP/1.1\r\nHost: example.com\r\nDate: Tue, 20 Apr 2021 02:07:55 GMT\r\n\
         Content-Type: application/json\r\nContent-Digest: {DIGEST}\r\nContent-Length: 18\r\n\
         Signature-Input: {input}\r\nSignature: {signature}\r\n\r\n{HELLO}"
    )
}

fn get(target: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("GET {target} HTTP/1.1\r\n{lines}Signature-Input: {B4_INPUT}\r\nSignature: {B4}\r\n\r\n")
}

/// Each request with the status it has to come to.
fn requests() -> Vec<(&'static str, String, u16)> {
    const TARGET: &str = "/demo?name1=Value1&Name2=value2";
    const HOST: &str = "Host: example.org";
    const JSON: &str = "Accept: application/json";
    const ANY: &str = "Accept: */*";
    let proxied = format!(
        "POST /foo?param=Value&Pet=dog HTTP/1.1\r\nHost: service.internal.example\r\nDate: Tue, 20 Apr 2021 02:07:55 GMT\r\n\
         Content-Type: application/json\r\nContent-Length: 18\r\nClient-Cert: {CLIENT_CERT}\r\n\
         Signature-Input: {B3_INPUT}\r\nSignature: {B3}\r\n\r\n{HELLO}"
    );
    let b23 = test_request(B23_INPUT, B23);
    vec![
        ("B.2.1", test_request(B21_INPUT, B21), 200),
        ("B.2.2", test_request(B22_INPUT, B22), 200),
        ("B.2.3", b23.clone(), 200),
        ("B.2.6", test_request(B26_INPUT, B26), 200),
        ("3.2", test_request(S32_INPUT, S32), 200),
        ("B.3", proxied, 200),
        ("B.4", get(TARGET, &[HOST, "Date: Fri, 15 Jul 2022 14:24:55 GMT", JSON, ANY]), 200),
        (
            "B.4, something not covered is added",
            get(&format!("{TARGET}&param=added"), &[HOST, JSON, ANY, "Accept-Language: en-US,en;q=0.5"]),
            200,
        ),
        (
            "B.4, lines are joined",
            get(
                TARGET,
                &[HOST, "Referer: https://developer.example.org/demo", "Accept: application/json, */*"],
            ),
            200,
        ),
        ("B.4, fields in another order", get(TARGET, &[JSON, ANY, HOST]), 200),
        (
            "B.4, another method and authority",
            get(TARGET, &["Host: example.com", JSON, ANY]).replacen("GET", "DELETE", 1),
            401,
        ),
        ("B.4, lines change places", get(TARGET, &[HOST, ANY, JSON]), 401),
        ("another path", b23.replace("/foo", "/fop"), 401),
        ("another path that means the same to some", b23.replace("/foo", "/f%6Fo"), 401),
        ("another query", b23.replace("Pet=dog", "Pet=dot"), 401),
        ("another authority", b23.replace("example.com", "example.net"), 401),
        ("an authority in capitals", b23.replace("Host: example.com", "Host: EXAMPLE.com"), 200),
        ("other content", b23.replace(HELLO, r#"{"hello": "worle"}"#), 401),
        ("a covered field twice", b23.replace("Content-Type: ", "Content-Type: a/b\r\nContent-Type: "), 401),
        ("no signature", b23.replace("Signature: ", "X-Signature: "), 400),
        ("neither field", b23.replace("Signature", "X-Signature"), 401),
        ("two signatures", b23.replace("Signature: ", "Signature: sig-b23=:AA==:, "), 400),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn au_7_the_signed_requests_of_the_rfc_pass_the_real_envoy_and_changed_ones_do_not()
-> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("AU-7") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let door = door("signed", upstream.address, &crate::HEADER_AUTH, &provider());
    let mut proxy = Proxy::start(&envoy, 1, &[door]).await?;
    let mut wrong = Vec::new();
    for (what, request, expected) in requests() {
        let status = Line::to(proxy.address("signed")?).await?.ask(&request).await?;
        if status != expected {
            wrong.push((what, status, expected));
        }
    }
    ensure!(wrong.is_empty(), "{wrong:?}; {:?}", proxy.stats("l7_").await?);
    proxy.must_be_well()
}

#[tokio::test(flavor = "multi_thread")]
async fn au_9_content_passes_wherever_it_is_cut_and_no_other_content_does() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("AU-9") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let provider = json!({ "max_body": 1000 });
    let mut provider = [self::provider(), provider].into_iter().fold(json!({}), |mut all, part| {
        all.as_object_mut().expect("an object").extend(part.as_object().cloned().unwrap_or_default());
        all
    });
    provider["hide"] = json!(true);
    let door = door("cut", upstream.address, &crate::HEADER_AUTH, &provider);
    let mut proxy = Proxy::start(&envoy, 1, &[door]).await?;
    let head = test_request(B22_INPUT, B22).replace("Content-Length: 18", "Transfer-Encoding: chunked");
    let head = head.strip_suffix(HELLO).expect("the content is last").to_owned();
    let mut line = Line::to(proxy.address("cut")?).await?;
    for at in 1..HELLO.len() {
        let (first, second) = HELLO.split_at(at);
        line.write(&head).await?;
        line.write(&format!("{:x}\r\n{first}\r\n", first.len())).await?;
        let status = line.ask(&format!("{:x}\r\n{second}\r\n0\r\n\r\n", second.len())).await?;
        ensure!(status == 200, "cut at {at}: {status}");
    }
    // With trailers, without content, with content that is not the digest's, and with too much of it.
    for (end, expected) in [
        (format!("12\r\n{HELLO}\r\n0\r\nx-trailer: 1\r\n\r\n"), 200),
        ("0\r\n\r\n".to_owned(), 401),
        (format!("13\r\n{HELLO}\n\r\n0\r\n\r\n"), 401),
        ("5\r\n{\"hel\r\n0\r\n\r\n".to_owned(), 401),
        (format!("3e9\r\n{}\r\n0\r\n\r\n", "a".repeat(1001)), 413),
    ] {
        let mut line = Line::to(proxy.address("cut")?).await?;
        let status = line.ask(&format!("{head}{end}")).await?;
        ensure!(status == expected, "{end}: {status}");
    }
    ensure!(upstream.requests() == 18, "{} requests reached the upstream", upstream.requests());
    proxy.must_be_well()
}
