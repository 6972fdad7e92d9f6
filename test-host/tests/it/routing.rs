//! Which route a request takes. Every expectation was read off Envoy 1.40.0: it was started with these same routes
//! (direct responses that say the route's name) and asked with HTTP/1.1.

use std::path::Path;

use wayside::{
    envoy_config::{LoadOptions, from_text},
    message::HeaderMap,
    proxy::spec::ProxySpec,
    router::{RouteAction, RouterReply},
};

/// A proxy with these virtual hosts (YAML flow text).
fn proxy(virtual_hosts: &str, more: &str) -> ProxySpec {
    let text = format!(
        r#"
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: x
          route_config: {{{more} virtual_hosts: [{virtual_hosts}]}}
          http_filters:
          - {{name: r, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}
  clusters: [{{name: a, type: STATIC}}, {{name: b, type: STATIC}}]
"#
    );
    let loaded = from_text(&text, Path::new("t.yaml"), &LoadOptions::default());
    loaded.unwrap_or_else(|errors| panic!("{errors}")).spec
}

fn direct(name: &str, matches: &str) -> String {
    format!("{{name: {name}, match: {{{matches}}}, direct_response: {{status: 200}}}}")
}

fn taken(spec: &ProxySpec, headers: &[(&str, &str)]) -> String {
    let headers =
        HeaderMap::from_iter(headers.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())));
    let selected = spec.listeners[0].http.routes.select(&headers);
    selected.map_or("-".to_owned(), |selected| selected.route.name.clone())
}

fn host(name: &str, domains: &str) -> String {
    format!("{{name: {name}, domains: [{domains}], routes: [{}]}}", direct(name, "prefix: /"))
}

#[test]
fn the_most_specific_domain_wins_and_there_is_no_second_try() {
    let hosts = [
        host("exact", "exact.com, 'exact.com:8080'"),
        host("suffix", "'*.foo.com'"),
        host("longer_suffix", "'*-bar.foo.com'"),
        host("prefix", "'foo.*'"),
        host("longer_prefix", "'foo.bar.*'"),
        host("upper", "UPPER.com"),
        host("star_inside", "'mid*dle.com'"),
        host("star_twice", "'*x*.com'"),
        format!("{{name: only, domains: ['*.only.com'], routes: [{}]}}", direct("only", "prefix: /nope")),
        format!("{{name: any, domains: ['*'], routes: [{}]}}", direct("any", "path: /any")),
    ];
    let spec = proxy(&hosts.join(", "), "");
    for (authority, path, expected) in [
        ("exact.com", "/", "exact"),
        ("EXACT.com", "/", "exact"),
        ("exact.com:8080", "/", "exact"),
        ("exact.com:80", "/", "-"),
        ("exact.com:80", "/any", "any"),
        ("foo.com", "/", "prefix"),
        (".foo.com", "/", "-"),
        ("a.foo.com", "/", "suffix"),
        ("-bar.foo.com", "/", "suffix"),
        ("x-bar.foo.com", "/", "longer_suffix"),
        ("a.b.foo.com", "/", "suffix"),
        ("foo.", "/", "-"),
        ("foo.x", "/", "prefix"),
        ("foo.bar.x", "/", "longer_prefix"),
        ("foo.bar.", "/", "prefix"),
        ("foo.foo.com", "/", "suffix"),
        ("upper.com", "/", "upper"),
        ("a.only.com", "/any", "-"),
        ("middle.com", "/", "-"),
        ("mid*dle.com", "/", "star_inside"),
        ("ax*.com", "/", "star_twice"),
        ("axb.com", "/", "-"),
    ] {
        assert_eq!(
            taken(&spec, &[(":authority", authority), (":path", path)]),
            expected,
            "{authority}{path}"
        );
    }
}

#[test]
fn the_port_is_left_out_of_the_choice_only_where_the_configuration_says_so() {
    let spec = proxy(&host("v", "a.com, '[::1]'"), "ignore_port_in_host_matching: true,");
    for (authority, expected) in
        [("a.com:81", "v"), ("a.com", "v"), ("[::1]:81", "v"), ("[::1]", "v"), ("b:81", "-")]
    {
        assert_eq!(taken(&spec, &[(":authority", authority), (":path", "/")]), expected, "{authority}");
    }
}

