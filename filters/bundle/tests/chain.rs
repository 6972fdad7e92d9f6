//! One module of all filters against a chain of four: what client, upstream and operator see is the same, for whatever
//! configuration and traffic. The real Envoy is asked too.
#![allow(clippy::print_stderr, reason = "a test says what it skipped")]

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use wayside::build::guest;
use wayside::parity::{self, Guests, Topic};
use wayside::vm::Modules;

/// In the order of the bundle.
const FILTERS: [&str; 4] = ["telemetry", "header_auth", "timeout", "retry_budget"];

static GUESTS: LazyLock<Guests> = LazyLock::new(|| {
    FILTERS
        .into_iter()
        .chain(["bundle"])
        .map(|name| {
            let package = format!("wayside-{}", name.replace('_', "-"));
            (name.to_owned(), guest(&package).unwrap_or_else(|error| panic!("{error}")).path)
        })
        .collect()
});

/// Sections of one filter; none is what a proxy without the filter does.
fn section(filter: &str) -> impl Strategy<Value = Option<String>> + use<> {
    let modes = ["enforce", "enforce", "enforce", "shadow", "off"];
    let rest: Vec<String> = match filter {
        "telemetry" => [
            r#""metrics": {}"#,
            r#""metrics": {"labels": ["http_route", "error_type"]}, "rules": [{"name": "book", "match": {"path": {"prefix": "/books"}}}]"#,
            r#""metrics": {"prefix": "t", "max_series": 2}, "propagation": {"on_invalid": "pass"}"#,
        ]
        .map(str::to_owned)
        .to_vec(),
        "header_auth" => {
            let providers = r#""providers": {"k": {"kind": "api_key", "sources": [{"header": "x-api-key"}],
                "keys": [{"id": "demo", "sha256": "926127796474a6572024f4aee57ba875864dc88ecbabe40e5e17d8f638c691c6", "not_after": "2099-01-01T00:00:00Z", "scopes": ["a"]}]}}"#;
            [
                r#"{"require": {"any": ["k"]}}"#,
                r#"{"require": {"optional": ["k"]}}"#,
                r#"{"require": "none"}"#,
            ]
            .map(|defaults| format!(r#"{providers}, "defaults": {defaults}, "rules": [{{"name": "open", "match": {{"path": {{"exact": "/open"}}}}, "config": {{"require": "none"}}}}]"#).replace('\n', " "))
            .to_vec()
        }
        "timeout" => [
            r#""defaults": {"timeout": "5s"}"#,
            r#""defaults": {"timeout": "2s", "trust": "always", "client_sources": "trusted", "on_bad_header": "reject"}"#,
            r#""rules": [{"name": "slow", "match": {"methods": ["POST"]}, "config": {"timeout": "9s", "tick": "0ms"}}]"#,
        ]
        .map(str::to_owned)
        .to_vec(),
        _ => [
            r#""defaults": {"budget": {"scope": "global"}}"#,
            r#""defaults": {"per_request": {"max_retries": 1, "retry_on": ["5xx"]}, "trust": "always"}"#,
            r#""defaults": {"budget": {"deposit_on": "request", "retry_ratio": 1, "min_retries_per_second": 0}, "inbound_retry": "normal"}"#,
        ]
        .map(str::to_owned)
        .to_vec(),
    };
    let given = (select(modes.to_vec()), select(rest))
        .prop_map(|(mode, rest)| Some(format!(r#"{{"version": 1, "mode": "{mode}", {rest}}}"#)));
    prop_oneof![1 => Just(None), 4 => given]
}

fn request() -> impl Strategy<Value = String> {
    let headers = select(vec![
        r#"[x-api-key, demo-key-0001-not-a-secret]"#,
        r#"[x-api-key, demo-key-0001-not-a-secret]"#,
        r#"[x-api-key, wrong]"#,
        r#"[x-auth-subject, me]"#,
        r#"[traceparent, 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01]"#,
        r#"[tracestate, "not a state"]"#,
        r#"[grpc-timeout, 300m]"#,
        r#"[grpc-timeout, odd]"#,
        r#"[content-type, application/grpc]"#,
        r#"[x-envoy-upstream-rq-timeout-ms, "700"]"#,
        r#"[x-envoy-expected-rq-timeout-ms, "0"]"#,
        r#"[x-envoy-retry-on, 5xx]"#,
        r#"[x-envoy-attempt-count, "2"]"#,
    ]);
    (
        select(vec!["GET", "POST", "PUT"]),
        select(vec!["/", "/open", "/books/1", "/a%2Fb", "/books/../open?x=1"]),
        prop::collection::vec(headers, 0..5),
        select(vec!["[]", "[abc]", "[abc, defg]"]),
        select(vec!["", ", trailers: [[x-auth-subject, me]]", ", trailers: [[x-t, '1']]"]),
        (select(vec![200_u16, 200, 404, 503]), select(vec!["[]", "[abc]"])),
    )
        .prop_map(|(method, path, mut headers, body, trailers, (status, answer))| {
            // Two trace contexts are restarted at random.
            headers.sort_unstable();
            headers.dedup_by_key(|header| header.split(',').next());

            let trailers = if body == "[]" { "" } else { trailers };
            format!(
                "{{ method: {method}, path: '{path}', headers: [{}], body: {body}{trailers}, response: {{ status: {status}, body: {answer} }} }}",
                headers.join(", ")
            )
        })
}

#[derive(Clone, Debug)]
struct Case {
    sections: [Option<String>; 4],
    requests: Vec<String>,
}

fn cases() -> impl Strategy<Value = Case> {
    (FILTERS.map(section), prop::collection::vec(request(), 1..4))
        .prop_filter("a bundle needs a section", |(sections, _)| sections.iter().any(Option::is_some))
        .prop_map(|(sections, requests)| Case { sections, requests })
}

impl Case {
    /// As a behaviour for each of the two ways.
    ///
    /// In a process of its own a case is compared with the metrics it counts.
    fn yaml(&self, number: usize, own_process: bool) -> String {
        let given: Vec<_> = FILTERS
            .iter()
            .zip(&self.sections)
            .filter_map(|(name, section)| Some((name, section.as_ref()?)))
            .collect();
        let chain: Vec<_> = given
            .iter()
            .map(|(name, section)| format!("{{ guest: {name}, configuration: '{section}' }}"))
            .collect();
        let sections: Vec<_> = given.iter().map(|(name, section)| format!("\"{name}\": {section}")).collect();
        let bundle = format!("{{ guest: bundle, configuration: '{{{}}}' }}", sections.join(", "));
        let mut text = String::new();
        for (way, filters) in [("chain", chain.join(", ")), ("bundle", bundle)] {
            let _ = write!(
                text,
                "- name: {number} as {way}\n  filters: [{filters}]\n  own_process: {own_process}\n  requests:\n"
            );
            for request in &self.requests {
                let _ = writeln!(text, "    - {request}");
            }
        }
        text
    }
}

fn topic(cases: &[Case], own_process: impl Fn(usize) -> bool) -> Topic {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bundle.yaml");
    let text: String =
        cases.iter().enumerate().map(|(number, case)| case.yaml(number, own_process(number))).collect();
    std::fs::write(&path, text).expect("it is ours");
    Topic::read(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// The milliseconds that Envoy has left at the time of an attempt.
const LEFT: &str = "x-envoy-expected-rq-timeout-ms: ";

/// Without what tells modules apart, and what differs from run to run: names in log lines, how many VMs there were, real time.
fn comparable(text: &str) -> String {
    let text = (1..=FILTERS.len())
        .fold(text.to_owned(), |text, number| text.replace(&format!(" script-{number}: "), " script: "));
    let pieces = text.split(LEFT).enumerate();
    let text: String = pieces
        .map(|(place, piece)| match place {
            0 => piece.to_owned(),
            _ => format!("{LEFT}N{}", piece.trim_start_matches(|c: char| c.is_ascii_digit())),
        })
        .collect();
    let lines = text.lines().filter(|line| !line.starts_with("metric wasm."));
    lines.fold(String::new(), |all, line| all + line + "\n")
}

fn compare(case: &Case, chain: &str, bundle: &str) -> Result<(), String> {
    match parity::difference(&comparable(chain), &comparable(bundle)) {
        Some(told) => Err(format!("{case:?}\nchain (expected) and bundle (found):\n{told}")),
        None => Ok(()),
    }
}

#[test]
fn in_the_host_the_bundle_does_what_the_chain_does() {
    let modules = Arc::new(Modules::new());
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let done = TestRunner::new(config).run(&cases(), |case| {
        let topic = topic(std::slice::from_ref(&case), |_| true);
        let run = |behaviour| {
            parity::in_host(&topic.name, behaviour, &modules, &GUESTS).map(|(seen, _)| seen.text())
        };
        let seen: Vec<String> =
            topic.behaviours.iter().map(run).collect::<Result<_, _>>().map_err(TestCaseError::fail)?;
        compare(&case, &seen[0], &seen[1]).map_err(TestCaseError::fail)
    });
    if let Err(error) = done {
        panic!("{error}");
    }
}

#[tokio::test]
async fn in_the_real_envoy_the_bundle_does_what_the_chain_does() {
    let Some(binary) = std::env::var_os("ENVOY_BIN").map(PathBuf::from) else {
        assert!(std::env::var_os("WAYSIDE_REQUIRE_ENVOY").is_none(), "no ENVOY_BIN");
        eprintln!("skipped: no ENVOY_BIN, so nothing was compared with the real Envoy");
        return;
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[4; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let drawn: Vec<Case> =
        (0..24).map(|_| cases().new_tree(&mut runner).expect("a case").current()).collect();
    let topic = topic(&drawn, |number| number < 4);
    let named: Vec<_> = topic.behaviours.iter().map(|behaviour| (&topic.name[..], behaviour)).collect();
    let seen = parity::in_envoy(&binary, &named, &GUESTS).await;
    let mut wrong = Vec::new();
    for (pair, case) in seen.chunks(2).zip(&drawn) {
        let told = match pair {
            [Ok(chain), Ok(bundle)] => compare(case, &chain.text(), &bundle.text()).err(),
            _ => Some(format!("{case:?}: {pair:?}")),
        };
        wrong.extend(told);
    }
    assert!(wrong.is_empty(), "{} of {}:\n\n{}", wrong.len(), drawn.len(), wrong.join("\n"));
}
