//! What Prometheus is told of a family: labels, where Envoy knows `stats_tags`.

use crate::behaviours;
use crate::envoy::{self, Envoy, get, wait_for};
use std::path::Path;
use wayside_sdk::metrics::stats_tags;

/// The headers of one request, and how the series stands in `/stats/prometheus` afterwards.
const SERIES: [(&str, &str); 4] = [
    ("x-route: a.b/c-d\r\nx-source: src\r\n", r#"l7_labelled_total{route="a.b/c-d",source="src"} 1"#),
    (
        "x-route: /v1/books.html?q=1\r\nx-source: 10.0.0.1:80\r\n",
        r#"l7_labelled_total{route="/v1/books.html?q%3D1",source="10.0.0.1:80"} 1"#,
    ),
    ("x-route: a;.;l7_source=.=b;.;\r\n", r#"l7_labelled_total{route="a%3B.%3Bl7_source%3D.%3Db%3B.%3B"} 1"#),
    ("x-source: alone\r\n", r#"l7_labelled_total{source="alone"} 1"#),
];

fn configuration(module: &Path) -> String {
    let tags = stats_tags(["route", "source"]);
    format!(
        r#"{tags}
admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }} }}
static_resources:
  listeners:
  - name: shop
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}
    filter_chains:
    - filters:
      - name: manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: shop
          route_config: {{ virtual_hosts: [{{ name: host, domains: ["*"], routes: [{{ match: {{ prefix: / }}, direct_response: {{ status: 404 }} }}] }}] }}
          http_filters:
          - name: labels
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: labels
                configuration: {{ "@type": type.googleapis.com/google.protobuf.StringValue, value: "{{}}" }}
                vm_config: {{ runtime: envoy.wasm.runtime.v8, code: {{ local: {{ filename: "{module}" }} }} }}
          - name: router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
"#,
        module = module.display()
    )
}

#[test]
fn the_labels_of_a_family_are_labels_in_prometheus_whatever_their_values() {
    let Some(binary) = envoy::binary("Prometheus' view was not looked at") else { return };
    let mut envoy = Envoy::start(&binary, &configuration(&behaviours::module("labels")));
    let shop = envoy.listener("shop");
    for (headers, _) in SERIES {
        let answer = wait_for(|| get(&shop, "/", headers));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let told = wait_for(|| {
        let told = envoy.told("/stats/prometheus")?;
        told.contains("alone").then_some(told)
    });
    for (_, series) in SERIES {
        let ours: Vec<_> = told.lines().filter(|line| line.contains("labelled")).collect();
        assert!(ours.contains(&series), "{series} is not in\n{}", ours.join("\n"));
    }
}
