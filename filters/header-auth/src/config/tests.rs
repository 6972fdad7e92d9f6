//! Configurations as text: the shipped example, and one mistake at a time.

use expect_test::{Expect, expect};

use super::*;

const KEY: &str =
    r#"{"id": "a", "sha256": "926127796474a6572024f4aee57ba875864dc88ecbabe40e5e17d8f638c691c6"}"#;

fn refusal(text: &str) -> String {
    match Config::parse(text.as_bytes()) {
        Ok(_) => "accepted".to_owned(),
        Err(errors) => errors.to_string(),
    }
}

/// A configuration with one provider `p`, these keys, and `more` fields.
fn with(keys: &str, more: &str) -> String {
    format!(
        r#"{{"version": 1, "providers": {{"p": {{"kind": "api_key", "sources": [{{"header": "x-api-key"}}], "keys": [{keys}]}}}}{more}}}"#
    )
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&refusal(text));
}

const OPEN: &str = r#", "defaults": {"require": "none"}"#;

#[test]
fn the_shipped_example_is_accepted() {
    let config = Config::parse(include_bytes!("../../example.json")).unwrap();
    assert_eq!(config.mode, Mode::Enforce);
    assert_eq!(config.policy.rules.iter().count(), 2);
    assert_eq!(config.policy.identity.subject, "x-auth-subject");
}

