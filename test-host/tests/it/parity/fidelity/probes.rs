//! The topic whose behaviours show each hostcall. A hostcall that is not here does not build.

use wayside::vm::import_table::IMPORTS;

/// A hostcall, the topic, and the topic's file, which must be there.
type Probe = (&'static str, &'static str, &'static str);

macro_rules! probes {
    ($($hostcall:literal => $topic:literal,)*) => {
        pub(super) static PROBES: &[Probe] = &[
            $(($hostcall, $topic, include_str!(concat!("../../../data/behaviours/", $topic, ".yaml"))),)*
        ];
    };
}

probes! {
    "proxy_log" => "foreign",
    "proxy_get_log_level" => "logs",
    "proxy_get_status" => "logs",
    "proxy_get_property" => "configure",
    "proxy_set_property" => "set_property",
    "proxy_get_configuration" => "versions",
    "proxy_get_current_time_nanoseconds" => "logs",
    "proxy_set_tick_period_milliseconds" => "buffers",
    "proxy_set_effective_context" => "foreign",
    "proxy_done" => "logs",
    "proxy_call_foreign_function" => "foreign",
    "proxy_continue_request" => "versions",
    "proxy_continue_response" => "versions",
    "proxy_clear_route_cache" => "versions",
    "proxy_continue_stream" => "foreign",
    "proxy_close_stream" => "crashes",
    "proxy_send_local_response" => "crashes",
    "proxy_get_header_map_value" => "headers",
    "proxy_add_header_map_value" => "headers",
    "proxy_replace_header_map_value" => "headers",
    "proxy_remove_header_map_value" => "headers",
    "proxy_get_header_map_pairs" => "headers",
    "proxy_set_header_map_pairs" => "headers",
    "proxy_get_header_map_size" => "headers",
    "proxy_get_buffer_bytes" => "foreign",
    "proxy_get_buffer_status" => "buffers",
    "proxy_set_buffer_bytes" => "buffers",
    "proxy_http_call" => "http_calls",
    "proxy_grpc_call" => "grpc",
    "proxy_grpc_stream" => "grpc",
    "proxy_grpc_send" => "grpc",
    "proxy_grpc_cancel" => "grpc",
    "proxy_grpc_close" => "grpc",
    "proxy_get_shared_data" => "failure_reloads",
    "proxy_set_shared_data" => "failure_reloads",
    "proxy_register_shared_queue" => "queues",
    "proxy_resolve_shared_queue" => "queues",
    "proxy_enqueue_shared_queue" => "queues",
    "proxy_dequeue_shared_queue" => "queues",
    "proxy_define_metric" => "basics",
    "proxy_increment_metric" => "failure_reloads",
    "proxy_record_metric" => "metrics",
    "proxy_get_metric" => "metrics",
    "envoy_resolve_dns" => "foreign",
    "pthread_equal" => "modules",
    "emscripten_notify_memory_growth" => "capabilities",
    "fd_write" => "wasi",
    "fd_read" => "wasi",
    "fd_seek" => "wasi",
    "fd_close" => "modules",
    "fd_fdstat_get" => "wasi",
    "fd_fdstat_set_flags" => "wasi",
    "fd_fdstat_set_rights" => "wasi",
    "environ_get" => "vms",
    "environ_sizes_get" => "vms",
    "args_get" => "wasi",
    "args_sizes_get" => "wasi",
    "clock_time_get" => "modules",
    "clock_res_get" => "capabilities",
    "fd_advise" => "wasi",
    "fd_allocate" => "wasi",
    "fd_datasync" => "wasi",
    "fd_filestat_get" => "wasi",
    "fd_filestat_set_size" => "wasi",
    "fd_filestat_set_times" => "wasi",
    "fd_pread" => "wasi",
    "fd_pwrite" => "wasi",
    "fd_prestat_get" => "wasi",
    "fd_prestat_dir_name" => "wasi",
    "fd_readdir" => "wasi",
    "fd_renumber" => "wasi",
    "fd_sync" => "wasi",
    "fd_tell" => "wasi",
    "path_create_directory" => "wasi",
    "path_filestat_get" => "wasi",
    "path_filestat_set_times" => "wasi",
    "path_link" => "wasi",
    "path_open" => "wasi",
    "path_readlink" => "wasi",
    "path_remove_directory" => "wasi",
    "path_rename" => "wasi",
    "path_symlink" => "wasi",
    "path_unlink_file" => "wasi",
    "sock_accept" => "wasi",
    "sock_recv" => "wasi",
    "sock_send" => "wasi",
    "sock_shutdown" => "wasi",
    "random_get" => "wasi",
    "sched_yield" => "capabilities",
    "poll_oneoff" => "modules",
    "proc_exit" => "wasi",
}

const _: () = assert!(all_have_a_probe(), "a hostcall of the import table has no probe");

const fn all_have_a_probe() -> bool {
    let mut at = 0;
    while at < IMPORTS.len() {
        if !has_a_probe(IMPORTS[at].name.as_bytes()) {
            return false;
        }
        at += 1;
    }
    true
}

const fn has_a_probe(name: &[u8]) -> bool {
    let mut at = 0;
    while at < PROBES.len() {
        if is_same(name, PROBES[at].0.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}
