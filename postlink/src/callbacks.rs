//! Which callbacks do nothing.

use crate::read::Module;
use wasmparser::ExternalKind;

/// Before a callback's name: an export whose code is the constant 0 if the callback does nothing.
const PROBE: &str = "wayside:";

pub(crate) fn is_probe(export: &str) -> bool {
    export.starts_with(PROBE)
}

/// What Proxy-Wasm hosts assume of a callback that is not exported; `None` for one that answers nothing.
fn assumed(callback: &str) -> Option<Option<i32>> {
    Some(match callback {
        "proxy_on_vm_start" | "proxy_on_configure" | "proxy_on_done" => Some(1),
        "proxy_on_request_headers"
        | "proxy_on_request_body"
        | "proxy_on_request_trailers"
        | "proxy_on_request_metadata"
        | "proxy_on_response_headers"
        | "proxy_on_response_body"
        | "proxy_on_response_trailers"
        | "proxy_on_response_metadata"
        | "proxy_on_new_connection"
        | "proxy_on_downstream_data"
        | "proxy_on_upstream_data" => Some(0),
        "proxy_on_tick"
        | "proxy_on_log"
        | "proxy_on_delete"
        | "proxy_on_queue_ready"
        | "proxy_on_http_call_response"
        | "proxy_on_grpc_receive"
        | "proxy_on_grpc_receive_initial_metadata"
        | "proxy_on_grpc_receive_trailing_metadata"
        | "proxy_on_grpc_close"
        | "proxy_on_foreign_function"
        | "proxy_on_downstream_connection_close"
        | "proxy_on_upstream_connection_close" => None,
        _ => return None,
    })
}

/// Exports that need not be there: callbacks that do nothing, and all probes.
pub(crate) fn idle<'a>(module: &Module<'a>) -> Vec<&'a str> {
    let answer_of = |export: &str| {
        let function = module
            .exports
            .iter()
            .find(|(name, kind, _)| *name == export && *kind == ExternalKind::Func)
            .and_then(|(_, _, index)| module.function(*index));
        function.and_then(|function| function.answer)
    };
    let is_idle = |export: &str| {
        let Some(assumed) = assumed(export) else { return false };
        answer_of(export) == Some(assumed) || answer_of(&format!("{PROBE}{export}")) == Some(Some(0))
    };
    module.exports.iter().map(|(name, ..)| *name).filter(|name| is_probe(name) || is_idle(name)).collect()
}
