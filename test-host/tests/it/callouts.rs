//! HTTP calls that filters make: how each end of one looks to the filter. As Envoy 1.40 (`envoy-abi` 7.1).

use std::time::Duration;

use expect_test::expect;
use wayside::{message::Message, upstream::CalloutAnswer};

use crate::support::{chain, get, probe, script};

const ASKS: &str = "request_headers: call_out auth 100 /check; return 1
                    callout: answered; pairs callout; buffer callout; status; effective stream; add request x-late 1; continue request";

fn after(millis: u64, answer: CalloutAnswer) -> CalloutAnswer {
    match answer {
        CalloutAnswer::Response { message, .. } => {
            CalloutAnswer::Response { after: Duration::from_millis(millis), message }
        }
        other => other,
    }
}

#[test]
fn an_answer_comes_to_the_root_and_the_stream_goes_on_from_it() {
    let proxy =
        chain([script(ASKS)]).cluster("auth", [after(30, CalloutAnswer::status(200, "yes"))]).on(get("/x"));
    expect![[r#"
        GET /x
          0 script: called GET /check at auth as 4
          0 script: call_out auth 100 /check -> 4
          0 script: on_request_headers = StopAllAndWatermark
          30 script: effective stream -> ok
          30 script: RequestHeaders + x-late: 1
          30 script: add request x-late 1 -> ok
          30 script: resumed Decode
          30 script: continue request -> ok
          30 proxy: routed by main to upstream
          30 proxy: upstream answered 200
          30 script: on_response_headers = Continue
          upstream got [:path: /x, :method: GET, x-late: 1]
          client got [:status: 200]
          end: Complete after 30ms, via_upstream
        outside streams
          30 script: callout 4 answered: status 200
          30 script: answered -> [4, 3, 3, 0]
          30 script: pairs callout -> [:status=200 content-length=3 x-envoy-upstream-service-time=30]
          30 script: buffer callout -> "yes"
          30 script: status -> ok 0 ""
    "#]]
    .assert_eq(&proxy.text());
}

#[test]
fn failures_differ_by_their_cause() {
    let failures = [
        CalloutAnswer::ConnectFailure { after: Duration::from_millis(5) },
        CalloutAnswer::Silence,
        CalloutAnswer::Reset { after: Duration::from_millis(5) },
        after(101, CalloutAnswer::status(200, "too late")),
        CalloutAnswer::status(204, ""),
    ];
    let proxy = failures
        .iter()
        .fold(chain([script(ASKS)]).cluster("auth", failures.clone()), |proxy, _| proxy.on(get("/x")));
    expect![[r#"
        5 proxy: upstream answered 200
        client got [:status: 200]
        end: Complete after 5ms, via_upstream
        1100 proxy: upstream answered 200
        client got [:status: 200]
        end: Complete after 100ms, via_upstream
        2005 proxy: upstream answered 200
        client got [:status: 200]
        end: Complete after 5ms, via_upstream
        3100 proxy: upstream answered 200
        client got [:status: 200]
        end: Complete after 100ms, via_upstream
        4000 proxy: upstream answered 200
        client got [:status: 200]
        end: Complete after 0ns, via_upstream
        5 script: callout 4 answered: connection failure: status 503
        5 script: answered -> [4, 3, 98, 0]
        5 script: pairs callout -> [:status=503 content-length=98 content-type=text/plain]
        5 script: buffer callout -> "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure"
        5 script: status -> ok 0 ""
        1100 script: callout 8 answered: timeout: status 504
        1100 script: answered -> [8, 3, 24, 0]
        1100 script: pairs callout -> [:status=504 content-length=24 content-type=text/plain]
        1100 script: buffer callout -> "upstream request timeout"
        1100 script: status -> ok 0 ""
        2005 script: callout 12 answered: reset
        2005 script: answered -> [12, 0, 0, 0]
        2005 script: pairs callout -> ""
        2005 script: buffer callout -> not_found
        2005 script: status -> ok 11 "reset"
        3100 script: callout 16 answered: timeout: status 504
        3100 script: answered -> [16, 3, 24, 0]
        3100 script: pairs callout -> [:status=504 content-length=24 content-type=text/plain]
        3100 script: buffer callout -> "upstream request timeout"
        3100 script: status -> ok 11 ""
        4000 script: callout 20 answered: status 204
        4000 script: answered -> [20, 3, 0, 0]
        4000 script: pairs callout -> [:status=204 content-length=0 x-envoy-upstream-service-time=0]
        4000 script: buffer callout -> ""
        4000 script: status -> ok 11 ""
    "#]].assert_eq(&proxy.lines(&["answered", "callout ->", "status", "end:"]));
}

#[test]
fn what_cannot_be_called_is_refused_at_once_and_tokens_count_only_what_was_sent_or_could_have_been() {
    let asks = "request_headers: call_out nowhere 10; call_out empty 10; call_out auth 10 -; call_out auth -1; call_out auth 100; call_out auth 100";
    let proxy = chain([script(asks)])
        .cluster("auth", [CalloutAnswer::status(200, "")])
        .cluster_without_host("empty")
        .on(get("/x"));
    expect![[r#"
        0 script: call_out nowhere 10 -> bad_argument
        0 script: call_out empty 10 -> internal_failure
        0 script: call_out auth 10 - -> bad_argument
        0 script: call_out auth -1 -> bad_argument
        0 script: call_out auth 100 -> 8
        0 script: call_out auth 100 -> 12
    "#]]
    .assert_eq(&proxy.lines(&["call_out"]));
}

#[test]
fn an_answer_that_comes_after_the_stream_still_comes_to_the_root() {
    let asks = "request_headers: call_out auth 0\ncallout: answered; effective stream; continue request; effective 0; get callout :status\nlog: say log; call_out auth 0";
    let proxy =
        chain([script(asks)]).cluster("auth", [after(500, CalloutAnswer::status(200, ""))]).on(get("/x"));
    expect![[r#"
        GET /x
          0 script: called GET / at auth as 4
          0 script: call_out auth 0 -> 4
          0 script: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 proxy: upstream answered 200
          0 script: on_response_headers = Continue
          0 script: log
          0 script: called GET / at auth as 8
          0 script: call_out auth 0 -> 8
          upstream got [:path: /x, :method: GET]
          client got [:status: 200]
          end: Complete after 0ns, via_upstream
        outside streams
          500 script: callout 4 answered: status 200
          500 script: answered -> [4, 3, 0, 0]
          500 script: effective stream -> bad_argument
          500 script: continue request -> ok
          500 script: effective 0 -> ok
          500 script: get callout :status -> "200"
          500 script: callout 8 answered: status 200
          500 script: answered -> [8, 3, 0, 0]
          500 script: effective stream -> bad_argument
          500 script: continue request -> ok
          500 script: effective 0 -> ok
          500 script: get callout :status -> "200"
    "#]]
    .assert_eq(&proxy.text());
}

#[test]
fn trailers_of_an_answer_are_shown_and_none_of_it_outlives_the_callback() {
    let message = Message {
        headers: [(":status", "200")].into_iter().collect(),
        body: vec!["ab".into(), "cd".into()],
        trailers: Some([("t", "1")].into_iter().collect()),
    };
    let asks = "request_headers: call_out auth 100; get callout :status; buffer callout; return 1
                callout: answered; buffer callout; get callout_trailers t; add callout x 1; effective stream; continue request
                response_headers: get callout :status; pairs callout; buffer callout";
    let proxy = chain([script(asks)])
        .cluster("auth", [CalloutAnswer::Response { after: Duration::ZERO, message }])
        .on(get("/x"));
    expect![[r#"
        0 script: called GET / at auth as 4
        0 script: call_out auth 100 -> 4
        0 script: get callout :status -> bad_argument
        0 script: buffer callout -> not_found
        0 script: on_request_headers = StopAllAndWatermark
        0 script: effective stream -> ok
        0 script: resumed Decode
        0 script: continue request -> ok
        0 script: get callout :status -> bad_argument
        0 script: pairs callout -> ""
        0 script: buffer callout -> not_found
        0 script: on_response_headers = Continue
        0 script: callout 4 answered: status 200
        0 script: answered -> [4, 2, 4, 1]
        0 script: buffer callout -> "abcd"
        0 script: get callout_trailers t -> "1"
        0 script: add callout x 1 -> bad_argument
    "#]]
    .assert_eq(&proxy.lines(&["script:"]));
}

#[test]
fn a_cluster_without_a_script_counts_as_refusing_and_that_is_told() {
    expect![[r#"
        0 script: FINDING unanswered_callout: no script answers cluster "upstream": the connection counts as refused
        0 proxy: upstream answered 200
        0 script: callout 4 answered: connection failure: status 503
        0 script: answered -> [4, 3, 98, 0]
    "#]]
    .assert_eq(
        &chain([script(&ASKS.replace("auth", "upstream"))]).on(get("/x")).lines(&["FINDING", "answered"]),
    );
}

#[test]
fn the_sdk_finds_the_stream_that_asked() {
    let proxy = chain([probe("callout")])
        .cluster("auth", [after(10, CalloutAnswer::status(200, "ann")), CalloutAnswer::status(401, "")])
        .on(get("/first"))
        .on(get("/second"));
    expect![[r#"
        GET /first
          0 callout: called GET /check at auth as 4
          0 callout: on_request_headers = StopAllAndWatermark
          10 callout: RequestHeaders = x-user: ann (was )
          10 callout: resumed Decode
          10 proxy: routed by main to upstream
          10 proxy: upstream answered 200
          10 callout: on_response_headers = Continue
          upstream got [:path: /first, :method: GET, x-user: ann]
          client got [:status: 200]
          end: Complete after 10ms, via_upstream
        GET /second
          1000 callout: called GET /check at auth as 8
          1000 callout: on_request_headers = StopAllAndWatermark
          1000 callout: replied 403 with 2 bytes, details ""
          1000 callout: on_response_headers = Continue
          1000 callout: on_response_body = Continue
          upstream got nothing
          client got [:status: 403, x-why: refused, content-length: 2, content-type: text/plain] "no"
          end: Complete after 0ns, 
        outside streams
          10 callout: callout 4 answered: status 200
          1000 callout: callout 8 answered: status 401
    "#]]
    .assert_eq(&proxy.text());
}

#[test]
fn a_reply_from_a_callout_is_seen_by_the_filter_that_waits() {
    let asks = "request_headers: call_out auth 100; return 1
                callout: effective stream; reply 403 body=no
                response_headers: get response :status; get request :path";
    let proxy = chain([script(asks)]).cluster("auth", [CalloutAnswer::status(401, "")]).on(get("/x"));
    expect![[r#"
        GET /x
          0 script: called GET / at auth as 4
          0 script: call_out auth 100 -> 4
          0 script: on_request_headers = StopAllAndWatermark
          0 script: effective stream -> ok
          0 script: replied 403 with 2 bytes, details ""
          0 script: reply 403 body=no -> ok
          0 script: get response :status -> "403"
          0 script: get request :path -> "/x"
          0 script: on_response_headers = Continue
          0 script: on_response_body = Continue
          upstream got nothing
          client got [:status: 403, content-length: 2, content-type: text/plain] "no"
          end: Complete after 0ns, 
        outside streams
          0 script: callout 4 answered: status 401
    "#]]
    .assert_eq(&proxy.text());
}
