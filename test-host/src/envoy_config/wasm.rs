//! A Wasm HTTP filter (envoy/extensions/wasm/v3/wasm.proto) → [`PluginSpec`].

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::{
    LoadOptions,
    raw::{Cursor, Fields, TypedConfig, Value},
};
use crate::{
    proxy::spec::{CodeSource, FailurePolicy, PluginConfiguration, PluginSpec, VmSpec},
    router::struct_to_wire,
};

/// `filter` is the `Wasm` message. `None`: an error was recorded.
pub(super) fn plugin(filter: &Fields<'_>, filter_name: &str, options: &LoadOptions) -> Option<PluginSpec> {
    let config = filter.required("config", "the plugin's configuration")?.fields()?;
    config.harmless("check_configuration_extension", "not used by Envoy");
    let vm = config
        .required("vm_config", "the VM and the code to run")
        .and_then(|vm| vm_spec(&vm.fields()?, options));
    let failure_policy = failure_policy(&config);
    let plugin = PluginSpec {
        filter_name: filter_name.to_owned(),
        name: config.owned_text("name"),
        root_id: config.owned_text("root_id"),
        configuration: configuration(&config),
        vm: vm?,
        failure_policy,
        allow_on_headers_stop_iteration: config.bool("allow_on_headers_stop_iteration").unwrap_or(false),
        allowed_capabilities: allowed_capabilities(&config),
        origin: config.cursor().place().short(),
    };
    Some(plugin)
}

fn vm_spec(vm: &Fields<'_>, options: &LoadOptions) -> Option<VmSpec> {
    match vm.text("runtime") {
        None | Some("" | "envoy.wasm.runtime.v8") => {}
        Some("envoy.wasm.runtime.null") => {
            vm.cursor().error(
                "the runtime envoy.wasm.runtime.null",
                "a WebAssembly module: code compiled into Envoy cannot be run",
            );
        }
        Some(_) => {
            vm.harmless("runtime", "runs in this host's own engine, which behaves as Envoy's V8 does");
        }
    }
    vm.harmless("allow_precompiled", "the module is compiled here");
    vm.harmless("nack_on_code_cache_miss", "code is read from files, never fetched");
    let environment = vm.get("environment_variables").map(|field| environment(&field, options));
    let configuration = configuration(vm);
    let id = vm.owned_text("vm_id");
    let code = vm.required("code", "where the module is").and_then(|code| code_source(&code, options))?;
    Some(VmSpec { id, configuration, code, environment: environment.unwrap_or_default() })
}

fn code_source(code: &Cursor<'_>, options: &LoadOptions) -> Option<CodeSource> {
    let fields = code.fields()?;
    let (kind, source) = fields.one_of(&["local", "remote"]).or_else(|| {
        code.error("no code", "local.filename or local.inline_bytes");
        None
    })?;
    if kind == "remote" {
        source.error(
            "code to be fetched",
            "local.filename: nothing is fetched here; download the module and name the file",
        );
        return None;
    }
    let local = source.fields()?;
    local.harmless("watched_directory", "files are read once");
    let kinds = ["filename", "inline_bytes", "inline_string", "environment_variable"];
    match local.one_of(&kinds) {
        Some(("filename", path)) => Some(CodeSource::File(resolve(path.text()?, options))),
        Some(("inline_bytes", bytes)) => decode_base64(&bytes).map(CodeSource::Inline),
        Some((_, other)) => {
            other.wrong("filename or inline_bytes");
            None
        }
        None => {
            source.error("no code", "filename or inline_bytes");
            None
        }
    }
}

fn resolve(path: &str, options: &LoadOptions) -> PathBuf {
    match &options.working_directory {
        Some(directory) => directory.join(path),
        None => Path::new(path).to_path_buf(),
    }
}

fn decode_base64(field: &Cursor<'_>) -> Option<Bytes> {
    let decoded = STANDARD.decode(field.text()?).ok();
    if decoded.is_none() {
        field.error("text that is not base64", "base64 with padding");
    }
    decoded.map(Bytes::from)
}

/// The field `configuration`, an `Any`, as Envoy hands it to a guest.
fn configuration(fields: &Fields<'_>) -> PluginConfiguration {
    let typed = fields.get("configuration").and_then(|field| TypedConfig::read(&field));
    typed.and_then(|typed| any_to_bytes(&typed)).unwrap_or_default()
}

