//! Rules as JSON, requests as they come from the proxy.

use serde_json::json;

use super::*;
use crate::config::{ConfigErrors, document};

fn parsed(json: &serde_json::Value, case: PathCase) -> Result<Match, String> {
    let json = document(json.to_string().as_bytes()).unwrap();
    let raw = RawMatch::read(&json).map_err(|error| error.at("/match").to_string())?;
    let mut errors = ConfigErrors::default();
    let rule = Match::parse(raw, case, &mut Checks::new("/match", &mut errors));
    errors.or(rule).map_err(|errors| errors.to_string())
}

fn rule(json: serde_json::Value) -> Match {
    parsed(&json, PathCase::Kept).unwrap()
}

const REQUEST: RequestView<'static> = RequestView {
    method: b"GET",
    authority: b"api.example",
    path: Some("/"),
    headers: &[],
    route_name: b"",
    cluster: b"",
};

fn at(path: &str) -> RequestView<'_> {
    RequestView { path: Some(path), ..REQUEST }
}

#[test]
fn an_empty_match_matches_everything_even_without_a_path() {
    let rule = rule(json!({}));
    assert!(rule.matches(&at("/x")));
    assert!(rule.matches(&RequestView { path: None, ..REQUEST }));
}

#[test]
fn hosts_match_exactly_or_by_suffix_without_port_case_and_trailing_dot() {
    let table = [
        ("api.example", "api.example", true),
        ("api.example", "API.Example:8443", true),
        ("api.example", "api.example.", true),
        ("api.example", "api.example.:80", true),
        ("api.example", "other@api.example", true),
        ("api.example", "xapi.example", false),
        ("api.example", "api.example.evil", false),
        ("*.example", "api.example", true),
        ("*.example", "a.b.example:80", true),
        ("*.example", "example", false),
        ("*.example", ".example", false),
        ("*.example", "notexample", false),
        ("[::1]", "[::1]:80", true),
    ];
    for (pattern, authority, expected) in table {
        let request = RequestView { authority: authority.as_bytes(), ..REQUEST };
        assert_eq!(rule(json!({ "host": pattern })).matches(&request), expected, "{pattern} {authority}");
    }
}

#[test]
fn paths_match_on_segment_borders() {
    let table = [
        (json!({"exact": "/healthz"}), "/healthz", true),
        (json!({"exact": "/healthz"}), "/healthz/", false),
        (json!({"prefix": "/admin"}), "/admin", true),
        (json!({"prefix": "/admin"}), "/admin/", true),
        (json!({"prefix": "/admin"}), "/admin/x", true),
        (json!({"prefix": "/admin"}), "/administrator", false),
        (json!({"prefix": "/admin/"}), "/admin/x", true),
        (json!({"prefix": "/"}), "/anything", true),
        (json!({"prefix": "/"}), "*", false),
        (json!({"template": "/v1/users/{id}"}), "/v1/users/7", true),
        (json!({"template": "/v1/users/{id}"}), "/v1/users/", false),
        (json!({"template": "/v1/users/{id}"}), "/v1/users", false),
        (json!({"template": "/v1/users/{id}"}), "/v1/users/7/x", false),
        (json!({"template": "/v1/{a}/x/{b}"}), "/v1/u/x/7", true),
    ];
    for (pattern, path, expected) in table {
        assert_eq!(rule(json!({ "path": pattern })).matches(&at(path)), expected, "{pattern} {path}");
    }
}

#[test]
fn a_rule_for_folded_paths_is_folded_too() {
    let rule = parsed(&json!({ "path": { "prefix": "/Admin" } }), PathCase::Folded).unwrap();
    assert!(rule.matches(&at("/admin/x")));
}

#[test]
fn get_is_also_head_and_methods_keep_their_case() {
    let rule = rule(json!({ "methods": ["GET", "POST"] }));
    for (method, expected) in [("GET", true), ("HEAD", true), ("POST", true), ("get", false), ("PUT", false)]
    {
        assert_eq!(rule.matches(&RequestView { method: method.as_bytes(), ..REQUEST }), expected, "{method}");
    }
}

