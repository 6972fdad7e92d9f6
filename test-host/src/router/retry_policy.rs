//! A route's retry policy as configured; what headers add to it is the router's business.

use std::time::Duration;

/// envoy/config/route/v3/route_components.proto, `RetryPolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Empty: the policy itself retries nothing, but its other fields count where headers ask for retries.
    pub retry_on: Vec<RetryOn>,
    /// Tries after the first.
    pub num_retries: u32,
    /// `None`: the route's timeout alone bounds a try.
    pub per_try_timeout: Option<Duration>,
    pub retriable_status_codes: Vec<u16>,
    pub back_off: BackOff,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retry_on: Vec::new(),
            num_retries: 1,
            per_try_timeout: None,
            retriable_status_codes: Vec::new(),
            back_off: BackOff::default(),
        }
    }
}

/// Bounds of the wait between tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    pub base_interval: Duration,
    pub max_interval: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { base_interval: Duration::from_millis(25), max_interval: Duration::from_millis(250) }
    }
}

/// A condition of `retry_on`, `x-envoy-retry-on` or `x-envoy-retry-grpc-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RetryOn {
    FiveXx,
    GatewayError,
    Reset,
    ResetBeforeRequest,
    ConnectFailure,
    EnvoyRateLimited,
    Retriable4xx,
    RefusedStream,
    RetriableStatusCodes,
    RetriableHeaders,
    Http3PostConnectFailure,
    GrpcCancelled,
    GrpcDeadlineExceeded,
    GrpcInternal,
    GrpcResourceExhausted,
    GrpcUnavailable,
}

impl RetryOn {
    const NAMES: [(&'static str, RetryOn); 16] = [
        ("5xx", RetryOn::FiveXx),
        ("gateway-error", RetryOn::GatewayError),
        ("reset", RetryOn::Reset),
        ("reset-before-request", RetryOn::ResetBeforeRequest),
        ("connect-failure", RetryOn::ConnectFailure),
        ("envoy-ratelimited", RetryOn::EnvoyRateLimited),
        ("retriable-4xx", RetryOn::Retriable4xx),
        ("refused-stream", RetryOn::RefusedStream),
        ("retriable-status-codes", RetryOn::RetriableStatusCodes),
        ("retriable-headers", RetryOn::RetriableHeaders),
        ("http3-post-connect-failure", RetryOn::Http3PostConnectFailure),
        ("cancelled", RetryOn::GrpcCancelled),
        ("deadline-exceeded", RetryOn::GrpcDeadlineExceeded),
        ("internal", RetryOn::GrpcInternal),
        ("resource-exhausted", RetryOn::GrpcResourceExhausted),
        ("unavailable", RetryOn::GrpcUnavailable),
    ];

    /// The conditions of a comma-separated list, and the tokens that are none: Envoy ignores those. Tokens are
    /// trimmed and compared with regard to case.
    pub fn parse_list(list: &str) -> (Vec<RetryOn>, Vec<&str>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for token in list.split(',').map(str::trim).filter(|token| !token.is_empty()) {
            match Self::NAMES.iter().find(|(name, _)| *name == token) {
                Some((_, condition)) => known.push(*condition),
                None => unknown.push(token),
            }
        }
        (known, unknown)
    }

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, condition)| *condition == self).map_or("", |(name, _)| name)
    }
}
