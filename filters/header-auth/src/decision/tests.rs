//! Requests in, verdicts and the upstream's view out, on the shipped example configuration and variants of it.

use std::time::Duration;

use proptest::prelude::*;
use wayside_sdk::Configuration as _;

use super::*;
use crate::config::Config;
use crate::means::NoProxy;
use crate::store::Holder;

const KEY: &str = "demo-key-0001-not-a-secret";
/// `reader:demo-password`
const BASIC: &str = "Basic cmVhZGVyOmRlbW8tcGFzc3dvcmQ=";
const NOW: Timestamp = Timestamp(Duration::from_secs(1_800_000_000));

fn example() -> Policy {
    Config::parse(include_bytes!("../../example.json")).unwrap().policy
}

/// The example with these defaults, rules and nothing else changed.
fn policy(defaults: &str, rules: &str) -> Policy {
    let mut json: serde_json::Value = serde_json::from_slice(include_bytes!("../../example.json")).unwrap();
    json["defaults"] = serde_json::from_str(defaults).unwrap();
    json["rules"] = serde_json::from_str(rules).unwrap();
    Config::parse(json.to_string().as_bytes()).unwrap().policy
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn request(path: &str, headers: &[(&str, &str)]) -> Pairs {
    let pseudo = [(":method", "GET"), (":path", path), (":authority", "shop.example"), (":scheme", "http")];
    pseudo
        .iter()
        .chain(headers)
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect()
}

fn request_of<'a>(headers: &'a [Header<'a>]) -> Request<'a> {
    Request { headers, body: None, route_name: b"", cluster: b"", route_says: None }
}

fn decide<'p>(policy: &'p Policy, pairs: &Pairs) -> Decision<'p> {
    let headers: Vec<Header<'_>> =
        pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
    policy.decide(&request_of(&headers), &NoProxy, NOW)
}

fn denial(decision: Decision<'_>) -> Denial {
    match decision.outcome {
        Err(Halt::Denied(denial)) => denial,
        other => panic!("{other:?}"),
    }
}

/// `rule: what` with `what` one of `open`, `anonymous`, `provider/subject` and `status reason`.
fn verdict(policy: &Policy, path: &str, headers: &[(&str, &str)]) -> String {
    let decision = decide(policy, &request(path, headers));
    let what = match &decision.outcome {
        Ok(Admitted { admission: Admission::Open, .. }) => "open".to_owned(),
        Ok(Admitted { admission: Admission::Anonymous, .. }) => "anonymous".to_owned(),
        Ok(Admitted { admission: Admission::Known { provider, holder, .. }, .. }) => {
            format!("{}/{}", provider.name, holder.name)
        }
        Err(Halt::Denied(denial)) => format!("{} {}", denial.reason.status(), denial.reason.label()),
        Err(Halt::Awaits { provider, awaited }) => format!("{provider} awaits {awaited:?}"),
    };
    format!("{}: {what}", decision.rule)
}

/// What the upstream sees of a request's headers besides the pseudo headers.
fn upstream(policy: &Policy, path: &str, headers: &[(&str, &str)]) -> Vec<String> {
    let mut pairs = request(path, headers);
    let edits = decide(policy, &pairs).outcome.unwrap().edits;
    for edit in edits {
        match edit {
            Edit::Remove(name) => pairs.retain(|(given, _)| **given != *name),
            Edit::Set(name, value) => {
                pairs.retain(|(given, _)| **given != *name);
                pairs.push((name.into_owned(), value.into_owned()));
            }
            Edit::Add(name, value) => pairs.push((name.into_owned(), value.into_owned())),
        }
    }
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let other = pairs.iter().filter(|(name, _)| !name.starts_with(b":"));
    other.map(|(name, value)| format!("{}: {}", text(name), text(value))).collect()
}

#[test]
fn a_good_credential_passes_as_its_holder_and_is_not_shown_to_the_upstream() {
    let policy = example();
    assert_eq!(verdict(&policy, "/books", &[("x-api-key", KEY)]), "default: partners/demo");
    assert_eq!(verdict(&policy, "/books", &[("authorization", BASIC)]), "default: people/reader");
    assert_eq!(
        upstream(&policy, "/books", &[("x-api-key", KEY), ("accept", "*/*")]),
        [
            "accept: */*",
            "x-auth-subject: demo",
            "x-auth-provider: partners",
            "x-auth-scopes: books:read orders:write"
        ]
    );
    assert_eq!(
        upstream(&policy, "/books", &[("authorization", BASIC)]),
        ["x-auth-subject: reader", "x-auth-provider: people", "x-auth-scopes: books:read"]
    );
}

