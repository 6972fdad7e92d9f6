//! Everything needed to build one emulated Envoy. Values here are checked: what cannot be emulated never gets this far.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use bytes::Bytes;

use crate::{
    message::Direction,
    router::{Metadata, RouteTable},
};

#[derive(Clone, Debug, Default)]
pub struct ProxySpec {
    pub node: Node,
    /// At least one.
    pub listeners: Vec<ListenerSpec>,
    pub clusters: Vec<ClusterSpec>,
}

impl ProxySpec {
    pub fn cluster(&self, name: &str) -> Option<&ClusterSpec> {
        self.clusters.iter().find(|cluster| cluster.name == name)
    }

    pub fn has_cluster(&self, name: &str) -> bool {
        self.cluster(name).is_some()
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    pub id: String,
    pub cluster: String,
    /// Envoy's `node.metadata`: one structure.
    pub metadata: serde_json::Value,
}

/// A listener with its one HTTP connection manager.
#[derive(Clone, Debug)]
pub struct ListenerSpec {
    pub name: String,
    pub address: Option<SocketAddr>,
    pub direction: Direction,
    pub stat_prefix: String,
    /// Wasm filters in the order of the chain; the router behind them goes without saying.
    pub filters: Vec<PluginSpec>,
    pub router: RouterSpec,
    pub routes: RouteTable,
    pub http: HttpOptions,
}

impl ListenerSpec {
    /// Envoy's number for the direction (`TrafficDirection`).
    pub fn direction_number(&self) -> i64 {
        match self.direction {
            Direction::Unspecified => 0,
            Direction::Inbound => 1,
            Direction::Outbound => 2,
        }
    }
}

/// What the connection manager does to a request before any filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpOptions {
    pub use_remote_address: bool,
    pub preserve_external_request_id: bool,
    pub generate_request_id: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouterSpec {
    pub suppress_envoy_headers: bool,
    pub respect_expected_rq_timeout: bool,
}

/// A Wasm HTTP filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSpec {
    /// Its name in the filter chain: what `--set` and reports call it.
    pub filter_name: String,
    /// `plugin_name`.
    pub name: String,
    pub root_id: String,
    pub vm_id: String,
    pub vm_configuration: Bytes,
    pub configuration: Bytes,
    pub code: PathBuf,
    /// The VM's environment variables, in order, names unique.
    pub environment: Vec<(String, String)>,
    pub failure_policy: FailurePolicy,
    pub allow_on_headers_stop_iteration: bool,
    /// `None`: everything is allowed.
    pub allowed_capabilities: Option<Vec<String>>,
}

/// What becomes of streams when a VM has died (`envoy-abi` 4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePolicy {
    Closed,
    /// `failure_policy: FAIL_OPEN`: later streams pass by; the one that trapped still gets a 503.
    Open,
    /// The legacy `fail_open: true`: the stream that trapped goes on too.
    LegacyOpen,
    /// A new VM, at the earliest this long after the last load.
    Reload { base_interval: Duration },
}

#[derive(Clone, Debug)]
pub struct ClusterSpec {
    pub name: String,
    /// Empty: no healthy host.
    pub endpoints: Vec<Endpoint>,
    pub metadata: Metadata,
}

/// `address:port`, as configured; a name that is not resolved here stays a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: String,
    pub port: u16,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.address, self.port)
    }
}
