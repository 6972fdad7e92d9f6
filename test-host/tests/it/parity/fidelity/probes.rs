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
    "proxy_log" => "basics",
    "proxy_get_log_level" => "basics",
    "proxy_get_status" => "http_calls",
    "proxy_get_property" => "configure",
    "proxy_set_property" => "foreign",
    "proxy_get_configuration" => "basics",
    "proxy_get_current_time_nanoseconds" => "basics",
    "proxy_set_tick_period_milliseconds" => "buffers",
    "proxy_set_effective_context" => "roots",
    "proxy_done" => "roots",
    "proxy_call_foreign_function" => "foreign",
    "proxy_continue_request" => "basics",
    "proxy_continue_response" => "basics",
    "proxy_clear_route_cache" => "basics",
    "proxy_continue_stream" => "basics",
    "proxy_close_stream" => "basics",
    "proxy_send_local_response" => "roots",
    "proxy_get_header_map_value" => "headers",
    "proxy_add_header_map_value" => "headers",
    "proxy_replace_header_map_value" => "headers",
    "proxy_remove_header_map_value" => "headers",
    "proxy_get_header_map_pairs" => "headers",
    "proxy_set_header_map_pairs" => "headers",
    "proxy_get_header_map_size" => "headers",
    "proxy_get_buffer_bytes" => "basics",
    "proxy_get_buffer_status" => "buffers",
    "proxy_set_buffer_bytes" => "buffers",
    "proxy_http_call" => "http_calls",
    "proxy_grpc_call" => "grpc",
    "proxy_grpc_stream" => "grpc",
    "proxy_grpc_send" => "grpc",
    "proxy_grpc_cancel" => "grpc",
    "proxy_grpc_close" => "grpc",
    "proxy_get_shared_data" => "reload",
    "proxy_set_shared_data" => "vms",
    "proxy_register_shared_queue" => "queues",
    "proxy_resolve_shared_queue" => "queues",
    "proxy_enqueue_shared_queue" => "queues",
    "proxy_dequeue_shared_queue" => "queues",
    "proxy_define_metric" => "basics",
    "proxy_increment_metric" => "vms",
    "proxy_record_metric" => "basics",
    "proxy_get_metric" => "basics",
    "envoy_resolve_dns" => "foreign",
    "pthread_equal" => "basics",
    "emscripten_notify_memory_growth" => "basics",
    "fd_write" => "basics",
    "fd_read" => "basics",
    "fd_seek" => "basics",
    "fd_close" => "basics",
    "fd_fdstat_get" => "basics",
    "fd_fdstat_set_flags" => "basics",
    "fd_fdstat_set_rights" => "basics",
    "environ_get" => "vms",
    "environ_sizes_get" => "vms",
    "args_get" => "basics",
    "args_sizes_get" => "basics",
    "clock_time_get" => "basics",
    "clock_res_get" => "basics",
    "fd_advise" => "basics",
    "fd_allocate" => "basics",
    "fd_datasync" => "basics",
    "fd_filestat_get" => "basics",
    "fd_filestat_set_size" => "basics",
    "fd_filestat_set_times" => "basics",
    "fd_pread" => "basics",
    "fd_pwrite" => "basics",
    "fd_prestat_get" => "basics",
    "fd_prestat_dir_name" => "basics",
    "fd_readdir" => "basics",
    "fd_renumber" => "basics",
    "fd_sync" => "basics",
    "fd_tell" => "basics",
    "path_create_directory" => "basics",
    "path_filestat_get" => "basics",
    "path_filestat_set_times" => "basics",
    "path_link" => "basics",
    "path_open" => "basics",
    "path_readlink" => "basics",
    "path_remove_directory" => "basics",
    "path_rename" => "basics",
    "path_symlink" => "basics",
    "path_unlink_file" => "basics",
    "sock_accept" => "basics",
    "sock_recv" => "basics",
    "sock_send" => "basics",
    "sock_shutdown" => "basics",
    "random_get" => "basics",
    "sched_yield" => "basics",
    "poll_oneoff" => "basics",
    "proc_exit" => "basics",
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
