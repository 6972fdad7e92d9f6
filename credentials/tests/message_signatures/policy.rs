//! What a signature has to be besides right. Signed here by hand: what the test writes down is what the verifier has to come to.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wayside_credentials::jose::{Algorithm, Hash, Key, Pure};
use wayside_credentials::messages::signature::{Policy, Refused, Required, Signer, Verified};
use wayside_credentials::messages::{Field, Message};

use crate::lenient;

const SECRET: &[u8] = b"a secret of thirty-two bytes....";
const NOW: Duration = Duration::from_secs(1_700_000_000);

/// What `("@method" "@authority" "@path" "@query")` signs of the request below.
const LINES: &str = "\"@method\": GET\n\"@authority\": example.com\n\"@path\": /a\n\"@query\": ?b=c\n";
const COVERED: &str = r#"("@method" "@authority" "@path" "@query")"#;

fn signers(names: &[&str]) -> Vec<Signer> {
    let signer = |name: &&str| {
        Signer::new(Key::secret(SECRET).unwrap().named(name), Algorithm::Hs(Hash::Sha256)).unwrap()
    };
    names.iter().map(signer).collect()
}

fn code(base: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap().chain_update(base).finalize();
    STANDARD.encode(mac.into_bytes())
}

fn strict() -> Policy {
    Policy { required: Required::default(), ..lenient() }
}

/// A request with these two fields more, judged.
fn judged(
    policy: &Policy,
    names: &[&str],
    input: &str,
    signature: &str,
    has_content: bool,
) -> Result<Option<Verified>, Refused> {
    let fields: &[Field<'_>] = &[
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"example.com"),
        (b":path", b"/a?b=c"),
        (b"content-digest", b"sha-256=:AA==:"),
        (b"date", b"now"),
        (b"signature-input", input.as_bytes()),
        (b"signature", signature.as_bytes()),
    ];
    policy.verify(&signers(names), &Message::of(fields).unwrap(), has_content, NOW, &Pure)
}

/// With these parameters and nothing wrong about the code.
fn with(policy: &Policy, lines: &str, covered: &str, parameters: &str) -> Result<Option<Verified>, Refused> {
    let base = format!("{lines}\"@signature-params\": {covered}{parameters}");
    judged(policy, &["k"], &format!("s={covered}{parameters}"), &format!("s=:{}:", code(&base)), false)
}

fn parameters(parameters: &str) -> Result<Option<Verified>, Refused> {
    with(&strict(), LINES, COVERED, parameters)
}

