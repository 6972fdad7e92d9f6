//! Every import of Envoy's host by its own name, called with numbers.

/// Declares imports of one module, and a function that calls one of them by name.
#[macro_export]
macro_rules! hostcalls {
    ($by_name:ident $module:literal; $($name:ident($($arg:ident $ty:ident),*) $($answer:ident)?;)*) => {
        #[link(wasm_import_module = $module)]
        unsafe extern "C" {
            $(fn $name($($arg: $ty),*) $(-> $answer)?;)*
        }

        /// `None` for an unknown name. Too few arguments are made up by zeros; a call without a result answers 0.
        #[allow(
            unused_mut,
            unused_variables,
            unused_assignments,
            clippy::let_unit_value,
            reason = "what a list needs depends on its signatures"
        )]
        fn $by_name(name: &str, numbers: &[i64]) -> Option<u32> {
            let mut numbers = numbers.iter().copied().chain(std::iter::repeat(0));
            match name {
                $(stringify!($name) => {
                    $(let $arg = numbers.next().unwrap_or_default() as $ty;)*
                    let mut answer = 0;
                    let result = unsafe { $name($($arg),*) };
                    $(answer = result as $answer;)?
                    Some(answer)
                })*
                _ => None,
            }
        }
    };
}

hostcalls! { proxy "env";
    proxy_log(a u32, b u32, c u32) u32;
    proxy_get_status(a u32, b u32, c u32) u32;
    proxy_get_property(a u32, b u32, c u32, d u32) u32;
    proxy_set_property(a u32, b u32, c u32, d u32) u32;
    proxy_get_current_time_nanoseconds(a u32) u32;
    proxy_set_tick_period_milliseconds(a u32) u32;
    proxy_set_effective_context(a u32) u32;
    proxy_done() u32;
    proxy_call_foreign_function(a u32, b u32, c u32, d u32, e u32, f u32) u32;
    proxy_send_local_response(a u32, b u32, c u32, d u32, e u32, f u32, g u32, h u32) u32;
    proxy_get_header_map_value(a u32, b u32, c u32, d u32, e u32) u32;
    proxy_add_header_map_value(a u32, b u32, c u32, d u32, e u32) u32;
    proxy_replace_header_map_value(a u32, b u32, c u32, d u32, e u32) u32;
    proxy_remove_header_map_value(a u32, b u32, c u32) u32;
    proxy_get_header_map_pairs(a u32, b u32, c u32) u32;
    proxy_set_header_map_pairs(a u32, b u32, c u32) u32;
    proxy_get_header_map_size(a u32, b u32) u32;
    proxy_get_buffer_bytes(a u32, b u32, c u32, d u32, e u32) u32;
    proxy_get_buffer_status(a u32, b u32, c u32) u32;
    proxy_set_buffer_bytes(a u32, b u32, c u32, d u32, e u32) u32;
    proxy_http_call(a u32, b u32, c u32, d u32, e u32, f u32, g u32, h u32, i u32, j u32) u32;
    proxy_grpc_call(a u32, b u32, c u32, d u32, e u32, f u32, g u32, h u32, i u32, j u32, k u32, l u32) u32;
    proxy_grpc_stream(a u32, b u32, c u32, d u32, e u32, f u32, g u32, h u32, i u32) u32;
    proxy_grpc_send(a u32, b u32, c u32, d u32) u32;
    proxy_grpc_cancel(a u32) u32;
    proxy_grpc_close(a u32) u32;
    proxy_get_shared_data(a u32, b u32, c u32, d u32, e u32) u32;
    proxy_set_shared_data(a u32, b u32, c u32, d u32, e u32) u32;
    proxy_register_shared_queue(a u32, b u32, c u32) u32;
    proxy_resolve_shared_queue(a u32, b u32, c u32, d u32, e u32) u32;
    proxy_enqueue_shared_queue(a u32, b u32, c u32) u32;
    proxy_dequeue_shared_queue(a u32, b u32, c u32) u32;
    proxy_define_metric(a u32, b u32, c u32, d u32) u32;
    proxy_increment_metric(a u32, b i64) u32;
    proxy_record_metric(a u32, b u64) u32;
    proxy_get_metric(a u32, b u32) u32;
    pthread_equal(a u32, b u32) u32;
    emscripten_notify_memory_growth(a u32);
}

