//! Everything needed to build one emulated Envoy. What a format says is turned into these types by that format's
//! module; nothing here knows YAML.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use crate::{
    message::Direction,
    router::{Metadata, RouteTable},
};

/// One proxy.
#[derive(Clone, Debug)]
pub struct ProxySpec {
    /// What reports call it: the configuration file's name without its extension.
    pub name: String,
    pub node: NodeSpec,
    /// Those for HTTP, in the order of the configuration.
    pub listeners: Vec<ListenerSpec>,
    /// Those that proxy TCP, in the order of the configuration.
    pub tcp_listeners: Vec<TcpListenerSpec>,
    pub clusters: BTreeMap<String, ClusterSpec>,
}

impl ProxySpec {
    /// Every plugin of every listener, in the order in which they start.
    pub fn plugins(&self) -> impl Iterator<Item = &PluginSpec> {
        let of_clusters =
            self.clusters.values().flat_map(|cluster| cluster.upstream_filters.iter().flatten());
        let http = self.listeners.iter().flat_map(|listener| listener.http.all_plugins());
        of_clusters.chain(http).chain(self.tcp_listeners.iter().flat_map(|listener| &listener.filters))
    }

    /// The access loggers of each listener and then its filters, with its name and the number of loggers: those for
    /// HTTP first, then those for TCP.
    pub fn chains(&self) -> impl Iterator<Item = (&str, usize, Vec<&PluginSpec>)> {
        let http = self.listeners.iter();
        let http = http.map(|listener| {
            let loggers = listener.http.access_loggers.len();
            (&listener.name[..], loggers, listener.http.plugins().collect())
        });
        let tcp = self.tcp_listeners.iter();
        let tcp = tcp.map(|listener| (&listener.name[..], 0, listener.filters.iter().collect::<Vec<_>>()));
        http.chain(tcp)
    }

    pub fn plugins_mut(&mut self) -> impl Iterator<Item = &mut PluginSpec> {
        let clusters = self.clusters.values_mut();
        let of_clusters = clusters.flat_map(|cluster| cluster.upstream_filters.iter_mut().flatten());
        let http = self.listeners.iter_mut();
        let tcp = self.tcp_listeners.iter_mut();
        of_clusters
            .chain(http.flat_map(|listener| listener.http.plugins_mut()))
            .chain(tcp.flat_map(|listener| &mut listener.filters))
    }
}

/// Who the proxy is (`xds.node.*`).
#[derive(Clone, Debug, Default)]
pub struct NodeSpec {
    pub id: String,
    pub cluster: String,
    pub metadata: serde_json::Map<String, serde_json::Value>,
    pub locality: Option<Locality>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    pub region: String,
    pub zone: String,
    pub sub_zone: String,
}

/// A listener and its one HTTP connection manager.
#[derive(Clone, Debug)]
pub struct ListenerSpec {
    pub name: String,
    pub address: Option<SocketAddr>,
    pub direction: Direction,
    pub filter_chain_name: String,
    pub metadata: Metadata,
    /// How many bytes of a message's body filters may hold back; `None`: any number.
    pub buffer_limit: Option<usize>,
    pub http: HttpConnectionManagerSpec,
}

/// Envoy's default for `per_connection_buffer_limit_bytes`.
pub const DEFAULT_BUFFER_LIMIT: usize = 1024 * 1024;

/// A listener with Wasm network filters in front of a `tcp_proxy` (envoy/extensions/filters/network/tcp_proxy/v3/).
#[derive(Clone, Debug)]
pub struct TcpListenerSpec {
    pub name: String,
    pub address: Option<SocketAddr>,
    pub direction: Direction,
    pub filter_chain_name: String,
    pub metadata: Metadata,
    /// From the client on.
    pub filters: Vec<PluginSpec>,
    /// Where connections go.
    pub cluster: String,
}

#[derive(Clone, Debug)]
pub struct HttpConnectionManagerSpec {
    pub stat_prefix: String,
    /// The peer's address is the client's, rather than what `x-forwarded-for` says.
    pub use_remote_address: bool,
    pub preserve_external_request_id: bool,
    pub generate_request_id: bool,
    /// Who counts as internal. Envoy's default, since 1.33, is nobody.
    pub internal_addresses: Vec<CidrRange>,
    pub http_filters: FilterChain,
    /// What hears of every stream when it has ended, and of nothing else (`envoy.access_loggers.wasm`).
    pub access_loggers: Vec<PluginSpec>,
    pub routes: Arc<RouteTable>,
    pub timeouts: StreamTimeouts,
    pub server_header: ServerHeader,
}

