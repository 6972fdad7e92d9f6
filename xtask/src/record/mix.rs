//! The client mix: every request that is sent to the storefront. Adding a case is adding a line.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;

use super::case::{Case, Until, get, grpc, post, socket};

const LEVEL: &str = "/bookshop.v1.Stock/Level";
const RESERVE: &str = "/bookshop.v1.Stock/Reserve";
const WATCH: &str = "/bookshop.v1.Stock/Watch";

const PAGE: &str = "/books/9780001";
const KEY: &str = "demo-key-0001-not-a-secret";
/// `reader:demo-password`
const BASIC: &str = "Basic cmVhZGVyOmRlbW8tcGFzc3dvcmQ=";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// All of it, in the order it is written here.
pub(super) fn mix() -> Vec<Case> {
    let groups =
        [pages(), failures(), bodies(), rpcs(), headers(), credentials(), traces(), deadlines(), paths(), sockets()];
    groups.into_iter().flatten().collect()
}

/// `count` pieces of `size` bytes of text.
fn pieces(count: usize, size: usize) -> Vec<Bytes> {
    let line = b"It was a quiet morning in the harbour, and nobody had read the paper yet. ";
    (0..count).map(|_| line.iter().copied().cycle().take(size).collect()).collect()
}

fn pages() -> Vec<Case> {
    vec![
        get("window", "/").header("accept", "text/html").header("accept-language", "en, de;q=0.5"),
        get("window-h2", "/").h2(),
        get("window-burst-h2", "/").h2().at_once(6),
        get("list", "/books"),
        get("list-h2", "/books").h2(),
        get("page", PAGE),
        get("page-other", "/books/9780002"),
        get("page-h2", PAGE).h2(),
        get("list-with-cookie", "/books").header("cookie", "visit=1; theme=paper"),
        get("list-with-query", "/books?from=search&q=quiet%20harbour&empty="),
        get("page-burst", PAGE).at_once(5),
        get("page-burst-h2", "/books/9780004").h2().at_once(2),
        get("list-burst", "/books").at_once(5),
        get("page-not-there", "/books/0000000").status(404),
        get("no-such-page", "/nowhere").status(404),
        get("no-such-page-h2", "/nowhere/at/all?x=1").h2().status(404),
        get("back-room", "/admin"),
        Case::new("head", Method::HEAD, "/books"),
        Case::new("head-h2", Method::HEAD, "/").h2(),
        Case::new("options", Method::OPTIONS, "/books").status(204),
        Case::new("options-preflight", Method::OPTIONS, "/books").header("origin", "https://reader.example").header("access-control-request-method", "POST").status(204),
        Case::new("method-not-allowed", Method::DELETE, "/books").status(405),
        Case::new("put-without-route", Method::PUT, "/books/9780001").body("{}").status(405),
        Case::new("patch", Method::PATCH, "/admin").body("x").status(405),
    ]
}

fn failures() -> Vec<Case> {
    vec![
        get("storefront-500", "/").fault("storefront:status=500").status(500),
        get("storefront-502", "/").fault("storefront:status=502").status(502),
        get("storefront-429", "/").fault("storefront:status=429").status(429),
        get("storefront-401", "/").fault("storefront:status=401").status(401),
        get("storefront-304", "/").fault("storefront:status=304").status(304),
        get("storefront-slow", "/").fault("storefront:slow=300"),
        get("storefront-cut", "/").fault("storefront:cut").until(Until::BreaksOff),
        get("storefront-cut-h2", "/").h2().fault("storefront:cut").until(Until::BreaksOff),
        get("storefront-drop", "/").fault("storefront:drop").status(503),
        get("catalog-500", "/books").fault("catalog:status=500").status(500),
        get("catalog-403", "/books").fault("catalog:status=403").status(403),
        get("catalog-slow", "/books").fault("catalog:slow=250"),
        get("catalog-drop", "/books").fault("catalog:drop").status(503),
        get("catalog-cut", "/books").fault("catalog:cut").until(Until::BreaksOff),
        get("catalog-timed-out", "/books").fault("catalog:hang").status(504),
        get("retried-once", "/books").fault("catalog:flaky=1"),
        get("retried-once-h2", "/books").h2().fault("catalog:flaky=1"),
        get("retried-twice", "/books").fault("catalog:flaky=2"),
        get("retries-used-up", "/books").fault("catalog:flaky=3").status(503),
        get("retried-behind", PAGE).fault("ratings:flaky=1"),
        get("retried-twice-behind", PAGE).fault("ratings:flaky=2"),
        get("retries-used-up-behind", PAGE).fault("ratings:status=503"),
        get("retried-grpc", PAGE).fault("stock:flaky=1"),
        get("retries-multiply", PAGE).fault("stock:status=503").status(502),
        get("retried-in-two-places", PAGE).fault("stock:flaky=1, ratings:flaky=2"),
        get("retried-burst", "/books").fault("catalog:flaky=1").at_once(4),
        get("reviews-404", PAGE).fault("reviews:status=404"),
        get("reviews-slow", PAGE).fault("reviews:slow=300"),
        get("reviews-timed-out", PAGE).fault("reviews:hang"),
        get("ratings-timed-out", PAGE).fault("ratings:hang"),
        get("given-up", "/").fault("storefront:hang").until(Until::GivenUp(Duration::from_millis(300))),
        get("given-up-behind", "/books").fault("catalog:hang").until(Until::GivenUp(Duration::from_millis(400))),
        get("given-up-h2", PAGE).h2().fault("reviews:hang").until(Until::GivenUp(Duration::from_millis(350))),
        get("no-endpoint", "/elsewhere/recommendations").status(503),
        get("no-route", "/elsewhere/partner").status(404),
        get("fault-misspelt", "/").fault("storefront:explode").status(400),
    ]
}