fn any_to_bytes(typed: &TypedConfig<'_>) -> Option<PluginConfiguration> {
    let value = typed.fields.get("value");
    match typed.type_name {
        "google.protobuf.StringValue" => {
            let text = value.map_or(Some(""), |value| value.text())?;
            Some(PluginConfiguration::Raw(Bytes::copy_from_slice(text.as_bytes())))
        }
        "google.protobuf.BytesValue" => {
            value.map_or(Some(Bytes::new()), |value| decode_base64(&value)).map(PluginConfiguration::Raw)
        }
        "google.protobuf.Struct" => {
            let fields = value.map(|value| value.json_object()).unwrap_or_default();
            let type_name = typed.type_name.to_owned();
            Some(PluginConfiguration::Protobuf { type_name, wire: struct_to_wire(&fields).into() })
        }
        other => {
            typed.fields.cursor().error(
                format!("a configuration of type {other}"),
                "google.protobuf.StringValue, BytesValue or Struct",
            );
            None
        }
    }
}

fn failure_policy(config: &Fields<'_>) -> FailurePolicy {
    #[derive(Clone, Copy, PartialEq)]
    enum Written {
        Unspecified,
        Reload,
        Closed,
        Open,
    }
    const CHOICES: [(&str, i64, Written); 4] = [
        ("UNSPECIFIED", 0, Written::Unspecified),
        ("FAIL_RELOAD", 1, Written::Reload),
        ("FAIL_CLOSED", 2, Written::Closed),
        ("FAIL_OPEN", 3, Written::Open),
    ];
    let written =
        config.get("failure_policy").and_then(|field| field.choice(&CHOICES)).unwrap_or(Written::Unspecified);
    let base_interval = reload_interval(config);
    let legacy_open = config.bool("fail_open").unwrap_or(false);
    if legacy_open && written != Written::Unspecified {
        config.cursor().error("both fail_open and failure_policy", "one of them (fail_open is deprecated)");
    }
    match written {
        Written::Unspecified if legacy_open => FailurePolicy::LegacyOpen,
        Written::Unspecified | Written::Closed => FailurePolicy::Closed,
        Written::Open => FailurePolicy::Open,
        Written::Reload => FailurePolicy::Reload { base_interval },
    }
}

/// `reload_config.backoff.base_interval`, 1 s where it is not given.
fn reload_interval(config: &Fields<'_>) -> Duration {
    const DEFAULT: Duration = Duration::from_secs(1);
    let interval = || {
        let backoff = config.get("reload_config")?.fields()?.get("backoff")?.fields()?;
        backoff.harmless("max_interval", "the wait does not grow");
        backoff.get("base_interval")?.duration()
    };
    interval().unwrap_or(DEFAULT)
}

fn allowed_capabilities(config: &Fields<'_>) -> Option<BTreeSet<String>> {
    let restriction = config.get("capability_restriction_config")?.fields()?;
    let allowed = restriction.get("allowed_capabilities")?.entries();
    // An empty list restricts nothing.
    (!allowed.is_empty()).then(|| allowed.into_iter().map(|(name, _)| name.to_owned()).collect())
}

fn environment(field: &Cursor<'_>, options: &LoadOptions) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    let Some(fields) = field.fields() else {
        return environment;
    };
    for key in fields.list("host_env_keys") {
        let Some(name) = key.text() else { continue };
        match options.host_environment.get(name) {
            Some(value) => drop(environment.insert(name.to_owned(), value.clone())),
            None => key.not_emulated("not in the environment given to this replay; left out, as Envoy does"),
        }
    }
    let host_keys: BTreeSet<&str> =
        fields.list("host_env_keys").iter().filter_map(|key| as_text(key)).collect();
    for (name, value) in fields.get("key_values").map(|map| map.entries()).unwrap_or_default() {
        if host_keys.contains(name) {
            value.error(format!("{name:?} in key_values and in host_env_keys"), "each variable once");
        }
        if let Some(value) = value.text() {
            environment.insert(name.to_owned(), value.to_owned());
        }
    }
    environment
}

fn as_text<'a>(cursor: &Cursor<'a>) -> Option<&'a str> {
    match cursor.value() {
        Value::Text(text) => Some(text),
        _ => None,
    }
}
