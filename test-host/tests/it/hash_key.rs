//! `wayside hash-key`: what it prints is what the filter takes, and what it is told is told to nobody.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use wayside::scenario;

struct Run {
    status: i32,
    out: String,
    err: String,
}

const PEPPER: &str = "a-pepper-of-thirty-two-bytes-and-more";

fn hash_key(arguments: &str, input: &[u8]) -> Run {
    let mut process = Command::new(env!("CARGO_BIN_EXE_wayside"))
        .arg("hash-key")
        .args(arguments.split_whitespace())
        .env("PEPPER", PEPPER)
        .env("SHORT", "short")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // Who refuses its arguments reads nothing.
    drop(process.stdin.take().expect("a pipe").write_all(input));
    let output = process.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Run {
        status: output.status.code().expect("it ends by itself"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// What the filter answers to requests with these headers, with an entry as it was printed.
fn answers(printed: &str, credentials: &[String]) -> Vec<u16> {
    let told: Value = serde_json::from_str(printed).expect("JSON");
    let mut provider = json!({ "kind": told["kind"] });
    provider[told["list"].as_str().expect("a list")] = json!([told["entry"]]);
    if told["kind"] == "api_key" {
        provider["sources"] = json!([{ "header": "x-api-key" }]);
    }
    for (field, value) in told["provider_needs"].as_object().expect("an object") {
        provider[field] = value.clone();
    }
    let exchanges: Vec<Value> =
        credentials.iter().map(|line| json!({ "request": "GET /", "headers": [line] })).collect();
    let scenario = json!({
        "about": "An entry that was made.",
        "chain": [{
            "module": "header_auth",
            "environment": { "PEPPER": PEPPER },
            "config": { "version": 1, "providers": { "p": provider }, "defaults": { "require": { "any": ["p"] } } },
        }],
        "exchanges": exchanges,
    });
    let replay = scenario::natively(&scenario.to_string(), &[("header_auth", header_auth::wayside_vm as _)]);
    let status = |outcome: &wayside::proxy::Outcome| {
        let response = outcome.downstream_response.as_ref()?;
        std::str::from_utf8(response.headers.first(b":status")?).ok()?.parse().ok()
    };
    replay.expect("a scenario").outcomes().map(|outcome| status(outcome).expect("a status")).collect()
}

const KEY: &str = "qM3sB0t9_x-2vYwLrT7uHd";

#[test]
fn what_is_printed_for_a_key_lets_that_key_in_and_no_other() {
    let whole = |key: &str| format!("x-api-key: {key}");
    let named = |key: &str| format!("x-api-key: acme.{key}");
    for (arguments, shown) in [
        ("", whole as fn(&str) -> String),
        ("--pepper-env PEPPER", whole),
        (
            "--as hmac_sha256 --pepper-env PEPPER --scope a:read --scope b --not-after 2999-01-01T00:00:00Z",
            whole,
        ),
        ("--as bcrypt --cost 4", named),
        ("--as argon2id --memory-kib 8 --passes 1", named),
    ] {
        let run = hash_key(&format!("--id acme --json {arguments}"), format!("{KEY}\n").as_bytes());
        assert_eq!(run.status, 0, "{}", run.err);
        assert!(!run.out.contains(KEY) && !run.err.contains(KEY));
        let other = KEY.replace('q', "Q");
        assert_eq!(
            answers(&run.out, &[shown(KEY), shown(&other), shown("")]),
            [200, 401, if arguments.contains("--as b") || arguments.contains("argon") { 401 } else { 400 }],
            "{arguments}"
        );
    }
}

#[test]
fn what_is_printed_for_a_password_lets_that_user_in_and_no_other() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let basic = |user: &str, password: &str| {
        format!("authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")))
    };
    for arguments in ["--memory-kib 8 --passes 1", "--as bcrypt --cost 4", "--as sha256_salted", "--as sha1"]
    {
        let run = hash_key(&format!("--user ann --json {arguments}"), "pass wörd: with all\r\n".as_bytes());
        assert_eq!(run.status, 0, "{}", run.err);
        let shown = [
            basic("ann", "pass wörd: with all"),
            basic("ann", "pass wörd: with al"),
            basic("bob", "pass wörd: with all"),
        ];
        assert_eq!(answers(&run.out, &shown), [200, 401, 401], "{arguments}");
    }
}

#[test]
fn an_entry_is_one_line_and_a_salt_is_never_the_same() {
    let run = hash_key("--id acme --scope a", KEY.as_bytes());
    assert_eq!(
        run.out,
        "{\"id\":\"acme\",\"sha256\":\"382324e625ccecf87bbef860e05a8f405c725c607504e9a66290f839218808bb\",\"scopes\":[\"a\"]}\n"
    );
    assert_eq!(run.err, "");
    let salted = || hash_key("--user ann --as sha256_salted", b"word").out;
    assert_ne!(salted(), salted());
    let hinted = hash_key("--id acme", b"word").err;
    assert!(hinted.contains("random keys"), "{hinted}");
}

#[test]
fn what_could_never_work_is_refused_and_no_secret_is_repeated() {
    for (arguments, input, told) in [
        ("", "word", "--id"),
        ("--id a --user b", "word", "cannot be used with"),
        ("--id a word", "word", "unexpected argument"),
        ("--id a", "", "an empty secret protects nothing"),
        ("--id a", "\n", "an empty secret protects nothing"),
        ("--id a", "two words", "expected visible ASCII characters"),
        ("--id a", "word\nword", "expected one line"),
        ("--id a --as sha1", "word", "keys are stored as"),
        ("--user a --as sha256", "word", "users are stored as"),
        ("--user a:b", "word", "a `:`"),
        ("--user a --not-after 2027-01-01T00:00:00Z", "word", "only keys have it"),
        ("--id a --not-after 2027-01-01", "word", "--not-after"),
        ("--id a --scope a\\b", "word", "--scope"),
        ("--id a --as hmac_sha256", "word", "needs --pepper-env"),
        ("--id a --pepper-env NOBODY_HAS_THIS", "word", "no variable"),
        ("--id a --pepper-env SHORT", "word", "5 bytes in SHORT, expected 32"),
        ("--id a --as sha256 --pepper-env PEPPER", "word", "goes with"),
        ("--id a --as bcrypt --cost 13", "word", "these costs"),
        ("--id a --as argon2id --memory-kib 65537", "word", "these costs"),
    ] {
        let run = hash_key(arguments, input.as_bytes());
        assert_eq!((run.status, run.out.as_str()), (2, ""), "{arguments}: {}", run.err);
        assert!(run.err.contains(told), "{arguments}: {}", run.err);
        assert!(!run.err.contains("two words"), "{}", run.err);
    }
    let long = hash_key("--id a", &[b'a'; 65_537]);
    assert_eq!(long.status, 2, "{}", long.err);
    let bcrypt = hash_key("--id a --as bcrypt --cost 4", &[b'a'; 73]);
    assert!(bcrypt.err.contains("72 bytes"), "{}", bcrypt.err);
}
