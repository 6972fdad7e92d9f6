//! `scenario.yaml`: what was written, and what it means.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Deserialize;

use super::{Resolve, ScenarioError};
use crate::{
    envoy_config::{self, LoadOptions},
    message::written::{self, DurationText, HeaderLine, WrittenTls, header_map},
    message::{
        Answer, AnswerKind, Connection, Direction, Exchange, ExchangeId, HeaderMap, Message, Origin,
        Protocol, Recording, Security, Timing,
    },
    proxy::spec::{PluginConfiguration, ProxySpec},
    replay::{Chunking, Isolation},
    upstream::Script,
};

/// What is wrong with a `scenario.yaml`.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ManifestError {
    place: String,
    what: String,
}

/// A chain and its traffic.
///
/// ```yaml
/// about: An expired deadline is answered at once; the upstream hears nothing of it.
/// chain:
///   - module: timeout                 # timeout.wasm
///     config: { version: 1 }
///     environment: { PEPPER: abc }    # variables of its VM
///     allow_on_headers_stop_iteration: true   # for a filter that holds headers until it has seen the body
/// exchanges:
///   - request: GET /books             # a method and a path
///     headers: ["x-request-id: 1", "grpc-timeout: 0m"]
///     response: 200                   # what the upstream answers
///     latency: 20ms                   # after the request reached it
///   - request: GET /books             # in the place of a response: what the upstream answers to each attempt, the last to all
///     attempts: [{ response: 503, latency: 5ms }, { resets: true }, { refused: true }, { response: 200 }]   # that follow
/// route: { retry_policy: { retry_on: 5xx, num_retries: 3 } }   # of the route's action; the router makes those attempts by it
/// upstream_chain:                     # filters that run once for each attempt, in the same VM as one of `chain` of that module
///   - { module: timeout, config: { version: 1 } }
/// callouts:                           # what answers the calls that filters make, by cluster
///   auth: [{ answer: { status: 200, after: 5ms } }]
/// tls:                                # the clients' connections are TLS; upstream_tls: those to the upstream
///   version: TLSv1.3
///   server_name: shop.example         # SNI
///   local: proxy.pem                  # the proxy's certificate: a file beside this one,
///   peer: { subject: "CN=client", uri_sans: ["spiffe://shop/client"], dns_sans: [] } # or what it says; also sha256, pem
///   peer_valid: false                 # the proxy has not found it good in this handshake
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What the scenario shows, as a sentence.
    pub about: String,
    /// Filters from the client on.
    pub chain: Vec<Link>,
    /// Filters of the upstream's cluster, from the router on: they run once for each attempt.
    #[serde(default)]
    pub upstream_chain: Vec<Link>,
    /// What the one route's action has besides its cluster (`retry_policy`, `timeout` …), as Envoy's configuration has it.
    #[serde(default)]
    pub route: serde_json::Map<String, serde_json::Value>,
    pub exchanges: Vec<Written>,
    /// Where bodies are cut: `recorded` (as written here), `whole` or `random`.
    #[serde(default)]
    pub chunking: Chunking,
    /// What exchanges have in common: `shared` (all, as in an Envoy) or `each-exchange` (nothing: each has VMs of its own).
    #[serde(default)]
    pub isolation: Isolation,
    /// `filter_metadata` of the one route, by namespace.
    #[serde(default)]
    pub route_metadata: serde_json::Map<String, serde_json::Value>,
    /// What answers the calls that filters make.
    #[serde(default)]
    pub callouts: Script,
    /// Of the clients' connections. Without it, they are plain.
    tls: Option<WrittenTls>,
    /// Of the connections to the upstream.
    upstream_tls: Option<WrittenTls>,
}

/// One filter of the chain.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The module's file name without `.wasm`.
    pub module: String,
    /// Handed to the filter as JSON.
    #[serde(default)]
    pub config: serde_json::Value,
    /// Of its VM: `vm_config.environment_variables`.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Whether it may hold headers and be shown the body meanwhile, as in Envoy.
    #[serde(default)]
    pub allow_on_headers_stop_iteration: bool,
}

