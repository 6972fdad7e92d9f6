//! A filter in a listener's chain and in a cluster's upstream chain, in the real Envoy: guests/examples/attempts.rs.

use crate::behaviours;
use crate::envoy::{self, Envoy, get, wait_for};
use std::path::Path;

/// One filter of a chain.
struct Placed<'a> {
    vm_id: &'a str,
    configuration: &'a str,
}

fn wasm(module: &Path, Placed { vm_id, configuration }: &Placed<'_>) -> String {
    format!(
        r#"{{ name: attempts, typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm, config: {{
            name: attempts,
            configuration: {{ "@type": type.googleapis.com/google.protobuf.StringValue, value: '{configuration}' }},
            vm_config: {{ vm_id: {vm_id}, runtime: envoy.wasm.runtime.v8, code: {{ local: {{ filename: "{}" }} }} }} }} }} }}"#,
        module.display()
    )
}

fn manager(name: &str, routes: &str, filter: &str) -> String {
    format!(
        r#"
    filter_chains:
    - filters:
      - name: manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          route_config: {{ virtual_hosts: [{{ name: host, domains: ["*"], routes: [{routes}] }}] }}
          http_filters:
          {filter}
          - {{ name: router, typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }} }}
"#
    )
}

/// The listener `shop` asks `books`, which always fails, on a socket of the file system.
fn configuration(module: &Path, socket: &Path, listener: &Placed<'_>, cluster: &Placed<'_>) -> String {
    let to_books = "route: { cluster: books, internal_redirect_policy: { max_internal_redirects: 1 }, retry_policy: { \
                    retry_on: 5xx, num_retries: 2, retry_back_off: { base_interval: 0.001s, max_interval: 0.001s } } }";
    let shop = manager(
        "shop",
        &format!("{{ match: {{ prefix: / }}, {to_books} }}"),
        &format!("- {}", wasm(module, listener)),
    );
    let told = "response_headers_to_add: [{ header: { key: x-arrived, value: '%REQ(x-attempt)%' } }]";
    let books = manager(
        "books",
        &format!(
            "{{ match: {{ path: /moved }}, redirect: {{ path_redirect: /, response_code: FOUND }} }}, \
             {{ match: {{ prefix: / }}, direct_response: {{ status: 503 }}, {told} }}"
        ),
        "",
    );
    format!(
        r#"
admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }} }}
static_resources:
  listeners:
  - name: shop
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}{shop}
  - name: books
    address: {{ pipe: {{ path: "{socket}" }} }}{books}
  clusters:
  - name: books
    load_assignment: {{ cluster_name: books, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ pipe: {{ path: "{socket}" }} }} }} }}] }}] }}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http_protocol_options: {{}} }}
        http_filters:
        - {upstream}
        - {{ name: codec, typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec }} }}
"#,
        socket = socket.display(),
        upstream = wasm(module, cluster),
    )
}

/// What a client is told by the filter of the listener, and what reached the upstream last.
fn told(address: &str, path: &str, headers: &str) -> (String, String) {
    let answer = wait_for(|| get(address, path, headers).filter(|answer| answer.starts_with("HTTP/1.1 503")));
    let header = |name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or("nothing").to_owned()
    };
    (header("x-said"), header("x-arrived"))
}

#[test]
fn the_attempts_of_a_request_share_what_was_opened_for_it_in_their_vm_and_nothing_else() {
    let Some(binary) = envoy::binary("no attempt was looked at in an upstream chain") else { return };
    let module = behaviours::module("attempts");
    let folder = tempfile::tempdir().expect("a folder");
    let listener = Placed { vm_id: "one", configuration: "{}" };
    let named = r#"{"name": "retry "}"#;
    for (nth, (cluster, [said, arrived])) in [
        // Alike in everything: one root context serves both chains.
        (Placed { vm_id: "one", configuration: "{}" }, ["1 2 3 of 1", "3 found"]),
        (Placed { vm_id: "one", configuration: named }, ["retry 1 retry 2 retry 3 of 1", "3 found"]),
        (Placed { vm_id: "other", configuration: "{}" }, ["nobody of 1", "3 unknown"]),
    ]
    .into_iter()
    .enumerate()
    {
        let socket = folder.path().join(nth.to_string());
        let mut envoy = Envoy::start(&binary, &configuration(&module, &socket, &listener, &cluster));
        let shop = envoy.listener("shop");
        let expected = (said.to_owned(), arrived.to_owned());
        assert_eq!(told(&shop, "/", ""), expected, "{nth}");
        assert_eq!(
            told(&shop, "/", "x-envoy-attempt-count: 7\r\nx-attempt: 9 found\r\n"),
            expected,
            "forged, {nth}"
        );
        assert_eq!(told(&shop, "/moved", ""), expected, "redirected within Envoy, {nth}");
    }
}
