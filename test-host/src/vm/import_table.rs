//! Everything Envoy's host offers a guest and looks up in it, as data: imports by ABI version, and callbacks.
//!
//! One table, because three readers must agree: the check before a module is loaded, the linker, and the fidelity report.
//! Source: proxy-wasm-cpp-host `src/wasm.cc` (`registerCallbacks`, `getFunctions`), `include/proxy-wasm/exports.h` and
//! Envoy 1.40 `source/extensions/common/wasm/wasm.cc`.

use std::fmt;

/// The version of the Proxy-Wasm ABI a module declares through an exported marker function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AbiVersion {
    /// `proxy_abi_version_0_1_0`
    V0_1_0,
    /// `proxy_abi_version_0_2_0`
    V0_2_0,
    /// `proxy_abi_version_0_2_1`
    V0_2_1,
}

impl AbiVersion {
    /// The versions Envoy 1.40 accepts, oldest first.
    pub const ALL: [Self; 3] = [Self::V0_1_0, Self::V0_2_0, Self::V0_2_1];

    /// The name of the export that declares this version.
    pub fn marker(self) -> &'static str {
        match self {
            Self::V0_1_0 => "proxy_abi_version_0_1_0",
            Self::V0_2_0 => "proxy_abi_version_0_2_0",
            Self::V0_2_1 => "proxy_abi_version_0_2_1",
        }
    }

    /// The version an export of this name declares, if it is a marker at all.
    pub fn from_marker(export: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.marker() == export)
    }
}

impl fmt::Display for AbiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_2_1 => "0.2.1",
        })
    }
}

/// A value type that crosses the ABI. There are no floats and no references in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbiType {
    /// A number, size or guest address: what Proxy-Wasm calls a word.
    I32,
    /// A metric's value, a file offset, a time in nanoseconds.
    I64,
}

/// One function the host offers.
#[derive(Clone, Copy, Debug)]
pub struct Import {
    /// `env`, `wasi_unstable` or `wasi_snapshot_preview1`.
    pub module: &'static str,
    /// Name within the module, `proxy_` prefix included.
    pub name: &'static str,
    /// Parameters in order.
    pub params: &'static [AbiType],
    /// No result, or one.
    pub results: &'static [AbiType],
    /// The ABI versions under which the function exists at all; elsewhere importing it fails the load.
    pub versions: &'static [AbiVersion],
}

impl Import {
    /// Whether a module of this ABI version may import the function.
    pub fn exists_in(&self, version: AbiVersion) -> bool {
        self.versions.contains(&version)
    }
}

/// The import of that name, in whatever ABI version it exists.
pub fn find(module: &str, name: &str) -> Option<&'static Import> {
    IMPORTS.iter().find(|import| import.module == module && import.name == name)
}

const I: AbiType = AbiType::I32;
const L: AbiType = AbiType::I64;
const EVERY: &[AbiVersion] = &AbiVersion::ALL;
const ONLY_0_1_0: &[AbiVersion] = &[AbiVersion::V0_1_0];
const SINCE_0_2_0: &[AbiVersion] = &[AbiVersion::V0_2_0, AbiVersion::V0_2_1];
const ONLY_0_2_1: &[AbiVersion] = &[AbiVersion::V0_2_1];

/// Every function of Envoy's host; the WASI ones stand there under both of their module names.
pub static IMPORTS: [Import; ENV.len() + 2 * WASI.len()] = all_imports();

const fn all_imports() -> [Import; ENV.len() + 2 * WASI.len()] {
    let mut all = [ENV[0]; ENV.len() + 2 * WASI.len()];
    let mut i = 0;
    while i < ENV.len() {
        all[i] = ENV[i];
        i += 1;
    }
    let mut j = 0;
    while j < WASI.len() {
        all[ENV.len() + j] = Import { module: "wasi_unstable", ..WASI[j] };
        all[ENV.len() + WASI.len() + j] = WASI[j];
        j += 1;
    }
    all
}

const fn env(name: &'static str, params: &'static [AbiType], versions: &'static [AbiVersion]) -> Import {
    Import { module: "env", name, params, results: &[I], versions }
}

const fn wasi(name: &'static str, params: &'static [AbiType]) -> Import {
    Import { module: "wasi_snapshot_preview1", name, params, results: &[I], versions: EVERY }
}

