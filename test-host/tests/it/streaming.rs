//! A stream on its way through a chain: order, pauses, bodies, trailers, local replies.

use expect_test::expect;

use crate::support::{chain, get, post, script};

#[test]
fn requests_go_forward_and_responses_backward_through_the_chain() {
    let said = "request_headers: context\nresponse_headers: say here\nlog: say here\ndone: say here\ndelete: say here";
    let text = chain([script(said).named("a"), script(said).named("b")]).on(get("/x")).text();
    expect![[r#"
        GET /x
          0 a: context -> 2 of 1
          0 a: on_request_headers = Continue
          0 b: context -> 2 of 1
          0 b: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 proxy: upstream answered 200
          0 b: here
          0 b: on_response_headers = Continue
          0 a: here
          0 a: on_response_headers = Continue
          0 a: here
          0 b: here
          0 a: here
          0 a: here
          0 b: here
          0 b: here
          upstream got [:path: /x, :method: GET]
          client got [:status: 200]
          end: Complete after 0ns, via_upstream
    "#]].assert_eq(&text);
}

#[test]
fn a_body_in_three_chunks() {
    let text = chain([script("request_body@more: told; return 1\nrequest_body@end: told; buffer request").named("a")]).on(post("/x", ["one", "two", "three"])).text();
    expect![[r#"
        POST /x
          0 a: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 a: told -> 3
          0 a: on_request_body = StopAndBuffer
          0 a: told -> 6
          0 a: on_request_body = StopAndBuffer
          0 a: told -> 11
          0 a: on_request_body = StopAndBuffer
          0 a: told -> 11
          0 a: buffer request -> "onetwothree"
          0 a: on_request_body = Continue
          0 proxy: upstream answered 200
          0 a: on_response_headers = Continue
          upstream got [:path: /x, :method: POST] "onetwothree"
          client got [:status: 200]
          end: Complete after 0ns, via_upstream
    "#]].assert_eq(&text);
}
