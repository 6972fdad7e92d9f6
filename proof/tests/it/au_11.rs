//! AU-11: the keys of a provider that is down, slow, lying or rotating, in the real Envoy with several workers. The same on
//! simulated time, with days and all interleavings: `credentials/src/jwks/simulation`.

use std::{
    io,
    path::Path,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::ensure;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::{Request, Response};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::time::Instant;
use wayside_proof::{
    Answer, Client, Door, Protocol, Proxy, Upstream, Wasm,
    load::{Body, Reply, get, whole},
};

static HEADER_AUTH: LazyLock<std::path::PathBuf> = LazyLock::new(|| crate::module("wayside-header-auth"));

/// The provider's key of one time, and its name.
fn key(generation: u8) -> (Ed25519KeyPair, String) {
    let key = Ed25519KeyPair::from_seed_unchecked(&[generation; 32]).expect("any seed is a key");
    (key, format!("key-{generation}"))
}

fn jwk(generation: u8) -> Value {
    let (key, kid) = key(generation);
    let point = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
    json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": point })
}

/// A token that is good in all but perhaps its key.
fn token(generation: u8, kid: &str) -> String {
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let header = part(json!({ "alg": "EdDSA", "kid": kid }));
    let claims = json!({ "iss": "https://idp.test", "aud": "shop", "sub": "ann", "exp": 4_102_444_800_u64 });
    let signed = format!("{header}.{}", part(claims));
    let signature = URL_SAFE_NO_PAD.encode(key(generation).0.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn good(generation: u8) -> String {
    token(generation, &key(generation).1)
}

/// How the provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Honest,
    Late(Duration),
    Status(u16),
    Says(&'static str),
    Huge,
    BreaksOff,
    Never,
}

#[derive(Debug)]
struct Script {
    manner: Manner,
    generations: Vec<u8>,
    asked: Vec<Instant>,
}

/// The identity provider, as the proxy meets it.
struct Provider {
    script: Arc<Mutex<Script>>,
    server: Upstream,
}

impl Provider {
    async fn start() -> anyhow::Result<Provider> {
        let script = Script { manner: Manner::Honest, generations: vec![1], asked: Vec::new() };
        let script = Arc::new(Mutex::new(script));
        let told = Arc::clone(&script);
        let server = Upstream::serve(move |_: Request<_>| answered(Arc::clone(&told))).await?;
        Ok(Provider { script, server })
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetches(&self) -> usize {
        self.script().asked.len()
    }

    /// The shortest time between two fetches.
    fn shortest_gap(&self) -> Duration {
        let script = self.script();
        script.asked.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(Duration::MAX)
    }
}

async fn answered(script: Arc<Mutex<Script>>) -> io::Result<Response<Body>> {
    let (manner, generations) = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        script.asked.push(Instant::now());
        (script.manner, script.generations.clone())
    };
    let keys: Vec<Value> = generations.into_iter().map(jwk).collect();
    let document = json!({ "keys": keys }).to_string();
    let (status, body) = match manner {
        Manner::Honest => (200, document),
        Manner::Late(time) => {
            tokio::time::sleep(time).await;
            (200, document)
        }
        Manner::Status(status) => (status, document),
        Manner::Says(text) => (200, text.to_owned()),
        Manner::Huge => (200, format!("{document}{}", " ".repeat(10 * 1024 * 1024))),
        Manner::BreaksOff => return Err(io::Error::other("ended as it should")),
        Manner::Never => std::future::pending().await,
    };
    Response::builder().status(status).body(whole(body)).map_err(io::Error::other)
}

/// A gateway of four workers that asks this provider for its keys.
struct Gateway {
    provider: Provider,
    proxy: Proxy,
    client: Client,
    _upstream: Upstream,
}

impl Gateway {
    async fn start(envoy: &Path, terms: Value) -> anyhow::Result<Gateway> {
        let (provider, upstream) = (Provider::start().await?, Upstream::always(Answer::Status(200)).await?);
        let mut jwks = json!({ "uri": "/jwks.json", "cluster": "idp", "host": "idp.test" });
        for (name, value) in terms.as_object().into_iter().flatten() {
            jwks[name] = value.clone();
        }
        let configuration = json!({
            "version": 1,
            "providers": { "corp": {
                "kind": "jwt", "issuer": "https://idp.test", "audiences": ["shop"], "algorithms": ["EdDSA"], "jwks": jwks,
            } },
            "defaults": { "require": { "any": ["corp"] } },
        });
        let filter = Wasm { module: HEADER_AUTH.clone(), vm_id: "header_auth".to_owned(), configuration };
        let doors = [
            Door::new("door", upstream.address).filters([filter]),
            Door::new("idp", provider.server.address),
        ];
        let proxy = Proxy::start(envoy, 4, &doors).await?;
        let client = Client::new(Protocol::Http1, proxy.address("door")?);
        Ok(Gateway { provider, proxy, client, _upstream: upstream })
    }

    async fn ask(&self, token: &str) -> Reply {
        self.client.send(bearing(token)).await
    }

    /// Twice by each of the client's pools, and so by each worker.
    async fn all(&self, token: &str) -> Vec<Option<u16>> {
        let mut statuses = Vec::new();
        for _ in 0..16 {
            statuses.push(self.ask(token).await.status);
        }
        statuses
    }

    async fn all_answer(&self, token: &str, status: u16, when: &str) -> anyhow::Result<()> {
        let found = self.all(token).await;
        ensure!(found.iter().all(|found| *found == Some(status)), "{when}: {found:?}, not {status}");
        Ok(())
    }
}

fn bearing(token: &str) -> Request<Body> {
    let mut request = get("/");
    let value = format!("Bearer {token}").parse().expect("a header's value");
    request.headers_mut().insert("authorization", value);
    request
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "the figures are of interest where they pass too")]
async fn au_11_ten_thousand_unknown_keys_and_at_most_one_fetch_in_min_refetch() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("AU-11, a storm") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let mut gateway = Gateway::start(&envoy, json!({ "min_refetch": "4s", "wait": "1s" })).await?;
    gateway.all_answer(&good(1), 200, "at the start").await?;
    ensure!(gateway.provider.fetches() == 1, "{} fetches at the start", gateway.provider.fetches());
    let began = Instant::now();
    let replies =
        gateway.client.closed_loop(10_000, 64, |n| bearing(&token(1, &format!("nobody-{n}")))).await;
    let refused = replies.iter().filter(|reply| reply.status == Some(401)).count();
    let (fetches, gap) = (gateway.provider.fetches(), gateway.provider.shortest_gap());
    eprintln!("10000 unknown keys in {:?}: {fetches} fetches, {gap:?} apart at the least", began.elapsed());
    ensure!(refused == 10_000, "{refused} of 10000 were refused");
    ensure!(gap >= Duration::from_millis(3_900), "{gap:?} between two fetches");
    gateway.all_answer(&good(1), 200, "after the storm").await?;
    gateway.proxy.must_be_well()
}

#[tokio::test(flavor = "multi_thread")]
async fn au_11_a_rotation_is_followed_at_once_and_what_was_removed_is_gone() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("AU-11, a rotation") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let mut gateway = Gateway::start(&envoy, json!({ "min_refetch": "1s" })).await?;
    gateway.all_answer(&good(1), 200, "at the start").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    gateway.provider.script().generations = vec![1, 2];
    gateway.all_answer(&good(2), 200, "with the new key, the first time").await?;
    gateway.all_answer(&good(1), 200, "with the old one, which is still there").await?;
    ensure!(gateway.provider.fetches() == 2, "{} fetches", gateway.provider.fetches());
    tokio::time::sleep(Duration::from_secs(1)).await;
    gateway.provider.script().generations = vec![3];
    gateway.all_answer(&good(3), 200, "without notice").await?;
    // Each worker looks once a second.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    gateway.all_answer(&good(3), 200, "of all workers").await?;
    gateway.all_answer(&good(1), 401, "with a key that was removed").await?;
    gateway.all_answer(&token(1, "key-3"), 401, "with another's key").await?;
    gateway.proxy.must_be_well()
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "the figures are of interest where they pass too")]
async fn au_11_a_provider_that_fails_or_lies_locks_nobody_out_before_stale_if_error() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("AU-11, a provider that lies") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let manners = [
        Manner::Status(500),
        Manner::Says(""),
        Manner::Says("<html>{\"keys\":[]}</html>"),
        Manner::Says("{\"keys\":[]}"),
        Manner::Huge,
        Manner::BreaksOff,
        Manner::Never,
    ];
    let mut running = tokio::task::JoinSet::new();
    for manner in manners {
        let envoy = envoy.clone();
        running.spawn(async move { fails_for_a_while(&envoy, manner).await });
    }
    while let Some(ended) = running.join_next().await {
        eprintln!("{}", ended??);
    }
    Ok(())
}

