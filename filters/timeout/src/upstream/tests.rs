//! What goes upstream, and what does not (TO-7).

use super::*;
use crate::deadline::assess;
use crate::source::{CONTROLS, EXPECTED, Speaks};
use proptest::prelude::*;
use wayside_sdk::{Configuration, Envelope, HeaderBlock, Monotonic, Wall};

const CLOCKS: Clocks = Clocks {
    now: Monotonic::at(Duration::from_secs(50)),
    wall: Wall::at(Duration::from_secs(1_700_000_000)),
};
const NOTHING: Speaks = Speaks { grpc: false, connect: false };
const GRPC: Speaks = Speaks { grpc: true, connect: false };
const CONNECT: Speaks = Speaks { grpc: false, connect: true };

fn config(defaults: &str) -> Config {
    let text = format!(r#"{{"version": 1, "defaults": {{"hop_margin": "0ms", {defaults}}}}}"#);
    Envelope::<Config>::parse(text.as_bytes()).unwrap().defaults
}

struct Asked<'a> {
    headers: &'a [(&'a str, &'a str)],
    speaks: Speaks,
    trusted: bool,
    sent: Sent,
}

const ASKED: Asked<'static> = Asked {
    headers: &[],
    speaks: NOTHING,
    trusted: false,
    sent: Sent { clocks: CLOCKS, lasting: false, granted: 0 },
};

