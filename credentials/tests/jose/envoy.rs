//! AU-5: what Envoy's own suites of its verifier ask (`test/common/jwt/*_test.cc`: parsing, times, audiences, each type of key), asked of this one with tokens of
//! our own, under the names of Envoy's tests. Where the verdicts differ, the reason stands beside them, and in header-auth's README.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};
use wayside_attack::{
    LAB,
    keys::{Algorithm as Signs, Key},
    token::{base64url, compact},
};
use wayside_credentials::jose::{Algorithm, Claims, Expectations, KeySet, Pure, Terms, Unverified};

/// What a suite asks.
struct Case {
    /// Envoy's name for it, with its file's in front
    name: &'static str,
    token: String,
    now: u64,
    audiences: &'static [&'static str],
    keys: Value,
    /// Whether Envoy takes it
    native: bool,
    /// `ok`, or why it is refused; `refused` where it depends on the key
    ours: &'static str,
    /// Where that is not the same: why
    why: &'static str,
}

const EXP: u64 = 1_605_052_800;
const NBF: u64 = 1_605_050_800;

fn keys() -> Vec<Key> {
    let credentials: Value = serde_json::from_str(LAB.1).expect("the lab");
    let of = |name: &str| credentials[name]["jwks"]["keys"].as_array().expect("keys").clone();
    of("corp").iter().chain(&of("legacy")).map(|jwk| Key::from_jwk(jwk).expect("a key")).collect()
}

/// As attackers sign too: the header is as it is written.
fn signed(by: Signs, header: &str, payload: &str) -> String {
    let keys = keys();
    let key = keys.iter().find(|key| key.algorithms().contains(&by)).expect("such a key");
    compact(header.as_bytes(), payload.as_bytes(), |bytes| key.sign(by, bytes).expect("it signs"))
}

