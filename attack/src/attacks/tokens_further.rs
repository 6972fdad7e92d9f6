//! Tokens beyond the 28: keys that are named, lengths, numbers, and JSON that parsers read differently.

use serde_json::{Value, json};

use super::{
    Attacks, Group, Must,
    drafts::Draft,
    tokens::{Minter, NO_KEY, RSA},
};
use crate::{
    gateway::{Issuer, Provider},
    keys::{Algorithm, Key, mac, p256_other_s},
    token::compact,
};

/// Keys that nobody has reason to trust.
const STRANGERS: &str = include_str!("../strangers.json");

pub(super) fn add(attacks: &mut Attacks, provider: &Provider, issuer: &Issuer, now: u64) {
    let mut minter = Minter { attacks, provider, issuer, group: Group::FurtherTokens, now };
    strangers(&mut minter);
    let Some(draft) = minter.draft(&Algorithm::ALL) else {
        minter.attacks.skip(Group::FurtherTokens, &provider.name, NO_KEY);
        return;
    };
    kids(&mut minter, &draft);
    signatures(&mut minter, &draft);
    other_objects(&mut minter, &draft);
    json_of_claims(&mut minter, &draft);
    json_of_header(&mut minter, &draft);
    times(&mut minter, &draft);
    audiences(&mut minter, &draft);
}

/// Tokens that bring the key they are to be checked with.
fn strangers(minter: &mut Minter<'_>) {
    let keys: Value = serde_json::from_str(STRANGERS).unwrap_or_default();
    let keys = keys.pointer("/keys").and_then(Value::as_array).cloned().unwrap_or_default();
    for (jwk, (name, algorithm)) in keys.iter().zip([("RSA", Algorithm::Rs256), ("EC", Algorithm::Es256)]) {
        let Ok(key) = Key::from_jwk(jwk) else { continue };
        let alone = Issuer {
            issuer: minter.issuer.issuer.clone(),
            audiences: minter.issuer.audiences.clone(),
            algorithms: vec![algorithm],
            typ: minter.issuer.typ.clone(),
            sources: minter.issuer.sources.clone(),
            keys: vec![key],
            claims: minter.issuer.claims.clone(),
        };
        let Some(draft) = alone.draft(algorithm, minter.now) else { continue };
        let mut refuse = |what: &str, rule, draft: Draft<'_>| {
            minter.add(&format!("{what}, {name}"), Must::Refuse, rule, draft.token());
        };
        let public = draft.key.public_jwk();
        refuse("a stranger's key", "RFC 7515, 5.2", draft.clone());
        refuse("a stranger's key without kid", "RFC 7515, 5.2", draft.clone().without("kid"));
        refuse("a stranger's key as jwk", "RFC 8725, 3.10", draft.clone().head("jwk", public));
        let url = "http://127.0.0.1:9/jwks.json";
        refuse("a stranger's key at jku", "RFC 8725, 3.10", draft.clone().head("jku", url));
        refuse("a stranger's key at x5u", "RFC 8725, 3.10", draft.clone().head("x5u", url));
        refuse("a stranger's key as x5c", "RFC 8725, 3.10", draft.clone().head("x5c", json!(["AAAA"])));
    }
}

fn kids(minter: &mut Minter<'_>, draft: &Draft<'_>) {
    let long = "k".repeat(6000);
    let kids = [
        ("kid of a path", json!("../../dev/null")),
        ("kid of SQL", json!("' or '1'='1")),
        ("kid that is empty", json!("")),
        ("kid that is a number", json!(1)),
        ("kid that is null", Value::Null),
        ("kid that is a list", json!(["lab-rsa"])),
        ("kid of 6000 bytes", json!(long)),
        ("kid with a zero byte after it", json!(format!("{}\0", draft.key.kid().unwrap_or_default()))),
        ("kid in capitals", json!(draft.key.kid().unwrap_or("k").to_uppercase())),
    ];
    for (name, kid) in kids {
        minter.add(name, Must::Refuse, "RFC 7515, 4.1.4", draft.clone().head("kid", kid).token());
    }
    // An empty key is what `/dev/null` holds.
    let empty = draft.clone().head("kid", "../../dev/null").head("alg", "HS256");
    let token = empty.signed_by(|input| mac(&[], Algorithm::Hs256, input).unwrap_or_default());
    minter.add("HS256 with an empty key", Must::Refuse, "RFC 8725, 3.1", token);
}

