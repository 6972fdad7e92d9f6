//! What the host calls in a guest.

/// One callback with its arguments, the context apart. `size` and `count` are what the guest is told, not limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    ContextCreate {
        parent: u32,
    },
    VmStart {
        size: u32,
    },
    Configure {
        size: u32,
    },
    Tick,
    RequestHeaders {
        count: u32,
        end_of_stream: bool,
    },
    RequestBody {
        size: u32,
        end_of_stream: bool,
    },
    RequestTrailers {
        count: u32,
    },
    ResponseHeaders {
        count: u32,
        end_of_stream: bool,
    },
    ResponseBody {
        size: u32,
        end_of_stream: bool,
    },
    ResponseTrailers {
        count: u32,
    },
    NewConnection,
    DownstreamData {
        size: u32,
        end_of_stream: bool,
    },
    UpstreamData {
        size: u32,
        end_of_stream: bool,
    },
    /// By whom: 1 the proxy, 2 the client.
    DownstreamConnectionClose {
        by: u32,
    },
    /// Always 0: Envoy does not know.
    UpstreamConnectionClose {
        by: u32,
    },
    HttpCallResponse {
        token: u32,
        headers: u32,
        body: u32,
        trailers: u32,
    },
    GrpcReceiveInitialMetadata {
        token: u32,
        count: u32,
    },
    GrpcReceive {
        token: u32,
        size: u32,
    },
    GrpcReceiveTrailingMetadata {
        token: u32,
        count: u32,
    },
    GrpcClose {
        token: u32,
        status: u32,
    },
    QueueReady {
        queue: u32,
    },
    ResolveDns {
        token: u32,
        size: u32,
    },
    Done,
    Log,
    Delete,
}

impl Callback {
    /// The exports' names without their `proxy_` prefix, as they stand in reports, by [`Self::number`].
    pub const NAMES: [&'static str; 25] = [
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
        "on_grpc_receive_initial_metadata",
        "on_grpc_receive",
        "on_grpc_receive_trailing_metadata",
        "on_grpc_close",
        "on_queue_ready",
        "envoy_on_resolve_dns",
        "on_done",
        "on_log",
        "on_delete",
        "on_new_connection",
        "on_downstream_data",
        "on_upstream_data",
        "on_downstream_connection_close",
        "on_upstream_connection_close",
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
            Callback::GrpcReceiveInitialMetadata { .. } => 11,
            Callback::GrpcReceive { .. } => 12,
            Callback::GrpcReceiveTrailingMetadata { .. } => 13,
            Callback::GrpcClose { .. } => 14,
            Callback::QueueReady { .. } => 15,
            Callback::ResolveDns { .. } => 16,
            Callback::Done => 17,
            Callback::Log => 18,
            Callback::Delete => 19,
            Callback::NewConnection => 20,
            Callback::DownstreamData { .. } => 21,
            Callback::UpstreamData { .. } => 22,
            Callback::DownstreamConnectionClose { .. } => 23,
            Callback::UpstreamConnectionClose { .. } => 24,
        }
    }

    /// The whole name of the export.
    pub fn export(&self) -> String {
        Self::export_of(self.name())
    }

    /// The whole name of the export that reports call by this name.
    pub fn export_of(name: &str) -> String {
        if name.starts_with("envoy_") { name.to_owned() } else { format!("proxy_{name}") }
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
            Callback::DownstreamData { size, end_of_stream }
            | Callback::UpstreamData { size, end_of_stream } => [size, end_of_stream.into(), 0, 0],
            Callback::DownstreamConnectionClose { by } | Callback::UpstreamConnectionClose { by } => {
                [by, 0, 0, 0]
            }
            Callback::NewConnection | Callback::Tick | Callback::Done | Callback::Log | Callback::Delete => {
                [0; 4]
            }
        }
    }
}