impl HttpConnectionManagerSpec {
    /// The access loggers, then the Wasm filters.
    fn plugins(&self) -> impl Iterator<Item = &PluginSpec> {
        self.access_loggers.iter().chain(self.http_filters.plugins())
    }

    /// Those, then the upstream filters of the router.
    fn all_plugins(&self) -> impl Iterator<Item = &PluginSpec> {
        self.plugins().chain(self.http_filters.upstream_filters().unwrap_or_default())
    }

    fn plugins_mut(&mut self) -> impl Iterator<Item = &mut PluginSpec> {
        self.access_loggers.iter_mut().chain(self.http_filters.plugins_mut())
    }
}

/// How long a stream may take (`common_http_protocol_options`, `stream_idle_timeout`, `request_timeout`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamTimeouts {
    /// Without anything happening; `None`: for ever. Routes may say otherwise.
    pub idle: Option<Duration>,
    /// From its beginning to its end.
    pub max_duration: Option<Duration>,
    /// From its beginning until the request has passed all filters.
    pub request: Option<Duration>,
}

impl Default for StreamTimeouts {
    /// Envoy's: five minutes without anything happening.
    fn default() -> Self {
        StreamTimeouts { idle: Some(Duration::from_secs(300)), max_duration: None, request: None }
    }
}

/// What becomes of the response's `server` behind the filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerHeader {
    Overwrite(Bytes),
    AppendIfAbsent(Bytes),
    PassThrough,
}

impl Default for ServerHeader {
    fn default() -> Self {
        ServerHeader::Overwrite(Bytes::from_static(b"envoy"))
    }
}

/// `address_prefix/prefix_len`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CidrRange {
    address: IpAddr,
    prefix_len: u8,
}

impl CidrRange {
    /// `None`: more bits than the address has.
    pub fn new(address: IpAddr, prefix_len: u8) -> Option<Self> {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        (prefix_len <= bits).then_some(Self { address, prefix_len })
    }

    /// An IPv4 range never contains an IPv6 address, nor the reverse.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(range), IpAddr::V4(address)) => {
                let differing = u32::from(range) ^ u32::from(address);
                differing.leading_zeros() >= u32::from(self.prefix_len)
            }
            (IpAddr::V6(range), IpAddr::V6(address)) => {
                let differing = u128::from(range) ^ u128::from(address);
                differing.leading_zeros() >= u32::from(self.prefix_len)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// HTTP filters in request order, the router last and only there.
#[derive(Clone, Debug)]
pub struct FilterChain(Vec<FilterSpec>);

#[derive(Clone, Debug)]
pub enum FilterSpec {
    Wasm(Box<PluginSpec>),
    Router(RouterSpec),
}

/// Why a list of filters is no chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterChainError {
    #[error("the chain has no router; it must be the last filter")]
    NoRouter,
    #[error("the router {0:?} stands before other filters; it must be the last")]
    RouterNotLast(String),
}

impl FilterChain {
    /// # Errors
    /// The router is missing or not last.
    pub fn new(filters: Vec<FilterSpec>) -> Result<Self, FilterChainError> {
        let router = filters.iter().position(|filter| matches!(filter, FilterSpec::Router(_)));
        match router {
            None => Err(FilterChainError::NoRouter),
            Some(at) if at + 1 == filters.len() => Ok(Self(filters)),
            Some(at) => Err(FilterChainError::RouterNotLast(
                filters.get(at).map(|filter| filter.name().to_owned()).unwrap_or_default(),
            )),
        }
    }

    pub fn filters(&self) -> &[FilterSpec] {
        &self.0
    }

    /// The Wasm filters, in request order.
    pub fn plugins(&self) -> impl Iterator<Item = &PluginSpec> {
        self.0.iter().filter_map(|filter| match filter {
            FilterSpec::Wasm(plugin) => Some(&**plugin),
            FilterSpec::Router(_) => None,
        })
    }

    /// What the router itself puts before each attempt, where its cluster has nothing.
    pub fn upstream_filters(&self) -> Option<&[PluginSpec]> {
        self.0.iter().find_map(|filter| match filter {
            FilterSpec::Wasm(_) => None,
            FilterSpec::Router(router) => router.upstream_filters.as_deref(),
        })
    }

    /// The Wasm filters, in request order, then the upstream filters of the router.
    pub(super) fn plugins_mut(&mut self) -> impl Iterator<Item = &mut PluginSpec> {
        self.0.iter_mut().flat_map(|filter| match filter {
            FilterSpec::Wasm(plugin) => std::slice::from_mut(&mut **plugin),
            FilterSpec::Router(router) => router.upstream_filters.as_deref_mut().unwrap_or_default(),
        })
    }
}