fn signatures(minter: &mut Minter<'_>, draft: &Draft<'_>) {
    let rule = "RFC 7518, 3.4";
    let ec = minter.draft(&[Algorithm::Es256]);
    let with = |sign: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        ec.as_ref().map(|draft| draft.signed_by(|input| sign(draft.sign(input))))
    };
    minter.add_if("ECDSA with r = s = 0", "CVE-2022-21449", with(&|_| vec![0; 64]), NO_KEY);
    minter.add_if("ECDSA with r = 0", rule, with(&|good| [&[0; 32], &good[32..]].concat()), NO_KEY);
    minter.add_if(
        "ECDSA with s of all ones",
        rule,
        with(&|good| [&good[..32], &[0xff; 32]].concat()),
        NO_KEY,
    );
    minter.add_if(
        "ECDSA with a zero byte before",
        rule,
        with(&|good| [&[0], good.as_slice()].concat()),
        NO_KEY,
    );
    minter.add_if("ECDSA cut by a byte", rule, with(&|good| good[..63].to_vec()), NO_KEY);
    if let Some(token) = with(&|good| p256_other_s(&good)) {
        // RFC 7518 asks for no smaller half; a verifier may.
        minter.add("ECDSA with the other s", Must::Either, rule, token);
    }
    let rsa = minter.draft(&RSA);
    let with = |sign: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        rsa.as_ref().map(|draft| draft.signed_by(|input| sign(draft.sign(input))))
    };
    let rule = "RFC 8017, 8";
    minter.add_if(
        "RSA with a zero byte before",
        rule,
        with(&|good| [&[0], good.as_slice()].concat()),
        NO_KEY,
    );
    minter.add_if(
        "RSA cut by a byte",
        rule,
        with(&|good| good.split_last().map(|(_, rest)| rest.to_vec()).unwrap_or_default()),
        NO_KEY,
    );
    minter.add_if("RSA of zeros", rule, with(&|good| vec![0; good.len()]), NO_KEY);
    minter.add_if("RSA of 1", rule, with(&|good| [vec![0; good.len() - 1], vec![1]].concat()), NO_KEY);
    for (name, secret) in [
        ("SPKI", rsa.as_ref().and_then(|draft| draft.key.rsa_spki())),
        ("JWK", rsa.as_ref().map(|draft| draft.key.public_jwk().to_string().into_bytes())),
    ] {
        let token = rsa.as_ref().zip(secret).map(|(draft, secret)| {
            let sign = |input: &[u8]| mac(&secret, Algorithm::Hs256, input).unwrap_or_default();
            draft.clone().head("alg", "HS256").signed_by(sign)
        });
        minter.add_if(&format!("HS256 with the RSA key's {name} as secret"), "RFC 8725, 3.1", token, NO_KEY);
    }
    minter.add("no signature", Must::Refuse, "RFC 7515, 5.2", draft.signed_by(|_| Vec::new()));
    let text = draft.signed_by(|input| draft.sign(input));
    minter.add("a byte after the signature", Must::Refuse, "RFC 7515, 5.2", format!("{text}AA"));
    let lower = draft.clone().head("alg", draft.algorithm.name().to_lowercase()).token();
    minter.add("alg in lower case", Must::Refuse, "RFC 7515, 4.1.1", lower);
    for (name, value) in
        [("a list", json!([draft.algorithm.name()])), ("null", Value::Null), ("empty", json!(""))]
    {
        minter.add(
            &format!("alg that is {name}"),
            Must::Refuse,
            "RFC 7515, 4.1.1",
            draft.clone().head("alg", value).token(),
        );
    }
    minter.add("no alg", Must::Refuse, "RFC 7515, 4.1.1", draft.clone().without("alg").token());
}