const ENV: [Import; 46] = [
    env("proxy_log", &[I, I, I], EVERY),
    env("proxy_get_log_level", &[I], ONLY_0_2_1),
    env("proxy_get_status", &[I, I, I], EVERY),
    env("proxy_get_property", &[I, I, I, I], EVERY),
    env("proxy_set_property", &[I, I, I, I], EVERY),
    env("proxy_get_configuration", &[I, I], ONLY_0_1_0),
    env("proxy_get_current_time_nanoseconds", &[I], EVERY),
    env("proxy_set_tick_period_milliseconds", &[I], EVERY),
    env("proxy_set_effective_context", &[I], EVERY),
    env("proxy_done", &[], EVERY),
    env("proxy_call_foreign_function", &[I, I, I, I, I, I], EVERY),
    env("proxy_continue_request", &[], ONLY_0_1_0),
    env("proxy_continue_response", &[], ONLY_0_1_0),
    env("proxy_clear_route_cache", &[], ONLY_0_1_0),
    env("proxy_continue_stream", &[I], SINCE_0_2_0),
    env("proxy_close_stream", &[I], SINCE_0_2_0),
    env("proxy_send_local_response", &[I, I, I, I, I, I, I, I], EVERY),
    env("proxy_get_header_map_value", &[I, I, I, I, I], EVERY),
    env("proxy_add_header_map_value", &[I, I, I, I, I], EVERY),
    env("proxy_replace_header_map_value", &[I, I, I, I, I], EVERY),
    env("proxy_remove_header_map_value", &[I, I, I], EVERY),
    env("proxy_get_header_map_pairs", &[I, I, I], EVERY),
    env("proxy_set_header_map_pairs", &[I, I, I], EVERY),
    env("proxy_get_header_map_size", &[I, I], EVERY),
    env("proxy_get_buffer_bytes", &[I, I, I, I, I], EVERY),
    env("proxy_get_buffer_status", &[I, I, I], EVERY),
    env("proxy_set_buffer_bytes", &[I, I, I, I, I], EVERY),
    env("proxy_http_call", &[I, I, I, I, I, I, I, I, I, I], EVERY),
    env("proxy_grpc_call", &[I, I, I, I, I, I, I, I, I, I, I, I], EVERY),
    env("proxy_grpc_stream", &[I, I, I, I, I, I, I, I, I], EVERY),
    env("proxy_grpc_send", &[I, I, I, I], EVERY),
    env("proxy_grpc_cancel", &[I], EVERY),
    env("proxy_grpc_close", &[I], EVERY),
    env("proxy_get_shared_data", &[I, I, I, I, I], EVERY),
    env("proxy_set_shared_data", &[I, I, I, I, I], EVERY),
    env("proxy_register_shared_queue", &[I, I, I], EVERY),
    env("proxy_resolve_shared_queue", &[I, I, I, I, I], EVERY),
    env("proxy_enqueue_shared_queue", &[I, I, I], EVERY),
    env("proxy_dequeue_shared_queue", &[I, I, I], EVERY),
    env("proxy_define_metric", &[I, I, I, I], EVERY),
    env("proxy_increment_metric", &[I, L], EVERY),
    env("proxy_record_metric", &[I, L], EVERY),
    env("proxy_get_metric", &[I, I], EVERY),
    env("envoy_resolve_dns", &[I, I, I], EVERY),
    env("pthread_equal", &[I, I], EVERY),
    Import {
        module: "env",
        name: "emscripten_notify_memory_growth",
        params: &[I],
        results: &[],
        versions: EVERY,
    },
];

