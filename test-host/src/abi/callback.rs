//! What the host calls in a guest.

/// One callback with its arguments, the context apart. `size` and `count` are what the guest is told, not limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    ContextCreate { parent: u32 },
    VmStart { size: u32 },
    Configure { size: u32 },
    Tick,
    RequestHeaders { count: u32, end_of_stream: bool },
    RequestBody { size: u32, end_of_stream: bool },
    RequestTrailers { count: u32 },
    ResponseHeaders { count: u32, end_of_stream: bool },
    ResponseBody { size: u32, end_of_stream: bool },
    ResponseTrailers { count: u32 },
    HttpCallResponse { token: u32, headers: u32, body: u32, trailers: u32 },
    Done,
    Log,
    Delete,
}

impl Callback {
    /// The export's name without its `proxy_` prefix, as it stands in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Callback::ContextCreate { .. } => "on_context_create",
            Callback::VmStart { .. } => "on_vm_start",
            Callback::Configure { .. } => "on_configure",
            Callback::Tick => "on_tick",
            Callback::RequestHeaders { .. } => "on_request_headers",
            Callback::RequestBody { .. } => "on_request_body",
            Callback::RequestTrailers { .. } => "on_request_trailers",
            Callback::ResponseHeaders { .. } => "on_response_headers",
            Callback::ResponseBody { .. } => "on_response_body",
            Callback::ResponseTrailers { .. } => "on_response_trailers",
            Callback::HttpCallResponse { .. } => "on_http_call_response",
            Callback::Done => "on_done",
            Callback::Log => "on_log",
            Callback::Delete => "on_delete",
        }
    }
}