/// An exchange as written. Header lines are `name: value`; `\xNN` stands for a byte, `\\` for a backslash.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// `METHOD /path`.
    request: String,
    /// When it arrives, after the one before it. Default: 1ms.
    #[serde(default)]
    after: Option<DurationText>,
    #[serde(default)]
    headers: Vec<HeaderLine>,
    /// Chunks.
    #[serde(default)]
    body: Vec<String>,
    #[serde(default)]
    trailers: Vec<HeaderLine>,
    /// The client never comes to the end of its request.
    #[serde(default)]
    stalls: bool,
    /// The upstream's status. Default: 200.
    #[serde(default)]
    response: Option<u16>,
    #[serde(default)]
    response_headers: Vec<HeaderLine>,
    #[serde(default)]
    response_body: Vec<String>,
    #[serde(default)]
    response_trailers: Vec<HeaderLine>,
    /// The client leaves instead of getting an answer, after `latency`.
    #[serde(default)]
    leaves: bool,
    /// The upstream breaks off where the end of its answer should be.
    #[serde(default)]
    breaks_off: bool,
    /// Between the request's arrival at the upstream and its answer. Default: 0.
    #[serde(default)]
    latency: Option<DurationText>,
    /// In the place of a response: what the upstream answers to each attempt, the last to all that follow. Without it, the
    /// response is what came of all attempts.
    #[serde(default)]
    attempts: Vec<WrittenAnswer>,
    /// Sends the same this many times. Default: 1.
    #[serde(default = "once")]
    times: u32,
}

/// What one attempt meets, as written; fields as those of an exchange.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenAnswer {
    response: Option<u16>,
    response_headers: Vec<HeaderLine>,
    response_body: Vec<String>,
    response_trailers: Vec<HeaderLine>,
    latency: Option<DurationText>,
    breaks_off: bool,
    /// The upstream closes the connection before it answers.
    resets: bool,
    /// There is no connection to be had.
    refused: bool,
    /// The upstream never answers.
    never: bool,
}

impl WrittenAnswer {
    fn answer(&self) -> Answer {
        let mut message = message(&self.response_body, &self.response_trailers);
        message.headers.push(":status", self.response.unwrap_or(200).to_string());
        extend(&mut message.headers, &self.response_headers);
        let kind = match self {
            WrittenAnswer { refused: true, .. } => AnswerKind::Refuses,
            WrittenAnswer { resets: true, .. } => AnswerKind::Resets,
            WrittenAnswer { never: true, .. } => AnswerKind::Never,
            _ => AnswerKind::Response { message, breaks_off: self.breaks_off },
        };
        Answer { after: self.latency.map_or(Duration::ZERO, |latency| latency.0), kind }
    }
}

fn once() -> u32 {
    1
}

/// One listener, one route to one cluster; filters and the route's metadata go in where the comments stand.
const BOOTSTRAP: &str = r#"
node: { id: scenario, cluster: scenario }
static_resources:
  listeners:
    - name: scenario
      address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
      filter_chains:
        - filters:
            - name: http
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: scenario
                route_config:
                  name: scenario
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                        - name: default
                          match: { prefix: "/" }
                          route: # route
                          metadata: { filter_metadata: # metadata }
                http_filters:
# filters
                  - name: router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
    - name: upstream
      type: STATIC
      load_assignment:
        cluster_name: upstream
        endpoints:
          - lb_endpoints:
              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 1 } } }
# upstream
"#;

/// Behind `upstream`; filters go in where the comment stands.
const UPSTREAM: &str = r#"      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http_protocol_options: {} }
          http_filters:
# filters
                  - name: codec
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec
"#;

/// Of a cluster that only a script answers.
const ENDPOINTS: &str = "{ cluster_name: scripted, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 1 } } } }] }] }";

impl Manifest {
    pub(super) fn parse(text: &str, place: &str) -> Result<Self, ManifestError> {
        let refused = |what: String| ManifestError { place: place.to_owned(), what };
        let manifest: Manifest = serde_saphyr::from_str(text).map_err(|error| refused(error.to_string()))?;
        if manifest.exchanges.is_empty() {
            return Err(refused("found no exchanges, expected at least one".to_owned()));
        }
        for written in &manifest.exchanges {
            written.check().map_err(refused)?;
        }
        Ok(manifest)
    }

