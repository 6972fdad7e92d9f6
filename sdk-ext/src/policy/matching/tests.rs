//! Rules as JSON, requests as they come from the proxy.

use serde_json::json;

use super::*;

fn rule(json: serde_json::Value) -> Match {
    Match::parse(serde_json::from_value(json).unwrap(), PathCase::Kept).unwrap()
}

fn refusal(json: serde_json::Value) -> String {
    match serde_json::from_value::<RawMatch>(json) {
        Err(error) => error.to_string(),
        Ok(raw) => Match::parse(raw, PathCase::Kept).unwrap_err().to_string(),
    }
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
    RequestView {
        path: Some(path),
        ..REQUEST
    }
}

#[test]
fn an_empty_match_matches_everything_even_without_a_path() {
    let rule = rule(json!({}));
    assert!(rule.matches(&at("/x")));
    assert!(rule.matches(&RequestView {
        path: None,
        ..REQUEST
    }));
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
        let request = RequestView {
            authority: authority.as_bytes(),
            ..REQUEST
        };
        assert_eq!(
            rule(json!({ "host": pattern })).matches(&request),
            expected,
            "{pattern} {authority}"
        );
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
        assert_eq!(
            rule(json!({ "path": pattern })).matches(&at(path)),
            expected,
            "{pattern} {path}"
        );
    }
}

#[test]
fn a_rule_for_folded_paths_is_folded_too() {
    let raw = serde_json::from_value(json!({ "path": { "prefix": "/Admin" } })).unwrap();
    let rule = Match::parse(raw, PathCase::Folded).unwrap();
    assert!(rule.matches(&at("/admin/x")));
}

#[test]
fn get_is_also_head_and_methods_keep_their_case() {
    let rule = rule(json!({ "methods": ["GET", "POST"] }));
    for (method, expected) in [
        ("GET", true),
        ("HEAD", true),
        ("POST", true),
        ("get", false),
        ("PUT", false),
    ] {
        assert_eq!(
            rule.matches(&RequestView {
                method: method.as_bytes(),
                ..REQUEST
            }),
            expected,
            "{method}"
        );
    }
}

#[test]
fn headers_match_by_any_of_their_values_as_bytes() {
    let headers: &[(&[u8], &[u8])] = &[
        (b"X-Tier", b"free"),
        (b"x-tier", b"gold-1"),
        (b"x-raw", b"\xff\xfe"),
    ];
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
        assert_eq!(
            rule(json!({ "headers": [pattern] })).matches(&request),
            expected,
            "{pattern}"
        );
    }
}

#[test]
fn route_and_cluster_match_exactly_and_say_that_they_are_needed() {
    let rule = rule(json!({ "route_name": "checkout", "cluster": "payments" }));
    assert!(rule.asks_route_name() && rule.asks_cluster());
    assert!(rule.matches(&RequestView {
        route_name: b"checkout",
        cluster: b"payments",
        ..REQUEST
    }));
    assert!(!rule.matches(&RequestView {
        route_name: b"checkout",
        ..REQUEST
    }));
    assert!(!Match::default().asks_route_name() && !Match::default().asks_cluster());
}

#[test]
fn all_conditions_must_hold() {
    let rule = rule(json!({ "path": { "prefix": "/a" }, "methods": ["PUT"] }));
    assert!(rule.matches(&RequestView {
        method: b"PUT",
        ..at("/a/b")
    }));
    assert!(!rule.matches(&at("/a/b")));
}

#[test]
fn a_condition_that_cannot_match_is_refused_with_its_place() {
    let table = [
        (json!({"pth": {}}), "unknown field `pth`"),
        (json!({"cel": "true"}), "unknown field `cel`"),
        (json!({"path": {"regex": "."}}), "unknown variant `regex`"),
        (
            json!({"path": {"prefix": "admin"}}),
            "/path/prefix: found \"admin\", which is a path that does not start",
        ),
        (
            json!({"path": {"prefix": "/a/../b"}}),
            "which never matches; write \"/b\"",
        ),
        (
            json!({"path": {"exact": "/a%2fb"}}),
            "/path/exact: found \"/a%2fb\", which has an encoded slash",
        ),
        (json!({"path": {"exact": "/a?b=c"}}), "write \"/a\""),
        (
            json!({"path": {"template": "/a/x{id}"}}),
            "/path/template: found \"x{id}\"",
        ),
        (json!({"path": {"template": "/a//{id}"}}), "/path/template"),
        (json!({"host": "*"}), "/host: found \"*\""),
        (json!({"host": "a.example:80"}), "expected no port"),
        (json!({"host": ""}), "/host"),
        (json!({"methods": []}), "/methods: empty"),
        (json!({"methods": ["GET", "put"]}), "/methods/1: found \"put\""),
        (json!({"headers": [{"name": "x"}]}), "/headers/0: expected one of"),
        (
            json!({"headers": [{"name": "x", "exact": "a", "present": true}]}),
            "/headers/0: expected one of",
        ),
        (
            json!({"headers": [{"name": "x y", "present": true}]}),
            "/headers/0/name",
        ),
        (json!({"route_name": ""}), "/route_name: empty"),
    ];
    for (json, expected) in table {
        let message = refusal(json.clone());
        assert!(message.contains(expected), "{json}: {message}");
    }
}