#[test]
fn bad_missing_and_double_keys_have_their_own_status() {
    let policy = example();
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[], "401 missing"),
        (&[("x-api-key", "wrong")], "401 unknown_credential"),
        (&[("x-api-key", "demo-key-0001-not-a-secre")], "401 unknown_credential"),
        (&[("x-api-key", "DEMO-KEY-0001-NOT-A-SECRET")], "401 unknown_credential"),
        (&[("x-api-key", KEY), ("x-api-key", KEY)], "400 duplicate_credential"),
        (&[("x-api-key", ""), ("x-api-key", KEY)], "400 duplicate_credential"),
        (&[("x-api-key", "demo-key-0001-not-a-secret,x")], "400 malformed_credential"),
        (&[("x-api-key", "demo-key-0001-not-a-secret ")], "400 malformed_credential"),
    ];
    for (headers, expected) in table {
        assert_eq!(verdict(&policy, "/books", headers), format!("default: {expected}"), "{headers:?}");
    }
}

#[test]
fn bad_authorization_fields_have_their_own_status() {
    let policy = example();
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("authorization", "Basic cmVhZGVyOndyb25n")], "401 unknown_credential"),
        (&[("authorization", "Basic bm9ib2R5OmRlbW8tcGFzc3dvcmQ=")], "401 unknown_credential"),
        (&[("authorization", "Basic cmVhZGVy")], "400 malformed_credential"),
        (&[("authorization", "Basic cmVhZGVyOmRlbW8tcGFzc3dvcmQ")], "400 malformed_credential"),
        (&[("authorization", "Basic")], "400 malformed_credential"),
        (&[("authorization", "Bearer abc")], "401 missing"),
        (&[("authorization", "Basic cmVhZGVyOmRlbW8tcGFzc3dvcmQ=,Basic eDp5")], "400 malformed_credential"),
        (&[("authorization", BASIC), ("authorization", BASIC)], "400 duplicate_credential"),
        // A good credential does not outweigh a request that reads in two ways, but it does a second, wrong one.
        (&[("authorization", BASIC), ("x-api-key", "a,b")], "400 malformed_credential"),
        (&[("authorization", BASIC), ("x-api-key", "wrong")], "people/reader"),
    ];
    for (headers, expected) in table {
        assert_eq!(verdict(&policy, "/books", headers), format!("default: {expected}"), "{headers:?}");
    }
}

#[test]
fn a_credential_beyond_the_limit_is_not_even_read() {
    let policy = example();
    let long = "k".repeat(8193);
    assert_eq!(verdict(&policy, "/books", &[("x-api-key", &long)]), "default: 431 credential_too_long");
    let long = format!("Basic {}", "k".repeat(65_536));
    assert_eq!(verdict(&policy, "/books", &[("authorization", &long)]), "default: 431 credential_too_long");
}

#[test]
fn the_scheme_has_no_case_and_any_number_of_spaces() {
    let policy = example();
    for scheme in ["basic ", "BASIC ", "bAsIc    "] {
        let value = BASIC.replace("Basic ", scheme);
        assert_eq!(verdict(&policy, "/books", &[("authorization", &value)]), "default: people/reader");
    }
}

#[test]
fn every_spelling_of_a_protected_path_meets_its_rule_or_is_refused() {
    let policy = policy(
        r#"{"require": "none"}"#,
        r#"[{"name": "admin", "match": {"path": {"prefix": "/admin"}}, "config": {"require": {"all": ["partners"]}}}]"#,
    );
    for path in [
        "/admin",
        "/admin/x",
        "/%61dmin/x",
        "/./admin/x",
        "//admin/x",
        "/public/../admin/x",
        "/admin?x",
        "/admin#x",
    ] {
        assert_eq!(verdict(&policy, path, &[]), "admin: 401 missing", "{path}");
    }
    for path in [
        "/public/..;/admin/x",
        "/public/..%3B/admin/x",
        "/%2e%2e/admin",
        "/public/%2e%2e%2fadmin",
        "/%2561dmin",
        "/public\\..\\admin",
        "/admin;x=1/y",
        "/admin%3Bx",
        "/;/admin",
        "/public//../admin",
    ] {
        assert_eq!(verdict(&policy, path, &[]), "default: 400 ambiguous_path", "{path}");
    }
    for path in ["/admin\0", "/%zz", "/\u{e9}", "admin", "", "/a b"] {
        assert_eq!(verdict(&policy, path, &[]), "default: 400 malformed_path", "{path}");
    }
    for path in ["/administrator", "/public/admin", "/Admin/x", "/a%20b/%40c", "/files;v=1"] {
        assert_eq!(verdict(&policy, path, &[]), "default: open", "{path}");
    }
}