    /// The proxy: a plain Envoy configuration with the chain in it.
    pub(super) fn spec(&self, place: &str, resolve: Resolve<'_>) -> Result<ProxySpec, ScenarioError> {
        let filters = filters_of(&self.chain, "", place, resolve)?;
        let upstream = match &self.upstream_chain[..] {
            [] => String::new(),
            chain => UPSTREAM.replace("# filters\n", &filters_of(chain, "_upstream", place, resolve)?),
        };
        let mut route = self.route.clone();
        route.insert("cluster".to_owned(), "upstream".into());
        let route = serde_json::Value::Object(route).to_string();
        let metadata = serde_json::Value::Object(self.route_metadata.clone()).to_string();
        let text = BOOTSTRAP.replace("# metadata", &metadata).replace("# route", &route);
        let mut text = text.replace("# filters\n", &filters).replace("# upstream\n", &upstream);
        for cluster in self.callouts.clusters() {
            let name = serde_json::Value::String(cluster.to_owned());
            text.push_str(&format!("    - {{ name: {name}, type: STATIC, load_assignment: {ENDPOINTS} }}\n"));
        }
        let loaded = envoy_config::from_text(&text, Path::new("scenario.yaml"), &LoadOptions::default());
        let mut spec =
            loaded.map_err(|error| ManifestError { place: place.to_owned(), what: error.to_string() })?.spec;
        // Those of clusters come first.
        for (plugin, link) in spec.plugins_mut().zip(self.upstream_chain.iter().chain(&self.chain)) {
            plugin.configuration = PluginConfiguration::Raw(link.config.to_string().into());
            plugin.origin = place.to_owned();
        }
        Ok(spec)
    }

    /// The traffic; files that it names stand beside `place`.
    pub(super) fn recording(&self, place: &Path) -> Result<Recording, ManifestError> {
        let folder = place.parent().unwrap_or(Path::new(""));
        let security = |name: &str, tls: Option<&WrittenTls>| {
            written::security(tls, folder).map_err(|what| ManifestError {
                place: place.display().to_string(),
                what: format!("{name}: {what}"),
            })
        };
        let connection = Connection {
            local: SocketAddr::from_str("127.0.0.1:10000").ok(),
            remote: SocketAddr::from_str("127.0.0.1:40000").ok(),
            protocol: Some(Protocol::Http11),
            security: security("tls", self.tls.as_ref())?,
            upstream_security: security("upstream_tls", self.upstream_tls.as_ref())?,
            ..Connection::default()
        };
        let mut exchanges = Vec::new();
        let mut at = EPOCH;
        for written in &self.exchanges {
            for _ in 0..written.times {
                at += written.after.map_or(Duration::from_millis(1), |after| after.0);
                exchanges.push(written.exchange(place, exchanges.len() as u32 + 1, at, &connection));
            }
        }
        Ok(Recording { exchanges, connections: Vec::new(), notes: Vec::new() })
    }
}

/// Filters as Envoy has them written. What follows a module's name is in the filter's.
fn filters_of(
    chain: &[Link],
    suffix: &str,
    place: &str,
    resolve: Resolve<'_>,
) -> Result<String, ScenarioError> {
    let mut filters = String::new();
    for link in chain {
        let path = resolve(&link.module).map_err(|why| ScenarioError::Module {
            place: place.to_owned(),
            module: link.module.clone(),
            why,
        })?;
        let quoted = |text: &str| serde_json::Value::String(text.to_owned()).to_string();
        let (vm_id, path) = (quoted(&link.module), quoted(&path.display().to_string()));
        let name = quoted(&format!("{}{suffix}", link.module));
        let environment = serde_json::json!({ "key_values": link.environment });
        let allow_stop = link.allow_on_headers_stop_iteration;
        filters.push_str(&format!(
            r#"                  - name: {name}
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        name: {name}
                        failure_policy: FAIL_RELOAD
                        allow_on_headers_stop_iteration: {allow_stop}
                        vm_config:
                          vm_id: {vm_id}
                          runtime: envoy.wasm.runtime.v8
                          environment_variables: {environment}
                          code: {{ local: {{ filename: {path} }} }}
"#
        ));
    }
    Ok(filters)
}

/// 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

impl Written {
    fn check(&self) -> Result<(), String> {
        self.method_and_path()?;
        let answered = self.response.is_some()
            || self.breaks_off
            || !(self.response_headers.is_empty()
                && self.response_body.is_empty()
                && self.response_trailers.is_empty());
        if answered && !self.attempts.is_empty() {
            return Err(format!("{}: found a response and attempts, expected one of them", self.request));
        }
        Ok(())
    }

    fn method_and_path(&self) -> Result<(&str, &str), String> {
        self.request
            .split_once(' ')
            .filter(|(method, path)| !method.is_empty() && !path.is_empty())
            .ok_or_else(|| format!("request: found {:?}, expected METHOD /path", self.request))
    }