/// What is no JWS of claims at all.
fn other_objects(minter: &mut Minter<'_>, draft: &Draft<'_>) {
    let good = draft.token();
    let jwe = draft.clone().head("enc", "A256GCM").head("alg", "dir").token();
    minter.add("a JWE's five parts", Must::Refuse, "RFC 7516, 7.1", format!("{jwe}.AAAA.AAAA"));
    minter.add(
        "enc in three parts",
        Must::Refuse,
        "RFC 7516, 4.1.2",
        draft.clone().head("enc", "A256GCM").token(),
    );
    minter.add("zip", Must::Refuse, "RFC 7516, 4.1.3", draft.clone().head("zip", "DEF").token());
    let nested = draft.clone().head("cty", "JWT").with_payload(good.as_bytes());
    minter.add("a token in a token", Must::Refuse, "RFC 7519, 5.2", nested);
    let flat = good.split('.').collect::<Vec<_>>();
    if let [header, payload, signature] = flat.as_slice() {
        let flat = json!({ "protected": header, "payload": payload, "signature": signature }).to_string();
        minter.add("the JSON serialisation", Must::Refuse, "RFC 7515, 7.2", flat);
        minter.add("two parts", Must::Refuse, "RFC 7515, 7.1", format!("{header}.{payload}"));
        minter.add("an empty payload", Must::Refuse, "RFC 7519, 7.2", format!("{header}..{signature}"));
        minter.add(
            "percent signs for dots",
            Must::Refuse,
            "RFC 7515, 7.1",
            format!("{header}%2E{payload}%2E{signature}"),
        );
    }
    minter.add("an empty token", Must::Refuse, "RFC 6750, 2.1", "");
    minter.add("dots alone", Must::Refuse, "RFC 7515, 7.1", "..");
}

fn json_of_claims(minter: &mut Minter<'_>, draft: &Draft<'_>) {
    let open = draft.open_claims();
    let rule = "RFC 7519, 7.2";
    let deep = format!("{open},\"x\":{}{}}}", "[".repeat(1500), "]".repeat(1500));
    let digits = format!("{open},\"x\":{}}}", "9".repeat(3000));
    let payloads: Vec<(&str, Must, Vec<u8>)> = vec![
        ("claims that are a list", Must::Refuse, b"[]".to_vec()),
        ("claims that are text", Must::Refuse, b"\"x\"".to_vec()),
        ("claims that are no JSON", Must::Refuse, b"{".to_vec()),
        ("claims with text after them", Must::Refuse, format!("{open}}}x").into_bytes()),
        ("claims with a comma too many", Must::Refuse, format!("{open},}}").into_bytes()),
        ("claims with a comment", Must::Refuse, format!("{open}/**/}}").into_bytes()),
        ("claims with a byte order mark", Must::Refuse, format!("\u{feff}{open}}}").into_bytes()),
        ("claims with a lone surrogate", Must::Refuse, format!("{open},\"x\":\"\\ud800\"}}").into_bytes()),
        ("claims that are not UTF-8", Must::Refuse, [open.as_bytes(), b",\"x\":\"\xff\"}"].concat()),
        ("claims with a number without an end", Must::Refuse, format!("{open},\"exp\":1e400}}").into_bytes()),
        ("a name twice, once escaped", Must::Refuse, format!("{open},\"\\u0073ub\":\"root\"}}").into_bytes()),
        ("claims 1500 deep", Must::Refuse, deep.into_bytes()),
        // Long, but a number, and nobody asks for it.
        ("a number of 3000 digits", Must::Either, digits.into_bytes()),
    ];
    for (name, must, payload) in payloads {
        minter.add(name, must, rule, draft.with_payload(&payload));
    }
}

