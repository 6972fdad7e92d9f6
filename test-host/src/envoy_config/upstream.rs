//! Upstream filters: of a cluster (envoy/extensions/upstreams/http/v3/http_protocol_options.proto) and of the router.

use super::{
    LoadOptions,
    raw::{Cursor, Fields, TypedConfig},
    wasm,
};
use crate::proxy::spec::PluginSpec;

const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const WASM: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";
const CODEC: &str = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec";
const ANSWERS: &str = "the recording answers in place of the upstream connection";

/// The chain of a cluster; `None`: it has none of its own.
pub(super) fn of_cluster(cluster: &Fields<'_>, options: &LoadOptions) -> Result<Option<Vec<PluginSpec>>, ()> {
    let Some(all) = cluster.get("typed_extension_protocol_options") else { return Ok(None) };
    let mut found = None;
    for (name, entry) in all.entries() {
        if name != OPTIONS {
            entry.harmless(ANSWERS);
            continue;
        }
        let typed = TypedConfig::read(&entry).ok_or(())?;
        for name in [
            "explicit_http_config",
            "use_downstream_protocol_config",
            "auto_config",
            "common_http_protocol_options",
            "upstream_http_protocol_options",
            "header_validation_config",
        ] {
            typed.fields.harmless(name, ANSWERS);
        }
        found = chain(&typed.fields, "http_filters", options)?;
    }
    Ok(found)
}

/// A list of filters that ends with the codec; `None`: there is none.
pub(super) fn chain(
    fields: &Fields<'_>,
    name: &str,
    options: &LoadOptions,
) -> Result<Option<Vec<PluginSpec>>, ()> {
    let items = fields.list(name);
    let Some(last) = items.len().checked_sub(1) else { return Ok(None) };
    let mut plugins = Vec::new();
    for (at, item) in items.iter().enumerate() {
        plugins.extend(filter(item, at == last, options)?);
    }
    Ok(Some(plugins))
}

/// `Ok(None)`: the codec, or left out of the chain; `Err`: wrong.
fn filter(item: &Cursor<'_>, is_last: bool, options: &LoadOptions) -> Result<Option<PluginSpec>, ()> {
    let fields = item.fields().ok_or(())?;
    let name = fields.required("name", "the filter's name").and_then(|name| name.text()).ok_or(())?;
    fields.harmless("is_optional", "filters that are not known are left out anyway");
    if fields.bool("disabled") == Some(true) {
        drop(fields.get("typed_config"));
        item.not_emulated(format!("{name} is disabled and left out; routes that enable it are not emulated"));
        return Ok(None);
    }
    let config = fields.required("typed_config", "the filter's configuration").ok_or(())?;
    let of_type = TypedConfig::type_name_of(&config);
    if (of_type == Some(CODEC)) != is_last {
        let found = format!("{name} {}", if is_last { "at the end of the chain" } else { "before its end" });
        config.error(found, format!("filters, then one {CODEC}"));
        return Err(());
    }
    match of_type {
        Some(CODEC) => {
            drop(TypedConfig::read(&config));
            Ok(None)
        }
        Some(WASM) => {
            let typed = TypedConfig::read(&config).ok_or(())?;
            wasm::plugin(&typed.fields, name, options).map(Some).ok_or(())
        }
        Some(other) => {
            config.not_emulated(format!("{name} ({other}) is not emulated; it is left out of the chain"));
            Ok(None)
        }
        None => {
            config.error("no @type", "the message's type URL");
            Err(())
        }
    }
}