fn edited(config: &Config, asked: &Asked<'_>) -> Vec<String> {
    let block = HeaderBlock::from_pairs(asked.headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
    let carried = Carried::of(&block, asked.speaks, asked.trusted);
    let assessment = assess(&config.limits, Some(config.limits.timeout), &carried, CLOCKS);
    let told = |edit: &Edit| match edit {
        Edit::Set(name, value) => format!("{}: {value}", name.as_str()),
        Edit::Remove(name) => format!("-{}", name.as_str()),
    };
    edits(config, &carried, &assessment, asked.sent).iter().map(told).collect()
}

const ROUTER: &str = "x-envoy-upstream-rq-timeout-ms: 1000";

#[test]
fn an_ordinary_request_gets_one_header() {
    assert_eq!(edited(&config(r#""timeout": "1s""#), &ASKED), [ROUTER]);
    let lasting = Asked { sent: Sent { lasting: true, ..ASKED.sent }, ..ASKED };
    assert_eq!(edited(&config(r#""timeout": "1s""#), &lasting), ["x-envoy-upstream-rq-timeout-ms: 0"]);
}

#[test]
fn each_protocol_is_told_in_its_own_header() {
    let config = config(
        r#""timeout": "1s", "propagate": ["grpc", "connect", "request-timeout", "x-request-deadline"],
           "sources": ["grpc", "connect", "envoy", "request-timeout", "x-request-deadline"]"#,
    );
    let everywhere = ["request-timeout: 1", "x-request-deadline: 1700000001000"];
    let grpc = Asked { speaks: GRPC, ..ASKED };
    assert_eq!(edited(&config, &grpc), [&[ROUTER, "grpc-timeout: 1000000u"], &everywhere[..]].concat());
    let connect = Asked { speaks: CONNECT, ..ASKED };
    assert_eq!(edited(&config, &connect), [&[ROUTER, "connect-timeout-ms: 1000"], &everywhere[..]].concat());
}

#[test]
fn what_is_left_below_a_second_has_no_form_in_request_timeout() {
    let config =
        config(r#""timeout": "900ms", "propagate": ["request-timeout"], "sources": ["request-timeout"]"#);
    let asked = Asked { headers: &[("request-timeout", "5")], ..ASKED };
    assert_eq!(edited(&config, &asked), ["x-envoy-upstream-rq-timeout-ms: 900", "-request-timeout"]);
}

#[test]
fn a_header_that_is_told_is_never_longer_than_it_came() {
    // Not read, but told: a trusted caller's own stands if it is less.
    let config = config(
        r#""timeout": "1s", "sources": [], "trust": "always", "propagate": ["grpc", "connect", "x-request-deadline"]"#,
    );
    let asked = Asked {
        headers: &[("grpc-timeout", "2S"), ("grpc-timeout", "300m"), ("x-request-deadline", "1699999999950")],
        speaks: GRPC,
        trusted: true,
        ..ASKED
    };
    let expected = [ROUTER, "grpc-timeout: 300000u", "x-request-deadline: 1699999999950"];
    assert_eq!(edited(&config, &asked), expected);
}

#[test]
fn what_is_read_and_not_told_is_taken_away() {
    let config = config(r#""timeout": "1s", "propagate": []"#);
    let asked = Asked {
        headers: &[("grpc-timeout", "2S"), ("x-envoy-expected-rq-timeout-ms", "700")],
        speaks: GRPC,
        trusted: true,
        ..ASKED
    };
    let expected =
        ["x-envoy-upstream-rq-timeout-ms: 700", "-grpc-timeout", "-x-envoy-expected-rq-timeout-ms"];
    assert_eq!(edited(&config, &asked), expected);
}

#[test]
fn a_trusted_senders_header_that_nobody_reads_stays() {
    let config = config(r#""timeout": "1s""#);
    let headers = &[
        ("request-timeout", "5"),
        ("grpc-timeout", "1S"),
        ("x-envoy-upstream-stream-duration-ms", "5"),
        ("x-envoy-hedge-on-per-try-timeout", "true"),
    ];
    assert_eq!(edited(&config, &Asked { headers, trusted: true, ..ASKED }), [ROUTER]);
    let removed = headers.map(|(name, _)| format!("-{name}")).to_vec();
    let mut got = edited(&config, &Asked { headers, ..ASKED });
    got.sort_unstable();
    let mut expected = [vec![ROUTER.to_owned()], removed].concat();
    expected.sort_unstable();
    assert_eq!(got, expected);
}

#[test]
fn each_try_gets_the_rules_time_or_an_equal_part_of_what_is_left() {
    let per_try = |defaults: &str, granted, headers: &[(&str, &str)], trusted| {
        let asked = Asked { headers, trusted, sent: Sent { granted, ..ASKED.sent }, ..ASKED };
        let edits = edited(&config(defaults), &asked);
        edits.into_iter().find_map(|edit| match edit.strip_prefix(PER_TRY.as_str()) {
            Some(value) => Some(value.trim_start_matches(": ").to_owned()),
            None => {
                edit.strip_prefix('-').filter(|name| *name == PER_TRY.as_str()).map(|_| "removed".to_owned())
            }
        })
    };
    let asks = |millis| [(PER_TRY.as_str(), millis)];
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(per_try(r#""timeout": "1s""#, 0, &[], false), None);
    assert_eq!(per_try(r#""timeout": "1s""#, 1, &[], false), some("500"));
    assert_eq!(per_try(r#""timeout": "1s""#, 2, &[], false), some("333"));
    assert_eq!(per_try(r#""timeout": "1s", "min_per_try": "400ms""#, 2, &[], false), some("400"));
    assert_eq!(per_try(r#""timeout": "15ms""#, 2, &[], false), None, "the floor is above what is left");
    assert_eq!(per_try(r#""timeout": "1s""#, u64::MAX, &[], false), some("20"));
    assert_eq!(per_try(r#""timeout": "1s", "per_try": "250ms""#, 2, &[], false), some("250"));
    assert_eq!(per_try(r#""timeout": "1s", "per_try": "250ms""#, 0, &asks("100"), true), some("100"));
    assert_eq!(per_try(r#""timeout": "1s", "per_try": "250ms""#, 0, &asks("100"), false), some("250"));
    assert_eq!(per_try(r#""timeout": "1s", "per_try": "250ms""#, 0, &asks("900"), true), some("250"));
    assert_eq!(per_try(r#""timeout": "1s""#, 0, &asks("100"), true), some("100"));
    for worthless in ["0", "1000", "99999999999999999999", "+5", "5,6"] {
        assert_eq!(per_try(r#""timeout": "1s""#, 0, &asks(worthless), true), some("removed"), "{worthless}");
    }
    assert_eq!(per_try(r#""timeout": "1s""#, 0, &asks("100"), false), some("removed"));
    assert_eq!(
        per_try(r#""timeout": "1s", "client_sources": "ignore""#, 0, &asks("100"), true),
        some("removed")
    );
}

/// Spellings of TO-7, and whatever else an outsider may think of.
fn forged() -> impl Strategy<Value = String> {
    let spellings = [
        "",
        "0",
        "1",
        "50",
        "18446744073709551616",
        " 5",
        "5 ",
        "5,6",
        ",",
        "5S",
        "0m",
        "99999999H",
        "+1S",
        "-1S",
        "1S,2S",
    ];
    prop_oneof![prop::sample::select(spellings.to_vec()).prop_map(str::to_owned), "[ -~]{0,12}"]
}

proptest! {
    /// Each control header, any number of times, in any spelling: applied to the request, the edits leave none of them as it came,
    /// unless it came as this filter writes it.
    #[test]
    fn to_7_nothing_reaches_the_upstream_as_an_outsider_sent_it(
        values in prop::collection::vec((prop::sample::select(CONTROLS.to_vec()), forged()), 0..12),
        grpc: bool,
        connect: bool,
        lasting: bool,
        granted in 0..4_u64,
        client_sources in prop::sample::select(vec!["trusted", "cap_only", "ignore"]),
        told in prop::sample::select(vec!["[]", r#"["grpc", "connect"]"#, r#"["x-request-deadline", "request-timeout"]"#]),
        read in prop::sample::select(vec!["[]", r#"["grpc", "connect", "envoy"]"#, r#"["grpc", "connect", "envoy", "request-timeout", "x-request-deadline"]"#]),
    ) {
        let config = config(&format!(
            r#""timeout": "10s", "client_sources": "{client_sources}", "propagate": {told}, "sources": {read}"#
        ));
        let pairs: Vec<_> = values.iter().map(|((_, name), value)| (name.as_str().as_bytes(), value.as_bytes())).collect();
        let block = HeaderBlock::from_pairs(pairs.iter().copied());
        let carried = Carried::of(&block, Speaks { grpc, connect }, false);
        let assessment = assess(&config.limits, Some(config.limits.timeout), &carried, CLOCKS);
        let edits = edits(&config, &carried, &assessment, Sent { clocks: CLOCKS, lasting, granted });
        for ((_, name), _) in &values {
            let touching: Vec<_> = edits.iter().filter(|edit| edit.name() == *name).collect();
            prop_assert_eq!(touching.len(), 1, "{:?}", name);
        }
        let left = assessment.left.unwrap();
        prop_assert!(left <= config.limits.timeout);
        for edit in &edits {
            if let Edit::Set(name, value) = edit {
                let told = match *name {
                    GRPC_TIMEOUT => forms::grpc_timeout(value.as_bytes()),
                    REQUEST_TIMEOUT => forms::request_timeout(value.as_bytes()),
                    REQUEST_DEADLINE => forms::moment(value.as_bytes())
                        .map(|end| end.since_epoch().saturating_sub(CLOCKS.wall.since_epoch())),
                    _ => forms::millis(value.as_bytes()),
                };
                let least = Duration::from_millis(1);
                prop_assert!(told.is_some_and(|told| told <= left.max(least)), "{name:?} {value}");
            }
        }
        prop_assert!(!edits.iter().any(|edit| matches!(edit, Edit::Set(name, _) if *name == EXPECTED)));
    }
}
