//! VMs and contexts from start to end: who is created when, what a failure means for whom, ticks. Expectations are those of
//! Envoy 1.40 (`envoy-abi` 4).

use std::{fmt::Write, time::Duration};

use expect_test::expect;
use wayside::{
    proxy::{Outcome, spec::FailurePolicy},
    upstream::CalloutAnswer,
};

use crate::support::{Filter, chain, get, post, probe, script};

const RELOAD: FailurePolicy = FailurePolicy::Reload { base_interval: Duration::from_secs(1) };

#[test]
fn each_plugin_has_a_root_of_its_own_and_equal_vms_are_shared() {
    let says = "context_create: context
                vm_start: context
                configure: context
                request_headers: context";
    let shares =
        |name: &str| script("").named(name).vm_id("one").vm_configured(&says.replace("                ", ""));
    let apart = shares("c").environment("A", "1");
    let proxy = chain([shares("a"), shares("b"), apart]).on(get("/x")).on(get("/y"));
    expect![[r#"
        0 a: context -> 3 of 1
        0 a: context -> 3 of 1
        0 b: context -> 4 of 2
        0 b: context -> 4 of 2
        0 c: context -> 2 of 1
        0 c: context -> 2 of 1
        1000 a: context -> 5 of 1
        1000 a: context -> 5 of 1
        1000 b: context -> 6 of 2
        1000 b: context -> 6 of 2
        1000 c: context -> 3 of 1
        1000 c: context -> 3 of 1
        0 a: context -> 1 of 1
        0 a: context -> 1 of 1
        0 a: context -> 1 of 1
        0 b: context -> 2 of 2
        0 b: context -> 2 of 2
        0 b: context -> 2 of 2
        0 c: context -> 1 of 1
        0 c: context -> 1 of 1
        0 c: context -> 1 of 1
    "#]]
    .assert_eq(&proxy.lines(&["->"]));
}

#[test]
fn a_filter_that_never_saw_the_request_is_made_known_to_it_at_the_end() {
    let says = "context_create: say created\nrequest_headers: say never\nresponse_headers: say never\nlog: say log; get request :path\ndone: say done\ndelete: say delete";
    let text = chain([script("request_headers: reply 403"), script(says).named("behind")])
        .on(get("/x"))
        .lines(&["behind"]);
    expect![[r#"
        0 behind: created
        0 behind: log
        0 behind: get request :path -> "/x"
        0 behind: done
        0 behind: delete
        0 behind: done
        0 behind: delete
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_stream_that_waits_for_ever_is_ended_and_logged() {
    let text =
        chain([script("request_headers: return 1\nlog: say log\ndelete: say delete")]).on(get("/x")).text();
    expect![[r#"
        GET /x
          0 script: on_request_headers = StopAllAndWatermark
          0 script: log
          0 script: delete
          upstream got nothing
          client got nothing
          end: Hung after 0ns, 
        outside streams
          0 script: delete
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_plugin_that_does_not_start_stops_the_replay_with_its_own_words() {
    let starts = |text: &str| chain([script(text)]).on(get("/x")).text();
    expect![[r#"
        envoy.yaml:1:1: filter script: refused its configuration in on_configure
          it logged: /limit: found -1
    "#]]
    .assert_eq(&starts("configure: log 4 /limit:\\sfound\\s-1; return 0"));
    expect![[r#"
        envoy.yaml:1:1: filter script: trapped in on_configure: wasm trap: wasm `unreachable` instruction executed
    "#]].assert_eq(&starts("configure: panic"));
    let vm = chain([script("").vm_configured("vm_start: return 0")]).on(get("/x"));
    expect![[r#"
        envoy.yaml:1:1: filter script: refused its configuration in on_vm_start
    "#]]
    .assert_eq(&vm.text());
}

/// What became of a stream, in a word or two.
fn end_of(outcome: &Outcome) -> String {
    let status = outcome.downstream_response.as_ref().and_then(|response| response.headers.first(b":status"));
    let status = status.map_or("nothing".to_owned(), |status| status.escape_ascii().to_string());
    format!("{status} {:?}", outcome.end)
}

/// The first stream breaks the filter in a phase; another comes at once and one two seconds later.
#[test]
fn a_broken_vm_by_phase_and_policy() {
    let policies = [FailurePolicy::Closed, FailurePolicy::Open, FailurePolicy::LegacyOpen, RELOAD];
    let mut table = String::new();
    for phase in ["request_headers", "request_body", "response_headers", "response_body", "log", "done"] {
        for policy in policies {
            let mark =
                "request_headers: only request :path /broken; add request x-kept 1; set_property boom 1";
            let breaks = script(&format!("{mark}\n{phase}: only property boom 1; panic")).failing(policy);
            let traffic = |path: &str, at| post(path, ["body"]).answer_body(["answer"]).at(at);
            let proxy = chain([breaks])
                .on(traffic("/broken", 0))
                .on(traffic("/next", 100))
                .on(traffic("/later", 2100));
            let ends: Vec<String> = proxy.outcomes().iter().map(end_of).collect();
            let _ = writeln!(table, "{phase} {policy:?}: {}", ends.join(", "));
        }
    }
    expect![[r#"
        request_headers Closed: 503 Complete, 503 Complete, 503 Complete
        request_headers Open: 503 Complete, 200 Complete, 200 Complete
        request_headers LegacyOpen: 200 Complete, 200 Complete, 200 Complete
        request_headers Reload { base_interval: 1s }: 503 Complete, 503 Complete, 200 Complete
        request_body Closed: 503 Complete, 503 Complete, 503 Complete
        request_body Open: 503 Complete, 200 Complete, 200 Complete
        request_body LegacyOpen: 200 Complete, 200 Complete, 200 Complete
        request_body Reload { base_interval: 1s }: 503 Complete, 503 Complete, 200 Complete
        response_headers Closed: 503 Complete, 503 Complete, 503 Complete
        response_headers Open: 503 Complete, 200 Complete, 200 Complete
        response_headers LegacyOpen: 200 Complete, 200 Complete, 200 Complete
        response_headers Reload { base_interval: 1s }: 503 Complete, 503 Complete, 200 Complete
        response_body Closed: 200 Reset, 503 Complete, 503 Complete
        response_body Open: 200 Reset, 200 Complete, 200 Complete
        response_body LegacyOpen: 200 Complete, 200 Complete, 200 Complete
        response_body Reload { base_interval: 1s }: 200 Reset, 503 Complete, 200 Complete
        log Closed: 200 Complete, 503 Complete, 503 Complete
        log Open: 200 Complete, 200 Complete, 200 Complete
        log LegacyOpen: 200 Complete, 200 Complete, 200 Complete
        log Reload { base_interval: 1s }: 200 Complete, 503 Complete, 200 Complete
        done Closed: 200 Complete, 503 Complete, 503 Complete
        done Open: 200 Complete, 200 Complete, 200 Complete
        done LegacyOpen: 200 Complete, 200 Complete, 200 Complete
        done Reload { base_interval: 1s }: 200 Complete, 503 Complete, 200 Complete
    "#]]
    .assert_eq(&table);
}

#[test]
fn what_a_filter_changed_before_it_broke_is_kept_where_the_old_policy_lets_the_stream_pass() {
    let breaks = "request_headers: add request x-kept 1; panic";
    let proxy = chain([script(breaks).failing(FailurePolicy::LegacyOpen)]).on(get("/x"));
    expect![[r#"
        GET /x
          0 script: RequestHeaders + x-kept: 1
          0 script: add request x-kept 1 -> ok
          0 script: FAULT trapped in on_request_headers: wasm trap: wasm `unreachable` instruction executed
          0 proxy: routed by main to upstream
          0 proxy: upstream answered 200
          upstream got [:path: /x, :method: GET, x-kept: 1]
          client got [:status: 200]
          end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&proxy.text());
}

/// As Envoy: the 503 is first, and takes the details of the reply.
#[test]
fn a_reply_asked_for_before_a_panic_does_not_go_out() {
    let proxy = chain([script("request_headers: reply 418 body=tea details=asked; panic")]).on(get("/x"));
    expect![[r#"
        client got [:status: 503]
        end: Complete after 0ns, asked
    "#]]
    .assert_eq(&proxy.lines(&["client got", "end:"]));
}

#[test]
fn a_panic_takes_every_filter_of_its_vm_with_it_and_no_other() {
    let traffic = || get("/x").after(50);
    let one = |name: &str, text: &str| script(text).named(name).vm_id("one").vm_configured("");
    let apart = |text: &str| script(text).named("apart");
    let breaks = "tick: panic\nconfigure: tick 20";
    let proxy =
        chain([one("breaks", breaks), one("with", ""), apart("response_headers: get response :status")])
            .on(traffic())
            .on(get("/y"));
    expect![[r#"
        GET /x
          0 breaks: on_request_headers = Continue
          0 with: on_request_headers = Continue
          0 apart: on_request_headers = Continue
          0 proxy: routed by main to upstream
          50 proxy: upstream answered 200
          50 apart: get response :status -> "200"
          50 apart: on_response_headers = Continue
          upstream got [:path: /x, :method: GET]
          client got [:status: 503]
          end: Complete after 50ms, wasm_fail_stream
        GET /y
          upstream got nothing
          client got [:status: 503]
          end: Complete after 0ns, wasm_fail_stream
        outside streams
          0 breaks: tick 20 -> ok
          20 breaks: FAULT trapped in on_tick: wasm trap: wasm `unreachable` instruction executed
    "#]]
    .assert_eq(&proxy.text());
}

fn asks() -> &'static str {
    "request_headers: only request :path /asks; call_out auth 0; return 1
     request_headers: only request :path /breaks; panic
     callout: say answered; effective stream; continue request"
}

#[test]
fn a_stream_that_waits_for_a_callout_of_a_broken_vm_hangs() {
    let answer = CalloutAnswer::Response { after: Duration::from_millis(500), message: Default::default() };
    for policy in [FailurePolicy::Closed, RELOAD] {
        let proxy = chain([script(asks()).failing(policy)]).cluster("auth", [answer.clone()]);
        let proxy = proxy.on(get("/asks").at(0)).on(get("/breaks").at(100)).on(get("/after").at(1600));
        let ends: Vec<String> = proxy.outcomes().iter().map(end_of).collect();
        let after = if policy == RELOAD { "200 Complete" } else { "503 Complete" };
        assert_eq!(ends, ["nothing Hung", "503 Complete", after], "{policy:?}");
    }
}

#[test]
fn a_reloaded_vm_starts_afresh_and_does_not_know_the_streams_and_callouts_of_the_old_one() {
    let says = "configure: say configured
                request_headers: context
                request_headers: only request :path /asks; call_out auth 0
                request_headers: only request :path /breaks; panic
                response_headers: context
                callout: say never
                log: context";
    let answer = CalloutAnswer::Response { after: Duration::from_millis(3000), message: Default::default() };
    let proxy = chain([script(says).failing(RELOAD)])
        .cluster("auth", [answer])
        .on(get("/asks").at(0).after(2500))
        .on(get("/breaks").at(100))
        .on(get("/too-soon").at(200))
        .on(get("/after").at(1300));
    expect![[r#"
        GET /asks
          0 script: context -> 2 of 1
          0 script: called GET / at auth as 4
          0 script: call_out auth 0 -> 4
          0 script: on_request_headers = Continue
          0 proxy: routed by main to upstream
          2500 proxy: upstream answered 200
          upstream got [:path: /asks, :method: GET]
          client got [:status: 503]
          end: Complete after 2.5s, wasm_fail_stream
        GET /breaks
          100 script: context -> 3 of 1
          100 script: FAULT trapped in on_request_headers: wasm trap: wasm `unreachable` instruction executed
          upstream got nothing
          client got [:status: 503]
          end: Complete after 0ns, wasm_fail_stream
        GET /too-soon
          upstream got nothing
          client got [:status: 503]
          end: Complete after 0ns, wasm_fail_stream
        GET /after
          1300 script: context -> 2 of 1
          1300 script: on_request_headers = Continue
          1300 proxy: routed by main to upstream
          1300 proxy: upstream answered 200
          1300 script: context -> 2 of 1
          1300 script: on_response_headers = Continue
          1300 script: context -> 2 of 1
          upstream got [:path: /after, :method: GET]
          client got [:status: 200]
          end: Complete after 0ns, via_upstream
        outside streams
          0 script: configured
          1300 script: configured
          1300 script: FINDING vm_reloaded: VM reloaded
    "#]]
    .assert_eq(&proxy.text());
}

#[test]
fn a_filter_passed_by_under_fail_open_is_passed_by_on_the_way_back_too() {
    let breaks = script("request_headers: panic\nresponse_headers: say never").failing(FailurePolicy::Open);
    let proxy = chain([breaks, script("response_headers: get response :status").named("inner")])
        .on(get("/x"))
        .on(get("/y"));
    expect![[r#"
        GET /x
          0 script: FAULT trapped in on_request_headers: wasm trap: wasm `unreachable` instruction executed
          upstream got nothing
          client got [:status: 503]
          end: Complete after 0ns, wasm_fail_stream
        GET /y
          1000 inner: on_request_headers = Continue
          1000 proxy: routed by main to upstream
          1000 proxy: upstream answered 200
          1000 inner: get response :status -> "200"
          1000 inner: on_response_headers = Continue
          upstream got [:path: /y, :method: GET]
          client got [:status: 200]
          end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&proxy.text());
}

/// The mistake that most often breaks filters in production (SDK 0.2.5).
#[test]
fn a_late_read_through_the_sdk_panics() {
    expect![[r#"
        0 late-read: FAULT trapped in on_response_headers: wasm trap: wasm `unreachable` instruction executed
        client got [:status: 503]
        end: Complete after 0ns, wasm_fail_stream
    "#]]
    .assert_eq(&chain([probe("late-read")]).on(get("/x")).lines(&["FAULT", "client got", "end:"]));
}

#[test]
fn ticks_come_one_period_after_the_last_until_they_are_switched_off() {
    let ticks = "configure: tick 30\nrequest_headers: return 1\ntick: now\ntick: call 3; tick 50\ntick: call 5; tick 0; effective stream; continue request";
    expect![[r#"
        end: Complete after 190ms, via_upstream
        30 script: now -> 1767225600030000000
        60 script: now -> 1767225600060000000
        90 script: now -> 1767225600090000000
        140 script: now -> 1767225600140000000
        190 script: now -> 1767225600190000000
    "#]]
    .assert_eq(&chain([script(ticks)]).on(get("/x").at(0)).lines(&["now ->", "end:"]));
}

#[test]
fn a_deadline_is_kept_by_a_tick_while_the_upstream_is_silent() {
    let proxy =
        chain([probe("deadline")]).on(get("/slow").at(0).after(60_000)).on(get("/quick").at(100).after(5));
    expect![[r#"
        GET /slow
          0 deadline: on_request_headers = Continue
          0 proxy: routed by main to upstream
          30 deadline: replied 504 with 8 bytes, details ""
          30 deadline: on_response_headers = Continue
          30 deadline: on_response_body = Continue
          upstream got [:path: /slow, :method: GET]
          client got [:status: 504, content-length: 8, content-type: text/plain] "too late"
          end: Complete after 30ms, 
        GET /quick
          100 deadline: on_request_headers = Continue
          100 proxy: routed by main to upstream
          105 proxy: upstream answered 200
          105 deadline: on_response_headers = Continue
          upstream got [:path: /quick, :method: GET]
          client got [:status: 200]
          end: Complete after 5ms, via_upstream
    "#]]
    .assert_eq(&proxy.text());
}

#[test]
fn filters_in_different_vms_see_one_stream_and_each_others_edits() {
    let filters: Vec<Filter> = (0..4).map(|n| {
        script(&format!("request_headers: size request; add request x-hop {n}\nresponse_headers: add response x-hop {n}")).named(&format!("f{n}"))
    }).collect();
    expect![[r#"
        0 f0: size request -> 42
        0 f1: size request -> 48
        0 f2: size request -> 54
        0 f3: size request -> 60
        upstream got [:path: /x, :method: GET, x-hop: 0, x-hop: 1, x-hop: 2, x-hop: 3]
        client got [:status: 200, x-hop: 3, x-hop: 2, x-hop: 1, x-hop: 0]
    "#]]
    .assert_eq(&chain(filters).on(get("/x")).lines(&["size", "got"]));
}
