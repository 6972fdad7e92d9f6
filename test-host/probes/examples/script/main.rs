//! A guest that does what its configuration says, one line a callback, and logs what the host answered:
//!
//! ```text
//! request_headers: add request x-seen yes; get request x-seen; return 1
//! request_body@end: continue request
//! ```
//!
//! A callback without a line continues. `@end` and `@more` are for callbacks with and without the end of the stream.
//! Values are words; `\s` is a space, `\x..` any byte. Operations and their arguments are those of [`ops::run`]
//! and [`calls`].

#![allow(unsafe_code, reason = "callbacks are exported by their plain names")]

mod abi;
mod calls;
mod keys;
mod ops;
mod tcp;

use std::{cell::RefCell, collections::BTreeMap};

#[derive(Default)]
struct State {
    /// By root context: callback name, operations.
    scripts: BTreeMap<u32, Vec<(String, String)>>,
    /// The root of each context.
    roots: BTreeMap<u32, u32>,
    last_stream: u32,
    calls: BTreeMap<(u32, String), u32>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Adds the lines in a buffer to the script of a root context.
fn read_script(root: u32, buffer: u32) {
    let (_, text) = abi::buffer(buffer, 0, u32::MAX);
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    let lines = lines.map(|(name, ops)| (name.trim().to_owned(), ops.to_owned()));
    STATE.with_borrow_mut(|state| state.scripts.entry(root).or_default().extend(lines));
}

/// Runs the lines of a callback; what it returns.
fn run(context: u32, callback: &str, end: Option<bool>, otherwise: u32) -> u32 {
    let lines = STATE.with_borrow_mut(|state| {
        if callback == "request_headers" || callback == "new_connection" {
            state.last_stream = context;
        }
        let root = state.roots.get(&context).copied().unwrap_or(context);
        let calls = state.calls.entry((context, callback.to_owned())).or_default();
        *calls += 1;
        let now = ops::Now { context, root, calls: *calls, last_stream: state.last_stream };
        let suffixed = end.map(|end| format!("{callback}@{}", if end { "end" } else { "more" }));
        let script = state.scripts.get(&root).into_iter().flatten();
        let lines = script.filter(|(name, _)| name == callback || Some(name) == suffixed.as_ref());
        lines.map(|(_, ops)| (now, ops.clone())).collect::<Vec<_>>()
    });
    let mut answer = otherwise;
    for (now, line) in lines {
        answer = ops::run(now, &line).unwrap_or(answer);
    }
    answer
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    let mut room = std::mem::ManuallyDrop::new(Vec::<u8>::with_capacity(size));
    room.as_mut_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    let root = if parent == 0 { context } else { parent };
    STATE.with_borrow_mut(|state| state.roots.insert(context, root));
    if parent == 0 {
        read_script(context, 6);
    }
    run(context, "context_create", None, 0);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(context: u32, _size: usize) -> u32 {
    run(context, "vm_start", None, 1)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(context: u32, _size: usize) -> u32 {
    read_script(context, 7);
    run(context, "configure", None, 1)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(context: u32) {
    run(context, "tick", None, 0);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _count: u32, end: u32) -> u32 {
    run(context, "request_headers", Some(end != 0), 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(context: u32, size: u32, end: u32) -> u32 {
    ops::note_size(size);
    run(context, "request_body", Some(end != 0), 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context: u32, _count: u32) -> u32 {
    run(context, "request_trailers", None, 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _count: u32, end: u32) -> u32 {
    run(context, "response_headers", Some(end != 0), 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(context: u32, size: u32, end: u32) -> u32 {
    ops::note_size(size);
    run(context, "response_body", Some(end != 0), 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(context: u32, _count: u32) -> u32 {
    run(context, "response_trailers", None, 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(context: u32, token: u32, headers: u32, body: u32, trailers: u32) {
    ops::note_callout([token, headers, body, trailers]);
    run(context, "callout", None, 0);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(context: u32) -> u32 {
    run(context, "done", None, 1)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    run(context, "log", None, 0);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    run(context, "delete", None, 0);
}
