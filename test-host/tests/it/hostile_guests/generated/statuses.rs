//! What Envoy 1.40 can answer to each hostcall; another number is a mistake of this host.

/// Numbers of the ABI's results, by import. WASI answers numbers of its own.
pub(crate) fn possible(import: &str) -> &'static [u8] {
    match import {
        "proxy_log" => &[0, 2, 6],
        "proxy_set_tick_period_milliseconds" | "proxy_clear_route_cache" => &[0],
        "proxy_get_log_level" | "proxy_get_current_time_nanoseconds" | "proxy_get_configuration" => &[0, 6],
        "proxy_set_effective_context" => &[0, 2],
        "proxy_done" => &[0, 1],
        "proxy_get_property" => &[0, 1, 3, 6],
        "proxy_set_property" => &[0, 1, 2, 6],
        "proxy_get_status" => &[0, 6],
        "proxy_call_foreign_function" => &[0, 1, 2, 3, 4, 5, 6, 10],
        "proxy_continue_request" | "proxy_continue_response" => &[0],
        "proxy_continue_stream" => &[0, 2, 12],
        "proxy_close_stream" => &[0, 2],
        "proxy_send_local_response" => &[0, 2, 6],
        "proxy_get_header_map_value" | "proxy_get_buffer_bytes" | "proxy_set_buffer_bytes" => &[0, 1, 2, 6],
        "proxy_get_header_map_pairs"
        | "proxy_get_header_map_size"
        | "proxy_add_header_map_value"
        | "proxy_replace_header_map_value"
        | "proxy_remove_header_map_value"
        | "proxy_set_header_map_pairs"
        | "proxy_define_metric" => &[0, 2, 6],
        "proxy_get_buffer_status" => &[0, 1, 2, 6],
        "proxy_http_call" => &[0, 2, 6, 10],
        "proxy_grpc_call" | "proxy_grpc_stream" => &[0, 2, 4, 6, 10],
        "proxy_grpc_send" | "proxy_grpc_cancel" | "proxy_grpc_close" => &[0, 1, 2, 6],
        "proxy_get_shared_data" | "proxy_resolve_shared_queue" | "proxy_enqueue_shared_queue" => &[0, 1, 6],
        "proxy_set_shared_data" => &[0, 6, 8],
        "proxy_register_shared_queue" => &[0, 6],
        "proxy_dequeue_shared_queue" => &[0, 1, 6, 7],
        "proxy_increment_metric" | "proxy_record_metric" => &[0, 1, 2],
        "proxy_get_metric" => &[0, 1, 2, 6],
        "envoy_resolve_dns" => &[0, 2, 6, 10],
        "pthread_equal" => &[0, 1],
        _ => WASI,
    }
}

/// `errno` 0 to 76.
const WASI: &[u8] = &{
    let mut all = [0; 77];
    let mut at = 0;
    while at < all.len() {
        all[at] = at as u8;
        at += 1;
    }
    all
};