impl FilterSpec {
    /// The entry's name in `http_filters`.
    pub fn name(&self) -> &str {
        match self {
            FilterSpec::Wasm(plugin) => &plugin.filter_name,
            FilterSpec::Router(router) => &router.filter_name,
        }
    }
}

/// The router filter (envoy/extensions/filters/http/router/v3/router.proto).
#[derive(Clone, Debug, Default)]
pub struct RouterSpec {
    pub filter_name: String,
    /// The `x-envoy-*` headers the router adds are left out.
    pub suppress_envoy_headers: bool,
    /// A caller's `x-envoy-expected-rq-timeout-ms` bounds the timeout.
    pub respect_expected_rq_timeout: bool,
    /// Its own upstream filters, where it has a chain of them: the Wasm filters before the codec.
    pub upstream_filters: Option<Vec<PluginSpec>>,
}

/// A Wasm filter (envoy/extensions/wasm/v3/wasm.proto, `PluginConfig`).
#[derive(Clone, Debug)]
pub struct PluginSpec {
    /// The entry's name in `http_filters`; need not be unique.
    pub filter_name: String,
    /// The plugin's own name: property `plugin_name`, statistics `wasm.<name>.*`. May be empty.
    pub name: String,
    pub root_id: String,
    /// What `on_configure` reads.
    pub configuration: PluginConfiguration,
    pub vm: VmSpec,
    pub failure_policy: FailurePolicy,
    /// A pause at the headers lets body callbacks through.
    pub allow_on_headers_stop_iteration: bool,
    /// `None`: everything is allowed. Names as in the ABI: `proxy_log`, `proxy_on_request_headers`, `fd_write`.
    pub allowed_capabilities: Option<BTreeSet<String>>,
    /// Where it was written, for messages: `envoy.yaml:12:9`.
    pub origin: String,
}

/// Two plugins with equal `id`, `configuration`, `environment` and code share one VM on each thread.
#[derive(Clone, Debug)]
pub struct VmSpec {
    pub id: String,
    /// What `on_vm_start` reads.
    pub configuration: PluginConfiguration,
    pub code: CodeSource,
    pub environment: BTreeMap<String, String>,
}

/// Bytes for a guest, and what they were made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PluginConfiguration {
    #[default]
    Absent,
    /// A `StringValue` or `BytesValue`: handed over as written.
    Raw(Bytes),
    /// A message, handed over as its protobuf bytes; for a `Struct` that is not JSON.
    Protobuf { type_name: String, wire: Bytes },
}

impl PluginConfiguration {
    pub fn bytes(&self) -> Bytes {
        match self {
            PluginConfiguration::Absent => Bytes::new(),
            PluginConfiguration::Raw(bytes) | PluginConfiguration::Protobuf { wire: bytes, .. } => {
                bytes.clone()
            }
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub enum CodeSource {
    File(PathBuf),
    Inline(Bytes),
}

impl fmt::Debug for CodeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodeSource::File(path) => write!(f, "File({})", path.display()),
            CodeSource::Inline(code) => write!(f, "Inline({} bytes)", code.len()),
        }
    }
}

/// What happens to traffic once a VM has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePolicy {
    /// 503 for every stream. Envoy's default.
    Closed,
    /// New streams bypass the filter; those in flight get 503.
    Open,
    /// A new VM, not more often than this (Envoy adds up to half of it as jitter).
    Reload { base_interval: Duration },
    /// The deprecated `fail_open: true`: streams in flight go on too.
    LegacyOpen,
}

/// A cluster, as far as routes and callouts can tell clusters apart.
#[derive(Clone, Debug)]
pub struct ClusterSpec {
    pub name: String,
    pub discovery: Discovery,
    pub connect_timeout: Duration,
    pub endpoints: Vec<EndpointSpec>,
    pub metadata: Metadata,
    /// Its own upstream filters, where it has a chain of them: the Wasm filters before the codec, which run once for each
    /// attempt and stand in the place of the router's.
    pub upstream_filters: Option<Vec<PluginSpec>>,
    /// How many requests to it may be tried again at the same time.
    pub max_retries: u32,
}

/// Envoy's default for `circuit_breakers.thresholds.max_retries`.
pub const DEFAULT_MAX_RETRIES: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    Static,
    StrictDns,
    LogicalDns,
    Eds,
    OriginalDst,
}

#[derive(Clone, Debug)]
pub struct EndpointSpec {
    /// An IP address or a host name.
    pub host: String,
    pub port: u16,
    /// Neither `UNHEALTHY`, `DRAINING` nor `TIMEOUT` by configuration.
    pub healthy: bool,
    pub locality: Locality,
    /// Of the group of endpoints it is in.
    pub locality_metadata: Metadata,
    pub metadata: Metadata,
}