#[test]
fn headers_match_by_any_of_their_values_as_bytes() {
    let headers: &[(&[u8], &[u8])] = &[(b"X-Tier", b"free"), (b"x-tier", b"gold-1"), (b"x-raw", b"\xff\xfe")];
    let table = [
        (json!({"name": "x-tier", "exact": "free"}), true),
        (json!({"name": "X-TIER", "prefix": "gold"}), true),
        (json!({"name": "x-tier", "exact": "gold"}), false),
        (json!({"name": "x-raw", "present": true}), true),
        (json!({"name": "x-raw", "present": false}), false),
        (json!({"name": "x-none", "present": false}), true),
        (json!({"name": "x-none", "prefix": ""}), false),
    ];
    for (pattern, expected) in table {
        let request = RequestView { headers, ..REQUEST };
        assert_eq!(rule(json!({ "headers": [pattern] })).matches(&request), expected, "{pattern}");
    }
}

#[test]
fn route_and_cluster_match_exactly_and_say_that_they_are_needed() {
    let rule = rule(json!({ "route_name": "checkout", "cluster": "payments" }));
    assert!(rule.asks_route_name() && rule.asks_cluster());
    assert!(rule.matches(&RequestView { route_name: b"checkout", cluster: b"payments", ..REQUEST }));
    assert!(!rule.matches(&RequestView { route_name: b"checkout", ..REQUEST }));
    assert!(!Match::default().asks_route_name() && !Match::default().asks_cluster());
}

#[test]
fn all_conditions_must_hold() {
    let rule = rule(json!({ "path": { "prefix": "/a" }, "methods": ["PUT"] }));
    assert!(rule.matches(&RequestView { method: b"PUT", ..at("/a/b") }));
    assert!(!rule.matches(&at("/a/b")));
}

#[test]
fn a_condition_that_cannot_match_is_refused_with_its_place() {
    let table = [
        (json!({"pth": {}}), "/match/pth: unknown field `pth`"),
        (json!({"cel": "true"}), "/match/cel: unknown field `cel`"),
        (
            json!({"path": {"regex": "."}}),
            "/match/path: expected one of `exact`, `prefix`, `template`, found `regex`",
        ),
        (
            json!({"path": {"prefix": "admin"}}),
            "/match/path/prefix: expected a canonical path, found \"admin\", which has no",
        ),
        (
            json!({"path": {"prefix": "/a/../b"}}),
            "/match/path/prefix: expected the canonical form \"/b\", found \"/a/../b\"",
        ),
        (
            json!({"path": {"exact": "/a%2fb"}}),
            "/match/path/exact: expected a canonical path, found \"/a%2fb\", which has an enc",
        ),
        (json!({"path": {"exact": "/a?b=c"}}), "expected the canonical form \"/a\""),
        (
            json!({"path": {"template": "/a/x{id}"}}),
            "/match/path/template: expected `{name}` as a whole segment, found \"x{id}\"",
        ),
        (json!({"path": {"template": "/a//{id}"}}), "/match/path/template: expected the canonical form"),
        (json!({"host": "*"}), "/match/host: expected a host name"),
        (json!({"host": "a.example:80"}), "found \"a.example:80\""),
        (json!({"host": ""}), "/match/host"),
        (json!({"methods": []}), "/match/methods: expected at least one method, found an empty list"),
        (
            json!({"methods": ["GET", "put"]}),
            "/match/methods/1: expected a method in capital letters, found \"put\"",
        ),
        (json!({"headers": [{"name": "x"}]}), "/match/headers/0: expected one of"),
        (json!({"headers": [{"name": "x", "exact": "a", "present": true}]}), "found several"),
        (
            json!({"headers": [{"name": "x y", "present": true}]}),
            "/match/headers/0/name: expected a header name",
        ),
        (json!({"route_name": ""}), "/match/route_name: expected a name, found an empty one"),
    ];
    for (json, expected) in table {
        let message = parsed(&json, PathCase::Kept).unwrap_err();
        assert!(message.contains(expected), "{json}: {message}");
    }
}