#[test]
fn what_is_shown_of_a_configuration_holds_no_whole_digest() {
    let shown = format!("{:?}", Config::parse(include_bytes!("../../example.json")).unwrap());
    assert!(shown.contains("926127…") && shown.contains("31898c…"), "{shown}");
    for secret in ["9261277", "31898cf", "f1fc6d9"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn nothing_is_open_by_omission() {
    let expected = expect![[
        r#"/defaults/require: expected "none", {"any": […]}, {"all": […]} or {"optional": […]}: nothing is open by omission, found none"#
    ]];
    check(r#"{"version": 1}"#, expected);
    check(&with(KEY, OPEN), expect!["accepted"]);
}

#[test]
fn plaintext_is_refused_without_being_repeated() {
    for (field, value) in
        [("key", "\"hunter2\""), ("secret", "\"hunter2\""), ("password", "{\"x\": \"hunter2\"}")]
    {
        let message = refusal(&with(&format!(r#"{{"id": "a", "{field}": {value}}}"#), OPEN));
        assert!(
            message.starts_with(&format!("/providers/p/keys/0/{field}: plaintext credentials are refused")),
            "{message}"
        );
        assert!(!message.contains("hunter2"), "{message}");
    }
    let user = r#"{"version": 1, "providers": {"p": {"kind": "basic", "users": [{"name": "a", "password": "hunter2"}]}}}"#;
    let message = refusal(user);
    assert!(message.starts_with("/providers/p/users/0/password: plaintext"), "{message}");
}

#[test]
fn a_secret_in_the_place_of_its_digest_is_not_repeated() {
    check(
        &with(r#"{"id": "a", "sha256": "hunter2"}"#, OPEN),
        expect!["/providers/p/keys/0/sha256: expected 64 hexadecimal digits, found 7 characters (not shown)"],
    );
}

#[test]
fn keys_are_checked_one_by_one() {
    check(&with("", OPEN), expect!["/providers/p/keys: expected at least one key, found none"]);
    check(
        &with(&format!("{KEY}, {KEY}"), OPEN),
        expect!["/providers/p/keys/1: expected each digest once, found one that is there already"],
    );
    let nothing =
        r#"{"id": "a", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#;
    check(
        &with(nothing, OPEN),
        expect!["/providers/p/keys/0/sha256: expected the digest of a secret, found the digest of nothing"],
    );
    let times = r#", "not_before": "2027-01-01T00:00:00Z", "not_after": "2026-01-01T00:00:00Z"}"#;
    check(
        &with(&KEY.replace('}', times), OPEN),
        expect!["/providers/p/keys/0/not_after: expected a time after `not_before`, found an earlier one"],
    );
    check(
        &with(&KEY.replace('}', r#", "not_after": "tomorrow"}"#), OPEN),
        expect![[
            r#"/providers/p/keys/0/not_after: expected a time from 1970 on in UTC, such as "2027-01-01T00:00:00Z", found another value (not shown)"#
        ]],
    );
    check(
        &with(&KEY.replace('}', r#", "scopes": ["a b"]}"#), OPEN),
        expect![[
            r#"/providers/p/keys/0/scopes/0: expected a scope of visible ASCII characters without " and \, found another value (not shown)"#
        ]],
    );
}

#[test]
fn sources_are_places_that_hold_one_credential() {
    let with = |source: &str| with(KEY, OPEN).replace(r#"{"header": "x-api-key"}"#, source);
    for good in [
        r#"{"header": "X-Key"}"#,
        r#"{"header": "Authorization", "scheme": "Bearer"}"#,
        r#"{"query": "k"}"#,
        r#"{"cookie": "k"}, {"query": "k"}"#,
    ] {
        assert_eq!(refusal(&with(good)), "accepted", "{good}");
    }
    for (bad, place) in [
        ("", "/providers/p/sources: expected at least one source"),
        (r#"{"header": "authorization"}"#, "/providers/p/sources/0: expected a `scheme`"),
        (r#"{"header": "authorization", "scheme": "basic"}"#, "/providers/p/sources/0/scheme"),
        (r#"{"header": "x-key", "scheme": "Bearer"}"#, "/providers/p/sources/0/scheme"),
        (r#"{"header": "cookie"}"#, "/providers/p/sources/0/header: expected the source `cookie`"),
        (r#"{"header": ":path"}"#, "/providers/p/sources/0/header"),
        (
            r#"{"header": "X_Auth_Key"}"#,
            "/providers/p/sources/0/header: expected a header outside of `identity`",
        ),
        (r#"{"query": "a b"}"#, "/providers/p/sources/0/query"),
        (r#"{"query": "a", "cookie": "a"}"#, "/providers/p/sources/0: expected one of"),
        (r#"{"query": "a"}, {"query": "a"}"#, "/providers/p/sources/1: expected each source once"),
        (r#"{"body": "a"}"#, "/providers/p/sources/0/body: unknown field"),
    ] {
        let message = refusal(&with(bad));
        assert!(message.starts_with(place), "{bad}: {message}");
    }
}

#[test]
fn kinds_and_fields_of_later_versions_are_refused_today() {
    check(
        r#"{"version": 1, "providers": {"corp": {"kind": "oidc"}}, "defaults": {"require": {"any": ["corp"]}}}"#,
        expect![
            "/providers/corp/kind: expected `api_key`, `basic`, `hmac`, `http_signature`, `jwt` or `mtls`, the kinds this version has, found another value (not shown)"
        ],
    );
    for (more, place) in [
        (
            r#", "on_ambiguous_path": "strictest""#,
            "/on_ambiguous_path: expected one of `reject`, found another name (not shown)",
        ),
        (
            r#", "route_metadata_namespace": """#,
            "/route_metadata_namespace: expected 1 to 256 bytes without NUL",
        ),
        (
            r#", "on_bad_override": "allow""#,
            "/on_bad_override: expected one of `deny`, `default`, found another name",
        ),
    ] {
        let message = refusal(&with(KEY, &format!("{OPEN}{more}")));
        assert!(message.starts_with(place), "{message}");
    }
}

#[test]
fn each_key_has_one_hash_that_its_provider_allows() {
    let with = |key: &str, more: &str| {
        format!(
            r#"{{"version": 1, "providers": {{"p": {{"kind": "api_key", "sources": [{{"header": "k"}}], "keys": [{{"id": "a", {key}}}]{more}}}}}{OPEN}}}"#
        )
    };
    let hex = "926127796474a6572024f4aee57ba875864dc88ecbabe40e5e17d8f638c691c6";
    let bcrypt = r#""bcrypt": "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe""#;
    let (slow, named) = (r#", "allow_slow_hash": true"#, r#", "form": "id.secret""#);
    for (key, more, told) in [
        (format!(r#""hmac_sha256": "{hex}""#), r#", "pepper_env": "P""#.to_owned(), "accepted"),
        (bcrypt.to_owned(), format!("{slow}{named}"), "accepted"),
        (format!(r#""sha256": "{hex}""#), named.to_owned(), "accepted"),
        (r#""scopes": []"#.to_owned(), String::new(), "/providers/p/keys/0: expected one of `sha256`"),
        (
            format!(r#""sha256": "{hex}", {bcrypt}"#),
            format!("{slow}{named}"),
            "/providers/p/keys/0: expected one of",
        ),
        (
            format!(r#""hmac_sha256": "{hex}""#),
            String::new(),
            "/providers/p/keys/0/hmac_sha256: expected a `pepper_env`",
        ),
        (bcrypt.to_owned(), named.to_owned(), "/providers/p/keys/0/bcrypt: expected `allow_slow_hash`"),
        (bcrypt.to_owned(), slow.to_owned(), r#"/providers/p/keys/0: expected "form": "id.secret""#),
        (
            bcrypt.replace("$06$", "$13$"),
            format!("{slow}{named}"),
            "/providers/p/keys/0/bcrypt: expected $2b$",
        ),
        (format!(r#""id.": 1, "sha256": "{hex}""#), String::new(), "/providers/p/keys/0/id.: unknown field"),
        (
            r#""key": "hunter2""#.to_owned(),
            String::new(),
            "/providers/p/keys/0/key: plaintext credentials are refused",
        ),
    ] {
        let message = refusal(&with(&key, &more));
        assert!(message.starts_with(told) && !message.contains("hunter2"), "{key}{more}: {message}");
    }
    let plain = with(r#""key": "hunter2""#, "").replace(OPEN, &format!(r#"{OPEN}, "allow_plaintext": true"#));
    assert_eq!(refusal(&plain), "accepted");
}

#[test]
fn a_pepper_comes_from_the_vm_or_the_configuration_is_refused() {
    struct Given(Option<&'static [u8]>);
    impl Vm for Given {
        fn secret(&self, name: &str) -> Option<wayside_sdk::Redacted<Vec<u8>>> {
            self.0.filter(|_| name == "P").map(|value| value.to_vec().into())
        }

        fn random(&self) -> Option<[u8; 32]> {
            None
        }
    }
    let config = Config::parse(
        br#"{"version": 1, "providers": {"p": {"kind": "api_key", "sources": [{"header": "k"}], "pepper_env": "P",
            "keys": [{"id": "a", "hmac_sha256": "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"}]}},
            "defaults": {"require": {"any": ["p"]}}}"#,
    )
    .unwrap();
    let told = |value| config.arm(&Given(value)).err().map(|errors| errors.to_string()).unwrap_or_default();
    let wanted = "/providers/p/pepper_env: expected a variable of at least 32 bytes in `vm_config.environment_variables`, found";
    assert_eq!(told(None), format!("{wanted} none of that name"));
    assert_eq!(told(Some(b"short")), format!("{wanted} a shorter one"));
    assert_eq!(told(Some(&[7; 32])), "");
}

#[test]
fn rules_name_providers_that_exist_and_demands_that_can_be_met() {
    let require = |require: &str| with(KEY, &format!(r#", "defaults": {require}"#));
    for (bad, place) in [
        (
            r#"{"require": {"any": ["q"]}}"#,
            "/defaults/require/any/0: expected the name of a provider, found another value (not shown)",
        ),
        (r#"{"require": {"any": []}}"#, "/defaults/require/any: expected at least one provider"),
        (r#"{"require": {"all": ["p", "p"]}}"#, "/defaults/require/all/1: expected each provider once"),
        (
            r#"{"require": "some"}"#,
            "/defaults/require: expected one of `none`, `any`, `all`, `optional`, found another name (not shown)",
        ),
        (r#"{"require": "none", "authorize": {"subjects": ["a"]}}"#, "/defaults/authorize"),
        (r#"{"require": {"optional": ["p"]}, "authorize": {"subjects": ["a"]}}"#, "/defaults/authorize"),
        (r#"{"require": {"any": ["p"]}, "authorize": {}}"#, "/defaults/authorize: expected at least one of"),
        (r#"{"require": {"any": ["p"]}, "authorize": {"scopes_any": []}}"#, "/defaults/authorize/scopes_any"),
    ] {
        let message = refusal(&require(bad));
        assert!(message.starts_with(place), "{bad}: {message}");
    }
    let message = refusal(&with(KEY, &format!(r#"{OPEN}, "rules": [{{"config": {{"requires": "none"}}}}]"#)));
    assert!(message.starts_with("/rules/0/config/requires: unknown field"), "{message}");
}

#[test]
fn every_wrong_value_is_reported_at_once() {
    check(
        r#"{"version": 1, "identity": {"prefix": "x"}, "challenge_realm": "a\"b", "max_credential_bytes": 0,
            "metrics": {"prefix": "L7", "labels": ["subject"], "max_series": 0}, "defaults": {"require": "none"}}"#,
        expect![[r#"
            /identity/prefix: expected the start of a header name that ends with `-`, found another value (not shown)
            /challenge_realm: expected 1 to 128 visible ASCII characters without " and \, found another value (not shown)
            /metrics/prefix: expected 1 to 32 of a-z, 0-9 and _, found another value (not shown)
            /metrics/labels/0: expected `provider`, `reason` or `rule`, each once, found another value (not shown)
            /metrics/max_series: expected 1 to 100000, found 0
            /max_credential_bytes: expected 1 to 65536, found 0"#]],
    );
}

#[test]
fn identity_headers_are_three_and_not_those_of_http() {
    let with = |identity: &str| with(KEY, &format!(r#"{OPEN}, "identity": {identity}"#));
    assert_eq!(refusal(&with(r#"{"prefix": "X-User-", "headers": {"subject": "x-who"}}"#)), "accepted");
    for bad in [
        r#"{"headers": {"subject": "host"}}"#,
        r#"{"headers": {"subject": "x auth"}}"#,
        r#"{"headers": {"subject": "x-a", "scopes": "X-A"}}"#,
        r#"{"prefix": "x-auth"}"#,
    ] {
        assert!(refusal(&with(bad)).starts_with("/identity/"), "{bad}");
    }
}

/// One of everything that a configuration can hold.
const FULL: &str = r#"{
  "version": 1,
  "mode": "enforce",
  "providers": {
    "p": {
      "kind": "api_key",
      "sources": [{"header": "x-api-key"}, {"header": "authorization", "scheme": "Bearer"}, {"query": "k"}, {"cookie": "k"}],
      "keys": [{
        "id": "acme", "sha256": "926127796474a6572024f4aee57ba875864dc88ecbabe40e5e17d8f638c691c6",
        "not_before": "2026-01-01T00:00:00Z", "not_after": "2027-01-01T00:00:00Z", "scopes": ["a"]
      }],
      "hide": true
    },
    "q": {
      "kind": "basic",
      "users": [{
        "name": "ann", "sha256_salted": {
          "salt": "f1fc6d9bd0dc81634449f5731b0fe3f6",
          "digest": "31898cfce0f7a5dc70a1e374c94b0b95af4a9e2dcb15475301c9ad5fa0b09c3d"
        },
        "scopes": ["a"]
      }]
    }
  },
  "identity": {"prefix": "x-auth-", "headers": {"subject": "x-who", "provider": "x-by", "scopes": "x-may"}},
  "defaults": {
    "require": {"any": ["p", "q"]},
    "authorize": {"subjects": ["acme"], "scopes_all": ["a"], "scopes_any": ["a"]}
  },
  "rules": [{
    "name": "r",
    "match": {
      "host": "a.example", "path": {"template": "/a/{b}"}, "methods": ["GET"], "route_name": "r", "cluster": "c",
      "headers": [{"name": "x-a", "exact": "v"}, {"name": "x-b", "prefix": "v"}, {"name": "x-c", "present": true}]
    },
    "config": {"require": {"all": ["p"]}}
  }],
  "on_ambiguous_path": "reject",
  "case_insensitive": false,
  "challenge_realm": "api",
  "max_credential_bytes": 8192,
  "metrics": {"prefix": "l7", "labels": ["provider"], "max_series": 10}
}"#;

/// Every document that is `tree` with one value, whole or in part, replaced.
fn replaced(tree: &serde_json::Value, with: &serde_json::Value) -> Vec<serde_json::Value> {
    let mut all = vec![with.clone()];
    match tree {
        serde_json::Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                all.extend(replaced(item, with).into_iter().map(|item| {
                    let mut items = items.clone();
                    items[index] = item;
                    serde_json::Value::Array(items)
                }));
            }
        }
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                all.extend(replaced(value, with).into_iter().map(|value| {
                    let mut fields = fields.clone();
                    fields[name] = value;
                    serde_json::Value::Object(fields)
                }));
            }
        }
        _ => {}
    }
    all
}

#[test]
fn no_error_repeats_a_value_wherever_a_secret_was_put_by_mistake() {
    assert_eq!(refusal(FULL), "accepted");
    let full: serde_json::Value = serde_json::from_str(FULL).unwrap();
    let canaries = [
        serde_json::json!("Tr0ub4dor-canary"),
        serde_json::json!("Tr0ub4dor-canary: \"\u{1}é;"),
        serde_json::json!("//Tr0ub4dor-canary/{x"),
        serde_json::json!("/Tr0ub4dor-canary%2f"),
        serde_json::json!("ab".repeat(32)),
        serde_json::json!(4_711_081_516_u64),
        serde_json::json!(-4_711_081_516_i64),
        serde_json::json!(4_711_081_516.25),
        serde_json::json!(["Tr0ub4dor-canary", "Tr0ub4dor-canary"]),
        serde_json::json!({"any": ["Tr0ub4dor-canary"]}),
        serde_json::json!({"exact": "Tr0ub4dor-canary"}),
    ];
    // Numbers are repeated only where a number belongs.
    let number_fields = ["/version: ", "/max_credential_bytes: ", "/metrics/max_series: "];
    let mut refused = 0;
    for canary in &canaries {
        for document in replaced(&full, canary) {
            let message = refusal(&document.to_string());
            refused += usize::from(message != "accepted");
            for line in
                message.lines().filter(|line| !number_fields.iter().any(|field| line.starts_with(field)))
            {
                for secret in ["canary", "ub4dor", "4711081516", "abababab"] {
                    assert!(!line.contains(secret), "{line}");
                }
            }
        }
    }
    assert!(refused > 400, "only {refused} of these documents were refused at all");
}
