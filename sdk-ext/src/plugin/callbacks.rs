//! What a module exports, as a trait: the same entry points for wasm and for a native host.

/// Action numbers of the ABI.
pub(crate) const CONTINUE: u32 = 0;
pub(crate) const PAUSE: u32 = 1;

/// The callbacks of one VM, named and typed as the exports of Proxy-Wasm ABI 0.2.1. What answers with a number answers with an
/// action: 0 goes on, 1 pauses.
///
/// In wasm the [`plugin!`](crate::plugin!) macro exports them; natively `wayside_vm()`, which the macro defines, makes a VM that a
/// host or a test drives. Nothing here panics or goes wrong, whatever numbers come in, and callbacks may nest.
pub trait Callbacks {
    /// `parent` is 0 for a root context.
    fn on_context_create(&self, id: u32, parent: u32);
    fn on_configure(&self, root: u32, size: usize) -> bool;
    fn on_tick(&self, root: u32);
    fn on_request_headers(&self, id: u32, count: u32, end_of_stream: bool) -> u32;
    fn on_request_body(&self, id: u32, size: usize, end_of_stream: bool) -> u32;
    fn on_request_trailers(&self, id: u32, count: u32) -> u32;
    fn on_response_headers(&self, id: u32, count: u32, end_of_stream: bool) -> u32;
    fn on_response_body(&self, id: u32, size: usize, end_of_stream: bool) -> u32;
    fn on_response_trailers(&self, id: u32, count: u32) -> u32;
    fn on_http_call_response(&self, root: u32, token: u32, headers: u32, body_size: usize, trailers: u32);
    /// A gRPC call was answered.
    fn on_grpc_receive(&self, root: u32, token: u32, size: usize);
    /// A gRPC call ended without an answer.
    fn on_grpc_close(&self, root: u32, token: u32, status: u32);
    fn on_log(&self, id: u32);
    /// Of a stream too, where it says nothing. Whether it is done.
    fn on_done(&self, id: u32) -> bool;
    fn on_delete(&self, id: u32);
}
