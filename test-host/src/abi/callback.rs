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
    GrpcReceiveInitialMetadata { token: u32, count: u32 },
    GrpcReceive { token: u32, size: u32 },
    GrpcReceiveTrailingMetadata { token: u32, count: u32 },
    GrpcClose { token: u32, status: u32 },
    QueueReady { queue: u32 },
    ResolveDns { token: u32, size: u32 },
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
            Callback::GrpcReceiveInitialMetadata { .. } => "on_grpc_receive_initial_metadata",
            Callback::GrpcReceive { .. } => "on_grpc_receive",
            Callback::GrpcReceiveTrailingMetadata { .. } => "on_grpc_receive_trailing_metadata",
            Callback::GrpcClose { .. } => "on_grpc_close",
            Callback::QueueReady { .. } => "on_queue_ready",
            Callback::ResolveDns { .. } => "envoy_on_resolve_dns",
            Callback::Done => "on_done",
            Callback::Log => "on_log",
            Callback::Delete => "on_delete",
        }
    }

    /// The whole name of the export.
    pub fn export(&self) -> String {
        match self {
            Callback::ResolveDns { .. } => self.name().to_owned(),
            _ => format!("proxy_{}", self.name()),
        }
    }

    /// The words behind the context id; a shorter export (ABI 0.1.0 headers) takes the first of them.
    pub fn arguments(&self) -> [u32; 4] {
        match *self {
            Callback::ContextCreate { parent } => [parent, 0, 0, 0],
            Callback::VmStart { size } | Callback::Configure { size } => [size, 0, 0, 0],
            Callback::RequestHeaders { count, end_of_stream }
            | Callback::ResponseHeaders { count, end_of_stream } => [count, end_of_stream.into(), 0, 0],
            Callback::RequestBody { size, end_of_stream }
            | Callback::ResponseBody { size, end_of_stream } => [size, end_of_stream.into(), 0, 0],
            Callback::RequestTrailers { count } | Callback::ResponseTrailers { count } => [count, 0, 0, 0],
            Callback::HttpCallResponse { token, headers, body, trailers } => [token, headers, body, trailers],
            Callback::GrpcReceiveInitialMetadata { token, count }
            | Callback::GrpcReceiveTrailingMetadata { token, count } => [token, count, 0, 0],
            Callback::GrpcReceive { token, size } | Callback::ResolveDns { token, size } => {
                [token, size, 0, 0]
            }
            Callback::GrpcClose { token, status } => [token, status, 0, 0],
            Callback::QueueReady { queue } => [queue, 0, 0, 0],
            Callback::Tick | Callback::Done | Callback::Log | Callback::Delete => [0; 4],
        }
    }
}
