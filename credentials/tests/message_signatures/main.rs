//! AU-7 in the library: RFC 9421's own keys, messages and signatures, each of them also with something changed.

mod policy;
mod vectors;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use vectors::*;
use wayside_credentials::jose::{Algorithm, Curve, Hash, Key, Pure};
use wayside_credentials::messages::component::Structures;
use wayside_credentials::messages::signature::{Policy, Refused, Required, Signer, Verified};
use wayside_credentials::messages::{Field, Message};

/// When the appendix signs.
const CREATED: Duration = Duration::from_secs(1_618_884_473);

fn signers() -> Vec<Signer> {
    let number = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let rsa = |modulus: &str| Key::rsa(&number(modulus), &[1, 0, 1]).unwrap();
    let p256 = Key::ec(Curve::P256, &number(P256_X), &number(P256_Y)).unwrap();
    [
        (rsa(RSA).named("test-key-rsa"), Algorithm::Rs(Hash::Sha256)),
        (rsa(RSA_PSS).named("test-key-rsa-pss"), Algorithm::Ps(Hash::Sha512)),
        (p256.named("test-key-ecc-p256"), Algorithm::Es256),
        (Key::ed25519(&number(ED25519)).unwrap().named("test-key-ed25519"), Algorithm::EdDsa),
        (
            Key::secret(&STANDARD.decode(SECRET).unwrap()).unwrap().named("test-shared-secret"),
            Algorithm::Hs(Hash::Sha256),
        ),
    ]
    .map(|(key, algorithm)| Signer::new(key, algorithm).unwrap())
    .into()
}

/// Asks for nothing that the appendix does not always have.
fn lenient() -> Policy {
    Policy {
        label: None,
        tag: None,
        required: Required { components: Vec::new(), target: false, content: false },
        nonce_required: false,
        max_age: Duration::from_secs(300),
        skew: Duration::from_secs(30),
        structures: Structures::default(),
    }
}