fn json_of_header(minter: &mut Minter<'_>, draft: &Draft<'_>) {
    let open = draft.open_header();
    let rule = "RFC 7515, 5.2";
    let headers: [(&str, Vec<u8>); 5] = [
        ("a header member twice", format!("{open},\"alg\":\"none\"}}").into_bytes()),
        ("a header that is a list", b"[]".to_vec()),
        ("a header that is not UTF-8", [open.as_bytes(), b",\"x\":\"\xff\"}"].concat()),
        ("a header with text after it", format!("{open}}}x").into_bytes()),
        (
            "a header 1500 deep",
            format!("{open},\"x\":{}{}}}", "[".repeat(1500), "]".repeat(1500)).into_bytes(),
        ),
    ];
    for (name, header) in headers {
        minter.add(name, Must::Refuse, rule, draft.with_header(&header));
    }
    let crit = |value: Value| draft.clone().head("crit", value).token();
    minter.add("crit that is a text", Must::Refuse, "RFC 7515, 4.1.11", crit(json!("alg")));
    minter.add("crit that names alg", Must::Refuse, "RFC 7515, 4.1.11", crit(json!(["alg"])));
    minter.add("crit that is null", Must::Refuse, "RFC 7515, 4.1.11", crit(Value::Null));
    let inside = compact(format!("{open}}}").as_bytes(), b"", |input| draft.sign(input));
    minter.add("a payload of nothing", Must::Refuse, "RFC 7519, 7.2", inside);
    minter.add("b64 without crit", Must::Refuse, "RFC 7797, 6", draft.clone().head("b64", false).token());
}

fn times(minter: &mut Minter<'_>, draft: &Draft<'_>) {
    let now = draft.now;
    let rule = "RFC 7519, 4.1";
    let day = 24 * 3600;
    let mut add = |name, must, draft: Draft<'_>| minter.add(name, must, rule, draft.token());
    add("nbf in a day", Must::Refuse, draft.clone().claim("nbf", now + day));
    add("iat in a day", Must::Refuse, draft.clone().claim("iat", now + day).claim("exp", now + 2 * day));
    add("nbf as a string", Must::Refuse, draft.clone().claim("nbf", "0"));
    add("exp as null", Must::Refuse, draft.clone().claim("exp", Value::Null));
    add("exp as true", Must::Refuse, draft.clone().claim("exp", true));
    add("exp of -1", Must::Refuse, draft.clone().claim("exp", -1));
    // Beyond 31 and 33 bits, and beyond what a float tells apart: nothing may wrap round.
    add("exp of 2^33", Must::Either, draft.clone().claim("exp", 1_u64 << 33));
    add("exp of 2^31 - 1", Must::Either, draft.clone().claim("exp", (1_u64 << 31) - 1));
    add("iat of 2^63", Must::Refuse, draft.clone().claim("iat", 1_u64 << 63));
    add("exp with a fraction", Must::Either, draft.clone().claim("exp", now as f64 + 60.5));
    let wraps = format!("{},\"exp\":18446744073709551617}}", draft.clone().without("exp").open_claims());
    minter.add("exp of 2^64 + 1", Must::Either, rule, draft.with_payload(wraps.as_bytes()));
}

fn audiences(minter: &mut Minter<'_>, draft: &Draft<'_>) {
    let Some(audience) = minter.issuer.audiences.first().cloned() else { return };
    let rule = "RFC 7519, 4.1.3";
    let mut add =
        |name, must, value: Value| minter.add(name, must, rule, draft.clone().claim("aud", value).token());
    add("another audience", Must::Refuse, json!("elsewhere"));
    add("the audience with something after it", Must::Refuse, json!(format!("{audience}/")));
    if audience.to_uppercase() != audience {
        add("the audience in capitals", Must::Refuse, json!(audience.to_uppercase()));
    }
    add("no audience in the list", Must::Refuse, json!([]));
    add("the audience in a list in a list", Must::Refuse, json!([[audience]]));
    add("a list that is not all texts", Must::Refuse, json!([audience, 1]));
    add("an object as audience", Must::Refuse, json!({ "0": audience }));
    add("the audience among others", Must::Pass, json!(["elsewhere", audience]));
    minter.add("no audience", Must::Refuse, rule, draft.clone().without("aud").token());
    let twice = format!("{},\"aud\":{}}}", draft.open_claims(), json!(audience));
    minter.add("the audience twice", Must::Refuse, rule, draft.with_payload(twice.as_bytes()));
    minter.add("no claims", Must::Refuse, "RFC 7519, 7.2", draft.with_payload(b"{}"));
}