#[test]
fn paths_are_compared_as_they_stand_without_their_query() {
    let routes = [
        direct("separated", "path_separated_prefix: /api/dev"),
        direct("exact", "path: /exact"),
        direct("exact_with_query", "path: '/exq?a=b'"),
        direct("any_case", "path: /ICASE, case_sensitive: false"),
        direct("prefix_with_query", "prefix: '/pq?x'"),
        direct("regex", "safe_regex: {regex: '/re/[0-9]+'}"),
        direct("regex_any_case", "safe_regex: {regex: '/RE2/[a-z]+'}, case_sensitive: false"),
        direct("prefix_any_case", "prefix: /PreI, case_sensitive: false"),
        direct("separated_any_case", "path_separated_prefix: /PsI, case_sensitive: false"),
    ];
    let spec = proxy(&format!("{{name: v, domains: ['*'], routes: [{}]}}", routes.join(", ")), "");
    for (path, expected) in [
        ("/api/dev", "separated"),
        ("/api/dev/", "separated"),
        ("/api/dev?x", "separated"),
        ("/api/dev/x", "separated"),
        ("/api/devx", "-"),
        ("/API/dev", "-"),
        ("/exact", "exact"),
        ("/exact?q=1", "exact"),
        ("/exact/", "-"),
        ("/exact;p", "-"),
        ("//exact", "-"),
        ("/x/../exact", "-"),
        ("/%65xact", "-"),
        ("/exq?a=b", "-"),
        ("/icase", "any_case"),
        ("/pq?x=1", "-"),
        ("/re/12", "regex"),
        ("/re/12?x", "regex"),
        ("/re/12/", "-"),
        ("/a/re/12", "-"),
        ("/RE2/ab", "regex_any_case"),
        ("/re2/AB", "-"),
        ("/prei", "prefix_any_case"),
        ("/PREI/x", "prefix_any_case"),
        ("/PSI/x", "separated_any_case"),
        ("/psix", "-"),
    ] {
        assert_eq!(taken(&spec, &[(":authority", "a"), (":path", path)]), expected, "{path}");
    }
}

#[test]
fn query_parameters_count_by_their_first_value_undecoded() {
    let routes = [
        direct("value", "path: /q1, query_parameters: [{name: k, string_match: {exact: v}}]"),
        direct("present", "path: /q2, query_parameters: [{name: k, present_match: true}]"),
        direct("absent", "path: /q3, query_parameters: [{name: k, present_match: false}]"),
        direct("named", "path: /q4, query_parameters: [{name: k}]"),
        direct("encoded", "path: /q5, query_parameters: [{name: k, string_match: {exact: 'a%20b'}}]"),
    ];
    let spec = proxy(&format!("{{name: v, domains: ['*'], routes: [{}]}}", routes.join(", ")), "");
    for (path, expected) in [
        ("/q1?k=v", "value"),
        ("/q1?k=v2", "-"),
        ("/q1?a=1&k=v", "value"),
        ("/q1?k=x&k=v", "-"),
        ("/q1?k=v&k=x", "value"),
        ("/q1?K=v", "-"),
        ("/q1?k=%76", "-"),
        ("/q1?k=v;x", "-"),
        ("/q1?k=v&", "value"),
        ("/q1?&&k=v", "value"),
        ("/q1?k=v=2", "-"),
        ("/q2", "-"),
        ("/q2?k", "present"),
        ("/q2?k=", "present"),
        ("/q3", "absent"),
        ("/q3?k", "-"),
        ("/q4", "-"),
        ("/q4?k=1", "named"),
        ("/q5?k=a%20b", "encoded"),
    ] {
        assert_eq!(taken(&spec, &[(":authority", "a"), (":path", path)]), expected, "{path}");
    }
}