async fn fails_for_a_while(envoy: &Path, manner: Manner) -> anyhow::Result<String> {
    let terms = json!({ "refresh": "1s", "min_refetch": "1s", "timeout": "400ms", "stale_if_error": "6s", "wait": "500ms" });
    let mut gateway = Gateway::start(envoy, terms).await?;
    gateway.all_answer(&good(1), 200, "at the start").await?;
    gateway.provider.script().manner = manner;
    let began = Instant::now();
    let mut times = 0;
    while began.elapsed() < Duration::from_secs(5) {
        gateway.all_answer(&good(1), 200, &format!("{manner:?} for {:?}", began.elapsed())).await?;
        gateway.all_answer(&token(1, "nobody"), 401, "with a key that nobody has").await?;
        times += 32;
    }
    let (fetches, gap) = (gateway.provider.fetches(), gateway.provider.shortest_gap());
    ensure!(fetches >= 3, "{manner:?}: {fetches} fetches");
    ensure!(gap >= Duration::from_millis(900), "{manner:?}: {gap:?} between two fetches");
    tokio::time::sleep(Duration::from_secs(9).saturating_sub(began.elapsed())).await;
    gateway.all_answer(&good(1), 503, &format!("{manner:?} for too long")).await?;
    gateway.provider.script().manner = Manner::Honest;
    // The pause has grown to some seconds.
    let recovered = Instant::now();
    while gateway.ask(&good(1)).await.status != Some(200) {
        ensure!(recovered.elapsed() < Duration::from_secs(70), "{manner:?}: not recovered");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    gateway.all_answer(&good(1), 200, "when it is well again").await?;
    gateway.proxy.must_be_well()?;
    Ok(format!(
        "{manner:?}: {times} requests judged rightly in 5 s, {fetches} fetches, {gap:?} apart at the least"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn au_11_who_comes_before_the_keys_waits_for_them_and_no_longer_than_it_may() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("AU-11, a slow provider") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let mut gateway =
        Gateway::start(&envoy, json!({ "min_refetch": "1s", "timeout": "3s", "wait": "1s" })).await?;
    gateway.all_answer(&good(1), 200, "at the start").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    {
        let mut script = gateway.provider.script();
        (script.manner, script.generations) = (Manner::Late(Duration::from_millis(600)), vec![1, 2]);
    }
    let reply = gateway.ask(&good(2)).await;
    ensure!(reply.status == Some(200), "{:?}", reply.status);
    ensure!(reply.after >= Duration::from_millis(550), "it was answered after {:?}", reply.after);
    tokio::time::sleep(Duration::from_secs(1)).await;
    gateway.provider.script().manner = Manner::Late(Duration::from_millis(2_500));
    let reply = gateway.ask(&token(3, "key-3")).await;
    ensure!(reply.status == Some(401), "{:?}", reply.status);
    let waited = Duration::from_millis(950)..Duration::from_millis(2_300);
    ensure!(waited.contains(&reply.after), "it was answered after {:?}", reply.after);
    // Those with keys that are there never wait.
    let reply = gateway.ask(&good(1)).await;
    ensure!(reply.status == Some(200) && reply.after < Duration::from_millis(500), "{reply:?}");
    gateway.proxy.must_be_well()
}