#[test]
fn servers_that_fold_case_can_be_told() {
    let mut json: serde_json::Value = serde_json::from_slice(include_bytes!("../../example.json")).unwrap();
    json["case_insensitive"] = true.into();
    let policy = Config::parse(json.to_string().as_bytes()).unwrap().policy;
    assert_eq!(verdict(&policy, "/Admin/x", &[]), "admin: 401 missing");
}

#[test]
fn a_path_no_rule_asks_about_is_not_judged() {
    let policy = policy(r#"{"require": {"any": ["partners"]}}"#, "[]");
    assert_eq!(verdict(&policy, "/a%2Fb\\", &[("x-api-key", KEY)]), "default: partners/demo");
}

#[test]
fn connect_has_no_path_and_falls_to_the_defaults() {
    let policy = example();
    let mut pairs = request("/", &[]);
    pairs.retain(|(name, _)| name != b":path" && name != b":method");
    assert_eq!(denial(decide(&policy, &pairs)).reason, Reason::MalformedPath);
    pairs.push((b":method".to_vec(), b"CONNECT".to_vec()));
    assert_eq!(denial(decide(&policy, &pairs)).reason, Reason::Missing);
}

#[test]
fn nobody_else_writes_the_identity_on_any_kind_of_route() {
    let spoofed = [
        ("x-auth-subject", "root"),
        ("X-Auth-Subject", "root"),
        ("x_auth_subject", "root"),
        ("X_AUTH_SUBJECT", "root"),
        ("x-auth_subject", "root"),
        ("x.auth.subject", "root"),
        ("x-auth-role", "root"),
        ("x-auth-scopes", "admin"),
        ("x-auth-", ""),
    ];
    let optional = policy(r#"{"require": {"optional": ["partners"]}}"#, "[]");
    assert_eq!(upstream(&example(), "/healthz", &spoofed), [""; 0]);
    assert_eq!(upstream(&optional, "/", &spoofed), [""; 0]);
    let mut with_key = spoofed.to_vec();
    with_key.push(("x-api-key", KEY));
    assert_eq!(
        upstream(&example(), "/books", &with_key),
        ["x-auth-subject: demo", "x-auth-provider: partners", "x-auth-scopes: books:read orders:write"]
    );
    assert!(decide(&example(), &request("/healthz", &spoofed)).claimed_identity);
}

#[test]
fn a_claimed_identity_chooses_no_rule() {
    let rules = r#"[{"match": {"headers": [{"name": "x-auth-role", "present": true}]}, "config": {"require": "none"}}]"#;
    let policy = policy(r#"{"require": {"any": ["partners"]}}"#, rules);
    assert_eq!(verdict(&policy, "/", &[("x-auth-role", "root")]), "default: 401 missing");
}

#[test]
fn an_identity_header_that_cannot_be_removed_stops_the_request() {
    let long = format!("x-auth-{}", "a".repeat(300));
    for name in ["x-auth-subject ", "x-auth-\u{e9}", &long] {
        assert_eq!(
            verdict(&example(), "/healthz", &[(name, "root")]),
            "health: 400 unremovable_header",
            "{name}"
        );
    }
}

#[test]
fn optional_lets_strangers_in_but_not_liars() {
    let policy = policy(r#"{"require": {"optional": ["partners", "people"]}}"#, "[]");
    assert_eq!(verdict(&policy, "/", &[]), "default: anonymous");
    assert_eq!(verdict(&policy, "/", &[("x-api-key", KEY)]), "default: partners/demo");
    assert_eq!(verdict(&policy, "/", &[("x-api-key", "wrong")]), "default: 401 unknown_credential");
    assert_eq!(
        verdict(&policy, "/", &[("x-api-key", "wrong"), ("authorization", BASIC)]),
        "default: 401 unknown_credential"
    );
}

#[test]
fn all_needs_every_provider_and_names_the_first() {
    let policy = policy(r#"{"require": {"all": ["people", "partners"]}}"#, "[]");
    assert_eq!(verdict(&policy, "/", &[("x-api-key", KEY)]), "default: 401 missing");
    assert_eq!(verdict(&policy, "/", &[("authorization", BASIC)]), "default: 401 missing");
    assert_eq!(
        verdict(&policy, "/", &[("authorization", BASIC), ("x-api-key", "wrong")]),
        "default: 401 unknown_credential"
    );
    assert_eq!(
        verdict(&policy, "/", &[("authorization", BASIC), ("x-api-key", KEY)]),
        "default: people/reader"
    );
}

#[test]
fn who_is_known_but_not_meant_is_forbidden() {
    assert_eq!(verdict(&example(), "/admin", &[("x-api-key", KEY)]), "admin: 403 not_authorized");
    let rule = |authorize: &str| {
        policy(&format!(r#"{{"require": {{"any": ["partners"]}}, "authorize": {authorize}}}"#), "[]")
    };
    for (authorize, expected) in [
        (r#"{"subjects": ["demo"]}"#, "partners/demo"),
        (r#"{"subjects": ["other"]}"#, "403 not_authorized"),
        (r#"{"scopes_all": ["books:read", "orders:write"]}"#, "partners/demo"),
        (r#"{"scopes_all": ["books:read", "admin"]}"#, "403 not_authorized"),
        (r#"{"scopes_any": ["books:read", "admin"]}"#, "partners/demo"),
        (r#"{"scopes_any": ["admin"]}"#, "403 not_authorized"),
        (r#"{"subjects": ["demo"], "scopes_any": ["admin"]}"#, "403 not_authorized"),
    ] {
        assert_eq!(
            verdict(&rule(authorize), "/", &[("x-api-key", KEY)]),
            format!("default: {expected}"),
            "{authorize}"
        );
    }
}

#[test]
fn challenges_name_every_way_in_and_no_fault() {
    let challenges = |policy: &Policy, headers: &[(&str, &str)]| {
        denial(decide(policy, &request("/books", headers))).challenges
    };
    let both = ["ApiKey realm=\"bookshop\"", "Basic realm=\"bookshop\", charset=\"UTF-8\""];
    assert_eq!(challenges(&example(), &[]), both);
    assert_eq!(challenges(&example(), &[("x-api-key", "wrong")]), both);
    assert_eq!(challenges(&example(), &[("authorization", "Basic eDp5")]), both);
    assert_eq!(challenges(&example(), &[("x-api-key", "a,b")]), [""; 0], "a 400 has no challenge");

    let mut json: serde_json::Value = serde_json::from_slice(include_bytes!("../../example.json")).unwrap();
    json["providers"]["partners"]["sources"] =
        serde_json::json!([{"header": "authorization", "scheme": "Bearer"}]);
    json["defaults"] = serde_json::json!({"require": {"any": ["partners"]}});
    let bearer = Config::parse(json.to_string().as_bytes()).unwrap().policy;
    assert_eq!(challenges(&bearer, &[]), ["Bearer realm=\"bookshop\""]);
    assert_eq!(
        challenges(&bearer, &[("authorization", "bearer wrong")]),
        ["Bearer realm=\"bookshop\", error=\"invalid_token\""]
    );
    let good = format!("bearer {KEY}");
    assert_eq!(verdict(&bearer, "/books", &[("authorization", &good)]), "default: partners/demo");
    assert_eq!(upstream(&bearer, "/books", &[("authorization", &good)]).len(), 3, "the token is hidden");
}

#[test]
fn keys_expire_by_the_time_that_is_handed_in() {
    let policy = example();
    let pairs = request("/books", &[("x-api-key", KEY)]);
    let headers: Vec<Header<'_>> =
        pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
    let request = request_of(&headers);
    let end = Timestamp::parse("2099-01-01T00:00:00Z").unwrap();
    let just_before = Timestamp(end.0 - Duration::from_nanos(1));
    assert!(policy.decide(&request, &NoProxy, just_before).outcome.is_ok());
    assert_eq!(denial(policy.decide(&request, &NoProxy, end)).reason, Reason::Expired);
}

proptest! {
    /// The oracle is the only secret there is: without it nobody is ever known.
    #[test]
    fn no_bytes_open_a_door_or_panic(
        path in prop::collection::vec(any::<u8>(), 0..40),
        headers in prop::collection::vec(
            (
                prop_oneof![
                    Just(b"x-api-key".to_vec()), Just(b"authorization".to_vec()), Just(b"cookie".to_vec()),
                    Just(b"x-auth-subject".to_vec()), prop::collection::vec(any::<u8>(), 0..12),
                ],
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..40),
                    "Basic [A-Za-z0-9+/=]{0,24}".prop_map(String::into_bytes),
                ],
            ),
            0..6,
        ),
    ) {
        let mut pairs: Pairs = vec![(b":method".to_vec(), b"GET".to_vec()), (b":path".to_vec(), path)];
        pairs.extend(headers);
        let policy = example();
        let decision = decide(&policy, &pairs);
        match decision.outcome {
            Err(_) => {}
            Ok(admitted) => prop_assert!(matches!(admitted.admission, Admission::Open) && decision.rule == "health"),
        }
    }

    #[test]
    fn no_spelling_by_escapes_slashes_and_dots_gets_around_a_rule(
        parts in prop::collection::vec(prop::sample::select(vec![
            "/", "//", "/.", "/./", "/x/..", "/x/../", "/;a", "%2f", "%61", "%2e", "..", ";v", "?q", "%3b", "\\", "admin",
        ]), 0..8),
        tail in prop::sample::select(vec!["", "/x", "/", ";", "%2f"]),
    ) {
        let policy = policy(
            r#"{"require": "none"}"#,
            r#"[{"name": "admin", "match": {"path": {"prefix": "/admin"}}, "config": {"require": {"all": ["partners"]}}}]"#,
        );
        let path = format!("/{}/admin{tail}", parts.concat());
        let lenient = naive_server(&path);
        if verdict(&policy, &path, &[]) == "default: open" {
            prop_assert!(!lenient.starts_with("/admin/"), "{path} reads as {lenient}");
        }
    }
}

/// A server that unescapes everything once, drops parameters, takes `\` for `/`, merges slashes and then resolves dots.
fn naive_server(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap();
    let plain = path
        .replace("%2f", "/")
        .replace("%61", "a")
        .replace("%2e", ".")
        .replace("%3b", ";")
        .replace('\\', "/");
    let mut segments = Vec::new();
    for segment in plain.split('/').map(|segment| segment.split(';').next().unwrap()) {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    format!("/{}/", segments.join("/"))
}

#[test]
fn what_browsers_ask_first_passes_only_where_that_is_said() {
    let preflight = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    let mut pairs = request("/books", &preflight);
    pairs[0].1 = b"OPTIONS".to_vec();
    let mut policy = example();
    assert_eq!(denial(decide(&policy, &pairs)).reason, Reason::Missing);
    policy.bypass_preflight = true;
    let outcome = decide(&policy, &pairs).outcome.unwrap();
    assert!(matches!(outcome.admission, Admission::Open));
    pairs.push((b"x_auth_subject".to_vec(), b"root".to_vec()));
    let edits = decide(&policy, &pairs).outcome.unwrap().edits;
    assert_eq!(edits, [Edit::Remove(b"x_auth_subject".into())]);
    for at in [0, 4, 5] {
        let mut less = pairs.clone();
        less[at].1.clear();
        assert_eq!(denial(decide(&policy, &less)).reason, Reason::Missing, "{at}");
    }
    pairs.push((b"origin".to_vec(), b"https://b.example".to_vec()));
    assert_eq!(denial(decide(&policy, &pairs)).reason, Reason::Missing, "two origins are no preflight");
}

#[test]
fn authorisation_may_name_methods() {
    let policy =
        policy(r#"{"require": {"any": ["partners"]}, "authorize": {"methods": ["GET", "PUT"]}}"#, "[]");
    for (method, expected) in [("GET", true), ("HEAD", true), ("PUT", true), ("POST", false), ("get", false)]
    {
        let mut pairs = request("/books", &[("x-api-key", KEY)]);
        pairs[0].1 = method.as_bytes().to_vec();
        assert_eq!(decide(&policy, &pairs).outcome.is_ok(), expected, "{method}");
    }
}

/// What is decided where the route itself says something.
fn by_route(policy: &Policy, route_says: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let pairs = request(path, headers);
    let headers: Vec<Header<'_>> =
        pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
    let request = Request { route_says: Some(route_says.as_bytes()), ..request_of(&headers) };
    let decision = policy.decide(&request, &NoProxy, NOW);
    let what = match decision.outcome {
        Ok(admitted) => {
            format!("{:?}", admitted.admission).chars().take_while(|c| c.is_alphabetic()).collect()
        }
        Err(Halt::Denied(denial)) => denial.reason.label().to_owned(),
        Err(halt) => format!("{halt:?}"),
    };
    format!("{}: {what}", decision.rule)
}

#[test]
fn a_route_asks_for_a_rule_by_its_name_or_for_one_of_its_own() {
    let rules = r#"[{"name": "open", "match": {"path": {"prefix": "/open"}}, "config": {"require": "none"}},
        {"name": "people", "match": {"path": {"prefix": "/people"}}, "config": {"require": {"any": ["people"]}}}]"#;
    let policy = policy(r#"{"require": {"any": ["partners"]}}"#, rules);
    let asks = |text, headers: &[(&str, &str)]| by_route(&policy, text, "/x", headers);
    assert_eq!(asks("open", &[]), "open: Open");
    assert_eq!(asks("people", &[("x-api-key", KEY)]), "people: missing");
    assert_eq!(asks(r#"{"require": "none"}"#, &[]), "route-metadata: Open");
    assert_eq!(
        asks(r#" {"require": {"any": ["people"]}}"#, &[("authorization", BASIC)]),
        "route-metadata: Known"
    );
    assert_eq!(
        asks(r#"{"authorize": {"subjects": ["nobody"]}}"#, &[("x-api-key", KEY)]),
        "route-metadata: not_authorized"
    );
    assert_eq!(asks("{}", &[("x-api-key", KEY)]), "route-metadata: Known");
    // What it says does not make a path unambiguous.
    assert_eq!(by_route(&policy, "open", "/open%2fx", &[]), "default: ambiguous_path");
}

#[test]
fn a_route_that_asks_for_nonsense_is_closed_unless_it_is_to_be_passed_over() {
    let mut policy = policy(r#"{"require": {"any": ["partners"]}}"#, "[]");
    let nonsense = [
        "",
        "nobody",
        "none",
        "{",
        r#"{"require": "nobody"}"#,
        r#"{"require": {"any": ["nobody"]}}"#,
        r#"{"requires": "none"}"#,
        r#"{"require": "none", "require": "none"}"#,
        "\"open\"",
        "\u{1}",
    ];
    for text in nonsense {
        assert_eq!(by_route(&policy, text, "/x", &[("x-api-key", KEY)]), "default: bad_override", "{text}");
    }
    policy.by_route.passes_over = true;
    for text in nonsense {
        assert_eq!(by_route(&policy, text, "/x", &[("x-api-key", KEY)]), "default: Known", "{text}");
        assert_eq!(by_route(&policy, text, "/x", &[]), "default: missing", "{text}");
    }
}

#[test]
fn access_logs_are_told_who_it_was_or_why_nobody() {
    let policy = example();
    let of = |headers: &[(&str, &str)], path: &str| told(&decide(&policy, &request(path, headers)));
    let known = r#"{"rule":"default","provider":"partners","subject":"demo"}"#;
    assert_eq!(of(&[("x-api-key", KEY)], "/books").as_deref(), Some(known));
    assert_eq!(of(&[], "/books").as_deref(), Some(r#"{"rule":"default","reason":"missing"}"#));
    let unknown = r#"{"rule":"default","provider":"partners","reason":"unknown_credential"}"#;
    assert_eq!(of(&[("x-api-key", "secret")], "/books").as_deref(), Some(unknown));
    assert_eq!(of(&[], "/healthz"), None);
    let odd = Holder { name: "a\"b\\c \u{fc}%".to_owned(), scopes: Vec::new() };
    let mut decision = decide(&policy, &request("/books", &[("x-api-key", KEY)]));
    if let Ok(Admitted { admission: Admission::Known { holder, .. }, .. }) = &mut decision.outcome {
        *holder = std::rc::Rc::new(odd);
    }
    let text = told(&decision).unwrap();
    assert!(text.ends_with(r#""subject":"a\"b\\c%20%C3%BC%25"}"#), "{text}");
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
}