fn bodies() -> Vec<Case> {
    vec![
        get("large-text", "/catalogue.txt"),
        get("large-sample", "/books/9780001/sample?bytes=131072"),
        get("streamed-sample", "/books/9780001/sample?bytes=65536&chunk=8192&pause_ms=5"),
        get("streamed-sample-h2", "/books/9780001/sample?bytes=20000&chunk=3000&pause_ms=10").h2(),
        get("streamed-small", "/books/9780001/sample?bytes=50&chunk=7&pause_ms=5"),
        get("empty-sample", "/books/9780001/sample?bytes=0"),
        get("too-long-a-sample", "/books/9780001/sample?bytes=99999999").status(400),
        get("aborted", "/books/9780001/sample?bytes=20000&chunk=1000&pause_ms=50").until(Until::FirstBytes),
        get("aborted-h2", "/books/9780001/sample?bytes=20000&chunk=1000&pause_ms=50").h2().until(Until::FirstBytes),
        post("order", "/orders").header("content-type", "application/json").body(r#"{"isbn":"9780001","copies":2}"#).status(201),
        post("order-h2", "/orders").h2().header("content-type", "application/json").body(r#"{"isbn":"9780002","copies":1}"#).status(201),
        post("order-too-many", "/orders").header("content-type", "application/json").body(r#"{"isbn":"9780001","copies":999}"#).status(409),
        post("order-of-nothing", "/orders").header("content-type", "application/json").body(r#"{"isbn":"0","copies":1}"#).status(404),
        post("order-malformed", "/orders").header("content-type", "application/json").body("{\"isbn\":").status(400),
        post("order-without-type", "/orders").body("isbn=1").status(415),
        post("order-empty", "/orders").body("").header("content-type", "application/json").status(400),
        post("review", "/books/9780001/reviews").header("content-type", "text/plain").body("Good.").status(201),
        post("review-not-text", "/books/9780001/reviews").body(&b"\x00\xff\xfe binary \r\n\x80"[..]).status(201),
        post("review-chunked", "/books/9780001/reviews").chunks(pieces(5, 700)).status(201),
        post("review-chunked-h2", "/books/9780001/reviews").h2().chunks(pieces(4, 1500)).status(201),
        post("review-large", "/books/9780001/reviews").chunks(pieces(6, 16 * 1024)).status(201),
        post("review-with-trailers", "/books/9780001/reviews").h2().chunks(pieces(2, 100)).trailer("x-checksum", "none").trailer("x-checksum", "twice").status(201),
        post("review-with-trailers-only", "/books/9780001/reviews").h2().chunks([]).trailer("x-checksum", "empty").status(201),
    ]
}

fn rpcs() -> Vec<Case> {
    vec![
        grpc("rpc", LEVEL, "9780001", 0, 0),
        grpc("rpc-burst", LEVEL, "9780005", 0, 0).at_once(4),
        grpc("rpc-not-found", LEVEL, "0000000", 0, 5),
        grpc("rpc-reserve", RESERVE, "9780001", 3, 0),
        grpc("rpc-refused", RESERVE, "9780001", 500, 9),
        grpc("rpc-stream", WATCH, "9780001", 3, 0),
        grpc("rpc-stream-empty", WATCH, "9780001", 0, 0),
        grpc("rpc-stream-ends-in-error", WATCH, "9780001", 9, 8),
        grpc("rpc-unimplemented", "/bookshop.v1.Stock/Burn", "1", 0, 12),
        grpc("rpc-http-error-behind", LEVEL, "9780001", 0, 13).fault("stock:status=503"),
        grpc("rpc-retried", LEVEL, "9780001", 0, 0).fault("stock:flaky=1"),
        grpc("rpc-timed-out", LEVEL, "9780001", 0, 14).fault("stock:hang"),
        grpc("rpc-timeout-500m", LEVEL, "9780001", 0, 0).header("grpc-timeout", "500m"),
        grpc("rpc-timeout-1s", RESERVE, "9780001", 1, 0).header("grpc-timeout", "1S"),
        grpc("rpc-timeout-10u", LEVEL, "9780001", 0, 0).header("grpc-timeout", "10u"),
        grpc("rpc-timeout-unit", LEVEL, "9780001", 0, 0).header("grpc-timeout", "5x"),
        grpc("rpc-timeout-nine-digits", LEVEL, "9780001", 0, 0).header("grpc-timeout", "123456789m"),
        grpc("rpc-with-key", LEVEL, "9780001", 0, 0).header("x-api-key", KEY),
        grpc("rpc-previous-attempts", LEVEL, "9780001", 0, 0).header("grpc-previous-rpc-attempts", "2"),
    ]
}

fn headers() -> Vec<Case> {
    vec![
        get("bytes-in-header", "/").raw_header("x-name", b"\xff\xfe"),
        get("bytes-in-header-h2", "/books").h2().raw_header("x-name", b"caf\xe9 \xff"),
        get("header-twice", "/books").header("x-twice", "one").header("x-other", "between").header("x-twice", "two"),
        get("header-twice-h2", "/").h2().header("accept", "a/a").header("accept", "b/b"),
        get("header-empty", "/").header("x-empty", ""),
        get("header-with-commas", "/").header("x-list", "a, b,,c").header("x-list", "d"),
        get("cookies-split", "/").h2().header("cookie", "a=1").header("cookie", "b=2"),
        get("forwarded", "/").header("x-forwarded-for", "203.0.113.7, 198.51.100.2").header("x-forwarded-proto", "https"),
        get("request-id-given", PAGE).header("x-request-id", "6ba7b810-9dad-41d1-80b4-00c04fd430c8"),
        get("request-id-odd", "/").header("x-request-id", "not a uuid"),
        get("attempt-count-forged", "/").header("x-envoy-attempt-count", "7"),
        get("range", "/books").header("range", "bytes=0-99").header("if-none-match", "\"abc\""),
        get("utf8", "/").raw_header("x-title", "Über den Fluß".as_bytes()),
    ]
}

fn credentials() -> Vec<Case> {
    vec![
        get("key", "/").header("x-api-key", KEY),
        get("key-page", PAGE).header("x-api-key", KEY),
        get("key-list-h2", "/books").h2().header("x-api-key", KEY),
        get("key-burst", "/").header("x-api-key", KEY).at_once(4),
        get("key-wrong", "/").header("x-api-key", "demo-key-9999-not-a-secret"),
        get("key-empty", "/").header("x-api-key", ""),
        get("key-twice", "/").header("x-api-key", KEY).header("x-api-key", "demo-key-9999-not-a-secret"),
        get("key-with-spaces-inside", "/").header("x-api-key", "demo key"),
        get("basic", "/").header("authorization", BASIC),
        get("basic-page", PAGE).header("authorization", BASIC),
        get("basic-lower-case", "/").header("authorization", "basic cmVhZGVyOmRlbW8tcGFzc3dvcmQ="),
        get("basic-wrong", "/").header("authorization", "Basic cmVhZGVyOndyb25n"),
        get("basic-not-base64", "/").header("authorization", "Basic !!!"),
        get("basic-without-colon", "/").header("authorization", "Basic cmVhZGVy"),
        get("bearer", "/").header("authorization", "Bearer not-a-token"),
        get("key-and-basic", "/admin").header("x-api-key", KEY).header("authorization", BASIC),
        get("spoofed-subject", "/").header("x-auth-subject", "admin"),
        get("spoofed-subject-twice", "/books").header("x-auth-subject", "admin").header("x-auth-scopes", "all").header("x-auth-subject", "root"),
        get("spoofed-with-key", "/admin").header("x-api-key", KEY).header("x-auth-subject", "admin"),
        get("spoofed-underscore", "/").header("x_auth_subject", "admin"),
        post("order-with-key", "/orders").header("x-api-key", KEY).header("content-type", "application/json").body(r#"{"isbn":"9780007","copies":1}"#).status(201),
    ]
}

fn traces() -> Vec<Case> {
    vec![
        get("trace", PAGE).header("traceparent", PARENT).header("tracestate", "vendor=a:1,other=2"),
        get("trace-h2", PAGE).h2().header("traceparent", PARENT),
        get("trace-not-sampled", "/books").header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
        get("trace-state-twice", "/books").header("traceparent", PARENT).header("tracestate", "a=1").header("tracestate", "b=2"),
        get("trace-state-alone", "/").header("tracestate", "a=1"),
        get("trace-zero-id", "/").header("traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01"),
        get("trace-upper-case", "/").header("traceparent", "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01"),
        get("trace-version-ff", "/").header("traceparent", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        get("trace-later-version", "/").header("traceparent", "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"),
        get("trace-short", "/").header("traceparent", "00-0af7-b7ad-01"),
        get("trace-twice", "/").header("traceparent", PARENT).header("traceparent", "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"),
    ]
}

fn deadlines() -> Vec<Case> {
    vec![
        get("deadline", PAGE).header("x-envoy-expected-rq-timeout-ms", "1500"),
        get("deadline-short", "/books").header("x-envoy-expected-rq-timeout-ms", "150").fault("catalog:slow=300"),
        get("deadline-one", "/").header("x-envoy-expected-rq-timeout-ms", "1"),
        get("deadline-zero", "/").header("x-envoy-expected-rq-timeout-ms", "0"),
        get("deadline-text", "/").header("x-envoy-expected-rq-timeout-ms", "soon"),
        get("deadline-huge", "/").header("x-envoy-expected-rq-timeout-ms", "99999999999999999999"),
        get("deadline-twice", "/").header("x-envoy-expected-rq-timeout-ms", "500").header("x-envoy-expected-rq-timeout-ms", "100"),
        get("deadline-from-outside", "/").header("x-forwarded-for", "203.0.113.7").header("x-envoy-expected-rq-timeout-ms", "500"),
        get("retries-asked", "/").header("x-envoy-retry-on", "5xx").header("x-envoy-max-retries", "1"),
        get("upstream-timeout-asked", "/books").header("x-envoy-upstream-rq-timeout-ms", "900"),
    ]
}

/// Spellings that one side may read otherwise than the other.
fn paths() -> Vec<Case> {
    let ambiguous = |name, path| get(name, path).status(404);
    vec![
        ambiguous("path-escaped-letter", "/%61dmin"),
        ambiguous("path-double-slash", "//catalog"),
        ambiguous("path-double-slash-admin", "//admin"),
        ambiguous("path-dot", "/./x"),
        ambiguous("path-dot-dot", "/books/../admin"),
        ambiguous("path-dot-dot-escaped", "/books/%2e%2e/admin"),
        ambiguous("path-slash-escaped", "/books%2F..%2Fadmin"),
        ambiguous("path-slash-behind", "/admin/"),
        ambiguous("path-upper-case", "/ADMIN"),
        ambiguous("path-parameter", "/admin;v=1"),
        ambiguous("path-null-escaped", "/admin%00"),
        ambiguous("path-bad-escape", "/admin%zz"),
        ambiguous("path-double-slash-h2", "//admin").h2(),
        get("path-query-slashes", "/admin?next=//evil.example/%2e%2e"),
    ]
}

/// What no HTTP library sends, on sockets.
fn sockets() -> Vec<Case> {
    vec![
        socket("pipelined", [b"GET / HTTP/1.1\r\nHost: shop\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"], [200, 404]),
        socket("names-in-capitals", [b"GET / HTTP/1.1\r\nHOST: shop\r\nX-API-KEY: demo-key-0001-not-a-secret\r\nX-Twice: 1\r\nx-twice: 2\r\nConnection: close\r\n\r\n"], [200]),
        socket("same-name-apart", [b"GET / HTTP/1.1\r\nHost: shop\r\nX-Twice: 1\r\nX-Other: between\r\nX-Auth-Subject: a\r\nX-Twice: 2\r\nX-Auth-Subject: b\r\nConnection: close\r\n\r\n"], [200]),
        socket("written-in-pieces", [b"GET /bo", b"oks HTTP/1.1\r\nHo", b"st: shop\r\nConnection: close\r\n", b"\r\n"], [200]),
        socket("absolute-form", [b"GET http://shop.example/books?x=1 HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n"], [200]),
        socket("no-host", [b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"], [400]),
        socket("http-1.0", [b"GET / HTTP/1.0\r\nHost: shop\r\n\r\n"], [426]),
        socket("hop-by-hop-named", [b"GET / HTTP/1.1\r\nHost: shop\r\nX-Auth-Subject: admin\r\nConnection: close, x-auth-subject\r\n\r\n"], [200]),
        socket("bytes-on-the-wire", [b"GET / HTTP/1.1\r\nHost: shop\r\nX: \xff\xfe\r\nX: \x80\r\nConnection: close\r\n\r\n"], [200]),
        socket("chunks-and-trailers", [b"POST /books/9780001/reviews HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\nConnection: close\r\n\r\n", b"5;ext=1\r\nHello\r\n", b"8\r\n, world!\r\n", b"0\r\nX-Sum: 13\r\n\r\n"], [201]),
        socket("expect-continue", [b"POST /books/9780001/reviews HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n", b"Good"], [100, 201]),
        socket("kept-alive", [b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n", b"GET /books HTTP/1.1\r\nHost: shop\r\n\r\n", b"GET /admin HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"], [200, 200, 200]),
    ]
}
