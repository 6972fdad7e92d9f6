//! Replies that filters make: which callbacks see them, what they look like, what comes too late. Expectations marked "as
//! Envoy" were seen on Envoy 1.40 with the same scripts.

use expect_test::expect;

use crate::support::{Traffic, chain, get, post, script};

#[test]
fn a_reply_to_the_request_headers_is_seen_by_the_filters_that_saw_the_request_and_by_the_sender() {
    let sees = "response_headers: get response :status\nresponse_body@end: told\nlog: say log";
    let replies = "request_headers: reply 403 body=no x-a=1 x-a=2 details=not\\stoday
                   response_headers: get response :status; get request :path
                   response_body@end: told";
    let text = chain([script(sees).named("a"), script(replies).named("b"), script(sees).named("c")])
        .on(get("/x"))
        .text();
    expect![[r#"
        GET /x
          0 a: on_request_headers = Continue
          0 b: replied 403 with 2 bytes, details "not today"
          0 b: reply 403 body=no x-a=1 x-a=2 details=not\stoday -> ok
          0 b: on_request_headers = StopAllAndWatermark
          0 b: get response :status -> "403"
          0 b: get request :path -> "/x"
          0 b: on_response_headers = Continue
          0 a: get response :status -> "403"
          0 a: on_response_headers = Continue
          0 b: told -> 2
          0 b: on_response_body = Continue
          0 a: told -> 2
          0 a: on_response_body = Continue
          0 a: log
          0 c: log
          upstream got nothing
          client got [:status: 403, x-a: 1, x-a: 2, content-length: 2, content-type: text/plain] "no"
          end: Complete after 0ns, not_today
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_reply_to_the_request_body_goes_out_although_the_headers_have_reached_the_upstream() {
    let replies = "request_body@end: reply 413 body=big; return 0";
    expect![[r#"
        POST /x
          0 script: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 script: on_request_body = Continue
          0 script: replied 413 with 3 bytes, details ""
          0 script: reply 413 body=big -> ok
          0 script: on_request_body = StopNoBuffer
          0 script: on_response_headers = Continue
          0 script: on_response_body = Continue
          upstream got [:path: /x, :method: POST] "one"
          client got [:status: 413, content-length: 3, content-type: text/plain] "big"
          end: Complete after 0ns, 
    "#]]
    .assert_eq(&chain([script(replies)]).on(post("/x", ["one"])).text());
}

#[test]
fn a_reply_to_the_response_headers_goes_past_all_filters() {
    let sees = "response_headers: say never";
    let replies = "response_headers: reply 500 body=instead";
    let traffic = get("/x").answer_body(["secret"]);
    let text = chain([script(sees).named("a"), script(replies).named("b")]).on(traffic).text();
    expect![[r#"
        GET /x
          0 a: on_request_headers = Continue
          0 b: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 proxy: upstream answered 200
          0 b: replied 500 with 7 bytes, details ""
          0 b: reply 500 body=instead -> ok
          0 b: on_response_headers = StopAllAndWatermark
          upstream got [:path: /x, :method: GET]
          client got [:status: 500, content-length: 7, content-type: text/plain] "instead"
          end: Complete after 0ns, 
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_reply_to_the_response_body_comes_too_late_and_resets_the_stream() {
    let replies = "response_body: reply 500 body=instead";
    expect![[r#"
        GET /x
          0 script: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 proxy: upstream answered 200
          0 script: on_response_headers = Continue
          0 script: replied 500 with 7 bytes, details ""
          0 script: reply 500 body=instead -> ok
          0 script: on_response_body = StopNoBuffer
          upstream got [:path: /x, :method: GET]
          client got [:status: 200]
          end: Reset after 0ns, 
    "#]]
    .assert_eq(&chain([script(replies)]).on(get("/x").answer_body(["secret"])).text());
}

/// As Envoy.
#[test]
fn of_two_replies_in_one_callback_the_first_goes_out_with_the_details_of_the_second() {
    let replies = "request_headers: reply 403 body=one details=first; reply 404 body=two details=second";
    expect![[r#"
        client got [:status: 403, content-length: 3, content-type: text/plain] "one"
        end: Complete after 0ns, second
    "#]]
    .assert_eq(&chain([script(replies)]).on(get("/x")).lines(&["client got", "end:"]));
}

#[test]
fn of_two_replies_the_second_wins_when_it_comes_from_the_responses_headers_of_the_first() {
    let replies = "request_headers: reply 403 body=one\nresponse_headers: reply 404 body=two";
    expect![[r#"
        client got [:status: 404, content-length: 3, content-type: text/plain] "two"
        end: Complete after 0ns, 
    "#]]
    .assert_eq(&chain([script(replies)]).on(get("/x")).lines(&["client got", "end:"]));
}

#[test]
fn a_sender_that_stops_its_own_reply_holds_it() {
    let replies = "request_headers: reply 403 body=one\nresponse_headers: return 1";
    expect![[r#"
        upstream got nothing
        client got nothing
        end: Hung after 0ns, 
    "#]]
    .assert_eq(&chain([script(replies)]).on(get("/x")).lines(&["got", "end:"]));
}

#[test]
fn replies_have_the_form_their_request_asks_for() {
    let replies = "request_headers: only request :path /body; reply 418 body=tea x-a=1 content-length=99
                   request_headers: only request :path /empty; reply 204 content-type=text/html
                   request_headers: only request :path /typed; reply 200 body={} content-type=application/json
                   request_headers: only request :path /grpc; reply 403 body=no\\sway! x-a=1
                   request_headers: only request :path /grpc7; reply 200 grpc=7";
    let grpc = |path| post(path, []).header("content-type", "application/grpc");
    let proxy = chain([script(replies)])
        .on(get("/body"))
        .on(Traffic::new("HEAD", "/body"))
        .on(get("/empty"))
        .on(get("/typed"))
        .on(grpc("/grpc"))
        .on(grpc("/grpc7"));
    expect![[r#"
        client got [:status: 418, x-a: 1, content-length: 3, content-type: text/plain] "tea"
        client got [:status: 418, x-a: 1, content-length: 3, content-type: text/plain]
        client got [:status: 204]
        client got [:status: 200, content-type: application/json, content-length: 2] "{}"
        client got [:status: 200, x-a: 1, content-type: application/grpc, grpc-status: 7, grpc-message: no way!]
        client got [:status: 200, content-type: application/grpc, grpc-status: 7]
    "#]].assert_eq(&proxy.lines(&["client got"]));
}

#[test]
fn a_reply_from_a_tick_needs_the_streams_context() {
    let replies = "configure: tick 10\nrequest_headers: return 1\ntick: reply 500; effective stream; reply 503 body=tick; tick 0";
    expect![[r#"
        GET /x
          0 script: on_request_headers = StopAllAndWatermark
          10 script: effective stream -> ok
          10 script: replied 503 with 4 bytes, details ""
          10 script: reply 503 body=tick -> ok
          10 script: tick 0 -> ok
          10 script: on_response_headers = Continue
          10 script: on_response_body = Continue
          upstream got nothing
          client got [:status: 503, content-length: 4, content-type: text/plain] "tick"
          end: Complete after 10ms, 
        outside streams
          0 script: tick 10 -> ok
          10 script: FINDING lost_reply: send_local_response outside a stream: Envoy answers Ok and does nothing
          10 script: reply 500 -> ok
    "#]]
    .assert_eq(&chain([script(replies)]).on(get("/x")).text());
}

#[test]
fn what_would_crash_envoy_is_told_and_not_done() {
    let dies = "request_headers: continue response\nlog: reply 500; close request\ndone: reply 500\ndelete: reply 500";
    expect![[r#"
        0 script: FINDING would_crash_envoy: continue_stream(response) before there is a response: this crashes Envoy
        0 script: FINDING would_crash_envoy: send_local_response in on_log, on_done or on_delete: this crashes Envoy
        0 script: FINDING would_crash_envoy: close_stream in on_log, on_done or on_delete: in on_log this crashes Envoy
        0 script: FINDING would_crash_envoy: send_local_response in on_log, on_done or on_delete: this crashes Envoy
        0 script: FINDING would_crash_envoy: send_local_response in on_log, on_done or on_delete: this crashes Envoy
        client got [:status: 200]
        end: Complete after 0ns, via_upstream
        0 script: FINDING lost_reply: send_local_response outside a stream: Envoy answers Ok and does nothing
        0 script: FINDING lost_reply: send_local_response outside a stream: Envoy answers Ok and does nothing
    "#]]
    .assert_eq(&chain([script(dies)]).on(get("/x")).lines(&["FINDING", "client got", "end:"]));
}