type Owned = Vec<(&'static str, String)>;

fn with(mut fields: Owned, input: &str, signature: &str) -> Owned {
    fields.push(("signature-input", input.to_owned()));
    fields.push(("signature", signature.to_owned()));
    fields
}

fn fields(given: &[(&'static str, &str)]) -> Owned {
    given.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn test_request() -> Owned {
    fields(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "example.com"),
        (":path", "/foo?param=Value&Pet=dog"),
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-type", "application/json"),
        (
            "content-digest",
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        ),
        ("content-length", "18"),
    ])
}

/// Its digest is the one of the signature base: the message that B.2 prints has another.
fn test_response() -> Owned {
    fields(&[
        (":status", "200"),
        ("date", "Tue, 20 Apr 2021 02:07:56 GMT"),
        ("content-type", "application/json"),
        (
            "content-digest",
            "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:",
        ),
        ("content-length", "23"),
    ])
}

fn proxied_request() -> Owned {
    let mut request = test_request();
    request[2].1 = "service.internal.example".to_owned();
    request.retain(|(name, _)| *name != "content-digest");
    request.push(("client-cert", CLIENT_CERT.to_owned()));
    request
}

fn verify(policy: &Policy, message: &Owned, now: Duration) -> Result<Option<Verified>, Refused> {
    let fields: Vec<Field<'_>> =
        message.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    policy.verify(&signers(), &Message::of(&fields).unwrap(), false, now, &Pure)
}

/// Message, what of it is covered, and the signer.
struct Example {
    name: &'static str,
    message: Owned,
    covered: &'static [&'static str],
    signer: usize,
}

fn examples() -> Vec<Example> {
    let pet = &[":authority", "content-digest", ":path?Pet"];
    let full =
        &["date", ":method", ":path", ":authority", "content-type", "content-digest", "content-length"];
    let ed25519 = &["date", ":method", ":path!", ":authority", "content-type", "content-length"];
    let example = |name, message, covered, signer| Example { name, message, covered, signer };
    vec![
        example("B.2.1", with(test_request(), B21_INPUT, B21), &[], 1),
        example("B.2.2", with(test_request(), B22_INPUT, B22), pet, 1),
        example("B.2.3", with(test_request(), B23_INPUT, B23), full, 1),
        example(
            "B.2.4",
            with(test_response(), B24_INPUT, B24),
            &[":status", "content-type", "content-digest", "content-length"],
            2,
        ),
        example("B.2.5", with(test_request(), B25_INPUT, B25), &["date", ":authority", "content-type"], 4),
        example("B.2.6", with(test_request(), B26_INPUT, B26), ed25519, 3),
        example(
            "B.3",
            with(proxied_request(), B3_INPUT, B3),
            &[":path", ":method", ":authority", "client-cert"],
            2,
        ),
        example(
            "3.2",
            with(test_request(), S32_INPUT, S32),
            &[":method", ":authority", ":path!", "content-digest", "content-length", "content-type"],
            1,
        ),
    ]
}

#[test]
fn au_7_each_example_of_the_rfc_verifies_as_its_signers() {
    for Example { name, message, signer, .. } in examples() {
        let verified = verify(&lenient(), &message, CREATED).unwrap().unwrap();
        assert_eq!(verified.signer, signer, "{name}");
        assert_eq!(verified.until, CREATED + Duration::from_secs(300), "{name}");
    }
}

/// Whether the byte of a field is among what is covered: `!` stands for the path without its query, `?Pet` for the last
/// parameter, and that there is a query.
fn is_covered(covered: &[&str], name: &str, value: &str, at: usize) -> bool {
    covered.iter().any(|part| match part.split_once(['!', '?']) {
        None => *part == name,
        Some((field, "")) => field == name && at <= value.find('?').unwrap(),
        Some((field, _)) => field == name && (at >= value.find('&').unwrap() || Some(at) == value.find('?')),
    })
}

#[test]
fn au_7_with_any_covered_byte_changed_none_verifies_and_with_any_other_all_do() {
    let mut changes = [0_u32; 2];
    for Example { name: example, message, covered, .. } in examples() {
        for (index, (name, value)) in message.iter().enumerate().filter(|(_, (name, _))| *name != "signature")
        {
            for at in 0..value.len() {
                let mut changed = message.clone();
                let mut bytes = value.clone().into_bytes();
                bytes[at] ^= 1;
                changed[index].1 = String::from_utf8(bytes).unwrap();
                let covered = *name == "signature-input" || is_covered(covered, name, value, at);
                let verified = verify(&lenient(), &changed, CREATED);
                let seen = format!("{example}: byte {at} of {name}: {verified:?}");
                assert_eq!(covered, !matches!(verified, Ok(Some(_))), "{seen}");
                changes[usize::from(covered)] += 1;
            }
        }
    }
    assert!(changes[0] > 400 && changes[1] > 1_500, "{changes:?}");
}

#[test]
fn au_7_with_any_bit_of_the_signature_changed_none_verifies() {
    for Example { name, message, .. } in examples() {
        let (label, code) = message.last().unwrap().1.split_once("=:").unwrap();
        let signature = STANDARD.decode(code.trim_end_matches(':')).unwrap();
        for bit in (0..signature.len() * 8).step_by(61) {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let mut message = message.clone();
            message.last_mut().unwrap().1 = format!("{label}=:{}:", STANDARD.encode(changed));
            assert_eq!(verify(&lenient(), &message, CREATED), Err(Refused::Wrong), "{name}, bit {bit}");
        }
    }
}

fn transformed(lines: &[(&'static str, &str)]) -> Owned {
    with(fields(lines), B4_INPUT, B4)
}

#[test]
fn au_7_the_transformations_of_b_4_verify_where_the_rfc_says_so() {
    const GET: [(&str, &str); 3] = [(":method", "GET"), (":scheme", "https"), (":authority", "example.org")];
    const DATE: (&str, &str) = ("date", "Fri, 15 Jul 2022 14:24:55 GMT");
    const PATH: (&str, &str) = (":path", "/demo?name1=Value1&Name2=value2");
    const JSON: (&str, &str) = ("accept", "application/json");
    const ANY: (&str, &str) = ("accept", "*/*");
    let message = |more: &[(&'static str, &str)]| transformed(&[&GET[..], more].concat());
    let original = message(&[PATH, DATE, JSON, ANY]);
    let good = [
        ("the original", original.clone()),
        (
            "something not covered is added",
            message(&[
                (":path", "/demo?name1=Value1&Name2=value2&param=added"),
                DATE,
                JSON,
                ANY,
                ("accept-language", "en-US,en;q=0.5"),
            ]),
        ),
        (
            "a field's lines are joined",
            message(&[
                PATH,
                ("referer", "https://developer.example.org/demo"),
                ("accept", "application/json, */*"),
            ]),
        ),
        ("fields come in another order", message(&[JSON, ANY, DATE, PATH])),
        // The join hazard: what Envoy makes of the original.
        (
            "a field's lines are joined as Envoy does",
            message(&[PATH, DATE, ("accept", "application/json,*/*")]),
        ),
    ];
    for (what, message) in good {
        assert!(matches!(verify(&lenient(), &message, CREATED), Ok(Some(_))), "{what}");
    }
    let mut other = original.clone();
    (other[0].1, other[2].1) = ("POST".to_owned(), "example.com".to_owned());
    let bad = [
        ("another method and authority", other),
        ("a field's lines change places", message(&[PATH, DATE, ANY, JSON])),
        ("and are joined as Envoy does", message(&[PATH, DATE, ("accept", "*/*,application/json")])),
    ];
    for (what, message) in bad {
        assert_eq!(verify(&lenient(), &message, CREATED), Err(Refused::Wrong), "{what}");
    }
}

#[test]
fn au_7_of_two_signatures_the_one_that_is_asked_for_counts() {
    let mut message = with(test_request(), S43_INPUT, S43);
    message[2].1 = "origin.host.internal.example".to_owned();
    message[4].1 = "Tue, 20 Apr 2021 02:07:56 GMT".to_owned();
    message.push(("forwarded", "for=192.0.2.123;host=example.com;proto=https".to_owned()));
    let now = Duration::from_secs(1_618_884_480);
    let labelled = |label: &str| Policy { label: Some(label.to_owned()), ..lenient() };
    assert_eq!(verify(&labelled("proxy_sig"), &message, now).unwrap().unwrap().signer, 0);
    assert_eq!(verify(&labelled("sig1"), &message, now), Err(Refused::Wrong), "for another authority");
    message[2].1 = "example.com".to_owned();
    assert_eq!(verify(&labelled("sig1"), &message, now).unwrap().unwrap().signer, 2);
    assert_eq!(verify(&labelled("sig2"), &message, now), Ok(None));
    assert_eq!(verify(&lenient(), &message, now), Err(Refused::Ambiguous));
    let tagged = Policy { tag: Some("other".to_owned()), ..lenient() };
    assert_eq!(verify(&tagged, &message, now), Ok(None));
}

/// Of an ECDSA signature anybody can negate the second number. It stays good, and must stay the same message.
#[test]
fn a_signature_that_somebody_else_has_rewritten_is_the_same_message() {
    let original = with(test_request(), S43_INPUT, S43);
    let policy = Policy { label: Some("sig1".to_owned()), ..lenient() };
    let once = |message: &Owned| verify(&policy, message, CREATED).unwrap().unwrap().once;
    let code = S43.split_once("sig1=:").unwrap().1.split_once(':').unwrap().0;
    let signature = p256::ecdsa::Signature::from_slice(&STANDARD.decode(code).unwrap()).unwrap();
    let negated = p256::ecdsa::Signature::from_scalars(signature.r(), -signature.s()).unwrap();
    let mut rewritten = original.clone();
    rewritten.last_mut().unwrap().1 = S43.replace(code, &STANDARD.encode(negated.to_bytes()));
    assert_ne!(rewritten, original);
    assert_eq!(once(&rewritten), once(&original));
}