/// Each row: the condition on header `x`, and for the values below whether Envoy took the route. `!` inverts,
/// `~` treats a missing header as empty.
#[test]
fn header_conditions_hold_where_envoy_says_they_do() {
    const VALUES: [&[&str]; 10] =
        [&[], &[""], &["a"], &["A"], &["abc"], &["a", "c"], &["3"], &["5"], &["+3"], &["3x"]];
    const EXPECTED: [(&str, &str, &str); 27] = [
        ("string_match: {exact: a}", "", "..Y..Y...."),
        ("string_match: {exact: a}", "~", "..Y..Y...."),
        ("string_match: {exact: a}", "!", ".Y.YY.YYYY"),
        ("string_match: {exact: a}", "!~", "YY.YY.YYYY"),
        ("string_match: {exact: A, ignore_case: true}", "", "..YY.Y...."),
        ("string_match: {prefix: a}", "", "..Y.YY...."),
        ("string_match: {prefix: a}", "!", ".Y.Y..YYYY"),
        ("string_match: {suffix: c}", "", "....YY...."),
        ("string_match: {suffix: c}", "!", ".YYY..YYYY"),
        ("string_match: {contains: b}", "", "....Y....."),
        ("string_match: {contains: b}", "!", ".YYY.YYYYY"),
        ("string_match: {safe_regex: {regex: 'a.c'}}", "", "....Y....."),
        ("string_match: {safe_regex: {regex: 'a.c'}}", "!~", "YYYY.YYYYY"),
        ("present_match: true", "", ".YYYYYYYYY"),
        ("present_match: true", "~", "YYYYYYYYYY"),
        ("present_match: true", "!", "Y........."),
        ("present_match: true", "!~", ".........."),
        ("present_match: false", "", "Y........."),
        ("present_match: false", "!", ".YYYYYYYYY"),
        ("present_match: false", "!~", "YYYYYYYYYY"),
        ("", "", ".YYYYYYYYY"),
        ("range_match: {start: 1, end: 5}", "", "......Y.Y."),
        ("range_match: {start: 1, end: 5}", "!", ".YYYYY.Y.Y"),
        ("range_match: {start: 1, end: 5}", "!~", "YYYYYY.Y.Y"),
        ("string_match: {exact: ''}", "", ".Y........"),
        ("string_match: {exact: ''}", "~", "YY........"),
        ("exact_match: a", "", "..Y..Y...."),
    ];
    for (condition, flags, expected) in EXPECTED {
        let mut parts = vec!["name: X".to_owned()];
        parts.extend((!condition.is_empty()).then(|| condition.to_owned()));
        parts.extend(flags.contains('!').then(|| "invert_match: true".to_owned()));
        parts.extend(flags.contains('~').then(|| "treat_missing_header_as_empty: true".to_owned()));
        let route = direct("taken", &format!("prefix: /, headers: [{{{}}}]", parts.join(", ")));
        let spec = proxy(&format!("{{name: v, domains: ['*'], routes: [{route}]}}"), "");
        let found: String = VALUES
            .iter()
            .map(|values| {
                let mut headers = vec![(":authority", "a"), (":path", "/")];
                headers.extend(values.iter().map(|value| ("x", *value)));
                if taken(&spec, &headers) == "taken" { 'Y' } else { '.' }
            })
            .collect();
        assert_eq!(found, expected, "{condition} {flags}");
    }
}

#[test]
fn grpc_and_pseudo_headers_can_be_matched() {
    let routes = [
        direct("grpc", "path: /g, grpc: {}"),
        direct("method", "path: /m, headers: [{name: ':method', string_match: {exact: POST}}]"),
        direct("host", "path: /h, headers: [{name: host, string_match: {exact: a}}]"),
    ];
    let spec = proxy(&format!("{{name: v, domains: ['*'], routes: [{}]}}", routes.join(", ")), "");
    let with = |path, name, value| taken(&spec, &[(":authority", "a"), (":path", path), (name, value)]);
    for (content_type, expected) in [
        ("application/grpc", "grpc"),
        ("application/grpc+proto", "grpc"),
        ("application/grpc-web", "-"),
        ("application/grpc;x", "-"),
        ("application/GRPC", "-"),
        ("application/json", "-"),
    ] {
        assert_eq!(with("/g", "content-type", content_type), expected, "{content_type}");
    }
    assert_eq!(with("/m", ":method", "POST"), "method");
    assert_eq!(with("/m", ":method", "GET"), "-");
    assert_eq!(with("/h", "x", "y"), "host");
}

#[test]
fn bytes_that_are_not_utf8_match_no_text_and_break_nothing() {
    let route = direct("taken", "prefix: /, headers: [{name: x, string_match: {contains: a}}]");
    let spec = proxy(&format!("{{name: v, domains: ['*'], routes: [{route}]}}"), "");
    for (value, expected) in [(&b"\xff\xfe"[..], false), (b"\xffa\xfe", true)] {
        let headers =
            HeaderMap::from_iter([(&b":authority"[..], &b"\xff"[..]), (b":path", b"/\xff"), (b"x", value)]);
        assert_eq!(spec.listeners[0].http.routes.select(&headers).is_some(), expected);
    }
}