/// As Envoy declares them: `path_link` and `path_symlink` each lack one parameter of preview1's own definition, and
/// `proc_raise` does not exist.
const WASI: [Import; 45] = [
    wasi("fd_write", &[I, I, I, I]),
    wasi("fd_read", &[I, I, I, I]),
    wasi("fd_seek", &[I, L, I, I]),
    wasi("fd_close", &[I]),
    wasi("fd_fdstat_get", &[I, I]),
    wasi("fd_fdstat_set_flags", &[I, I]),
    wasi("fd_fdstat_set_rights", &[I, L, L]),
    wasi("environ_get", &[I, I]),
    wasi("environ_sizes_get", &[I, I]),
    wasi("args_get", &[I, I]),
    wasi("args_sizes_get", &[I, I]),
    wasi("clock_time_get", &[I, L, I]),
    wasi("clock_res_get", &[I, I]),
    wasi("fd_advise", &[I, L, L, I]),
    wasi("fd_allocate", &[I, L, L]),
    wasi("fd_datasync", &[I]),
    wasi("fd_filestat_get", &[I, I]),
    wasi("fd_filestat_set_size", &[I, L]),
    wasi("fd_filestat_set_times", &[I, L, L, I]),
    wasi("fd_pread", &[I, I, I, L, I]),
    wasi("fd_pwrite", &[I, I, I, L, I]),
    wasi("fd_prestat_get", &[I, I]),
    wasi("fd_prestat_dir_name", &[I, I, I]),
    wasi("fd_readdir", &[I, I, I, L, I]),
    wasi("fd_renumber", &[I, I]),
    wasi("fd_sync", &[I]),
    wasi("fd_tell", &[I, I]),
    wasi("path_create_directory", &[I, I, I]),
    wasi("path_filestat_get", &[I, I, I, I, I]),
    wasi("path_filestat_set_times", &[I, I, I, I, L, L, I]),
    wasi("path_link", &[I, I, I, I, I, I]),
    wasi("path_open", &[I, I, I, I, I, L, L, I, I]),
    wasi("path_readlink", &[I, I, I, I, I, I]),
    wasi("path_remove_directory", &[I, I, I]),
    wasi("path_rename", &[I, I, I, I, I, I]),
    wasi("path_symlink", &[I, I, I, I]),
    wasi("path_unlink_file", &[I, I, I]),
    wasi("sock_accept", &[I, I, I]),
    wasi("sock_recv", &[I, I, I, I, I, I]),
    wasi("sock_send", &[I, I, I, I, I]),
    wasi("sock_shutdown", &[I, I]),
    wasi("random_get", &[I, I]),
    wasi("sched_yield", &[]),
    wasi("poll_oneoff", &[I, I, I, I]),
    Import {
        module: "wasi_snapshot_preview1",
        name: "proc_exit",
        params: &[I],
        results: &[],
        versions: EVERY,
    },
];

/// A function the host looks up among a guest's exports. All parameters are words.
#[derive(Clone, Copy, Debug)]
pub struct Callback {
    /// Name of the export.
    pub name: &'static str,
    /// How many words it takes.
    pub params: usize,
    /// Whether it answers with a word.
    pub answers: bool,
    /// The ABI versions under which it is looked up with this type.
    pub versions: &'static [AbiVersion],
}

/// The callback the host would look up under this name for a module of this version.
pub fn find_callback(name: &str, version: AbiVersion) -> Option<&'static Callback> {
    CALLBACKS.iter().find(|callback| callback.name == name && callback.versions.contains(&version))
}

const fn tells(name: &'static str, params: usize) -> Callback {
    Callback { name, params, answers: false, versions: EVERY }
}

const fn asks(name: &'static str, params: usize) -> Callback {
    Callback { name, params, answers: true, versions: EVERY }
}

/// What Envoy's host looks up in a guest, once the start functions and the allocator are found.
pub static CALLBACKS: [Callback; 32] = [
    tells("proxy_on_context_create", 2),
    asks("proxy_on_vm_start", 2),
    asks("proxy_validate_configuration", 2),
    asks("proxy_on_configure", 2),
    tells("proxy_on_tick", 1),
    tells("proxy_on_queue_ready", 2),
    tells("proxy_on_http_call_response", 5),
    tells("proxy_on_grpc_receive_initial_metadata", 3),
    tells("proxy_on_grpc_receive", 3),
    tells("proxy_on_grpc_receive_trailing_metadata", 3),
    tells("proxy_on_grpc_close", 3),
    Callback { versions: SINCE_0_2_0, ..tells("proxy_on_foreign_function", 3) },
    tells("envoy_on_resolve_dns", 3),
    tells("envoy_on_stats_update", 2),
    asks("proxy_on_new_connection", 1),
    asks("proxy_on_downstream_data", 3),
    asks("proxy_on_upstream_data", 3),
    tells("proxy_on_downstream_connection_close", 2),
    tells("proxy_on_upstream_connection_close", 2),
    Callback { versions: ONLY_0_1_0, ..asks("proxy_on_request_headers", 2) },
    Callback { versions: SINCE_0_2_0, ..asks("proxy_on_request_headers", 3) },
    asks("proxy_on_request_body", 3),
    asks("proxy_on_request_trailers", 2),
    asks("proxy_on_request_metadata", 2),
    Callback { versions: ONLY_0_1_0, ..asks("proxy_on_response_headers", 2) },
    Callback { versions: SINCE_0_2_0, ..asks("proxy_on_response_headers", 3) },
    asks("proxy_on_response_body", 3),
    asks("proxy_on_response_trailers", 2),
    asks("proxy_on_response_metadata", 2),
    asks("proxy_on_done", 1),
    tells("proxy_on_log", 1),
    tells("proxy_on_delete", 1),
];
