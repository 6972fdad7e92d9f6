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
    /// The exports' names without their `proxy_` prefix, as they stand in reports, by [`Self::number`].
    pub const NAMES: [&'static str; 14] = [
        "on_context_create",
        "on_vm_start",
        "on_configure",
        "on_tick",
        "on_request_headers",
        "on_request_body",
        "on_request_trailers",
        "on_response_headers",
        "on_response_body",
        "on_response_trailers",
        "on_http_call_response",
        "on_done",
        "on_log",
        "on_delete",
    ];

    pub fn name(&self) -> &'static str {
        Self::NAMES[self.number()]
    }

    /// Its place among [`Self::NAMES`].
    pub const fn number(&self) -> usize {
        match self {
            Callback::ContextCreate { .. } => 0,
            Callback::VmStart { .. } => 1,
            Callback::Configure { .. } => 2,
            Callback::Tick => 3,
            Callback::RequestHeaders { .. } => 4,
            Callback::RequestBody { .. } => 5,
            Callback::RequestTrailers { .. } => 6,
            Callback::ResponseHeaders { .. } => 7,
            Callback::ResponseBody { .. } => 8,
            Callback::ResponseTrailers { .. } => 9,
            Callback::HttpCallResponse { .. } => 10,
            Callback::Done => 11,
            Callback::Log => 12,
            Callback::Delete => 13,
        }
    }
}