#[test]
fn a_signature_in_time_by_a_known_key_is_good() {
    let verified = parameters(r#";created=1700000000;keyid="k""#).unwrap().unwrap();
    assert_eq!(verified.until, NOW + Duration::from_secs(300));
    assert!(!verified.covers_content);
    assert!(parameters(r#";keyid="k";alg="hmac-sha256";created=1700000000;tag="t";nonce="n""#).is_ok());
}

#[test]
fn what_is_written_otherwise_is_signed_as_rfc_9651_writes_it() {
    let base = format!("{LINES}\"@signature-params\": {COVERED};created=1700000000;keyid=\"k\"");
    let input = r#"s=( "@method"  "@authority" "@path"   "@query" ); created=1700000000; keyid="k""#;
    assert!(judged(&strict(), &["k"], input, &format!("s=:{}:", code(&base)), false).is_ok());
}

#[test]
fn a_signature_counts_from_its_creation_until_it_is_too_old_or_expired() {
    let at =
        |created: u64, more: &str| parameters(&format!(r#";created={created};keyid="k"{more}"#)).map(drop);
    assert_eq!(at(1_700_000_030, ""), Ok(()), "as far ahead as clocks may be");
    assert_eq!(at(1_700_000_031, ""), Err(Refused::Early));
    assert_eq!(at(1_699_999_700, ""), Ok(()), "in its last second");
    assert_eq!(at(1_699_999_699, ""), Err(Refused::Late));
    assert_eq!(at(1_700_000_000, ";expires=1700000001"), Ok(()));
    assert_eq!(at(1_700_000_000, ";expires=1700000000"), Err(Refused::Late));
    assert_eq!(at(0, ""), Err(Refused::Late));
    assert_eq!(at(999_999_999_999_999, ""), Err(Refused::Early));
    assert_eq!(parameters(r#";keyid="k""#), Err(Refused::Undated));
    let until = parameters(r#";created=1700000000;expires=1700000009;keyid="k""#).unwrap().unwrap().until;
    assert_eq!(until, Duration::from_secs(1_700_000_009));
}

#[test]
fn parameters_of_another_type_or_meaning_are_refused() {
    let created = ";created=1700000000";
    for wrong in [
        "created=-1",
        "created=1.5",
        "created=\"1\"",
        "created=@1700000000",
        "expires",
        "nonce=a",
        "keyid=k",
        "alg=a",
        "tag=?1",
    ] {
        assert_eq!(
            parameters(&format!(r#"{created};keyid="k";{wrong}"#)),
            Err(Refused::Malformed),
            "{wrong}"
        );
    }
    assert_eq!(parameters(&format!(r#"{created};keyid="k";x=1"#)), Err(Refused::Unsupported));
    let twice = parameters(&format!(r#"{created}{created};keyid="k""#));
    assert_eq!(twice, Err(Refused::Malformed), "the same one twice");
}

#[test]
fn the_key_says_with_which_algorithm() {
    let named =
        |key: &str, alg: &str| parameters(&format!(r#";created=1700000000;keyid="{key}"{alg}"#)).map(drop);
    assert_eq!(named("k", r#";alg="hmac-sha256""#), Ok(()));
    assert_eq!(named("k", r#";alg="ed25519""#), Err(Refused::OtherAlgorithm));
    assert_eq!(named("k", r#";alg="HMAC-SHA256""#), Err(Refused::OtherAlgorithm));
    assert_eq!(named("k", r#";alg="HS256""#), Err(Refused::OtherAlgorithm));
    for unknown in ["", "K", "k2", "../k"] {
        assert_eq!(named(unknown, ""), Err(Refused::UnknownKey), "{unknown}");
    }
}

#[test]
fn without_a_name_the_key_is_the_only_one_there_is() {
    let base = format!("{LINES}\"@signature-params\": {COVERED};created=1700000000");
    let (input, signature) = (format!("s={COVERED};created=1700000000"), format!("s=:{}:", code(&base)));
    assert!(judged(&strict(), &["k"], &input, &signature, false).is_ok());
    assert_eq!(judged(&strict(), &["k", "l"], &input, &signature, false), Err(Refused::UnknownKey));
    assert_eq!(judged(&strict(), &[], &input, &signature, false), Err(Refused::UnknownKey));
}

#[test]
fn what_has_to_be_covered_is_covered_whole() {
    let end = r#";created=1700000000;keyid="k""#;
    let covering = |covered: &str, lines: &str| with(&strict(), lines, covered, end).map(drop);
    let target =
        "\"@method\": GET\n\"@authority\": example.com\n\"@target-uri\": https://example.com/a?b=c\n";
    assert_eq!(covering(r#"("@method" "@authority" "@target-uri")"#, target), Ok(()));
    for (covered, missing) in [
        ("()", "all"),
        (r#"("@authority" "@path" "@query")"#, "the method"),
        (r#"("@method" "@path" "@query")"#, "the authority"),
        (r#"("@method" "@authority" "@path")"#, "the query"),
        (r#"("@method" "@authority" "@query")"#, "the path"),
        (r#"("@method" "@authority" "@path" "@query-param";name="b")"#, "the whole query"),
    ] {
        assert_eq!(covering(covered, ""), Err(Refused::Uncovered), "{missing}");
    }
    let twice = r#"("@method" "@method" "@authority" "@path" "@query")"#;
    assert_eq!(covering(twice, ""), Err(Refused::Malformed), "one of them twice");
    let absent = r#"("@method" "@authority" "@path" "@query" "x")"#;
    assert_eq!(covering(absent, ""), Err(Refused::Absent), "what is not there");
}

#[test]
fn content_has_to_be_covered_by_a_digest_that_is_compared() {
    let end = r#";created=1700000000;keyid="k""#;
    let covering = |identifier: &str, value: &str| {
        let covered = COVERED.replace(')', &format!(" {identifier})"));
        let base = format!("{LINES}{identifier}: {value}\n\"@signature-params\": {covered}{end}");
        judged(&strict(), &["k"], &format!("s={covered}{end}"), &format!("s=:{}:", code(&base)), true)
    };
    for (identifier, value) in [
        (r#""content-digest""#, "sha-256=:AA==:"),
        (r#""content-digest";sf"#, "sha-256=:AA==:"),
        (r#""content-digest";key="sha-256""#, ":AA==:"),
        (r#""content-digest";bs"#, ":c2hhLTI1Nj06QUE9PTo=:"),
    ] {
        assert!(covering(identifier, value).unwrap().unwrap().covers_content, "{identifier}");
    }
    for identifier in [r#""date""#, r#""content-digest";key="md5""#] {
        assert_eq!(covering(identifier, "now"), Err(Refused::Uncovered), "{identifier}");
    }
}

#[test]
fn labels_pair_and_stand_once() {
    let base = format!("{LINES}\"@signature-params\": {COVERED};created=1700000000;keyid=\"k\"");
    let (input, signature) =
        (format!("s={COVERED};created=1700000000;keyid=\"k\""), format!("s=:{}:", code(&base)));
    let judge = |input: &str, signature: &str| judged(&strict(), &["k"], input, signature, false).map(drop);
    assert_eq!(judge(&input, &signature), Ok(()));
    assert_eq!(judge(&input, &format!("{signature}, t=:AA==:")), Ok(()), "somebody else's half");
    for (input, signature, why) in [
        (input.as_str(), "t=:AA==:", "another label"),
        (&input, "", "no signature"),
        ("s", &signature, "no list"),
        ("s=\"a\"", &signature, "an item"),
        (&input, "s=\"AA==\"", "a string"),
        (&input, "s=(:AA==:)", "a list"),
        (&input, &format!("{signature};a"), "a parameter"),
        (&input, &format!("{signature}, {signature}"), "the label twice"),
        (&format!("{input}, {input}"), &signature, "the label twice"),
        ("s=(", &signature, "no field of this type"),
    ] {
        assert_eq!(judge(input, signature), Err(Refused::Malformed), "{why}");
    }
    assert_eq!(judge("", ""), Ok(()), "empty fields have no signature");
}

#[test]
fn one_field_without_the_other_is_malformed() {
    for field in ["signature", "signature-input"] {
        let fields: &[Field<'_>] = &[(field.as_bytes(), b"s=()")];
        let judged = strict().verify(&signers(&["k"]), &Message::of(fields).unwrap(), false, NOW, &Pure);
        assert_eq!(judged, Err(Refused::Malformed), "{field}");
    }
    let judged = strict().verify(&signers(&["k"]), &Message::of(&[]).unwrap(), false, NOW, &Pure);
    assert_eq!(judged, Ok(None));
}

#[test]
fn a_nonce_tells_messages_apart_and_can_be_demanded() {
    let demanding = Policy { nonce_required: true, ..strict() };
    let plain = r#";created=1700000000;keyid="k""#;
    assert_eq!(with(&demanding, LINES, COVERED, plain), Err(Refused::NoNonce));
    let once = |parameters: &str| with(&strict(), LINES, COVERED, parameters).unwrap().unwrap().once;
    assert!(with(&demanding, LINES, COVERED, &format!("{plain};nonce=\"1\"")).is_ok());
    assert_eq!(once(&format!("{plain};nonce=\"1\"")), once(r#";created=1700000001;keyid="k";nonce="1""#));
    assert_ne!(once(&format!("{plain};nonce=\"1\"")), once(&format!("{plain};nonce=\"2\"")));
    assert_ne!(once(plain), once(r#";created=1700000001;keyid="k""#));
}

#[test]
fn values_that_are_no_visible_ascii_are_not_signed() {
    for value in [&b"\xc3\xbc"[..], b"a\nb", b"a\x00b", b"\x7f"] {
        let fields: &[Field<'_>] = &[
            (b"x", value),
            (b"signature-input", br#"s=("x");created=1700000000;keyid="k""#),
            (b"signature", b"s=:AA==:"),
        ];
        let judged = lenient().verify(&signers(&["k"]), &Message::of(fields).unwrap(), false, NOW, &Pure);
        assert_eq!(judged, Err(Refused::Unsupported), "{value:?}");
    }
}
