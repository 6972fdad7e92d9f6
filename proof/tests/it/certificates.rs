//! Certificates of clients (kind `mtls`) in the real Envoy: good ones, those that nobody has validated, and sessions that are taken up again.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, HandshakeKind, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
        version,
    },
};
use wayside_proof::{Door, Proxy, Wasm};

use crate::echo::{self, Answer};

const AUTHORITY: &str = include_str!("../../../test-host/src/parity/certificates/authority.pem");
const SHOP: &str = include_str!("../../../test-host/src/parity/certificates/shop.pem");
const BOOKS: &str = include_str!("../../../test-host/src/parity/certificates/books.pem");
const CLIENT: &str = include_str!("../../../test-host/src/parity/certificates/client.pem");
const BARE: &str = include_str!("../../../test-host/src/parity/certificates/bare.pem");
const NAMELESS: &str = include_str!("../../../test-host/src/parity/certificates/nameless.pem");

/// A client, which takes up its sessions again where it is let.
struct Client(TlsConnector);

impl Client {
    fn new(shown: Option<&str>, old: bool) -> anyhow::Result<Client> {
        let mut authorities = RootCertStore::empty();
        authorities.add(CertificateDer::from_pem_slice(AUTHORITY.as_bytes())?)?;
        let spoken = if old { &version::TLS12 } else { &version::TLS13 };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[spoken])?
            .with_root_certificates(authorities);
        let config = match shown {
            Some(pem) => builder.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(pem.as_bytes())?],
                PrivateKeyDer::from_pem_slice(pem.as_bytes())?,
            )?,
            None => builder.with_no_client_auth(),
        };
        Ok(Client(TlsConnector::from(Arc::new(config))))
    }

    /// The answer, and whether a session of before was taken up again.
    async fn get(&self, to: SocketAddr, lines: &[&str]) -> anyhow::Result<(Answer, bool)> {
        let name = ServerName::try_from("shop.example")?;
        let stream = self.0.connect(name, TcpStream::connect(to).await?).await?;
        let again = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        Ok((echo::get_over(stream, "/", lines).await?, again))
    }
}

/// A door whose listener believes this authority.
fn door(name: &str, upstream: SocketAddr, provider: &Value, authority: &str, more: &Value) -> Door {
    let (chain, key) = SHOP.split_at(SHOP.find("-----BEGIN PRIVATE").unwrap_or(SHOP.len()));
    let mut validation = json!({ "trusted_ca": { "inline_string": authority } });
    if authority == BOOKS {
        validation["trust_chain_verification"] = json!("ACCEPT_UNTRUSTED");
    }
    let mut context = json!({ "common_tls_context": {
        "tls_certificates": [{ "certificate_chain": { "inline_string": chain }, "private_key": { "inline_string": key } }],
        "tls_params": { "tls_maximum_protocol_version": "TLSv1_3" },
        "validation_context": validation,
    } });
    for (field, value) in more.as_object().into_iter().flatten() {
        context[field] = value.clone();
    }
    let configuration = json!({
        "version": 1, "providers": { "mesh": provider }, "defaults": { "require": { "any": ["mesh"] } },
    });
    let filter = Wasm { module: crate::HEADER_AUTH.clone(), vm_id: name.to_owned(), configuration };
    Door { tls: Some(context), ..Door::new(name, upstream).filters([filter]) }
}

fn provider(more: &Value) -> Value {
    let mut provider =
        json!({ "kind": "mtls", "clients": [{ "uri_san": "spiffe://shop/*", "scopes": ["read"] }] });
    for (field, value) in more.as_object().into_iter().flatten() {
        provider[field] = value.clone();
    }
    provider
}

