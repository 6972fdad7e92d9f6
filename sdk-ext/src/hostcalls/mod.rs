//! Every call to the host, as functions that answer `Result` and never panic.

pub(crate) mod environment;
#[cfg(test)]
pub(crate) mod model;
mod raw;
pub mod rng;

pub use raw::allocate;

#[cfg(test)]
use model as common;
/// What VMs change together.
#[cfg(not(test))]
use raw as common;
use std::fmt;

/// A Proxy-Wasm status as the host sent it. Never an enum: hosts send values the ABI text does not list.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

impl Status {
    pub const OK: Status = Status(0);
    pub const NOT_FOUND: Status = Status(1);
    pub const BAD_ARGUMENT: Status = Status(2);
    pub const SERIALIZATION_FAILURE: Status = Status(3);
    pub const PARSE_FAILURE: Status = Status(4);
    pub const CAS_MISMATCH: Status = Status(8);
    pub const UNIMPLEMENTED: Status = Status(12);

    fn name(self) -> &'static str {
        match self.0 {
            0 => "ok",
            1 => "not found",
            2 => "bad argument",
            3 => "serialization failure",
            4 => "parse failure",
            5 => "bad expression",
            6 => "invalid memory access",
            7 => "empty",
            8 => "compare-and-swap mismatch",
            9 => "result mismatch",
            10 => "internal failure",
            11 => "broken connection",
            12 => "unimplemented",
            _ => "unknown status",
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Which call failed: the name of the import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call(&'static str);

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A call the host did not answer with `Ok`. Twelve bytes and no allocation: it may happen on every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {status}")]
pub struct HostError {
    pub call: Call,
    pub status: Status,
}

impl HostError {
    /// What the host answers in a phase that has nothing of the kind.
    #[cold]
    pub(crate) fn not_now(call: &'static str) -> HostError {
        HostError { call: Call(call), status: Status::BAD_ARGUMENT }
    }
}

pub type Host<T> = Result<T, HostError>;

fn check(call: &'static str, status: u32) -> Host<()> {
    match Status(status) {
        Status::OK => Ok(()),
        status => Err(HostError { call: Call(call), status }),
    }
}

/// `NotFound` is an answer, not a failure. An `Ok` without an address is an empty value.
fn check_found(call: &'static str, (status, value): (u32, Option<Vec<u8>>)) -> Host<Option<Vec<u8>>> {
    match Status(status) {
        Status::NOT_FOUND => Ok(None),
        _ => check(call, status).map(|()| Some(value.unwrap_or_default())),
    }
}

/// A header map of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Map {
    RequestHeaders = 0,
    RequestTrailers = 1,
    ResponseHeaders = 2,
    ResponseTrailers = 3,
    /// While the answer to a callout is delivered.
    CallResponseHeaders = 6,
}

/// A buffer of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffer {
    RequestBody = 0,
    ResponseBody = 1,
    CallResponseBody = 4,
    /// While the answer to a gRPC call is delivered.
    GrpcMessage = 5,
    PluginConfiguration = 7,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricKind {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

/// Nowhere to report a failed log record: the log is where failures are reported.
pub(crate) fn log(level: u32, message: &[u8]) {
    raw::log(level, message);
}

pub(crate) fn log_level() -> Host<u32> {
    let (status, level) = raw::log_level();
    check("proxy_get_log_level", status).map(|()| level)
}

pub(crate) fn wall_nanos() -> Host<u64> {
    let (status, time) = raw::wall_nanos();
    check("proxy_get_current_time_nanoseconds", status).map(|()| time)
}

pub(crate) fn monotonic_nanos() -> Host<u64> {
    let (status, time) = raw::monotonic_nanos();
    check("clock_time_get", status).map(|()| time)
}

pub(crate) fn random(buffer: &mut [u8]) -> Host<()> {
    check("random_get", raw::random(buffer))
}

pub(crate) fn environment() -> Host<Vec<u8>> {
    let (status, text) = raw::environment();
    check("environ_get", status).map(|()| text)
}

pub(crate) fn set_tick_period(millis: u32) -> Host<()> {
    check("proxy_set_tick_period_milliseconds", raw::set_tick_period(millis))
}

/// The root that said it was not done is.
pub(crate) fn done() -> Host<()> {
    check("proxy_done", raw::done())
}

pub(crate) fn set_effective_context(id: u32) -> Host<()> {
    check("proxy_set_effective_context", raw::set_effective_context(id))
}

pub(crate) fn buffer(kind: Buffer, start: usize, max: usize) -> Host<Option<Vec<u8>>> {
    check_found("proxy_get_buffer_bytes", raw::buffer(kind as u32, start, max))
}

pub(crate) fn set_buffer(kind: Buffer, start: usize, size: usize, bytes: &[u8]) -> Host<()> {
    check("proxy_set_buffer_bytes", raw::set_buffer(kind as u32, start, size, bytes))?;
    crate::plugin::compose::snapshot::resized(kind, start, size, bytes.len());
    Ok(())
}

/// Bytes in a buffer; nothing is returned but the number.
pub(crate) fn buffer_size(kind: Buffer) -> Host<usize> {
    let (status, size) = raw::buffer_size(kind as u32);
    check("proxy_get_buffer_status", status).map(|()| size)
}

/// Envoy answers `Ok` without an address for a map that does not exist in this phase, and a count of zero for an
/// empty one: the first is an error here.
pub(crate) fn header_pairs(map: Map) -> Host<Vec<u8>> {
    let call = "proxy_get_header_map_pairs";
    let (status, pairs) = raw::header_pairs(map as u32);
    check(call, status)?;
    pairs.ok_or(HostError { call: Call(call), status: Status::NOT_FOUND })
}

pub(crate) fn malformed_pairs() -> HostError {
    HostError { call: Call("proxy_get_header_map_pairs"), status: Status::PARSE_FAILURE }
}

pub(crate) fn malformed_property() -> HostError {
    HostError { call: Call("proxy_get_property"), status: Status::PARSE_FAILURE }
}

pub(crate) fn header_bytes(map: Map) -> Host<usize> {
    let (status, size) = raw::header_bytes(map as u32);
    check("proxy_get_header_map_size", status).map(|()| size)
}

pub(crate) fn header(map: Map, key: &[u8]) -> Host<Option<Vec<u8>>> {
    check_found("proxy_get_header_map_value", raw::header(map as u32, key))
}

pub(crate) fn replace_header(map: Map, key: &[u8], value: &[u8]) -> Host<()> {
    check("proxy_replace_header_map_value", raw::replace_header(map as u32, key, value))
}

pub(crate) fn add_header(map: Map, key: &[u8], value: &[u8]) -> Host<()> {
    check("proxy_add_header_map_value", raw::add_header(map as u32, key, value))
}

pub(crate) fn remove_header(map: Map, key: &[u8]) -> Host<()> {
    check("proxy_remove_header_map_value", raw::remove_header(map as u32, key))
}

/// A null, which metadata can hold and Envoy cannot put in bytes, is nothing too.
pub(crate) fn property(path: &[u8]) -> Host<Option<Vec<u8>>> {
    match raw::property(path) {
        (status, _) if Status(status) == Status::SERIALIZATION_FAILURE => Ok(None),
        read => check_found("proxy_get_property", read),
    }
}

pub(crate) fn set_property(path: &[u8], value: &[u8]) -> Host<()> {
    check("proxy_set_property", raw::set_property(path, value))
}

/// A function of the host's own, by name.
pub(crate) fn foreign(function: &str, argument: &[u8]) -> Host<Vec<u8>> {
    let (status, answer) = raw::call_foreign_function(function.as_bytes(), argument);
    check("proxy_call_foreign_function", status).map(|()| answer.unwrap_or_default())
}

/// An answer of such a function that is not what it was asked for.
pub(crate) fn malformed_answer() -> HostError {
    HostError { call: Call("proxy_call_foreign_function"), status: Status::PARSE_FAILURE }
}

/// An expression that Envoy would evaluate for the root.
pub(crate) fn no_stream_to_evaluate_for() -> HostError {
    HostError { call: Call("proxy_call_foreign_function"), status: Status::NOT_FOUND }
}

/// The value and its compare-and-swap number; `None` when the key was never written.
pub(crate) fn shared_data(key: &[u8]) -> Host<Option<(Vec<u8>, u32)>> {
    let (status, value, cas) = common::shared_data(key);
    Ok(check_found("proxy_get_shared_data", (status, value))?.map(|value| (value, cas)))
}

/// `Ok(false)` when somebody else wrote first.
pub(crate) fn set_shared_data(key: &[u8], value: &[u8], cas: u32) -> Host<bool> {
    match common::set_shared_data(key, value, cas) {
        status if Status(status) == Status::CAS_MISMATCH => Ok(false),
        status => check("proxy_set_shared_data", status).map(|()| true),
    }
}

pub(crate) struct LocalResponse<'a> {
    pub(crate) status: u32,
    pub(crate) details: &'a [u8],
    pub(crate) body: &'a [u8],
    /// In the ABI's pair encoding.
    pub(crate) headers: &'a [u8],
    pub(crate) grpc_status: Option<u32>,
}

pub(crate) fn send_local_response(r: &LocalResponse<'_>) -> Host<()> {
    let grpc = r.grpc_status.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1);
    let status = raw::send_local_response(r.status, r.details, r.body, r.headers, grpc);
    check("proxy_send_local_response", status)
}

/// Lets a paused half of a stream go on: 0 the request, 1 the response.
pub(crate) fn continue_stream(stream: u32) -> Host<()> {
    check("proxy_continue_stream", raw::continue_stream(stream))
}

pub(crate) fn close_stream(stream: u32) -> Host<()> {
    check("proxy_close_stream", raw::close_stream(stream))
}

pub(crate) struct HttpCall<'a> {
    pub(crate) cluster: &'a [u8],
    /// In the ABI's pair encoding.
    pub(crate) headers: &'a [u8],
    pub(crate) body: &'a [u8],
    /// Milliseconds.
    pub(crate) timeout: u32,
}

