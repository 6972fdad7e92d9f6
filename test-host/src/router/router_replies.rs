//! The replies a router makes itself, as data (texts and details as Envoy 1.40 sends them).

use std::borrow::Cow;

/// A bit of `response.flags`, by its short name in access logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResponseFlag {
    NoHealthyUpstream,
    UpstreamRequestTimeout,
    LocalReset,
    UpstreamConnectionFailure,
    UpstreamConnectionTermination,
    UpstreamOverflow,
    NoRoute,
    RetryLimitExceeded,
    NoCluster,
    StreamIdleTimeout,
    DownstreamProtocolError,
    UpstreamMaxStreamDurationReached,
    UpstreamProtocolError,
}

impl ResponseFlag {
    pub fn short_name(self) -> &'static str {
        match self {
            ResponseFlag::NoHealthyUpstream => "UH",
            ResponseFlag::UpstreamRequestTimeout => "UT",
            ResponseFlag::LocalReset => "LR",
            ResponseFlag::UpstreamConnectionFailure => "UF",
            ResponseFlag::UpstreamConnectionTermination => "UC",
            ResponseFlag::UpstreamOverflow => "UO",
            ResponseFlag::NoRoute => "NR",
            ResponseFlag::RetryLimitExceeded => "URX",
            ResponseFlag::NoCluster => "NC",
            ResponseFlag::StreamIdleTimeout => "SI",
            ResponseFlag::DownstreamProtocolError => "DPE",
            ResponseFlag::UpstreamMaxStreamDurationReached => "UMSDR",
            ResponseFlag::UpstreamProtocolError => "UPE",
        }
    }

    /// Its bit in `response.flags` (`envoy/stream_info/stream_info.h`).
    pub fn bit(self) -> u64 {
        1 << match self {
            ResponseFlag::NoHealthyUpstream => 1,
            ResponseFlag::UpstreamRequestTimeout => 2,
            ResponseFlag::LocalReset => 3,
            ResponseFlag::UpstreamConnectionFailure => 5,
            ResponseFlag::UpstreamConnectionTermination => 6,
            ResponseFlag::UpstreamOverflow => 7,
            ResponseFlag::NoRoute => 8,
            ResponseFlag::RetryLimitExceeded => 15,
            ResponseFlag::StreamIdleTimeout => 16,
            ResponseFlag::DownstreamProtocolError => 18,
            ResponseFlag::UpstreamMaxStreamDurationReached => 19,
            ResponseFlag::UpstreamProtocolError => 23,
            ResponseFlag::NoCluster => 24,
        }
    }
}

/// What a router answers where no upstream did. All of these pass through the filters' response callbacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterReply {
    pub status: u16,
    pub body: Cow<'static, str>,
    /// `response.code_details`
    pub details: Cow<'static, str>,
    pub flag: Option<ResponseFlag>,
    /// `x-envoy-overloaded: true` goes with it.
    pub overloaded: bool,
}

impl RouterReply {
    pub const ROUTE_NOT_FOUND: RouterReply = fixed(404, "", "route_not_found", ResponseFlag::NoRoute);
    pub const CLUSTER_NOT_FOUND: RouterReply = fixed(503, "", "cluster_not_found", ResponseFlag::NoCluster);
    pub const NO_HEALTHY_UPSTREAM: RouterReply =
        fixed(503, "no healthy upstream", "no_healthy_upstream", ResponseFlag::NoHealthyUpstream);
    /// The route's own timeout ran out.
    pub const TIMEOUT: RouterReply =
        fixed(504, "upstream request timeout", "response_timeout", ResponseFlag::UpstreamRequestTimeout);
    /// What `x-envoy-upstream-stream-duration-ms` allows an attempt ran out.
    pub const STREAM_DURATION: RouterReply = fixed(
        504,
        "upstream max stream duration reached",
        "upstream_max_stream_duration_reached",
        ResponseFlag::UpstreamMaxStreamDurationReached,
    );
    pub const PER_TRY_TIMEOUT: RouterReply = fixed(
        504,
        "upstream request timeout",
        "upstream_per_try_timeout",
        ResponseFlag::UpstreamRequestTimeout,
    );

    /// An upstream connection ended before any response header. `retried`: at least one try came before.
    pub fn reset(reason: ResetReason, retried: bool) -> Self {
        let (text, name, flag) = reason.parts();
        let latest = if retried { "retried and the latest reset reason" } else { "reset reason" };
        RouterReply {
            status: if reason == ResetReason::ProtocolError { 502 } else { 503 },
            body: format!("upstream connect error or disconnect/reset before headers. {latest}: {text}")
                .into(),
            details: format!("upstream_reset_before_response_started{{{name}}}").into(),
            flag: Some(flag),
            overloaded: reason == ResetReason::Overflow,
        }
    }
}

/// Why an upstream attempt ended without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResetReason {
    /// The connection could not be made.
    RemoteConnectionFailure,
    /// The connection was made and closed.
    ConnectionTermination,
    /// A circuit breaker refused it.
    Overflow,
    /// What came was no HTTP, or ended where it should not.
    ProtocolError,
    /// The router gave the attempt up.
    LocalReset,
}

impl ResetReason {
    fn parts(self) -> (&'static str, &'static str, ResponseFlag) {
        match self {
            ResetReason::RemoteConnectionFailure => (
                "remote connection failure",
                "remote_connection_failure|delayed_connect_error:_Connection_refused",
                ResponseFlag::UpstreamConnectionFailure,
            ),
            ResetReason::ConnectionTermination => (
                "connection termination",
                "connection_termination",
                ResponseFlag::UpstreamConnectionTermination,
            ),
            ResetReason::Overflow => ("overflow", "overflow", ResponseFlag::UpstreamOverflow),
            ResetReason::ProtocolError => {
                ("protocol error", "protocol_error", ResponseFlag::UpstreamProtocolError)
            }
            ResetReason::LocalReset => ("local reset", "local_reset", ResponseFlag::LocalReset),
        }
    }
}

const fn fixed(status: u16, body: &'static str, details: &'static str, flag: ResponseFlag) -> RouterReply {
    RouterReply {
        status,
        body: Cow::Borrowed(body),
        details: Cow::Borrowed(details),
        flag: Some(flag),
        overloaded: false,
    }
}
