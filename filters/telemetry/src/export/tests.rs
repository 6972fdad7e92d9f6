//! Configurations that are refused, and what is told of a request and what is not.

use wayside_sdk::Configuration as _;

use super::*;
use crate::config::Config;
use crate::observation::tests::PLAIN;
use crate::observation::{Captured, Message, Sampling, TailReason};

fn parsed(fields: &str) -> Result<Settings, String> {
    let text = format!("{{\"version\": 1, {fields}}}");
    Config::parse(text.as_bytes()).map(|config| config.export).map_err(|errors| errors.to_string())
}

fn refusal(fields: &str) -> String {
    parsed(fields).map_or_else(|message| message, |_| "accepted".to_owned())
}

const RESOURCE: &str = r#""resource": {"service.name": "shop"}"#;

#[test]
fn a_cluster_and_a_name_are_all_that_is_needed() {
    let settings = parsed(&format!(r#""export": {{"cluster": "otel"}}, {RESOURCE}"#)).unwrap();
    let collector = settings.collector.unwrap();
    assert_eq!((collector.signals, collector.path_prefix), (vec![Signal::Traces], String::new()));
    assert_eq!((collector.terms.max_items, collector.terms.max_bytes), (2048, 1024 * 1024));
    assert_eq!((collector.terms.batch_items, collector.terms.max_attempts), (512, 5));
    assert!(settings.access_log.is_none());
}

#[test]
fn a_wrong_value_is_refused_with_its_place() {
    let export = |fields: &str| format!(r#""export": {{"cluster": "otel", {fields}}}, {RESOURCE}"#);
    for (fields, place) in [
        (r#""export": {"cluster": "otel"}"#.to_owned(), "/resource/service.name: expected a name"),
        (format!(r#""export": {{}}, {RESOURCE}"#), "/export: expected a field `cluster`, found none"),
        (format!(r#""export": {{"cluster": ""}}, {RESOURCE}"#), "/export/cluster: "),
        (export(r#""gzip": true"#), "/export/gzip: unknown field"),
        (export(r#""interval": "99ms""#), "/export/interval: expected 100ms to 10m"),
        (export(r#""interval": "11m""#), "/export/interval: expected 100ms to 10m"),
        (export(r#""timeout": "2m""#), "/export/timeout: expected 100ms to 1m"),
        (export(r#""batch": 0"#), "/export/batch: expected 1 to 65536"),
        (export(r#""batch": 3000"#), "/export/max_queue: expected at least a batch"),
        (export(r#""max_bytes": "1Ki""#), "/export/max_bytes: expected at least a batch"),
        (export(r#""max_attempts": 0"#), "/export/max_attempts: expected 1 to 20"),
        (export(r#""path_prefix": "otel/""#), "/export/path_prefix: expected nothing, or a path"),
        (export(r#""authority": "a/b""#), "/export/authority: expected a host"),
        (export(r#""encoding": "text""#), "/export/encoding: expected one of `protobuf`, `json`"),
        (export(r#""signals": ["profiles"]"#), "/export/signals/0: expected one of `traces`, `logs`"),
        (export(r#""signals": ["traces", "traces"]"#), "/export/signals/1: expected each signal once"),
        (export(r#""signals": ["traces", "logs"]"#), "/export/signals: expected `logs` where"),
        (export(r#""headers_env": {"Authorization": "T"}"#), "/export/headers_env/Authorization: expected"),
        (export(r#""headers_env": {"content-type": "T"}"#), "/export/headers_env/content-type: expected"),
        (r#""access_log": {"sink": "otlp"}"#.to_owned(), "/access_log/sink: expected `log`, or an `export`"),
        (
            r#""access_log": {"sink": "file"}"#.to_owned(),
            "/access_log/sink: expected one of `none`, `log`, `otlp`",
        ),
        (r#""access_log": {"fields": []}"#.to_owned(), "/access_log/fields: expected 1 to 64 fields"),
        (
            r#""access_log": {"fields": ["url.path", "url.path"]}"#.to_owned(),
            "/access_log/fields/1: expected each",
        ),
        (
            r#""access_log": {"fields": ["path"]}"#.to_owned(),
            "/access_log/fields/0: expected an attribute's name",
        ),
        (r#""resource": {"a": 1}"#.to_owned(), "/resource/a: expected a name and a text"),
    ] {
        let message = refusal(&fields);
        assert!(message.contains(place), "{fields}: {message}");
    }
}

#[test]
fn te_13_what_may_hold_a_secret_cannot_be_a_field() {
    let names = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
        "apikey",
        "x-apikey",
        "x-auth-token",
        "x-auth-request-access-token",
        "x-amz-security-token",
        "x-csrf-token",
        "x-xsrf-token",
        "x-access-token",
        "x-id-token",
        "x-refresh-token",
        "x-session-id",
        "x-session",
        "session",
        "x-jwt-assertion",
        "x-goog-iap-jwt-assertion",
        "x-forwarded-client-cert",
        "x-client-secret",
        "x-secret",
        "x-password",
        "x-credential",
        "x-amz-credential",
        "signature",
        "signature-input",
        "x-hub-signature-256",
        "x-signature",
        "x-private",
        "www-authenticate",
        "authentication-info",
        "x-vault-token",
        "private-token",
        "x-gitlab-token",
        "x-github-token",
        "x-shopify-access-token",
        "x-functions-key",
        "ocp-apim-subscription-key",
        "referer",
        "location",
        "content-location",
        "x-pwd",
        "x-sid",
        "dpop-cert",
    ];
    for name in names {
        for of in ["request", "response"] {
            let field = format!("http.{of}.header.{name}");
            let message = refusal(&format!(r#""access_log": {{"sink": "log", "fields": ["{field}"]}}"#));
            assert!(
                message.starts_with("/access_log/fields/0: expected a field that tells no secret"),
                "{message}"
            );
            let insisting =
                format!(r#""access_log": {{"sink": "log", "fields": ["{field}"], "unsafe_log": true}}"#);
            assert!(parsed(&insisting).is_ok(), "{name}");
        }
    }
    assert!(refusal(r#""access_log": {"sink": "log", "fields": ["url.query"]}"#).contains("no secret"));
    for name in ["accept", "content-type", "x-request-id", "x-tenant", "grpc-timeout"] {
        let field = format!(r#""access_log": {{"sink": "log", "fields": ["http.request.header.{name}"]}}"#);
        assert!(parsed(&field).is_ok(), "{name}");
    }
}

/// A log with every field that can be had without insisting.
fn everything() -> AccessLog {
    let known = crate::attribute::Attribute::ALL.iter().map(|attribute| attribute.name());
    let fields: Vec<Field> = known
        .chain(["http.request.header.accept", "http.response.header.content-type"])
        .filter_map(Field::named)
        .filter(|field| !field.may_be_secret())
        .collect();
    AccessLog { sink: Sink::Log, when: When::All, fields }
}

#[test]
fn te_13_no_form_of_a_credential_is_told_in_spans_or_lines() {
    let secret = "hunter2-s3cr3t";
    let header_forms = 100;
    for form in 0..200 {
        let name = format!("x-{form}");
        let (query, value) = match form {
            0..100 => (String::new(), format!("Bearer {secret}{form}")),
            _ => (format!("access_token={secret}&n={form}"), String::new()),
        };
        let headers = [
            Captured { of: Message::Request, name: b"authorization", value: value.as_bytes() },
            Captured { of: Message::Request, name: b"cookie", value: value.as_bytes() },
            Captured { of: Message::Request, name: name.as_bytes(), value: value.as_bytes() },
            Captured { of: Message::Response, name: b"set-cookie", value: value.as_bytes() },
        ];
        let finished = Finished { query: query.as_bytes(), headers: &headers, ..PLAIN };
        let line = everything().line(&finished);
        let record = everything().record(&finished, Encoding::Protobuf);
        let spans =
            [Encoding::Protobuf, Encoding::Json].map(|encoding| span::encode(&finished, encoding).unwrap());
        for told in [&line, &record, &spans[0], &spans[1]] {
            let text = String::from_utf8_lossy(told);
            assert!(!text.contains(secret), "form {form} of {header_forms} and as many: {text}");
        }
    }
}

#[test]
fn a_line_has_the_chosen_fields_in_their_order_and_only_what_the_request_has() {
    let named = |names: &[&str]| names.iter().filter_map(|name| Field::named(name)).collect();
    let fields = named(&[
        "http.response.status_code",
        "http.request.header.accept",
        "grpc.nothing",
        "rpc.grpc.status_code",
        "url.path",
        "duration_ms",
        "trace_id",
    ]);
    let log = AccessLog { sink: Sink::Log, when: When::All, fields };
    let accept = |value| Captured { of: Message::Request, name: b"accept", value };
    let headers = [accept(&b"a"[..]), accept(b"\xff\n")];
    let line = log.line(&Finished { headers: &headers, ..PLAIN });
    assert_eq!(
        String::from_utf8(line).unwrap(),
        r#"{"http.response.status_code":200,"http.request.header.accept":["a","\\xff\u000a"],"url.path":"/books/1","duration_ms":12.345,"trace_id":"01010101010101010101010101010101"}"#
    );
}

#[test]
fn a_log_tells_of_all_of_failures_or_of_what_has_a_span() {
    let tells = |when, finished: Finished<'_>| AccessLog { when, ..everything() }.tells(&finished);
    let failed = Finished { status: Some(503), sampling: Sampling::Dropped, ..PLAIN };
    let refused = Finished { status: Some(401), error_type: b"local_reply", ..failed };
    let fine = Finished { status: Some(200), ..failed };
    let kept = Finished { sampling: Sampling::Tail(TailReason::Slow), ..fine };
    for (finished, all, errors, sampled) in [
        (failed, true, true, false),
        (refused, true, true, false),
        (fine, true, false, false),
        (kept, true, false, true),
    ] {
        let told = [When::All, When::Errors, When::Sampled].map(|when| tells(when, finished.clone()));
        assert_eq!(told, [all, errors, sampled], "{finished:?}");
    }
}

#[test]
fn values_of_headers_come_from_the_environment_and_are_shown_nowhere() {
    let settings = parsed(&format!(
        r#""export": {{"cluster": "otel", "headers_env": {{"authorization": "TOKEN"}}}}, {RESOURCE}"#
    ));
    let collector = settings.unwrap().collector.unwrap();
    let environment = Environment::from_pairs([(&b"TOKEN"[..], &b"Bearer hunter2"[..])]);
    let headers = collector.headers(&environment).unwrap();
    assert_eq!(headers.len(), 1);
    assert!(!format!("{headers:?}").contains("hunter2"));
    for missing in [Environment::default(), Environment::from_pairs([(&b"TOKEN"[..], &b"a\nb"[..])])] {
        let message = collector.headers(&missing).unwrap_err().to_string();
        assert!(
            message.starts_with("/export/headers_env/authorization: expected an environment"),
            "{message}"
        );
    }
}
