//! The configuration of one service's sidecar, as text: what runs is what is committed, but for the ports.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use bookshop::Service;

use super::taps::{Direction, Kind};

/// The addresses that a sidecar's configuration names. All 0 in the committed copy.
#[derive(Clone, Debug, Default)]
pub(super) struct Ports {
    pub(super) service: u16,
    /// The inbound listeners of the services this one calls.
    pub(super) inbound: BTreeMap<Service, u16>,
}

/// How long an outbound request may take. One request of the mix is never answered and so runs into it.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(2);

/// The whole bootstrap configuration. Tap files get paths relative to where Envoy runs, which keeps the machine's own
/// paths out of it.
pub(super) fn config(service: Service, ports: &Ports) -> String {
    let mut yaml = format!(
        "# The sidecar of `{service}`. Ports of 0 are chosen by the system or filled in at the start.\n\
         node: {{ id: {service}, cluster: bookshop }}\n\
         admin:\n  address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}\n\
         static_resources:\n  listeners:\n"
    );
    yaml += &listener(service, Direction::Inbound, INBOUND_ROUTES);
    yaml += &listener(service, Direction::Outbound, &outbound_routes(service));
    yaml += "  clusters:\n";
    yaml += &cluster("local", Upstream::own(service), ports.service);
    for callee in service.calls() {
        let port = ports.inbound.get(callee).copied().unwrap_or(0);
        yaml += &cluster(callee.name(), Upstream::of(*callee), port);
    }
    if service == Service::Storefront {
        yaml += NO_ENDPOINTS;
    }
    yaml
}

fn listener(service: Service, direction: Direction, virtual_hosts: &str) -> String {
    let upper = direction.name().to_uppercase();
    let streamed = tap(service, direction, Kind::Streamed);
    let buffered = tap(service, direction, Kind::Buffered);
    format!(
        r#"  - name: {direction}
    traffic_direction: {upper}
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {direction}
          codec_type: AUTO
          http_protocol_options: {{ enable_trailers: true }}
          # Callers on this machine are internal. Others lose what they send of x-envoy-expected-rq-timeout-ms and its like
          # before the first filter, so that no deadline would reach the next hop. Nothing is added to x-forwarded-for: it
          # would be this machine's address, and whoever has been forwarded to counts as external.
          use_remote_address: true
          skip_xff_append: true
          internal_address_config: {{ cidr_ranges: [{{ address_prefix: 127.0.0.0, prefix_len: 8 }}] }}
          # Paths are recorded as they were sent: telling ambiguous ones is a filter's business.
          normalize_path: false
          merge_slashes: false
          path_with_escaped_slashes_action: KEEP_UNCHANGED
          http_filters:
{streamed}{buffered}          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            name: {direction}
            virtual_hosts:
{virtual_hosts}"#
    )
}

/// The streamed tap keeps everything; the buffered one is there for times and addresses, so its bodies are cut to nothing.
fn tap(service: Service, direction: Direction, kind: Kind) -> String {
    let (extra, streaming, limit) = match kind {
        Kind::Streamed => ("", true, 4 * 1024 * 1024),
        Kind::Buffered => (
            "              record_headers_received_time: true\n              record_downstream_connection: true\n",
            false,
            0,
        ),
    };
    format!(
        r#"          - name: tap.{kind}
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.tap.v3.Tap
{extra}              common_config:
                static_config:
                  match: {{ any_match: true }}
                  output_config:
                    streaming: {streaming}
                    max_buffered_rx_bytes: {limit}
                    max_buffered_tx_bytes: {limit}
                    sinks:
                    - format: PROTO_BINARY_LENGTH_DELIMITED
                      file_per_tap: {{ path_prefix: {service}.{direction}.{kind} }}
"#
    )
}

const INBOUND_ROUTES: &str = r#"            - name: local
              domains: ["*"]
              routes:
              - name: local
                match: { prefix: / }
                route: { cluster: local, timeout: 0s }
"#;

fn outbound_routes(service: Service) -> String {
    let mut yaml = String::new();
    let unavailable = (service == Service::Storefront).then_some("recommendations");
    for callee in service.calls().iter().map(|callee| callee.name()).chain(unavailable) {
        let _ = write!(
            yaml,
            r#"            - name: {callee}
              domains: [{callee}]
              include_request_attempt_count: true
              include_attempt_count_in_response: true
              routes:
              - name: {callee}
                match: {{ prefix: / }}
                route:
                  cluster: {callee}
                  timeout: {timeout}s
                  retry_policy: {{ retry_on: "5xx,reset,connect-failure", num_retries: 2 }}
"#,
            timeout = ROUTE_TIMEOUT.as_secs(),
        );
    }
    if yaml.is_empty() {
        yaml += "            []\n";
    }
    yaml
}

/// What a cluster speaks.
#[derive(Clone, Copy)]
enum Upstream {
    Http1,
    Http2,
    /// Whatever the client spoke.
    AsDownstream,
}

impl Upstream {
    fn of(service: Service) -> Self {
        if service.speaks_grpc() { Upstream::Http2 } else { Upstream::Http1 }
    }

    /// From a sidecar to the service it stands before. Only the storefront has clients of both kinds.
    fn own(service: Service) -> Self {
        if service == Service::Storefront { Upstream::AsDownstream } else { Upstream::of(service) }
    }

    fn options(self) -> &'static str {
        match self {
            Upstream::Http1 => "explicit_http_config: { http_protocol_options: { enable_trailers: true } }",
            Upstream::Http2 => "explicit_http_config: { http2_protocol_options: {} }",
            Upstream::AsDownstream => {
                "use_downstream_protocol_config: { http_protocol_options: { enable_trailers: true }, http2_protocol_options: {} }"
            }
        }
    }
}

fn cluster(name: &str, upstream: Upstream, port: u16) -> String {
    format!(
        r#"  - name: {name}
    type: STATIC
    connect_timeout: 1s
    # Envoy's own 3 retries at a time would let it depend on chance which request of a burst is retried.
    circuit_breakers: {{ thresholds: [{{ max_retries: 100 }}] }}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        {options}
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}
"#,
        options = upstream.options(),
    )
}

/// A service scaled down to nothing: Envoy answers 503 itself.
const NO_ENDPOINTS: &str = "  - name: recommendations
    type: STATIC
    connect_timeout: 1s
    load_assignment: { cluster_name: recommendations, endpoints: [] }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_streamed_tap_is_the_first_filter_and_nothing_of_this_machine_is_named() {
        for service in Service::LEAVES_FIRST {
            let text = config(service, &Ports::default());
            for direction in text.split("http_filters:").skip(1) {
                let first = direction.split("- name: ").nth(1).unwrap();
                assert!(first.starts_with("tap.streamed\n"), "{first}");
            }
            assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "{text}");
            for port in text.split("port_value: ").skip(1) {
                assert!(port.starts_with("0 "), "{service}: {port}");
            }
        }
    }
}