    fn exchange(&self, place: &Path, number: u32, at: Duration, connection: &Connection) -> Exchange {
        let scheme = if matches!(connection.security, Security::Tls(_)) { "https" } else { "http" };
        let (method, path) = self.method_and_path().unwrap_or(("GET", "/"));
        let mut request = message(&self.body, &self.trailers);
        for (name, value) in
            [(":authority", "service.test"), (":path", path), (":method", method), (":scheme", scheme)]
        {
            let given = self.headers.iter().find(|line| &line.name[..] == name.as_bytes());
            request
                .headers
                .push(name, given.map_or(Bytes::from(value.to_owned()), |line| line.value.clone()));
        }
        extend(&mut request.headers, self.headers.iter().filter(|line| !line.name.starts_with(b":")));
        let mut response = message(&self.response_body, &self.response_trailers);
        response.headers.push(":status", self.response.unwrap_or(200).to_string());
        extend(&mut response.headers, &self.response_headers);
        let latency = self.latency.map_or(Duration::ZERO, |latency| latency.0);
        let answers: Vec<Answer> = self.attempts.iter().map(WrittenAnswer::answer).collect();
        let last = answers.iter().rev().find_map(|answer| match &answer.kind {
            AnswerKind::Response { message, .. } => Some(message.clone()),
            AnswerKind::Resets | AnswerKind::Refuses | AnswerKind::Never => None,
        });
        let response = if answers.is_empty() { Some(response) } else { last };
        let patience = (self.leaves && !answers.is_empty()).then_some(latency);
        Exchange {
            id: ExchangeId { proxy: Arc::from("scenario"), direction: Direction::Unspecified, number },
            origin: Origin { file: place.into(), offset: 0, trace_id: 0 },
            request,
            response: response.filter(|_| !self.leaves),
            answers,
            timing: Timing {
                request_headers: Some(at),
                response_headers: Some(at + latency),
                request_stalls: self.stalls,
                client_patience: patience,
                response_breaks_off: self.breaks_off,
            },
            connection: connection.clone(),
            notes: Vec::new(),
        }
    }
}

fn message(body: &[String], trailers: &[HeaderLine]) -> Message {
    Message {
        headers: HeaderMap::new(),
        body: body.iter().map(|chunk| Bytes::from(chunk.clone())).collect(),
        trailers: (!trailers.is_empty()).then(|| header_map(trailers)),
    }
}

fn extend<'a>(map: &mut HeaderMap, lines: impl IntoIterator<Item = &'a HeaderLine>) {
    for line in lines {
        map.push(line.name.clone(), line.value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tls: &str) -> Result<Recording, String> {
        let text = format!("about: x\nchain: []\nexchanges: [{{ request: GET / }}]\n{tls}");
        let manifest = Manifest::parse(&text, "scenario.yaml").map_err(|error| error.to_string())?;
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/parity/certificates/scenario.yaml");
        manifest.recording(&beside).map_err(|error| error.what)
    }

    #[test]
    fn a_scenario_tells_of_tls_by_files_and_by_facts() {
        let recording = read(
            "tls: { server_name: shop.example, local: shop.pem, peer: { subject: CN=client, uri_sans: [a, b] } }\nupstream_tls: { version: TLSv1.2 }",
        )
        .expect("facts");
        let exchange = &recording.exchanges[0];
        assert_eq!(exchange.request.headers.first(b":scheme").map(|scheme| &scheme[..]), Some(&b"https"[..]));
        let Security::Tls(tls) = &exchange.connection.security else { panic!("plain") };
        assert_eq!((&tls.version[..], &tls.server_name[..]), ("TLSv1.3", "shop.example"));
        let local = tls.local.as_ref().expect("a certificate");
        assert_eq!(
            (&local.subject[..], &local.dns_sans[0][..]),
            ("CN=shop.example,O=Shop,C=GB", "shop.example")
        );
        let peer = tls.peer.as_ref().expect("a certificate");
        assert_eq!(
            (&peer.subject[..], &peer.uri_sans[..]),
            ("CN=client", &["a".to_owned(), "b".to_owned()][..])
        );
        let Security::Tls(upstream) = &exchange.connection.upstream_security else { panic!("plain") };
        assert_eq!((&upstream.version[..], &upstream.peer), ("TLSv1.2", &None));
    }

    #[test]
    fn a_scenario_without_tls_is_plain() {
        let recording = read("").expect("facts");
        assert_eq!(recording.exchanges[0].connection.security, Security::Plain);
        assert_eq!(recording.exchanges[0].connection.upstream_security, Security::Plain);
    }

    #[test]
    fn what_is_wrong_with_tls_is_told_with_its_field() {
        let refused = |tls: &str| read(tls).expect_err("it is wrong");
        assert!(refused("tls: { peer: none.pem }").starts_with("tls: peer: "));
        assert!(refused("upstream_tls: { local: make }").contains("make: found no certificate, expected"));
        assert!(refused("tls: { version: TLSv1.9 }").contains("TLSv1.9"));
        assert!(
            refused("tls: { peer: { subjekt: x } }").contains("a file's name, or what a certificate says")
        );
    }
}