fn doors(upstream: SocketAddr) -> Vec<Door> {
    let (plain, none) = (provider(&json!({})), json!({}));
    let books = BOOKS.split_at(BOOKS.find("-----BEGIN PRIVATE").unwrap_or(BOOKS.len())).0;
    let untrusted = {
        let mut door = door("untrusted", upstream, &plain, BOOKS, &none);
        if let Some(context) = &mut door.tls {
            context["common_tls_context"]["validation_context"]["trusted_ca"]["inline_string"] = json!(books);
        }
        door
    };
    let exact = json!({ "clients": [
        { "id": "by-all", "subject": SUBJECT, "uri_san": "spiffe://shop/client", "dns_san": "CLIENT.example", "sha256": sha256(CLIENT) },
    ] });
    vec![
        door("optional", upstream, &plain, AUTHORITY, &none),
        door("required", upstream, &plain, AUTHORITY, &json!({ "require_client_certificate": true })),
        door("listener", upstream, &provider(&json!({ "validated_by": "listener" })), AUTHORITY, &none),
        door(
            "fresh",
            upstream,
            &plain,
            AUTHORITY,
            &json!({ "disable_stateless_session_resumption": true, "disable_stateful_session_resumption": true }),
        ),
        door("exact", upstream, &provider(&exact), AUTHORITY, &none),
        untrusted,
    ]
}

/// As Envoy writes it (RFC 2253): the last part first, and with `\` before what would mean something.
const SUBJECT: &str = r#"CN=\ client\ ,emailAddress=a@client.example,serialNumber=7,UID=u1,DC=example,OU=\#1 \<x\>\;y,O=M\C3\BCller\, S\C3\B6hne+OU=a \"b\\,L=Deal,ST=Kent,C=GB"#;

fn sha256(pem: &str) -> String {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    let digest = ::ring::digest::digest(&::ring::digest::SHA256, &certificate);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_counts_where_this_handshake_found_it_good_and_it_is_a_client_s() -> anyhow::Result<()>
{
    let Some(envoy) = crate::envoy("mtls") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let upstream = echo::upstream().await?;
    let mut proxy = Proxy::start(&envoy, 1, &doors(upstream.address)).await?;
    let forged = "x-forwarded-client-cert: By=spiffe://shop/proxy;Hash=00;URI=spiffe://shop/client";
    for old in [false, true] {
        let cases = [
            ("optional", Some(CLIENT), 200, Some("spiffe://shop/client")),
            ("optional", Some(NAMELESS), 200, Some("spiffe://shop/nameless")),
            ("optional", Some(BARE), 403, None),
            ("optional", None, 403, None),
            ("required", Some(CLIENT), 200, Some("spiffe://shop/client")),
            ("listener", Some(CLIENT), 200, Some("spiffe://shop/client")),
            ("listener", None, 403, None),
            ("exact", Some(CLIENT), 200, Some("by-all")),
            ("exact", Some(SHOP), 403, None),
            ("untrusted", Some(CLIENT), 403, None),
            ("untrusted", None, 403, None),
        ];
        for (door, shown, status, subject) in cases {
            for lines in [&[][..], &[forged]] {
                let (answer, again) = Client::new(shown, old)?.get(proxy.address(door)?, lines).await?;
                ensure!(!again, "a client of its own");
                ensure!(answer.status == status, "{door}, {old}, {lines:?}: {}", answer.status);
                ensure!(answer.was_sent("x-auth-subject") == subject, "{door}: {}", answer.body);
                ensure!(answer.all("www-authenticate").next().is_none(), "there is no scheme for it");
            }
        }
        let refused = Client::new(None, old)?.get(proxy.address("required")?, &[]).await;
        ensure!(refused.is_err(), "Envoy itself lets nobody in without one");
        // The second connection of a client: the session is taken up again, and Envoy says of it that nothing was validated.
        for (door, expected) in
            [("optional", (true, 403)), ("listener", (true, 200)), ("fresh", (false, 200))]
        {
            let client = Client::new(Some(CLIENT), old)?;
            let (first, _) = client.get(proxy.address(door)?, &[]).await?;
            let (second, again) = client.get(proxy.address(door)?, &[]).await?;
            ensure!(
                (first.status, again, second.status) == (200, expected.0, expected.1),
                "{door}, {old}: {again}, {}",
                second.status
            );
        }
    }
    let unvalidated = proxy.stats("certificate_unvalidated").await?;
    ensure!(unvalidated.values().sum::<u64>() == 6, "{unvalidated:?}");
    proxy.must_be_well().context("after all")
}
