//! AU-11 through the whole filter as Rust, on simulated time: several workers, and a provider that is down, slow, lying or rotating.
//! The same in the real Envoy: `au_11` in the package `wayside-proof`.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use wayside::abi::HttpCallout;
use wayside::message::Message;
use wayside::proxy::Metric;
use wayside::replay::Replay;
use wayside::scenario;
use wayside::upstream::{CalloutAnswer, Services};

fn key(generation: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[generation; 32]).expect("any seed is a key")
}

fn document(generations: &[u8]) -> String {
    let jwk = |generation: &u8| {
        let point = URL_SAFE_NO_PAD.encode(key(*generation).public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": format!("key-{generation}"), "x": point })
    };
    json!({ "keys": generations.iter().map(jwk).collect::<Vec<_>>() }).to_string()
}

/// A token that is good in all but perhaps its key.
fn token(generation: u8, kid: &str) -> String {
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let header = part(json!({ "alg": "EdDSA", "kid": kid }));
    let claims = json!({ "iss": "https://idp.test", "aud": "shop", "sub": "ann", "exp": 4_102_444_800_u64 });
    let signed = format!("{header}.{}", part(claims));
    let signature = URL_SAFE_NO_PAD.encode(key(generation).sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn good(generation: u8) -> String {
    token(generation, &format!("key-{generation}"))
}

/// How the provider answers its first fetch, its second and so on; the last answer is the one to all that follow.
#[derive(Clone, Default)]
struct Provider {
    answers: Rc<RefCell<Vec<CalloutAnswer>>>,
    asked: Rc<Cell<usize>>,
}

impl Provider {
    fn new(answers: impl IntoIterator<Item = CalloutAnswer>) -> Provider {
        Provider { answers: Rc::new(RefCell::new(answers.into_iter().collect())), asked: Rc::default() }
    }

    fn services(&self) -> Services {
        let provider = self.clone();
        Services::default().with("idp", move |call: &HttpCallout| {
            assert_eq!(call.headers.first(b":path").map(|path| &path[..]), Some(&b"/jwks.json"[..]));
            assert_eq!(call.headers.first(b":authority").map(|host| &host[..]), Some(&b"idp.test"[..]));
            let (asked, answers) = (provider.asked.get(), provider.answers.borrow());
            provider.asked.set(asked + 1);
            answers.get(asked).or(answers.last()).expect("an answer").clone()
        })
    }

    fn fetches(&self) -> usize {
        self.asked.get()
    }
}

fn says(status: u16, text: impl Into<bytes::Bytes>, after: Duration) -> CalloutAnswer {
    match CalloutAnswer::status(status, text) {
        CalloutAnswer::Response { message, .. } => CalloutAnswer::Response { after, message },
        other => other,
    }
}

const SOON: Duration = Duration::from_millis(50);

fn keys(generations: &[u8]) -> CalloutAnswer {
    says(200, document(generations), SOON)
}

/// Requests, each with the time since the one before.
#[derive(Default)]
struct Traffic(String);

impl Traffic {
    fn then(mut self, after: &str, token: &str) -> Traffic {
        writeln!(
            self.0,
            "  - {{ request: GET /, after: {after}, headers: [\"authorization: Bearer {token}\"] }}"
        )
        .expect("a string");
        self
    }

    fn with(mut self, line: &str, token: &str) -> Traffic {
        writeln!(self.0, "  - {{ {line}, headers: [\"authorization: Bearer {token}\"] }}").expect("a string");
        self
    }

    fn run(&self, jwks: &str, workers: u32, provider: &Provider) -> Replay {
        let text = format!(
            "
about: Tokens, and a provider of keys.
callouts: {{ idp: [] }}
chain:
  - module: header_auth
    config:
      version: 1
      providers:
        corp:
          kind: jwt
          issuer: https://idp.test
          audiences: [shop]
          algorithms: [EdDSA]
          jwks: {{ uri: /jwks.json, cluster: idp, host: idp.test{jwks} }}
      defaults: {{ require: {{ any: [corp] }} }}
exchanges:
{}",
            self.0
        );
        let workers = NonZeroU32::new(workers).expect("a worker");
        let filter = ("header_auth", header_auth::wayside_vm as _);
        scenario::natively_among(&text, &[filter], workers, &|| provider.services()).expect("a scenario")
    }
}

/// Status and details of each.
fn told(replay: &Replay) -> Vec<(u16, String)> {
    let status = |response: &Message| {
        let status = response.headers.first(b":status")?;
        std::str::from_utf8(status).ok()?.parse().ok()
    };
    let told = |outcome: &wayside::proxy::Outcome| {
        let details = outcome.details.as_deref().unwrap_or_default();
        let status = outcome.downstream_response.as_ref().and_then(status).unwrap_or(0);
        (status, String::from_utf8_lossy(details).into_owned())
    };
    replay.outcomes().map(told).collect()
}

fn statuses(replay: &Replay) -> Vec<u16> {
    told(replay).into_iter().map(|(status, _)| status).collect()
}

fn took(replay: &Replay, nth: usize) -> Duration {
    let outcome = replay.outcomes().nth(nth).expect("an outcome");
    outcome.ended - outcome.started
}

fn counted(replay: &Replay, metric: &str) -> u64 {
    let metrics = replay.proxies[0].outcome.metrics.iter();
    let named = metrics.filter(|(name, _)| String::from_utf8_lossy(name).contains(metric));
    let number = |metric: &Metric| match metric {
        Metric::Counter(number) | Metric::Gauge(number) => *number,
        Metric::Histogram(_) => 0,
    };
    named.map(|(_, metric)| number(metric)).sum()
}

#[test]
fn au_11_ten_thousand_unknown_keys_over_four_workers_cost_one_fetch_in_half_a_minute() {
    let provider = Provider::new([keys(&[1])]);
    let mut traffic = Traffic::default().then("2s", &good(1));
    for number in 0..10_000 {
        traffic = traffic.then("20ms", &token(1, &format!("nobody-{number}")));
    }
    let replay = traffic.then("20ms", &good(1)).run("", 4, &provider);
    let statuses = statuses(&replay);
    assert_eq!((statuses[0], statuses[10_001]), (200, 200));
    assert!(statuses[1..=10_000].iter().all(|status| *status == 401));
    assert_eq!(provider.fetches(), 1 + 200 / 30, "one at the start and one in each half minute of 200 s");
    let workers: std::collections::BTreeSet<_> =
        replay.outcomes().map(|outcome| format!("{:?}", outcome.thread)).collect();
    assert_eq!(workers.len(), 4);
}

#[test]
fn au_11_who_comes_first_waits_for_the_keys() {
    let provider = Provider::new([says(200, document(&[1]), Duration::from_millis(700))]);
    let replay = Traffic::default().then("1ms", &good(1)).then("1ms", &good(1)).run("", 2, &provider);
    assert_eq!(statuses(&replay), [200, 200]);
    assert!(took(&replay, 0) > Duration::from_millis(600), "{:?}", took(&replay, 0));
    assert_eq!(provider.fetches(), 1);
}

#[test]
fn au_11_a_rotation_without_notice_is_followed_by_the_request_that_needs_it() {
    let provider = Provider::new([keys(&[1]), keys(&[2])]);
    let traffic = Traffic::default()
        .then("2s", &good(1))
        .then("1m", &good(2))
        .then("2s", &good(1))
        .then("10ms", &token(1, "key-2"))
        .with("request: POST /, after: 10ms, body: [abc, def]", &good(2));
    let replay = traffic.run("", 3, &provider);
    assert_eq!(statuses(&replay), [200, 200, 401, 401, 200]);
    assert!((SOON..Duration::from_millis(200)).contains(&took(&replay, 1)), "{:?}", took(&replay, 1));
    assert_eq!(provider.fetches(), 2);
}

#[test]
fn a_body_that_comes_while_its_request_waits_goes_on_with_it_or_not_at_all() {
    let provider = Provider::new([says(200, document(&[1]), Duration::from_millis(700))]);
    let traffic = Traffic::default()
        .with("request: POST /, after: 1ms, body: [abc, def]", &good(1))
        .with("request: POST /, after: 1ms, body: [abc, def]", &good(2));
    let replay = traffic.run("", 1, &provider);
    assert_eq!(statuses(&replay), [200, 401]);
    let sent: Vec<_> = replay.outcomes().map(|outcome| outcome.upstream_request.is_some()).collect();
    assert_eq!(sent, [true, false]);
}

#[test]
fn a_client_that_leaves_does_not_take_the_keys_with_it() {
    let provider = Provider::new([keys(&[1]), says(200, document(&[1, 2]), Duration::from_millis(700))]);
    let traffic = Traffic::default()
        .then("2s", &good(1))
        .with("request: GET /, after: 1m, leaves: true, latency: 100ms", &good(2))
        .then("5s", &good(2));
    let replay = traffic.run("", 1, &provider);
    assert_eq!(statuses(&replay)[2], 200);
    assert_eq!(provider.fetches(), 2);
}

#[test]
fn au_11_lies_lock_nobody_out_within_stale_if_error_and_let_nobody_in() {
    let huge = format!("{}{}", document(&[1, 9]), " ".repeat(10 * 1024 * 1024));
    let lies = [
        ("status", says(500, document(&[9]), SOON)),
        ("status", says(304, "", SOON)),
        ("status", says(206, document(&[9]), SOON)),
        ("unusable", says(200, "", SOON)),
        ("unusable", says(200, "{\"keys\": []}", SOON)),
        ("unusable", says(200, "<html>503</html>", SOON)),
        ("unusable", says(200, document(&[9]).replace("\"keys\"", "\"kyes\""), SOON)),
        ("too_large", says(200, huge, SOON)),
        ("unreachable", CalloutAnswer::Silence),
        ("unreachable", CalloutAnswer::Reset { after: SOON }),
        ("unreachable", CalloutAnswer::Disconnect { after: SOON }),
        ("unreachable", CalloutAnswer::ConnectFailure { after: SOON }),
        ("unreachable", CalloutAnswer::NoHealthyHost),
    ];
    for (reason, lie) in lies {
        let provider = Provider::new([keys(&[1]), lie.clone()]);
        let traffic = Traffic::default()
            .then("2s", &good(1))
            .then("30m", &good(1))
            .then("10ms", &good(9))
            .then("29m", &good(1))
            // Ten minutes until the first refresh is due, and an hour after that.
            .then("12m", &good(1))
            .then("10ms", &good(9));
        let replay = traffic.run(", stale_if_error: 1h", 2, &provider);
        let told = told(&replay);
        let of: Vec<u16> = told.iter().map(|(status, _)| *status).collect();
        assert_eq!(of, [200, 200, 401, 200, 503, 503], "{lie:?}");
        assert_eq!(told[4].1, "header_auth.no_keys", "{lie:?}");
        let errors = counted(&replay, &format!("l7_reason=.={reason};.;l7_auth_jwks_error_total"));
        assert!(errors > 60, "{reason}: {errors}");
        // The last is under way when the replay ends, or was answered when it was sent.
        let fetches = counted(&replay, "l7_auth_jwks_fetch_total");
        assert!(fetches - errors <= 2, "{reason}: {fetches} fetches, {errors} errors");
    }
}

#[test]
fn au_11_a_provider_that_comes_back_is_believed_again() {
    let down = says(503, "", SOON);
    let provider = Provider::new([down.clone(), down.clone(), down, keys(&[1])]);
    let traffic = Traffic::default().then("100ms", &good(1)).then("500ms", &good(1)).then("20s", &good(1));
    let replay = traffic.run("", 2, &provider);
    assert_eq!(statuses(&replay), [503, 503, 200]);
    assert_eq!(provider.fetches(), 4);
    assert_eq!(counted(&replay, "l7_auth_jwks_keys"), 1);
}

#[test]
fn without_patience_a_request_is_refused_at_once_and_the_next_one_is_not() {
    let provider = Provider::new([keys(&[1]), keys(&[1, 2])]);
    let traffic = Traffic::default()
        .then("1ms", &good(1))
        .then("2s", &good(1))
        .then("1m", &good(2))
        .then("2s", &good(2));
    let replay = traffic.run(", wait: 0s", 2, &provider);
    assert_eq!(statuses(&replay), [503, 200, 401, 200]);
    assert!(took(&replay, 2) < SOON, "{:?}", took(&replay, 2));
}