/// A route's match and redirect, the request's `:authority` and `:path`, how much of it matched, Envoy's `location`.
#[rustfmt::skip]
const REDIRECTS: [(&str, &str, &str, &str, usize, &str); 15] = [
    ("prefix: /a", "host_redirect: h.com", "a:8080", "/a/x?q=1", 2, "http://h.com/a/x?q=1"),
    ("prefix: /a", "host_redirect: 'h.com:5'", "[::1]:80", "/a/x?q=1", 2, "http://h.com:5/a/x?q=1"),
    ("prefix: /a", "scheme_redirect: https", "a:80", "/a/x?q=1", 2, "https://a/a/x?q=1"),
    ("prefix: /a", "scheme_redirect: HTTPS", "[::1]:80", "/a/x?q=1", 2, "HTTPS://[::1]/a/x?q=1"),
    ("prefix: /a", "https_redirect: true", "a:8080", "/a/x?q=1", 2, "https://a:8080/a/x?q=1"),
    ("prefix: /a", "https_redirect: true", "a:", "/a/x?q=1", 2, "https://a:/a/x?q=1"),
    ("prefix: /a", "port_redirect: 81", "[::1]:80", "/a/x?q=1", 2, "http://[::1]:81/a/x?q=1"),
    ("prefix: /a", "path_redirect: /new", "a:80", "/a/x?q=1", 2, "http://a:80/new?q=1"),
    ("prefix: /a", "path_redirect: '/new?z=1'", "a", "/a/x?q=1", 2, "http://a/new?z=1"),
    ("prefix: /a", "path_redirect: '/new#f'", "a", "/a/x?q=1", 2, "http://a/new#f?q=1"),
    ("prefix: /a", "strip_query: true, path_redirect: '/x?y=1'", "a", "/a/x?q=1", 2, "http://a/x?y=1"),
    ("prefix: /a", "strip_query: true, path_redirect: /x", "a:80", "/a/x?q=1", 2, "http://a:80/x"),
    ("prefix: /h/", "prefix_rewrite: /", "a:80", "/h/x?q=1", 3, "http://a:80/x?q=1"),
    ("path_separated_prefix: /p", "prefix_rewrite: /P", "a:", "/p/x?q=1", 2, "http://a:/P/x?q=1"),
    ("prefix: /a", "host_redirect: h.com, port_redirect: 99", "a", "/a/x?q=1", 2, "http://h.com:99/a/x?q=1"),
];

#[test]
fn redirects_point_where_envoys_point() {
    for (matches, redirect, authority, target, matched, expected) in REDIRECTS {
        let route = format!("{{match: {{{matches}}}, redirect: {{{redirect}}}}}");
        let spec = proxy(&format!("{{name: v, domains: ['*'], routes: [{route}]}}"), "");
        let headers = HeaderMap::from_iter([(":authority", authority), (":path", target)]);
        let selected = spec.listeners[0].http.routes.select(&headers).expect("a route");
        let RouteAction::Redirect(redirect) = &selected.route.action else { panic!("no redirect") };
        let location = redirect.location(b"http", authority.as_bytes(), target.as_bytes(), matched);
        assert_eq!(location.escape_ascii().to_string(), expected, "{authority}{target}");
        assert_eq!(redirect.status, 301);
    }
}

#[test]
fn weighted_clusters_share_by_the_streams_random_number() {
    let route = "{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: a, weight: 1}, {name: b, weight: 3}]}}}";
    let spec = proxy(&format!("{{name: v, domains: ['*'], routes: [{route}]}}"), "");
    let headers = HeaderMap::from_iter([(":authority", "x"), (":path", "/")]);
    let selected = spec.listeners[0].http.routes.select(&headers).expect("a route");
    let picked: String = (0..8).filter_map(|random| selected.cluster(&headers, random)).collect();
    assert_eq!(picked, "abbbabbb");
}

#[test]
fn a_route_without_a_retry_policy_has_its_virtual_hosts() {
    let routes = "{name: own, match: {prefix: /own}, route: {cluster: a, retry_policy: {retry_on: reset}}}, \
                  {name: hosts, match: {prefix: /}, route: {cluster: a}}";
    let policy = "retry_policy: {retry_on: '5xx,nonsense', num_retries: 4}";
    let spec = proxy(&format!("{{name: v, domains: ['*'], routes: [{routes}], {policy}}}"), "");
    for (path, retries) in [("/own", 1), ("/", 4)] {
        let headers = HeaderMap::from_iter([(":authority", "x"), (":path", path)]);
        let selected = spec.listeners[0].http.routes.select(&headers).expect("a route");
        assert_eq!(selected.retry_policy().map(|policy| policy.num_retries), Some(retries), "{path}");
    }
}

#[test]
fn the_routers_own_replies_read_as_envoys() {
    let told = |reply: RouterReply| {
        let flag = reply.flag.map_or("-", |flag| flag.short_name());
        format!("{} {:?} {} {flag}", reply.status, reply.body, reply.details)
    };
    assert_eq!(told(RouterReply::ROUTE_NOT_FOUND), r#"404 "" route_not_found NR"#);
    assert_eq!(told(RouterReply::CLUSTER_NOT_FOUND), r#"503 "" cluster_not_found NC"#);
    assert_eq!(told(RouterReply::NO_HEALTHY_UPSTREAM), r#"503 "no healthy upstream" no_healthy_upstream UH"#);
    assert_eq!(told(RouterReply::TIMEOUT), r#"504 "upstream request timeout" response_timeout UT"#);
}
