//! Whether the time of a comparison tells of the secret: two classes of what a stranger may show, one near the secret and one far from it, in turn by
//! chance, judged as dudect does (Reparaz, Balasch, Verbauwhede: *Dude, is my code constant time?*, 2017). `cargo xtask bench timing`, or
//! `cargo bench -p wayside-credentials --bench timing -- SAMPLES`. Instructions of the module are counted by tests: package `wayside-proof`.

#![expect(clippy::print_stdout, reason = "its result")]

#[expect(unreachable_pub, reason = "what counts instructions has them too")]
mod inputs;
#[expect(dead_code, unreachable_pub, reason = "what counts instructions asks for more")]
mod statistic;

use std::{
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::json;
use wayside_credentials::{
    jose::{Algorithm, KeySet, Pure, Terms, Unverified},
    messages::{
        Message,
        webhook::{Profile, Secret},
    },
    passwords::{Digest, KeyStore, NamedStore, Period, Salt, Stored},
    timestamp::Timestamp,
};

use inputs::{Chance, Class};
use statistic::{Samples, THRESHOLD};

/// 32 bytes.
const SECRET: &str = "qM3sB0t9x2vYwLrT7uHdqM3sB0t9x2vYwLrT7uHdq_Q";
const OTHER: &str = "Zk8fJw2LpV5nXe-1RcTgZk8fJw2LpV5nXe-1RcTgZk8";
const HMAC_KEY: &[u8] = b"a secret of thirty-two bytes or more";
const OTHER_HMAC_KEY: &[u8] = b"another one of thirty-two and more!!";
const NOW: Timestamp = Timestamp(Duration::from_secs(1_800_000_000));
/// A clock tells no single comparison from another.
const TIMES: usize = 8;
/// Inputs are made before any of them is timed.
const BATCH: usize = 1000;

/// A comparison: what makes a stranger's input, and what compares it.
struct Subject {
    name: &'static str,
    /// Whether it tells of the secret: of one that is only there to be found
    leaks: bool,
    /// What would be right, and what would be right for another secret
    rights: [String; 2],
    /// Hexadecimal, in the place of base64url
    digits: bool,
    compare: Box<dyn Fn(&str) -> bool>,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Subject {
    /// All that header-auth compares with a secret, and one that must be found.
    fn all() -> Vec<Subject> {
        let subject = |name, rights: [&str; 2], compare| Subject {
            name,
            leaks: false,
            rights: rights.map(str::to_owned),
            digits: false,
            compare,
        };
        let stored = Stored::Sha256(Digest::of(&[SECRET.as_bytes()]));
        let codes = [HMAC_KEY, OTHER_HMAC_KEY].map(|key| code(key, TOKEN_SIGNED));
        let digits = [HMAC_KEY, OTHER_HMAC_KEY].map(|key| hex(key, CONTENT));
        let both = [SECRET, OTHER];
        vec![
            subject("API keys, looked for by their digest", both, whole_keys()),
            subject("API keys, `id.secret`", both, named_keys(stored)),
            subject("passwords, salted", both, named_keys(salted())),
            subject("codes of tokens (HS256)", codes.each_ref().map(String::as_str), tokens()),
            Subject {
                digits: true,
                ..subject("codes of webhooks", digits.each_ref().map(String::as_str), webhooks())
            },
            Subject {
                leaks: true,
                ..subject("byte by byte, until one differs", both, Box::new(byte_by_byte))
            },
        ]
    }

    /// Takes so many samples, in nanoseconds.
    #[expect(clippy::disallowed_methods, reason = "what is measured here is real time")]
    fn measure(&self, samples: usize) -> Samples {
        let mut chance = Chance::new(7);
        let mut measured = Samples::default();
        while measured.len() < samples {
            let inputs: Vec<(Class, String)> = (0..BATCH)
                .map(|_| {
                    let class = chance.class();
                    (class, self.input(&mut chance, class))
                })
                .collect();
            for (class, input) in &inputs {
                let begun = Instant::now();
                for _ in 0..TIMES {
                    black_box((self.compare)(black_box(input)));
                }
                let took = begun.elapsed();
                measured.add(*class, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            }
        }
        measured
    }

    fn input(&self, chance: &mut Chance, class: Class) -> String {
        let [secret, other] = &self.rights;
        if self.digits {
            chance.wrong_digits(class, [secret, other])
        } else {
            chance.wrong(class, [secret, other])
        }
    }
}

/// Status 1: something tells of the secret that must not, or what does was not found.
fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let samples = numbers.next_back().unwrap_or(100_000);
    println!("{samples} samples each; beyond {THRESHOLD} two classes differ");
    let mut good = true;
    for subject in Subject::all() {
        let measured = subject.measure(samples);
        let t = measured.t().unwrap_or(f64::NAN);
        let differs = t.abs() >= THRESHOLD;
        good &= differs == subject.leaks;
        println!("{t:>10.2}  {}{}", subject.name, if subject.leaks { " (must be found)" } else { "" });
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn whole_keys() -> Box<dyn Fn(&str) -> bool> {
    let mut store = KeyStore::default();
    for key in [SECRET, "other"] {
        assert!(store.insert(Digest::of(&[key.as_bytes()]), (), Period::default()).is_ok());
    }
    Box::new(move |key| store.verify(key.as_bytes(), None, NOW).is_ok())
}

fn salted() -> Stored {
    let salt = [7; 16];
    Stored::Salted { salt: Salt(salt), digest: Digest::of(&[&salt, SECRET.as_bytes()]) }
}

fn named_keys(stored: Stored) -> Box<dyn Fn(&str) -> bool> {
    let mut store = NamedStore::default();
    assert!(store.insert("acme", stored, (), Period::default()).is_ok());
    Box::new(move |key| store.verify(b"acme", key.as_bytes(), None, NOW).holder.is_ok())
}

/// `{"alg":"HS256","kid":"k"}` and `{"iss":"i"}`.
const TOKEN_SIGNED: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJpIn0";

fn code(key: &[u8], signed: &str) -> String {
    URL_SAFE_NO_PAD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes()))
}

fn tokens() -> Box<dyn Fn(&str) -> bool> {
    let jwks = json!({ "keys": [{ "kty": "oct", "kid": "k", "k": URL_SAFE_NO_PAD.encode(HMAC_KEY) }] });
    let keys = KeySet::parse(jwks.to_string().as_bytes()).ok();
    let terms =
        Terms { algorithms: Algorithm::named("HS256").into_iter().collect(), typ: None, max_keys_tried: 4 };
    Box::new(move |code| {
        let token = format!("{TOKEN_SIGNED}.{code}");
        let verified = keys.as_ref().map(|keys| {
            Unverified::parse(token.as_bytes(), &terms).and_then(|token| token.verify(keys, 4, &Pure)).is_ok()
        });
        verified == Some(true)
    })
}

const CONTENT: &str = "what has happened";

fn hex(key: &[u8], content: &str) -> String {
    let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), content.as_bytes());
    code.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn webhooks() -> Box<dyn Fn(&str) -> bool> {
    let secrets: Vec<Secret> = Secret::read(Profile::GitHub, HMAC_KEY).into_iter().collect();
    Box::new(move |code| {
        let field = format!("sha256={code}");
        let headers: &[(&[u8], &[u8])] = &[(b"x-hub-signature-256", field.as_bytes())];
        let Ok(message) = Message::of(headers) else { return false };
        let presented = Profile::GitHub.presented(&message, NOW.0, Duration::from_secs(300));
        presented
            .ok()
            .flatten()
            .is_some_and(|shown| shown.made_by(&secrets, CONTENT.as_bytes()).next().is_some())
    })
}

fn byte_by_byte(shown: &str) -> bool {
    // Not `==`, for which a processor has instructions that read many at once.
    shown.len() == SECRET.len()
        && shown.bytes().zip(SECRET.bytes()).all(|(shown, known)| black_box(shown) == known)
}
