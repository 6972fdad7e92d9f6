//! Network filters (envoy/extensions/filters/network/): an HTTP connection manager, or Wasm filters in front of a tcp_proxy.

use super::{
    LoadOptions,
    listener::{Chain, connection_manager},
    raw::{Cursor, Fields, TypedConfig},
    wasm,
};
use crate::proxy::spec::PluginSpec;

const CONNECTION_MANAGER: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const WASM: &str = "envoy.extensions.filters.network.wasm.v3.Wasm";
const TCP_PROXY: &str = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";

/// `None`: nothing here that is emulated. `Some(None)`: something is wrong with it, which is recorded.
#[expect(clippy::option_option, reason = "absent, wrong and right are three things")]
pub(super) fn chain(filters: &[Cursor<'_>], options: &LoadOptions) -> Option<Option<Chain>> {
    let mut plugins: Vec<PluginSpec> = Vec::new();
    let mut complete = true;
    for filter in filters {
        let Some(fields) = filter.fields() else { continue };
        let Some(config) = fields.required("typed_config", "the network filter's configuration") else {
            continue;
        };
        let type_name = TypedConfig::type_name_of(&config);
        if type_name != Some(WASM) {
            fields.harmless("name", "names of network filters have no effect");
        }
        match type_name {
            Some(CONNECTION_MANAGER) => {
                for plugin in &plugins {
                    config.not_emulated(format!(
                        "network filter {} in front of an HTTP connection manager is left out",
                        plugin.filter_name
                    ));
                }
                let typed = TypedConfig::read(&config);
                let http = typed.and_then(|typed| connection_manager(&typed.fields, options));
                return Some(http.map(|http| Chain::Http(Box::new(http))));
            }
            Some(WASM) => {
                let typed = TypedConfig::read(&config);
                let name = fields.owned_text("name");
                let plugin = typed.and_then(|typed| wasm::plugin(&typed.fields, &name, options));
                complete &= plugin.is_some();
                plugins.extend(plugin);
            }
            // Without a filter in front of it there is nothing to see.
            Some(TCP_PROXY) if !plugins.is_empty() || !complete => {
                let cluster = TypedConfig::read(&config).and_then(|typed| cluster(&typed.fields));
                return Some(
                    cluster.filter(|_| complete).map(|cluster| Chain::Tcp { filters: plugins, cluster }),
                );
            }
            Some(other) => config.not_emulated(format!("network filter {other} is not emulated")),
            None => config.error("no @type", "the message's type URL"),
        }
    }
    None
}

fn cluster(fields: &Fields<'_>) -> Option<String> {
    for name in ["stat_prefix", "access_log", "access_log_options"] {
        fields.harmless(name, "statistics and access logs are not written");
    }
    for name in ["idle_timeout", "max_connect_attempts", "downstream_idle_timeout", "upstream_idle_timeout"] {
        fields.not_emulated(name, "connections have no timeouts here, and connect once");
    }
    match fields.one_of(&["cluster", "weighted_clusters"]) {
        Some(("cluster", name)) => name.text().map(str::to_owned),
        Some((_, field)) => {
            field.error("several clusters", "cluster: one is emulated");
            None
        }
        None => {
            fields.cursor().error("no cluster", "a cluster");
            None
        }
    }
}
