//! Every import of Proxy-Wasm with its arguments, bound to the one implementation of its hostcall: the list that both fronts
//! are made from.

/// Gives the list to a front's macro, behind what that needs itself. Arguments are numbers or, as `Address`,
/// places in the guest's memory; `Ok` is 0 on the wire. The names in the calls are those of `abi::imports`, which a front has in
/// scope.
macro_rules! bind_hostcalls {
    ($front:ident! { $($own:tt)* }) => {
        $front! { $($own)*
            // What concerns no message.
            proxy_log(level: u32, text: Address, len: u32) => |g, level, p, n| context::log(g, level, slice(p, n));
            proxy_get_log_level(to: Address) => context::get_log_level;
            proxy_get_current_time_nanoseconds(to: Address) => context::get_current_time_nanoseconds;
            proxy_set_tick_period_milliseconds(period: u32) => context::set_tick_period_milliseconds;
            proxy_set_effective_context(id: u32) => context::set_effective_context;
            proxy_done() => context::done;
            proxy_get_configuration(to: Address, to_len: Address) => |g, o, l| context::get_configuration(g, out(o, l));
            proxy_clear_route_cache() => context::clear_route_cache;
            proxy_get_property(path: Address, len: u32, to: Address, to_len: Address) =>
                |g, p, n, o, l| context::get_property(g, slice(p, n), out(o, l));
            proxy_set_property(path: Address, len: u32, value: Address, value_len: u32) =>
                |g, p, n, v, l| context::set_property(g, slice(p, n), slice(v, l));
            proxy_get_status(code: Address, to: Address, to_len: Address) => |g, c, o, l| context::get_status(g, c, out(o, l));
            proxy_call_foreign_function(name: Address, len: u32, args: Address, args_len: u32, to: Address,
                                        to_len: Address) =>
                |g, p, n, a, m, o, l| calls::call_foreign_function(g, slice(p, n), slice(a, m), out(o, l));
            // Messages.
            proxy_get_header_map_value(map: u32, name: Address, len: u32, to: Address, to_len: Address) =>
                |g, m, p, n, o, l| headers::get_header_map_value(g, m, slice(p, n), out(o, l));
            proxy_get_header_map_pairs(map: u32, to: Address, to_len: Address) =>
                |g, m, o, l| headers::get_header_map_pairs(g, m, out(o, l));
            proxy_get_header_map_size(map: u32, to: Address) => headers::get_header_map_size;
            proxy_add_header_map_value(map: u32, name: Address, len: u32, value: Address, value_len: u32) =>
                |g, m, p, n, v, l| headers::add_header_map_value(g, m, slice(p, n), slice(v, l));
            proxy_replace_header_map_value(map: u32, name: Address, len: u32, value: Address, value_len: u32) =>
                |g, m, p, n, v, l| headers::replace_header_map_value(g, m, slice(p, n), slice(v, l));
            proxy_remove_header_map_value(map: u32, name: Address, len: u32) =>
                |g, m, p, n| headers::remove_header_map_value(g, m, slice(p, n));
            proxy_set_header_map_pairs(map: u32, pairs: Address, len: u32) =>
                |g, m, p, n| headers::set_header_map_pairs(g, m, slice(p, n));
            proxy_get_buffer_bytes(buffer: u32, start: u32, size: u32, to: Address, to_len: Address) =>
                |g, b, s, n, o, l| headers::get_buffer_bytes(g, b, s, n, out(o, l));
            proxy_get_buffer_status(buffer: u32, len: Address, flags: Address) => headers::get_buffer_status;
            proxy_set_buffer_bytes(buffer: u32, start: u32, size: u32, data: Address, len: u32) =>
                |g, b, s, n, p, l| headers::set_buffer_bytes(g, b, s, n, slice(p, l));
            proxy_continue_stream(kind: u32) => stream::continue_stream;
            proxy_close_stream(kind: u32) => stream::close_stream;
            proxy_continue_request() => |g| stream::continue_stream(g, 0);
            proxy_continue_response() => |g| stream::continue_stream(g, 1);
            proxy_send_local_response(code: u32, details: Address, details_len: u32, body: Address, body_len: u32,
                                      pairs: Address, pairs_len: u32, grpc: u32) =>
                |g, c, d, dl, b, bl, h, hl, s|
                    stream::send_local_response(g, c, slice(d, dl), slice(b, bl), slice(h, hl), s);
            proxy_http_call(cluster: Address, cluster_len: u32, pairs: Address, pairs_len: u32, body: Address,
                            body_len: u32, trailers: Address, trailers_len: u32, timeout: u32, token: Address) =>
                |g, c, cl, h, hl, b, bl, t, tl, ms, o|
                    stream::http_call(g, slice(c, cl), slice(h, hl), slice(b, bl), slice(t, tl), ms, o);
            // What outlives a stream.
            proxy_get_shared_data(key: Address, len: u32, to: Address, to_len: Address, cas: Address) =>
                |g, p, n, o, l, c| shared::get_shared_data(g, slice(p, n), out(o, l), c);
            proxy_set_shared_data(key: Address, len: u32, value: Address, value_len: u32, cas: u32) =>
                |g, p, n, v, l, c| shared::set_shared_data(g, slice(p, n), slice(v, l), c);
            proxy_define_metric(kind: u32, name: Address, len: u32, id: Address) =>
                |g, k, p, n, o| shared::define_metric(g, k, slice(p, n), o);
            proxy_increment_metric(id: u32, by: i64) => shared::increment_metric;
            proxy_record_metric(id: u32, value: u64) => shared::record_metric;
            proxy_get_metric(id: u32, to: Address) => shared::get_metric;
            // Services, queues, foreign functions.
            proxy_grpc_call(to: Address, to_len: u32, service: Address, service_len: u32, method: Address,
                            method_len: u32, metadata: Address, metadata_len: u32, message: Address, message_len: u32,
                            timeout: u32, token: Address) =>
                |g, p, n, s, sl, m, ml, d, dl, b, bl, ms, o|
                    calls::grpc_call(g, &method_slices([p, n, s, sl, m, ml, d, dl]), slice(b, bl), ms, o);
            proxy_grpc_stream(to: Address, to_len: u32, service: Address, service_len: u32, method: Address,
                              method_len: u32, metadata: Address, metadata_len: u32, token: Address) =>
                |g, p, n, s, sl, m, ml, d, dl, o|
                    calls::grpc_stream(g, &method_slices([p, n, s, sl, m, ml, d, dl]), o);
            proxy_grpc_send(token: u32, message: Address, len: u32, end: u32) =>
                |g, t, p, n, end| calls::grpc_send(g, t, slice(p, n), end);
            proxy_grpc_cancel(token: u32) => calls::grpc_cancel;
            proxy_grpc_close(token: u32) => calls::grpc_close;
            proxy_register_shared_queue(name: Address, len: u32, id: Address) =>
                |g, p, n, o| calls::register_shared_queue(g, slice(p, n), o);
            proxy_resolve_shared_queue(vm: Address, vm_len: u32, name: Address, len: u32, id: Address) =>
                |g, v, vl, p, n, o| calls::resolve_shared_queue(g, slice(v, vl), slice(p, n), o);
            proxy_enqueue_shared_queue(id: u32, data: Address, len: u32) =>
                |g, q, p, n| calls::enqueue_shared_queue(g, q, slice(p, n));
            proxy_dequeue_shared_queue(id: u32, to: Address, to_len: Address) =>
                |g, q, o, l| calls::dequeue_shared_queue(g, q, out(o, l));
            // Envoy's own.
            envoy_resolve_dns(name: Address, len: u32, token: Address) => |g, p, n, o| calls::resolve_dns(g, slice(p, n), o);
        }
    };
}

pub(crate) use bind_hostcalls;
