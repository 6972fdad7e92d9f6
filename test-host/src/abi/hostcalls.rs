//! All that a guest can ask of its host, in our own words.

use std::time::Duration;

use bytes::Bytes;

use super::{
    BufferType, CallResult, CallStatus, Callback, CalloutToken, ContextId, ForeignAnswer, GrpcMethod,
    GrpcRequest, GuestFault, LogLevel, MapType, MetricId, MetricType, PairsError, QueueId, StreamType,
};
use crate::message::HeaderMap;

/// A response a filter makes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// As the guest gave it; Envoy does not check it.
    pub status: u32,
    /// Goes to `response.code_details`.
    pub details: Bytes,
    pub body: Bytes,
    pub headers: HeaderMap,
    pub grpc_status: Option<u32>,
}

/// An HTTP request a filter makes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCallout {
    pub cluster: Bytes,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// `None` waits for ever.
    pub timeout: Option<Duration>,
}

/// What the proxy answers. Which context asks is the host's to know: it lent itself to this one callback.
pub trait HostCalls {
    /// Counts one call of the import of this name.
    fn called(&mut self, hostcall: &'static str, bytes_in: usize, bytes_out: usize);
    /// What an import answered: the number on the wire. Follows [`HostCalls::called`].
    fn answered(&mut self, hostcall: &'static str, number: u32);
    /// An import that this host only links.
    fn unimplemented(&mut self, hostcall: &'static str);
    /// The VM's configuration does not list this import (`capability_restriction_config`): it was refused.
    fn not_capable(&mut self, hostcall: &'static str);
    /// A list of pairs that the guest wrote was malformed; Envoy silently takes it as empty.
    fn malformed_pairs(&mut self, hostcall: &'static str, error: PairsError);
    /// A hostcall answered a status that the Rust SDK does not know ([`CallStatus::is_unusual`]).
    fn unusual_status(&mut self, hostcall: &'static str, status: CallStatus);

    fn log(&mut self, level: LogLevel, text: Bytes);
    /// As [`Self::log`], outside any plugin's context.
    fn log_of_vm(&mut self, level: LogLevel, text: Bytes);
    /// The guest's allocator broke; the callback goes on, and ends with this fault.
    fn broke(&mut self, fault: &GuestFault);
    fn log_level(&self) -> LogLevel;

    /// Wall time since the Unix epoch.
    fn wall_time(&self) -> Duration;
    /// Time since some fixed instant, never running backwards.
    fn monotonic_time(&self) -> Duration;
    fn random(&mut self, out: &mut [u8]);
    /// The VM's environment variables, in order.
    fn environment(&self) -> Vec<(String, String)>;
    fn set_tick_period(&mut self, period: Option<Duration>);

    fn set_effective_context(&mut self, id: ContextId) -> CallResult;
    fn done(&mut self) -> CallResult;
    fn continue_stream(&mut self, stream: StreamType) -> CallResult;
    fn close_stream(&mut self, stream: StreamType) -> CallResult;
    fn send_local_reply(&mut self, reply: LocalReply) -> CallResult;

    fn header(&mut self, map: MapType, name: &[u8]) -> CallResult<Bytes>;
    /// `None` where the map does not exist now: Envoy answers `Ok` and nothing.
    fn headers(&mut self, map: MapType) -> CallResult<Option<&HeaderMap>>;
    fn headers_byte_size(&mut self, map: MapType) -> CallResult<usize>;
    fn add_header(&mut self, map: MapType, name: Bytes, value: Bytes) -> CallResult;
    fn replace_header(&mut self, map: MapType, name: Bytes, value: Bytes) -> CallResult;
    fn remove_header(&mut self, map: MapType, name: &[u8]) -> CallResult;
    fn set_headers(&mut self, map: MapType, headers: Vec<(Bytes, Bytes)>) -> CallResult;

    fn buffer(&mut self, buffer: BufferType) -> CallResult<Bytes>;
    fn set_buffer(&mut self, buffer: BufferType, start: usize, len: usize, data: Bytes) -> CallResult;

    fn property(&mut self, path: &[u8]) -> CallResult<Bytes>;
    fn set_property(&mut self, path: Bytes, value: Bytes) -> CallResult;

    fn http_call(&mut self, callout: HttpCallout) -> CallResult<CalloutToken>;
    /// Code and message of the last failed callout.
    fn callout_status(&mut self) -> (u32, Bytes);

    /// Value and compare-and-swap number.
    fn shared_data(&mut self, key: &[u8]) -> CallResult<(Bytes, u32)>;
    fn set_shared_data(&mut self, key: &[u8], value: Bytes, cas: u32) -> CallResult;

    fn define_metric(&mut self, kind: MetricType, name: Bytes) -> CallResult<MetricId>;
    fn increment_metric(&mut self, id: MetricId, by: i64) -> CallResult;
    fn record_metric(&mut self, id: MetricId, value: u64) -> CallResult;
    fn metric(&mut self, id: MetricId) -> CallResult<u64>;

    fn grpc_call(&mut self, call: GrpcRequest) -> CallResult<CalloutToken>;
    fn grpc_stream(&mut self, method: GrpcMethod) -> CallResult<CalloutToken>;
    fn grpc_send(&mut self, token: CalloutToken, message: Bytes, end_of_stream: bool) -> CallResult;
    /// Gives a call or a stream up.
    fn grpc_cancel(&mut self, token: CalloutToken) -> CallResult;
    /// Ends the guest's half of a stream; gives a call up.
    fn grpc_close(&mut self, token: CalloutToken) -> CallResult;
    /// What Envoy tells the guest before the hostcall under way has returned. `None`: nothing, or nothing more. What it
    /// returns is over with [`HostCalls::end_nested_callback`].
    fn begin_nested_callback(&mut self) -> Option<(ContextId, Callback)>;
    fn end_nested_callback(&mut self);

    fn register_queue(&mut self, name: Bytes) -> CallResult<QueueId>;
    /// An empty `vm_id` means the guest's own.
    fn resolve_queue(&mut self, vm_id: &[u8], name: &[u8]) -> CallResult<QueueId>;
    fn enqueue(&mut self, queue: QueueId, data: Bytes) -> CallResult;
    fn dequeue(&mut self, queue: QueueId) -> CallResult<Bytes>;

    /// `NotFound`: there is no function of this name.
    fn foreign_function(&mut self, name: &[u8], arguments: Bytes) -> CallResult<ForeignAnswer>;
    fn resolve_dns(&mut self, name: Bytes) -> CallResult<CalloutToken>;
}