/// With a header of no more than the algorithm.
fn plain(by: Signs, payload: &str) -> String {
    signed(by, &format!(r#"{{"alg":"{}"}}"#, by.name()), payload)
}

/// What verifies what a key has signed, with changes.
fn jwk(by: Signs, more: &Value) -> Value {
    let keys = keys();
    let key = keys.iter().find(|key| key.algorithms().contains(&by)).expect("such a key");
    let mut jwk = key.public_jwk();
    jwk.as_object_mut().expect("an object").remove("kid");
    if jwk["kty"] == "oct" {
        let credentials: Value = serde_json::from_str(LAB.1).expect("the lab");
        jwk["k"] = credentials["legacy"]["jwks"]["keys"][0]["k"].clone();
    }
    for (name, value) in more.as_object().expect("an object") {
        jwk[name] = value.clone();
    }
    jwk
}

fn judged(case: &Case) -> String {
    let set = match KeySet::parse(json!({ "keys": case.keys }).to_string().as_bytes()) {
        Ok(set) => set,
        Err(error) => return format!("{error:?}"),
    };
    let symmetric = set.keys().any(|key| key.is_secret());
    let algorithms = Algorithm::all().filter(|algorithm| algorithm.is_symmetric() == symmetric).collect();
    let terms = Terms { algorithms, typ: None, max_keys_tried: 4 };
    let payload = match Unverified::parse(case.token.as_bytes(), &terms)
        .and_then(|token| token.verify(&set, 4, &Pure))
    {
        Ok(payload) => payload,
        Err(defect) => return defect.label().to_owned(),
    };
    let expected = Expectations {
        issuer: "https://example.com".to_owned(),
        audiences: case.audiences.iter().map(|name| (*name).to_owned()).collect(),
        skew: Duration::from_secs(60),
        require_exp: false,
        max_lifetime: None,
        require_sub: false,
        claims: Vec::new(),
    };
    match Claims::check(&payload, &expected, Duration::from_secs(case.now)) {
        Ok(_) => "ok".to_owned(),
        Err(discord) => discord.label().to_owned(),
    }
}

/// A token, judged with the key that signed it.
fn of_key(name: &'static str, by: Signs, token: String, native: bool, ours: &'static str) -> Case {
    let keys = json!([jwk(by, &json!({}))]);
    Case { name, token, now: NBF, audiences: &[], keys, native, ours, why: "" }
}

const EXAMPLE: &str = r#""iss":"https://example.com","sub":"test@example.com""#;

#[expect(clippy::too_many_lines, reason = "a table")]
fn parsing() -> Vec<Case> {
    let rs = Signs::Rs256;
    let good = plain(rs, &format!("{{{EXAMPLE}}}"));
    let (header, rest) = good.split_once('.').expect("a header");
    let (payload, signature) = rest.split_once('.').expect("a payload");
    let of = |name, token: String, native, ours| of_key(name, rs, token, native, ours);
    let header_of = |name, header: &str, native, ours| {
        of(name, signed(rs, header, &format!("{{{EXAMPLE}}}")), native, ours)
    };
    let claim = |name, claim: &str, native, ours| {
        of(name, plain(rs, &format!("{{{EXAMPLE},{claim}}}")), native, ours)
    };
    let instead = |name, payload: &str, native, ours| of(name, plain(rs, payload), native, ours);
    const TEXT: &str = "a NumericDate is a number, and any finite one (RFC 7519, section 2)";
    vec![
        of(
            "parse: GoodJwt",
            signed(
                rs,
                r#"{"alg":"RS256","typ":"JWT","customheader":"abc"}"#,
                &format!(r#"{{{EXAMPLE},"jti":"identity","custompayload":1234}}"#),
            ),
            true,
            "ok",
        ),
        Case {
            audiences: &["aud1"],
            ..claim("parse: GoodJwtWithMultiAud", r#""aud":["aud1","aud2"]"#, true, "ok")
        },
        claim(
            "parse: GoodNestedJwt",
            r#""nested":{"key-1":"value1","nested-2":{"key-3":true,"key-4":9999}}"#,
            true,
            "ok",
        ),
        instead(
            "parse: GoodJwtLongClaim",
            &format!(r#"{{"iss":"https://example.com","sub":"{}"}}"#, "xyz".repeat(2700)),
            true,
            "ok",
        ),
        of("parse: TestEmptyJwt", String::new(), false, "token_parts"),
        of("parse: TestTooManySections", "aaa.bbb.ccc.ddd.eee".to_owned(), false, "token_parts"),
        of("parse: TestTooLargeJwt", "c".repeat(10_240), false, "token_parts"),
        of(
            "parse: TestParseHeaderBadBase64",
            format!("{header}+.{payload}.{signature}"),
            false,
            "token_encoding",
        ),
        header_of(
            "parse: TestParseHeaderBadJson",
            r#"{"alg":"RS256","typ":"JWT", this is no json}"#,
            false,
            "token_header",
        ),
        header_of("parse: TestParseHeaderAbsentAlg", r#"{"typ":"JWT"}"#, false, "token_algorithm"),
        header_of(
            "parse: TestParseHeaderAlgIsNotString",
            r#"{"alg":256,"typ":"JWT"}"#,
            false,
            "token_algorithm",
        ),
        header_of(
            "parse: TestParseHeaderInvalidAlg",
            r#"{"alg":"InvalidAlg","typ":"JWT"}"#,
            false,
            "token_algorithm",
        ),
        header_of(
            "parse: TestParseHeaderBadFormatKid",
            r#"{"alg":"RS256","typ":"JWT","kid":1}"#,
            false,
            "token_key_id",
        ),
        of(
            "parse: TestParsePayloadBadBase64",
            format!("{header}.{payload}+.{signature}"),
            false,
            "token_encoding",
        ),
        instead("parse: TestParsePayloadBadJson", "this is not a json", false, "token_claims"),
        instead(
            "parse: TestParsePayloadIssNotString",
            r#"{"iss":true,"sub":"test_subject"}"#,
            false,
            "token_claims",
        ),
        instead(
            "parse: TestParsePayloadSubNotString",
            r#"{"iss":"https://example.com","sub":123456}"#,
            false,
            "token_claims",
        ),
        claim("parse: TestParsePayloadIatNotInteger", r#""iat":"123456789""#, false, "token_claims"),
        Case { why: TEXT, ..claim("parse: TestParsePayloadIatNotPositive", r#""iat":-12345"#, false, "ok") },
        claim("parse: TestParsePayloadIatTooBig", r#""iat":2.001e+206"#, false, "token_issued_in_future"),
        claim("parse: TestParsePayloadIatDecimalsDrop", r#""iat":1234.5678"#, true, "ok"),
        claim("parse: TestParsePayloadNbfNotInteger", r#""nbf":"123456789""#, false, "token_claims"),
        Case { why: TEXT, ..claim("parse: TestParsePayloadNbfNotPositive", r#""nbf":-12345"#, false, "ok") },
        claim("parse: TestParsePayloadNbfTooBig", r#""nbf":2.001e+206"#, false, "token_not_yet_valid"),
        claim("parse: TestParsePayloadExpNotInteger", r#""exp":"123456789""#, false, "token_claims"),
        claim("parse: TestParsePayloadExpNotPositive", r#""exp":-12345"#, false, "token_expired"),
        Case { why: TEXT, ..claim("parse: TestParsePayloadExpTooBig", r#""exp":2.001e+206"#, false, "ok") },
        Case {
            why: "`jti` is nobody's here: it decides nothing and goes nowhere",
            ..claim("parse: TestParsePayloadJtiNotString", r#""jti":1234567"#, false, "ok")
        },
        claim("parse: TestParsePayloadAudInteger", r#""aud":1234567"#, false, "token_claims"),
        claim("parse: TestParsePayloadAudIntegerList", r#""aud":[1,2]"#, false, "token_claims"),
        of(
            "parse: InvalidSignature",
            format!("{header}.{payload}.invalid-signature"),
            false,
            "token_encoding",
        ),
    ]
}

fn times() -> Vec<Case> {
    let at = |name, claims: &str, now, native, ours| Case {
        now,
        ..of_key(name, Signs::EdDsa, plain(Signs::EdDsa, &format!("{{{EXAMPLE}{claims}}}")), native, ours)
    };
    let both = format!(r#","exp":{EXP},"nbf":{NBF}"#);
    let (exp, nbf) = (format!(r#","exp":{EXP}"#), format!(r#","nbf":{NBF}"#));
    vec![
        at("time: BothNbfExp, before exp", &both, EXP + 50, true, "ok"),
        at("time: BothNbfExp, after exp", &both, EXP + 70, false, "token_expired"),
        at("time: BothNbfExp, after nbf", &both, NBF - 50, true, "ok"),
        at("time: BothNbfExp, before nbf", &both, NBF - 70, false, "token_not_yet_valid"),
        at("time: OnlyExp, before", &exp, EXP + 50, true, "ok"),
        at("time: OnlyExp, after", &exp, EXP + 70, false, "token_expired"),
        at("time: OnlyExp, now is 0", &exp, 0, true, "ok"),
        at("time: OnlyNbf, after", &nbf, NBF - 50, true, "ok"),
        at("time: OnlyNbf, before", &nbf, NBF - 70, false, "token_not_yet_valid"),
        at("time: OnlyNbf, now is far", &nbf, 9_223_372_036_854_775_810, true, "ok"),
        at("time: NotTimeConstraint, now is 0", "", 0, true, "ok"),
        at("time: NotTimeConstraint, now is far", "", 9_223_372_036_854_775_810, true, "ok"),
        Case {
            why: "the first moment at which it no longer counts is `exp` itself, with the skew (RFC 7519, section 4.1.4)",
            ..at("time: the very moment", &exp, EXP + 60, true, "token_expired")
        },
    ]
}

fn audiences() -> Vec<Case> {
    const EXACT: &str = "a URI with a scheme or a slash more is another one (RFC 7519, section 4.1.3)";
    const ANY: &str =
        "a token that is meant for others is not for whoever has no name (RFC 7519, section 4.1.3)";
    let of = |name, ours_are, theirs: &str, native, ours, why| Case {
        audiences: ours_are,
        why,
        ..of_key(
            name,
            Signs::EdDsa,
            plain(Signs::EdDsa, &format!(r#"{{{EXAMPLE},"aud":{theirs}}}"#)),
            native,
            ours,
        )
    };
    vec![
        of("audience: MissingAudience", &["aud2", "aud3"], r#"["aud1"]"#, false, "token_audience", ""),
        of("audience: Success, one of them", &["aud1", "aud3"], r#"["aud1"]"#, true, "ok", ""),
        of("audience: Success, none configured", &[], r#"["aud1"]"#, true, "token_audience", ANY),
        of(
            "audience: TestAudiencesAllowedWhenNoAudiencesConfigured",
            &[],
            r#"["foo","bar"]"#,
            true,
            "token_audience",
            ANY,
        ),
        of("audience: TestAnyAudienceMatch", &["bar", "quux", "foo"], r#"["baz","quux"]"#, true, "ok", ""),
        of("audience: TestEmptyAudienceMatch", &["bar"], r#""bar""#, true, "ok", ""),
        of(
            "audience: TestConfigNotPrefixNotTailing",
            &["example_service"],
            r#""http://example_service""#,
            true,
            "token_audience",
            EXACT,
        ),
        of(
            "audience: TestConfigNotPrefixNotTailing, slash",
            &["example_service"],
            r#""example_service/""#,
            true,
            "token_audience",
            EXACT,
        ),
        of(
            "audience: TestConfigHttpPrefixNotTailing",
            &["http://example_service"],
            r#""https://example_service""#,
            true,
            "token_audience",
            EXACT,
        ),
        of(
            "audience: TestConfigHttpsPrefixWithTailing",
            &["https://example_service/"],
            r#""https://example_service""#,
            true,
            "token_audience",
            EXACT,
        ),
    ]
}

/// What the suites ask of each type of key: RSA with both paddings, ECDSA, Ed25519, HMAC.
fn key_types() -> Vec<Case> {
    let mut cases = Vec::new();
    let payload = format!("{{{EXAMPLE}}}");
    for by in [
        Signs::Rs256,
        Signs::Rs384,
        Signs::Rs512,
        Signs::Ps256,
        Signs::Ps384,
        Signs::Ps512,
        Signs::Es256,
        Signs::Es384,
        Signs::EdDsa,
        Signs::Hs256,
    ] {
        let header = |kid: &str| format!(r#"{{"alg":"{}","kid":"{kid}"}}"#, by.name());
        let named = |kid: &str| jwk(by, &json!({ "kid": kid, "alg": by.name() }));
        let both = json!([named("abc"), named("xyz")]);
        let of = |name, token, keys: &Value, native, ours, why| Case {
            name,
            token,
            now: NBF,
            audiences: &[],
            keys: keys.clone(),
            native,
            ours,
            why,
        };
        let token = signed(by, &header("abc"), &payload);
        cases.push(of("keys: KidOK", token.clone(), &both, true, "ok", ""));
        cases.push(of("keys: NoKidOK", plain(by, &payload), &both, true, "ok", ""));
        cases.push(of(
            "keys: NonExistKidFail",
            signed(by, &header("abcdef"), &payload),
            &both,
            false,
            "token_unknown_key",
            "",
        ));
        let without = json!([jwk(by, &json!({ "kid": "abc" }))]);
        cases.push(of("keys: PubkeyNoAlgOK", token.clone(), &without, true, "ok", ""));
        let nameless = json!([jwk(by, &json!({ "alg": by.name() }))]);
        cases.push(of(
            "keys: PubkeyNoKidOK",
            token.clone(),
            &nameless,
            true,
            "token_unknown_key",
            "a token that names its key is verified with that key or none; a nameless one is not it",
        ));
        let other = if by == Signs::Rs256 { "PS256" } else { "RS256" };
        let unfit = json!([jwk(by, &json!({ "kid": "abc", "alg": other }))]);
        cases.push(of("keys: a key for another algorithm", token.clone(), &unfit, false, "refused", ""));
        let cut = token
            .rsplit_once('.')
            .map(|(head, _)| format!("{head}.{}", base64url([7; 9])))
            .expect("a signature");
        cases.push(of("keys: a signature of another length", cut, &both, false, "token_signature", ""));
    }
    cases
}

#[test]
fn au_5_envoy_s_own_cases_are_judged_as_envoy_does_or_otherwise_for_a_reason() {
    let mut wrong = String::new();
    let (mut all, mut differing) = (0, 0);
    for case in parsing().into_iter().chain(times()).chain(audiences()).chain(key_types()) {
        let judged = judged(&case);
        all += 1;
        differing += usize::from((judged == "ok") != case.native);
        let as_told = judged == case.ours || (case.ours == "refused" && judged != "ok");
        if !as_told || ((judged == "ok") == case.native) != case.why.is_empty() {
            let _ = writeln!(
                wrong,
                "{}: {judged}, expected {}; Envoy takes it: {}",
                case.name, case.ours, case.native
            );
        }
    }
    assert_eq!(wrong, "");
    assert!(all > 100 && differing < 30, "{differing} of {all} differ");
}

/// As Envoy's tests do with each good token: every bit of the signature, and its length.
#[test]
fn au_5_no_signature_with_a_bit_changed_or_of_another_length_is_good() {
    let payload = format!("{{{EXAMPLE}}}");
    for by in [Signs::Rs256, Signs::Ps256, Signs::Es256, Signs::Es384, Signs::EdDsa, Signs::Hs256] {
        let token = plain(by, &payload);
        let (head, _) = token.rsplit_once('.').expect("a signature");
        let keys = keys();
        let key = keys.iter().find(|key| key.algorithms().contains(&by)).expect("such a key");
        let good = key.sign(by, head.as_bytes()).expect("it signs");
        let verdict =
            |signature: &[u8]| judged(&of_key("", by, format!("{head}.{}", base64url(signature)), false, ""));
        assert_eq!(verdict(&good), "ok", "{by:?}");
        for byte in 0..good.len() {
            let mut changed = good.clone();
            changed[byte] ^= 1 << (byte % 8);
            assert_eq!(verdict(&changed), "token_signature", "{by:?}, byte {byte}");
        }
        for other in
            [&good[1..], &good[..good.len() - 1], &[&good[..], &[0]].concat(), &[&[0], &good[..]].concat()]
        {
            assert_eq!(verdict(other), "token_signature", "{by:?}, {} bytes", other.len());
        }
    }
}