hostcalls! { wasi "wasi_snapshot_preview1";
    fd_write(a u32, b u32, c u32, d u32) u32;
    fd_pwrite(a u32, b u32, c u32, d u64, e u32) u32;
    fd_read(a u32, b u32, c u32, d u32) u32;
    fd_pread(a u32, b u32, c u32, d u64, e u32) u32;
    fd_seek(a u32, b u64, c u32, d u32) u32;
    fd_close(a u32) u32;
    fd_fdstat_get(a u32, b u32) u32;
    fd_fdstat_set_flags(a u32, b u32) u32;
    fd_fdstat_set_rights(a u32, b u64, c u64) u32;
    environ_get(a u32, b u32) u32;
    environ_sizes_get(a u32, b u32) u32;
    args_get(a u32, b u32) u32;
    args_sizes_get(a u32, b u32) u32;
    clock_time_get(a u32, b u64, c u32) u32;
    clock_res_get(a u32, b u32) u32;
    fd_advise(a u32, b u64, c u64, d u32) u32;
    fd_allocate(a u32, b u64, c u64) u32;
    fd_datasync(a u32) u32;
    fd_filestat_get(a u32, b u32) u32;
    fd_filestat_set_size(a u32, b u64) u32;
    fd_filestat_set_times(a u32, b u64, c u64, d u32) u32;
    fd_prestat_get(a u32, b u32) u32;
    fd_prestat_dir_name(a u32, b u32, c u32) u32;
    fd_readdir(a u32, b u32, c u32, d u64, e u32) u32;
    fd_renumber(a u32, b u32) u32;
    fd_sync(a u32) u32;
    fd_tell(a u32, b u32) u32;
    path_create_directory(a u32, b u32, c u32) u32;
    path_filestat_get(a u32, b u32, c u32, d u32, e u32) u32;
    path_filestat_set_times(a u32, b u32, c u32, d u32, e u64, f u64, g u32) u32;
    path_link(a u32, b u32, c u32, d u32, e u32, f u32) u32;
    path_open(a u32, b u32, c u32, d u32, e u32, f u64, g u64, h u32, i u32) u32;
    path_readlink(a u32, b u32, c u32, d u32, e u32, f u32) u32;
    path_remove_directory(a u32, b u32, c u32) u32;
    path_rename(a u32, b u32, c u32, d u32, e u32, f u32) u32;
    path_symlink(a u32, b u32, c u32, d u32) u32;
    path_unlink_file(a u32, b u32, c u32) u32;
    sock_accept(a u32, b u32, c u32) u32;
    sock_recv(a u32, b u32, c u32, d u32, e u32, f u32) u32;
    sock_send(a u32, b u32, c u32, d u32, e u32) u32;
    sock_shutdown(a u32, b u32) u32;
    random_get(a u32, b u32) u32;
    sched_yield() u32;
    poll_oneoff(a u32, b u32, c u32, d u32) u32;
    proc_exit(a u32);
}

/// What exists in every ABI version.
pub(crate) fn of_every_version(name: &str, numbers: &[i64]) -> Option<u32> {
    proxy(name, numbers).or_else(|| wasi(name, numbers))
}

pub(crate) fn log(text: &str) {
    unsafe { proxy_log(2, text.as_ptr() as u32, text.len() as u32) };
}

/// The bytes of a buffer, and nothing where it cannot be read.
pub(crate) fn buffer(kind: u32) -> Vec<u8> {
    let (mut to, mut len) = (0u32, 0u32);
    let (to_at, len_at) = (&raw mut to as u32, &raw mut len as u32);
    unsafe { proxy_get_buffer_bytes(kind, 0, u32::MAX, to_at, len_at) };
    if to == 0 {
        Vec::new()
    } else {
        unsafe { Vec::from_raw_parts(to as *mut u8, len as usize, len as usize) }
    }
}
