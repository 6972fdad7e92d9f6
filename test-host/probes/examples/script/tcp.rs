//! Callbacks of network filters.

use super::{ops, run};

#[unsafe(no_mangle)]
extern "C" fn proxy_on_new_connection(context: u32) -> u32 {
    run(context, "new_connection", None, 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_downstream_data(context: u32, size: u32, end: u32) -> u32 {
    ops::note_size(size);
    run(context, "downstream_data", Some(end != 0), 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_upstream_data(context: u32, size: u32, end: u32) -> u32 {
    ops::note_size(size);
    run(context, "upstream_data", Some(end != 0), 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_downstream_connection_close(context: u32, by: u32) {
    ops::note_size(by);
    run(context, "downstream_close", None, 0);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_upstream_connection_close(context: u32, by: u32) {
    ops::note_size(by);
    run(context, "upstream_close", None, 0);
}
