//! A stream on its way through a chain: order, pauses, bodies, trailers, local replies. Expectations marked "as Envoy" were
//! seen on Envoy 1.40 with the same scripts.

use expect_test::expect;
use proptest::prelude::*;
use wayside::proxy::spec::FailurePolicy;

use crate::support::{chain, get, post, script};

#[test]
fn requests_go_forward_and_responses_backward_and_every_log_comes_before_any_done() {
    let said = "context_create: say created
                request_headers: context
                response_headers: say response
                log: say log
                done: say done
                delete: say delete";
    let text =
        chain([script(said).named("a").vm_id(""), script(said).named("b").vm_id("")]).on(get("/x")).text();
    expect![[r#"
        GET /x
          0 a: created
          0 a: context -> 3 of 1
          0 a: on_request_headers = Continue
          0 b: created
          0 b: context -> 4 of 2
          0 b: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 proxy: upstream answered 200
          0 b: response
          0 b: on_response_headers = Continue
          0 a: response
          0 a: on_response_headers = Continue
          0 a: log
          0 b: log
          0 a: done
          0 a: delete
          0 b: done
          0 b: delete
          upstream got [:path: /x, :method: GET]
          client got [:status: 200]
          end: Complete after 0ns, via_upstream
        outside streams
          0 b: done
          0 b: delete
          0 a: done
          0 a: delete
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_body_is_shown_chunk_by_chunk_and_ends_with_an_empty_one() {
    let told = "request_body@more: told\nrequest_body@end: told; say end\nresponse_body@more: told\nresponse_body@end: told; say end";
    let traffic = post("/x", ["one", "three"]).answer_body(["four", "seven"]);
    expect![[r#"
        POST /x
          0 script: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 script: told -> 3
          0 script: on_request_body = Continue
          0 script: told -> 5
          0 script: on_request_body = Continue
          0 script: told -> 0
          0 script: end
          0 script: on_request_body = Continue
          0 proxy: upstream answered 200
          0 script: on_response_headers = Continue
          0 script: told -> 4
          0 script: on_response_body = Continue
          0 script: told -> 5
          0 script: on_response_body = Continue
          0 script: told -> 0
          0 script: end
          0 script: on_response_body = Continue
          upstream got [:path: /x, :method: POST] "one" "three"
          client got [:status: 200] "four" "seven"
          end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&chain([script(told)]).on(traffic).text());
}

#[test]
fn without_a_body_there_is_no_body_callback() {
    let told = "request_headers@end: say end\nrequest_body: say never\nresponse_headers@end: say end\nresponse_body: say never";
    expect![[r#"
        0 script: end
        0 script: end
        end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&chain([script(told)]).on(get("/x")).lines(&["end", "never"]));
}

#[test]
fn with_trailers_no_body_callback_is_the_last_one() {
    let told = "request_body@end: say never
                request_trailers: get request_trailers t; add request_trailers u 2
                response_body@end: say never
                response_trailers: get response_trailers r; remove response_trailers r";
    let traffic = post("/x", ["one"]).trailer("t", "1").answer_body(["two"]).answer_trailer("r", "3");
    expect![[r#"
        POST /x
          0 script: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 script: on_request_body = Continue
          0 script: get request_trailers t -> "1"
          0 script: RequestTrailers + u: 2
          0 script: add request_trailers u 2 -> ok
          0 script: on_request_trailers = Continue
          0 proxy: upstream answered 200
          0 script: on_response_headers = Continue
          0 script: on_response_body = Continue
          0 script: get response_trailers r -> "3"
          0 script: ResponseTrailers - r (was 3)
          0 script: remove response_trailers r -> ok
          0 script: on_response_trailers = Continue
          upstream got [:path: /x, :method: POST] "one" [t: 1, u: 2]
          client got [:status: 200] "two" []
          end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&chain([script(told)]).on(traffic).text());
}

/// As Envoy: the filter that adds them is not called with them, those behind it are.
#[test]
fn trailers_added_with_the_last_body_are_passed_on() {
    let adds = "request_body@end: add request_trailers t 1; say added\nrequest_trailers: say never";
    let sees = "request_body@end: say never\nrequest_trailers: get request_trailers t";
    let text = chain([script(adds).named("a"), script(sees).named("b")]).on(post("/x", ["one"])).text();
    expect![[r#"
        POST /x
          0 a: on_request_headers = Continue
          0 b: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 a: on_request_body = Continue
          0 b: on_request_body = Continue
          0 a: RequestTrailers + t: 1
          0 a: add request_trailers t 1 -> ok
          0 a: added
          0 a: on_request_body = Continue
          0 b: on_request_body = Continue
          0 b: get request_trailers t -> "1"
          0 b: on_request_trailers = Continue
          0 proxy: upstream answered 200
          0 b: on_response_headers = Continue
          0 a: on_response_headers = Continue
          upstream got [:path: /x, :method: POST] "one" [t: 1]
          client got [:status: 200]
          end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_stop_at_the_headers_holds_the_body_back_until_the_filter_goes_on_and_then_shows_it_whole() {
    let waits = "configure: tick 20
                 request_headers: return 1
                 request_body: told; buffer request
                 tick: effective stream; continue request; get request :path";
    let text = chain([script(waits)]).on(post("/x", ["one", "two"])).text();
    expect![[r#"
        POST /x
          0 script: on_request_headers = StopAllAndWatermark
          20 script: effective stream -> ok
          20 script: resumed Decode
          20 script: continue request -> ok
          20 script: get request :path -> bad_argument
          20 proxy: routed by main to upstream
          20 script: told -> 6
          20 script: buffer request -> "onetwo"
          20 script: on_request_body = Continue
          20 proxy: upstream answered 200
          20 script: on_response_headers = Continue
          upstream got [:path: /x, :method: POST] "onetwo"
          client got [:status: 200]
          end: Complete after 20ms, via_upstream
        outside streams
          0 script: tick 20 -> ok
    "#]]
    .assert_eq(&text);
}

#[test]
fn with_the_header_stop_option_the_body_comes_and_lets_the_headers_go_and_they_stay_in_sight() {
    // As Envoy: also in the callbacks after the one that let go.
    let waits = "request_headers: return 1
                 request_body@more: call 1; add request x-late 1; return 0
                 request_body: told; get request x-late";
    let text = chain([script(waits).stopping_headers_only()]).on(post("/x", ["one", "two"])).text();
    expect![[r#"
        POST /x
          0 script: on_request_headers = StopIteration
          0 script: RequestHeaders + x-late: 1
          0 script: add request x-late 1 -> ok
          0 script: told -> 3
          0 script: get request x-late -> "1"
          0 script: on_request_body = Continue
          0 proxy: routed by main to upstream
          0 script: told -> 3
          0 script: get request x-late -> "1"
          0 script: on_request_body = Continue
          0 script: told -> 0
          0 script: get request x-late -> "1"
          0 script: on_request_body = Continue
          0 proxy: upstream answered 200
          0 script: on_response_headers = Continue
          upstream got [:path: /x, :method: POST, x-late: 1] "one" "two"
          client got [:status: 200]
          end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_body_held_until_its_end_is_shown_with_a_growing_size() {
    let holds = "request_body@more: told; return 1\nrequest_body@end: told; buffer request";
    expect![[r#"
        0 script: on_request_headers = Continue
        0 script: told -> 3
        0 script: on_request_body = StopAndBuffer
        0 script: told -> 6
        0 script: on_request_body = StopAndBuffer
        0 script: told -> 11
        0 script: on_request_body = StopAndBuffer
        0 script: told -> 11
        0 script: buffer request -> "onetwothree"
        0 script: on_request_body = Continue
        0 script: on_response_headers = Continue
        upstream got [:path: /x, :method: POST] "onetwothree"
    "#]]
    .assert_eq(
        &chain([script(holds)]).on(post("/x", ["one", "two", "three"])).lines(&["script:", "upstream got"]),
    );
}

#[test]
fn a_body_held_outside_the_filters_view_is_shown_piece_by_piece_and_still_whole_behind_it() {
    let holds = "request_body@more: told; return 2\nrequest_body@end: told; buffer request";
    expect![[r#"
        0 script: on_request_headers = Continue
        0 script: told -> 3
        0 script: on_request_body = StopAndWatermark
        0 script: told -> 3
        0 script: on_request_body = StopAndWatermark
        0 script: told -> 0
        0 script: buffer request -> ""
        0 script: on_request_body = Continue
        0 script: on_response_headers = Continue
        upstream got [:path: /x, :method: POST] "onetwo"
    "#]]
    .assert_eq(&chain([script(holds)]).on(post("/x", ["one", "two"])).lines(&["script:", "upstream got"]));
}

#[test]
fn a_chunk_that_is_not_buffered_is_thrown_away() {
    let drops = "request_body@more: only request :path /x; return 3\nrequest_body@more: call 1; return 3";
    expect![[r#"
        0 script: on_request_headers = Continue
        0 script: on_request_body = StopNoBuffer
        0 script: on_request_body = Continue
        0 script: on_request_body = Continue
        0 script: on_response_headers = Continue
        upstream got [:path: /x, :method: POST] "two"
        end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&chain([script(drops)]).on(post("/x", ["one", "two"])).lines(&[
        "script:",
        "upstream got",
        "end:",
    ]));
}

#[test]
fn a_body_held_until_the_trailers_can_be_replaced_there() {
    let holds = "response_body: return 1\nresponse_trailers: buffer response; write response 0 99 new";
    let traffic = get("/x").answer_body(["one", "two"]).answer_trailer("t", "1");
    expect![[r#"
        0 script: on_request_headers = Continue
        0 script: on_response_headers = Continue
        0 script: on_response_body = StopAndBuffer
        0 script: on_response_body = StopAndBuffer
        0 script: buffer response -> "onetwo"
        0 script: Encode body replaced by 3 bytes
        0 script: write response 0 99 new -> ok
        0 script: on_response_trailers = Continue
        client got [:status: 200] "new" [t: 1]
    "#]]
    .assert_eq(&chain([script(holds)]).on(traffic).lines(&["script:", "client got"]));
}

#[test]
fn a_body_held_at_its_end_and_never_let_go_hangs() {
    let holds = "request_body: return 1";
    expect![[r#"
        upstream got [:path: /x, :method: POST]
        client got nothing
        end: Hung after 0ns, 
    "#]]
    .assert_eq(&chain([script(holds)]).on(post("/x", ["one"])).lines(&["got", "end:"]));
}

#[test]
fn the_upstream_answers_only_once_it_has_the_whole_request() {
    let holds = "configure: tick 50\nrequest_body@end: return 1\ntick: effective stream; continue request";
    let text = chain([script(holds)]).on(post("/x", ["one"]).after(7)).lines(&["answered", "end:"]);
    expect![[r#"
        57 proxy: upstream answered 200
        end: Complete after 57ms, via_upstream
    "#]]
    .assert_eq(&text);
}

#[test]
fn bodies_are_replaced_put_in_front_of_and_appended_to_but_not_changed_in_the_middle() {
    let edits = "request_body@more: only request :path /x; say never
                 request_body@more: write request 0 3 NEW; write request 0 0 <; write request 99 0 >; write request 1 1 x; buffer request; buffer request 1 2; buffer request 9 2; buffer_status request; buffer 9
                 response_body@more: write response 0 -1 short; write callout 0 0 x";
    let traffic = post("/x", ["one"])
        .header("content-length", "3")
        .answer_body(["a long one"])
        .answer_header("content-length", "10");
    // Lengths in the headers are left as they are, right or wrong, as in Envoy.
    expect![[r#"
        POST /x
          0 script: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 script: Decode body replaced by 3 bytes
          0 script: write request 0 3 NEW -> ok
          0 script: Decode body prepended with 1 bytes
          0 script: write request 0 0 < -> ok
          0 script: Decode body appended with 1 bytes
          0 script: write request 99 0 > -> ok
          0 script: write request 1 1 x -> bad_argument
          0 script: buffer request -> "<NEW>"
          0 script: buffer request 1 2 -> "NE"
          0 script: buffer request 9 2 -> ""
          0 script: buffer_status request -> ok 5 0
          0 script: buffer 9 -> bad_argument
          0 script: on_request_body = Continue
          0 script: on_request_body = Continue
          0 proxy: upstream answered 200
          0 script: on_response_headers = Continue
          0 script: Encode body replaced by 5 bytes
          0 script: write response 0 -1 short -> ok
          0 script: write callout 0 0 x -> not_found
          0 script: on_response_body = Continue
          0 script: on_response_body = Continue
          upstream got [:path: /x, :method: POST, content-length: 3] "<NEW>"
          client got [:status: 200, content-length: 10] "short"
          end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&chain([script(edits)]).on(traffic).text());
}

/// As Envoy, which runs what lies behind twice; here it runs once.
#[test]
fn going_on_both_by_call_and_by_answer_is_told() {
    let both = "request_headers: continue request";
    let text = chain([script(both).named("a"), script("request_headers: say once").named("b")])
        .on(get("/x"))
        .lines(&["once", "FINDING", "upstream got"]);
    expect![[r#"
        0 a: FINDING runs_chain_twice: continue_stream, and then answered to continue: Envoy runs the rest of the chain twice
        0 b: once
        upstream got [:path: /x, :method: GET]
    "#]]
    .assert_eq(&text);
}

/// As Envoy: the headers go on, and the body stays behind the stop.
#[test]
fn going_on_by_call_and_stopping_by_answer_lets_the_headers_go_and_holds_the_body() {
    let both = "request_headers: continue request; get request :path; return 1\nrequest_body: say never";
    let text = chain([script(both)])
        .on(get("/x"))
        .on(post("/y", ["one"]))
        .lines(&["script:", "got", "end:", "FINDING"]);
    expect![[r#"
        0 script: resumed Decode
        0 script: continue request -> ok
        0 script: get request :path -> bad_argument
        0 script: on_request_headers = StopAllAndWatermark
        0 script: on_response_headers = Continue
        upstream got [:path: /x, :method: GET]
        client got [:status: 200]
        end: Complete after 0ns, via_upstream
        1000 script: resumed Decode
        1000 script: continue request -> ok
        1000 script: get request :path -> bad_argument
        1000 script: on_request_headers = StopAllAndWatermark
        upstream got [:path: /y, :method: POST]
        client got nothing
        end: Hung after 0ns, 
    "#]]
    .assert_eq(&text);
}

/// As Envoy.
#[test]
fn going_on_by_call_in_a_body_callback_keeps_the_order_of_the_body() {
    let holds = "request_body@more: return 2\nrequest_body@end: continue request; return 0";
    let sees = "request_body@end: told";
    let text = chain([script(holds).named("a"), script(sees).named("b")])
        .on(post("/x", ["one", "two"]))
        .lines(&["told", "upstream got"]);
    expect![[r#"
        0 b: told -> 0
        upstream got [:path: /x, :method: POST] "onetwo"
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_stream_that_is_closed_ends_without_a_response_and_is_logged() {
    let closes = "request_headers: only request :path /x; close request; return 1\nresponse_headers: close response\nlog: say log";
    expect![[r#"
        GET /x
          0 script: closed
          0 script: close request -> ok
          0 script: on_request_headers = StopAllAndWatermark
          0 script: log
          upstream got nothing
          client got nothing
          end: Reset after 0ns, wasm_close_stream
        GET /y
          1000 script: on_request_headers = Continue
          1000 proxy: routed by main to upstream
          1000 proxy: upstream answered 200
          1000 script: closed
          1000 script: close response -> ok
          1000 script: on_response_headers = Continue
          1000 script: log
          upstream got [:path: /y, :method: GET]
          client got nothing
          end: Reset after 0ns, via_upstream
    "#]]
    .assert_eq(&chain([script(closes)]).on(get("/x")).on(get("/y")).text());
}

/// As Envoy.
#[test]
fn headers_that_there_must_be_are_asked_for() {
    let removes = "request_headers: only request :path /no-path; remove request :path
                   request_headers: only request :path /no-method; remove request :method
                   response_headers: only response x-remove 1; remove response :status";
    let proxy = chain([script(removes)])
        .on(get("/no-path"))
        .on(get("/no-method"))
        .on(get("/no-status").answer_header("x-remove", "1"));
    expect![[r#"
        0 proxy: router replied 404, route_not_found
        client got [:status: 404]
        end: Complete after 0ns, route_not_found
        1000 proxy: router replied 503, filter_removed_required_request_headers{missing_required_header:_:method}
        client got [:status: 503, content-length: 32, content-type: text/plain] "missing required header: :method"
        end: Complete after 0ns, filter_removed_required_request_headers{missing_required_header:_:method}
        2000 proxy: router replied 502, filter_removed_required_response_headers{missing_required_header:_:status}
        client got [:status: 502, content-length: 32, content-type: text/plain] "missing required header: :status"
        end: Complete after 0ns, filter_removed_required_response_headers{missing_required_header:_:status}
    "#]].assert_eq(&proxy.lines(&["router replied", "client got", "end:"]));
}

#[test]
fn an_exchange_without_a_recorded_response_breaks_off_as_it_did() {
    let text = chain([script("log: number response.flags; property response.code_details")])
        .on(get("/x").unanswered())
        .text();
    expect![[r#"
        GET /x
          0 script: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 proxy: the client left, as recorded
          0 script: number response.flags -> 16384
          0 script: property response.code_details -> "downstream_remote_disconnect"
          upstream got [:path: /x, :method: GET]
          client got nothing
          end: Disconnected after 0ns, downstream_remote_disconnect
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_silent_upstream_is_given_up_after_the_routes_timeout_and_filters_see_the_504() {
    let sees = "response_headers: get response :status\nlog: number response.flags";
    let proxy =
        chain([script(sees)]).route_timeout(std::time::Duration::from_millis(300)).on(get("/x").after(5000));
    expect![[r#"
        GET /x
          0 script: on_request_headers = Continue
          0 proxy: routed by main to upstream
          300 proxy: router replied 504, response_timeout
          300 script: get response :status -> "504"
          300 script: on_response_headers = Continue
          300 script: on_response_body = Continue
          300 script: number response.flags -> 4
          upstream got [:path: /x, :method: GET, x-envoy-expected-rq-timeout-ms: 300]
          client got [:status: 504, content-length: 24, content-type: text/plain] "upstream request timeout"
          end: Complete after 300ms, response_timeout
    "#]]
    .assert_eq(&proxy.text());
}

/// As Envoy: properties show the old route until the router has asked for a new one.
#[test]
fn an_edit_of_the_request_makes_the_router_choose_again() {
    let moves = "request_headers: replace request :path /elsewhere; property xds.route_name; foreign clear_route_cache; property xds.route_name
                 response_headers: property xds.route_name";
    expect![[r#"
        GET /x
          0 script: RequestHeaders = :path: /elsewhere (was /x)
          0 script: replace request :path /elsewhere -> ok
          0 script: property xds.route_name -> "main"
          0 script: foreign clear_route_cache -> ""
          0 script: property xds.route_name -> "main"
          0 script: on_request_headers = Continue
          0 proxy: routed by elsewhere to upstream
          0 proxy: upstream answered 200
          0 script: property xds.route_name -> "elsewhere"
          0 script: on_response_headers = Continue
          upstream got [:method: GET, :path: /elsewhere]
          client got [:status: 200]
          end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&chain([script(moves)]).on(get("/x")).text());
}

/// As Envoy, to the byte.
#[test]
fn more_than_a_megabyte_is_not_buffered_but_may_wait() {
    let mib = 1024 * 1024;
    let sent = |script: &str, sizes: &[usize]| {
        let chunks: Vec<Vec<u8>> = sizes.iter().map(|size| vec![b'a'; *size]).collect();
        let outcomes = chain([crate::support::script(script)]).on(post("/x", []).chunks(&chunks)).outcomes();
        let got = outcomes[0].upstream_request.as_ref().map_or(0, wayside::message::Message::body_len);
        let details = outcomes[0].details.clone().unwrap_or_default();
        format!("{} reached the upstream, {}", got, details.escape_ascii())
    };
    let holds = |answer| format!("request_body@more: return {answer}");
    assert_eq!(sent(&holds(1), &[mib - 1, 1]), "1048576 reached the upstream, via_upstream");
    assert_eq!(sent(&holds(1), &[mib, 1]), "0 reached the upstream, request_payload_too_large");
    assert_eq!(sent(&holds(1), &[mib + 1]), "0 reached the upstream, request_payload_too_large");
    assert_eq!(sent(&holds(2), &[mib, 1]), "1048577 reached the upstream, via_upstream");
    assert_eq!(
        sent("request_headers: return 3", &[mib, 1]),
        "0 reached the upstream, request_payload_too_large"
    );
    assert_eq!(sent("request_body: return 0", &[mib, 1]), "1048577 reached the upstream, via_upstream");
}

/// As Envoy.
#[test]
fn a_response_too_large_to_buffer_is_a_500_while_its_headers_are_held_and_a_reset_afterwards() {
    let sees = script("response_headers: get response :status").named("outer");
    let holds =
        |headers: &str| script(&format!("{headers}\nresponse_body@more: return 1")).stopping_headers_only();
    let traffic =
        || get("/x").answered_by(|response| response.body = vec![vec![b'a'; 1024 * 1024 + 1].into()]);
    let shown = |text: String| text.lines().map(|line| format!("{:.120}\n", line)).collect::<String>();
    let held = chain([sees.clone(), holds("response_headers: return 1")]).on(traffic());
    expect![[r#"
        0 outer: on_request_headers = Continue
        0 proxy: router replied 500, response_payload_too_large
        client got [:status: 500, content-length: 21, content-type: text/plain] "Internal Server Error"
        end: Complete after 0ns, response_payload_too_large
    "#]]
    .assert_eq(&shown(held.lines(&["outer", "client got", "end:"])));
    let sent = chain([sees, holds("")]).on(traffic());
    expect![[r#"
        0 outer: on_request_headers = Continue
        0 outer: get response :status -> "200"
        0 outer: on_response_headers = Continue
        0 proxy: router replied 500, response_payload_too_large
        client got [:status: 200]
        end: Reset after 0ns, response_payload_too_large
    "#]]
    .assert_eq(&shown(sent.lines(&["outer", "client got", "end:"])));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_held_and_let_go_the_upstream_receives_the_same_bytes(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..6), 1..6),
        answers in prop::collection::vec(0..3u32, 1..6),
    ) {
        let lines: Vec<String> = answers.iter().zip(1..).map(|(answer, call)| {
            format!("request_body@more: call {call}; buffer request; return {answer}")
        }).collect();
        let holds = lines.join("\n");
        let traffic = post("/x", []).chunks(&chunks);
        let proxy = chain([script(&holds).named("a"), script(&holds).named("b").failing(FailurePolicy::Open)]).on(traffic);
        let outcomes = proxy.outcomes();
        let sent = outcomes[0].upstream_request.as_ref().expect("it was sent").whole_body();
        prop_assert_eq!(&sent[..], &chunks.concat()[..]);
    }
}