/// The token under which the answer comes.
pub(crate) fn http_call(call: &HttpCall<'_>) -> Host<u32> {
    let (status, token) = raw::http_call(call);
    check("proxy_http_call", status).map(|()| token)
}

pub(crate) struct GrpcCall<'a> {
    /// Envoy's `GrpcService` in protobuf.
    pub(crate) service: &'a [u8],
    pub(crate) name: &'a [u8],
    pub(crate) method: &'a [u8],
    /// In the ABI's pair encoding.
    pub(crate) metadata: &'a [u8],
    pub(crate) message: &'a [u8],
    /// Milliseconds.
    pub(crate) timeout: u32,
}

/// The token under which its end is told.
pub(crate) fn grpc_call(call: &GrpcCall<'_>) -> Host<u32> {
    let (status, token) = raw::grpc_call(call);
    check("proxy_grpc_call", status).map(|()| token)
}

pub(crate) fn grpc_cancel(token: u32) -> Host<()> {
    check("proxy_grpc_cancel", raw::grpc_cancel(token))
}

/// What the host says of the gRPC status that it tells.
pub(crate) fn status_text() -> Host<Vec<u8>> {
    let (status, text) = raw::status_text();
    check("proxy_get_status", status).map(|()| text.unwrap_or_default())
}

pub(crate) fn define_metric(kind: MetricKind, name: &[u8]) -> Host<u32> {
    let (status, id) = raw::define_metric(kind as u32, name);
    check("proxy_define_metric", status).map(|()| id)
}

pub(crate) fn increment_metric(id: u32, offset: i64) -> Host<()> {
    check("proxy_increment_metric", common::increment_metric(id, offset))
}

pub(crate) fn record_metric(id: u32, value: u64) -> Host<()> {
    check("proxy_record_metric", raw::record_metric(id, value))
}

pub(crate) fn metric(id: u32) -> Host<u64> {
    let (status, value) = common::metric(id);
    check("proxy_get_metric", status).map(|()| value)
}
