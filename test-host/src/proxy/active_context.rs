//! The proxy as one guest sees it during one callback: every hostcall is answered here.
//!
//! What would re-enter the chain (continue, reply, close) only becomes an [`Effect`]: it is carried out once the guest
//! has returned, as Envoy does it.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

use super::{
    callouts::AnsweredCallout,
    core::{Core, Effect, Owner, PluginIndex, VmIndex},
    filter_state::{self, FilterStateObject},
    foreign, header_rules, metrics,
    nested::{Nested, Outer, Shown},
    properties::{self, Read},
    shared_data,
    streams::state::{FilterContext, StreamId, StreamState},
};
use crate::{
    abi::{
        BufferType, CallResult, CallStatus, Callback, CalloutToken, ContextId, ForeignAnswer, GrpcMethod,
        GrpcRequest, GuestFault, HostCalls, HttpCallout, LocalReply, LogLevel, MapType, MetricId, MetricType,
        PairsError, QueueId, StreamType,
    },
    message::HeaderMap,
    stream::Path,
    trace::{AT_START, Change, FindingKind, HeaderEdit, Made, Thread, What},
    vm::Capabilities,
};

/// How long the machine had been up when the proxy started: a guest may take a clock at zero for a broken one (Go does).
const MACHINE_UP: Duration = Duration::from_secs(3600);

/// The proxy, lent to a VM.
#[derive(Debug)]
pub(crate) struct ActiveContext {
    pub(crate) core: Core,
    pub(crate) vm: VmIndex,
    /// The plugin whose root or stream the callback is for.
    pub(crate) plugin: PluginIndex,
    pub(super) current: ContextId,
    pub(super) effective: Option<ContextId>,
    /// Who the effective context stands for, or the current one, where the guest chose none.
    owner: Option<Owner>,
    /// A local reply was asked for: whatever the callback returns, the stream stops.
    pub(crate) stop: bool,
    /// During `on_http_call_response` only.
    pub(super) callout: Option<AnsweredCallout>,
    /// During the callbacks of gRPC calls and resolved names only.
    pub(super) shown: Shown,
    /// `get_status`: the message, which exists during one callback only.
    pub(super) status: Bytes,
    /// Callbacks to be made before the hostcall under way returns, and what those under way have put aside.
    pub(super) nested: VecDeque<Nested>,
    pub(super) outer: Vec<Outer>,
    pub(super) configuring: bool,
    /// The stream that an access logger's root hears of, and what it sees of it.
    pub(super) logged: Option<(StreamId, FilterContext)>,
    /// The guest's allocator broke, and that is noted.
    pub(crate) broken: bool,
    /// Which buffer a context looked at last, in this callback: what `CallData` is outside its own callback.
    pub(super) last_buffer: Option<(ContextId, BufferType)>,
    /// What the callback has asked for, where a ledger is kept.
    pub(crate) made: Made,
    /// The callback's name, or that the module starts.
    pub(crate) callback: &'static str,
}

impl ActiveContext {
    pub(crate) fn of(core: Core) -> Self {
        ActiveContext {
            core,
            vm: VmIndex(0),
            plugin: PluginIndex(0),
            current: ContextId(0),
            effective: None,
            owner: None,
            stop: false,
            callout: None,
            shown: Shown::default(),
            status: Bytes::new(),
            nested: VecDeque::new(),
            outer: Vec::new(),
            configuring: false,
            logged: None,
            broken: false,
            last_buffer: None,
            made: Made::default(),
            callback: AT_START,
        }
    }

    /// A callback of a plugin begins.
    pub(crate) fn begin(&mut self, plugin: PluginIndex, current: ContextId, callback: &'static str) {
        self.vm = self.core.plugins[plugin.0].vm;
        self.owner = self.core.owner(plugin, current);
        (self.plugin, self.current, self.effective) = (plugin, current, None);
        (self.stop, self.broken) = (false, false);
        (self.last_buffer, self.callback) = (None, callback);
        if self.core.ledger.is_some() {
            self.made = Made::default();
        }
    }

    /// What was there for the callback that is over alone.
    pub(crate) fn hide(&mut self) {
        (self.callout, self.shown, self.status) = (None, Shown::default(), Bytes::new());
        (self.configuring, self.logged) = (false, None);
        self.nested.clear();
        self.outer.clear();
    }

    /// In a VM that is gone before anything it asks for can be sent.
    pub(super) fn is_canary(&self) -> bool {
        self.core.running == Thread::Canary
    }

    /// What the plugin's configuration allows its VM. Plugins that share a VM share what the first of them allows.
    pub(crate) fn capabilities(&self) -> Capabilities {
        let allowed = self.core.plugins[self.plugin.0].spec.allowed_capabilities.clone();
        Capabilities::only(allowed.unwrap_or_default())
    }

    pub(super) fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// The plugin whose root or stream is the effective context: several may share a VM.
    pub(super) fn effective_plugin(&self) -> PluginIndex {
        let plugin = match self.owner() {
            Some(Owner::Root(plugin)) => Some(plugin),
            Some(Owner::Stream(id, filter)) => {
                self.core.streams.get(&id).and_then(|s| s.chain.get(filter.0)).copied()
            }
            Some(Owner::Connection(..)) => self.connection().and_then(|(state, _)| {
                let Some(Owner::Connection(_, filter)) = self.owner() else { return None };
                state.chain.get(filter.0).copied()
            }),
            None => None,
        };
        plugin.unwrap_or(self.plugin)
    }

    pub(super) fn note(&mut self, what: What) {
        let owner = self.owner();
        self.core.note(owner, what);
    }

    pub(super) fn finding(&mut self, kind: FindingKind, text: impl Into<String>) {
        self.note(What::Finding { kind, text: text.into() });
    }

    pub(super) fn stream(&self) -> Option<(&StreamState, &FilterContext)> {
        match self.owner()? {
            Owner::Stream(id, filter) => {
                let stream = self.core.streams.get(&id)?;
                Some((stream, stream.filters.get(filter.0)?))
            }
            Owner::Root(plugin) if plugin == self.plugin => {
                let (id, seen) = self.logged.as_ref()?;
                Some((self.core.streams.get(id)?, seen))
            }
            Owner::Root(_) | Owner::Connection(..) => None,
        }
    }

    pub(super) fn stream_mut(&mut self) -> Option<(&mut StreamState, usize)> {
        match self.owner()? {
            Owner::Stream(id, filter) => self.core.streams.get_mut(&id).map(|stream| (stream, filter.0)),
            Owner::Root(_) | Owner::Connection(..) => None,
        }
    }

    /// `on_log` and what comes after it.
    fn is_ending(&self) -> bool {
        self.stream().is_some_and(|(stream, _)| stream.end.is_some())
    }

    /// Envoy has one view of a buffer for each context. Nothing sets it for `CallData`, so that this is the one seen before;
    /// Envoy 1.40 calls no callback that has data of its own.
    fn meant(&self, buffer: BufferType) -> BufferType {
        match self.last_buffer {
            Some((of, last))
                if buffer == BufferType::CallData
                    && of == self.context()
                    && self.shown.call_data.is_none() =>
            {
                last
            }
            _ => buffer,
        }
    }

    /// Which context a callback is for, and which the guest has chosen instead; returns those before.
    pub(super) fn act_for(
        &mut self,
        current: ContextId,
        effective: Option<ContextId>,
    ) -> (ContextId, Option<ContextId>) {
        let before = (self.current, self.effective);
        (self.current, self.effective) = (current, effective);
        self.owner = self.core.vms[self.vm.0].contexts.get(&self.context()).copied();
        before
    }

    fn context(&self) -> ContextId {
        self.effective.unwrap_or(self.current)
    }

    pub(super) fn vm_id(&self) -> String {
        self.core.vms[self.vm.0].vm_id.clone()
    }
}

impl HostCalls for ActiveContext {
    fn called(&mut self, hostcall: &'static str, bytes_in: usize, bytes_out: usize) {
        let (owner, plugin) = (self.owner(), self.plugin);
        if self.core.ledger.is_some() {
            self.made.count(hostcall, bytes_out);
        }
        self.core.usage(owner, plugin).count(hostcall, bytes_in, bytes_out);
    }

    fn answered(&mut self, hostcall: &'static str, number: u32) {
        if let Some(ledger) = &mut self.core.ledger {
            ledger.answered(hostcall, self.callback, number);
        }
    }

    fn unimplemented(&mut self, hostcall: &'static str) {
        if let Some(ledger) = &mut self.core.ledger {
            ledger.unimplemented.insert(hostcall);
        }
        *self.core.unimplemented.entry(hostcall).or_default() += 1;
        let text = format!("{hostcall} is not implemented by this host: it answered Unimplemented (12)");
        self.finding(FindingKind::Unimplemented, text);
    }

    fn not_capable(&mut self, hostcall: &'static str) {
        let what = if hostcall.starts_with("proxy_") { "proxy-wasm" } else { "WASI" };
        let text = format!("{hostcall}: a {what} capability that allowed_capabilities does not list");
        self.finding(FindingKind::NotCapable, text);
    }

    fn malformed_pairs(&mut self, hostcall: &'static str, error: PairsError) {
        let text = format!("{hostcall}: {error}; Envoy takes it as an empty list");
        self.finding(FindingKind::MalformedPairs, text);
    }

    fn unusual_status(&mut self, hostcall: &'static str, status: CallStatus) {
        let number = status as u32;
        let text = format!("{hostcall} answered {number} ({status:?}), which the Rust SDK's Status lacks");
        self.finding(FindingKind::UnusualStatus, text);
    }

    fn log(&mut self, level: LogLevel, text: Bytes) {
        if level >= self.core.log_level {
            self.note(What::Logged { level, text });
        }
    }

    fn log_of_vm(&mut self, level: LogLevel, text: Bytes) {
        if level >= self.core.log_level {
            self.core.note(None, What::Logged { level, text });
        }
    }

    fn broke(&mut self, fault: &GuestFault) {
        if !std::mem::replace(&mut self.broken, true) {
            self.note(What::Fault { reason: fault.to_string() });
        }
    }

    fn log_level(&self) -> LogLevel {
        self.core.log_level
    }

    fn wall_time(&self) -> Duration {
        self.core.wall
    }

    fn monotonic_time(&self) -> Duration {
        MACHINE_UP + self.core.now
    }

    fn random(&mut self, out: &mut [u8]) {
        self.core.rng.fill(out);
        self.note(What::Random { bytes: out.len() });
    }

    fn environment(&self) -> Vec<(String, String)> {
        let environment = &self.core.plugins[self.plugin.0].spec.vm.environment;
        environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn set_tick_period(&mut self, period: Option<Duration>) {
        let plugin = self.effective_plugin();
        self.core.arm_tick(plugin, period);
    }

    fn set_effective_context(&mut self, id: ContextId) -> CallResult {
        let known = id.0 == 0 || self.core.vms[self.vm.0].contexts.get(&id).is_some();
        if !known {
            return Err(CallStatus::BadArgument);
        }
        self.act_for(self.current, (id.0 != 0).then_some(id));
        Ok(())
    }

    /// Only a root that waits after `on_done` can be done.
    fn done(&mut self) -> CallResult {
        let plugin = self.effective_plugin();
        if !std::mem::take(&mut self.core.plugins[plugin.0].parked) {
            return Err(CallStatus::NotFound);
        }
        self.core.effects.push_back(Effect::DeleteRoot { plugin });
        Ok(())
    }

    fn continue_stream(&mut self, kind: StreamType) -> CallResult {
        let path = match kind {
            StreamType::Request => Path::Decode,
            StreamType::Response => Path::Encode,
            StreamType::Downstream => {
                self.continue_connection();
                return Ok(());
            }
            StreamType::Upstream => return Err(CallStatus::Unimplemented),
        };
        let Some(Owner::Stream(stream, filter)) = self.owner() else {
            return Ok(());
        };
        self.core.effects.push_back(Effect::Resume { stream, filter, path });
        // Both kinds drop what the filter could see of the request, at once.
        if let Some((stream, filter)) = self.stream_mut() {
            let view = &mut stream.filters[filter].request;
            (view.headers, view.body, view.trailers) = (false, false, false);
        }
        self.note(What::Resumed { path });
        Ok(())
    }

    fn close_stream(&mut self, kind: StreamType) -> CallResult {
        if matches!(kind, StreamType::Downstream | StreamType::Upstream) {
            self.close_own_connection();
            return Ok(());
        }
        let Some(Owner::Stream(stream, filter)) = self.owner() else {
            return Ok(());
        };
        if self.is_ending() {
            let text = "close_stream in on_log, on_done or on_delete: in on_log this crashes Envoy";
            self.finding(FindingKind::WouldCrashEnvoy, text);
            return Ok(());
        }
        self.core.effects.push_back(Effect::Close { stream, filter });
        self.note(What::Closed);
        Ok(())
    }

    fn send_local_reply(&mut self, reply: LocalReply) -> CallResult {
        let Some(Owner::Stream(stream, filter)) = self.owner() else {
            let text = "send_local_response outside a stream: Envoy answers Ok and does nothing";
            self.finding(FindingKind::LostReply, text);
            return Ok(());
        };
        if self.is_ending() {
            let text = "send_local_response in on_log, on_done or on_delete: this crashes Envoy";
            self.finding(FindingKind::WouldCrashEnvoy, text);
            return Ok(());
        }
        self.note(What::Replied {
            status: reply.status,
            details: reply.details.clone(),
            body: reply.body.len(),
        });
        self.core.effects.push_back(Effect::Reply { stream, filter, reply });
        self.stop = true;
        Ok(())
    }

    fn header(&mut self, map: MapType, name: &[u8]) -> CallResult<Bytes> {
        let absent = if self.stream().is_some_and(|(_, filter)| filter.logging) {
            CallStatus::NotFound
        } else {
            CallStatus::BadArgument
        };
        let headers = self.map(map).ok_or(absent)?;
        headers.first(header_rules::key(map, name)).cloned().ok_or(CallStatus::NotFound)
    }

    fn headers(&mut self, map: MapType) -> CallResult<Option<&HeaderMap>> {
        // An empty map is as good as none.
        Ok(self.map(map).filter(|headers| !headers.is_empty()))
    }

    fn headers_byte_size(&mut self, map: MapType) -> CallResult<usize> {
        // Envoy asks for the map as if to write to it: only writable maps have a size, and trailers come to be by it.
        self.map_mut(map).map(|headers| headers.byte_size())
    }

    fn add_header(&mut self, map: MapType, name: Bytes, value: Bytes) -> CallResult {
        let edit = self.core.traces().then(|| HeaderEdit::Added { name: name.clone(), value: value.clone() });
        header_rules::add(map, self.map_mut(map)?, name, value);
        self.edited(map, edit);
        Ok(())
    }

    fn replace_header(&mut self, map: MapType, name: Bytes, value: Bytes) -> CallResult {
        let traces = self.core.traces();
        let headers = self.map_mut(map)?;
        let edit = traces.then(|| {
            let before = headers.all(header_rules::key(map, &name)).cloned().collect();
            HeaderEdit::Replaced { name: name.clone(), before, value: value.clone() }
        });
        header_rules::replace(map, headers, name, value);
        self.edited(map, edit);
        Ok(())
    }

    fn remove_header(&mut self, map: MapType, name: &[u8]) -> CallResult {
        let traces = self.core.traces();
        let headers = self.map_mut(map)?;
        let key = header_rules::key(map, name);
        let edit = traces.then(|| HeaderEdit::Removed {
            name: Bytes::copy_from_slice(name),
            before: headers.all(key).cloned().collect(),
        });
        headers.remove(key);
        self.edited(map, edit);
        Ok(())
    }

    fn set_headers(&mut self, map: MapType, headers: Vec<(Bytes, Bytes)>) -> CallResult {
        let target = self.map_mut(map)?;
        *target = header_rules::add_all(map, headers);
        let edit = HeaderEdit::Rewritten { fields: target.len() };
        self.edited(map, Some(edit));
        Ok(())
    }

    fn buffer(&mut self, buffer: BufferType) -> CallResult<Bytes> {
        let buffer = self.meant(buffer);
        let plugin = &self.core.plugins[self.plugin.0];
        let bytes = match buffer {
            BufferType::RequestBody => self.checked_body(Path::Decode),
            BufferType::ResponseBody => self.checked_body(Path::Encode),
            BufferType::CalloutBody => self.callout_body()?,
            BufferType::GrpcMessage => self.shown.message.clone().unwrap_or_default(),
            BufferType::CallData => self.shown.call_data.clone().unwrap_or_default(),
            BufferType::VmConfiguration => plugin.spec.vm.configuration.bytes(),
            BufferType::PluginConfiguration if self.configuring => plugin.spec.configuration.bytes(),
            BufferType::PluginConfiguration => return Err(CallStatus::NotFound),
            BufferType::DownstreamData | BufferType::UpstreamData => self.tcp_buffer(buffer),
        };
        self.last_buffer = Some((self.context(), buffer));
        Ok(bytes)
    }

    fn set_buffer(&mut self, buffer: BufferType, start: usize, len: usize, data: Bytes) -> CallResult {
        let buffer = self.meant(buffer);
        match buffer {
            BufferType::RequestBody => self.set_body(Path::Decode, start, len, &data),
            BufferType::ResponseBody => self.set_body(Path::Encode, start, len, &data),
            BufferType::GrpcMessage => self.shown.write_message(start, len, &data),
            BufferType::DownstreamData | BufferType::UpstreamData => {
                self.set_tcp_buffer(buffer, start, len, &data)
            }
            _ => Err(CallStatus::BadArgument),
        }
    }

    fn property(&mut self, path: &[u8]) -> CallResult<Bytes> {
        let Read { value, lacking } =
            properties::get(&self.core, self.effective_plugin(), self.stream(), self.connection(), path);
        if let Some(fact) = lacking
            && let Some(told) = self.told_as_lacking()
            && told.insert(fact)
        {
            let text = format!("a property asked for {fact}, which the recording does not tell");
            self.finding(FindingKind::NotRecorded, text);
        }
        if let Some(ledger) = &mut self.core.ledger {
            let status = value.as_ref().err().map_or(0, |status| *status as u32);
            ledger.read(path, self.callback, status);
        }
        value
    }

    fn set_property(&mut self, path: Bytes, value: Bytes) -> CallResult {
        let read_only = self.is_declared_read_only(&path);
        let bytes = value.len();
        let object = FilterStateObject { value, read_only, span: 0 };
        let state = self.filter_state_mut().ok_or(CallStatus::NotFound)?;
        let stored = state.set(filter_state::name_of_property(&path), object)?;
        self.check_room(stored, "the filter state holds", filter_state::BYTES_MAX);
        self.note(What::SetProperty { path, bytes });
        Ok(())
    }

    fn http_call(&mut self, callout: HttpCallout) -> CallResult<CalloutToken> {
        self.call_out(callout)
    }

    fn callout_status(&mut self) -> (u32, Bytes) {
        (self.core.plugins[self.effective_plugin().0].callout_code, self.status.clone())
    }

    fn shared_data(&mut self, key: &[u8]) -> CallResult<(Bytes, u32)> {
        let core = &self.core;
        core.shared_data.get(&core.vms[self.vm.0].vm_id, key)
    }

    fn set_shared_data(&mut self, key: &[u8], value: Bytes, cas: u32) -> CallResult {
        let core = &mut self.core;
        let stored = core.shared_data.set(&core.vms[self.vm.0].vm_id, key, value, cas)?;
        self.check_room(stored, "shared data holds", shared_data::BYTES_MAX);
        Ok(())
    }

    fn define_metric(&mut self, kind: MetricType, name: Bytes) -> CallResult<MetricId> {
        let id = self.core.metrics.define(self.vm.0, kind, name);
        if id.is_none() {
            let text = format!(
                "{} bytes of names or {} ids of metrics are defined: one more was refused",
                metrics::NAME_BYTES_MAX,
                metrics::IDS_MAX
            );
            self.finding(FindingKind::BoundReached, text);
        }
        id.ok_or(CallStatus::InternalFailure)
    }

    fn increment_metric(&mut self, id: MetricId, by: i64) -> CallResult {
        self.change_metric(id, Change::By(by))
    }

    fn record_metric(&mut self, id: MetricId, value: u64) -> CallResult {
        self.change_metric(id, Change::Recorded(value))
    }

    fn metric(&mut self, id: MetricId) -> CallResult<u64> {
        self.core.metrics.value(self.vm.0, id)
    }

    fn grpc_call(&mut self, call: GrpcRequest) -> CallResult<CalloutToken> {
        self.grpc_call_here(call)
    }

    fn grpc_stream(&mut self, method: GrpcMethod) -> CallResult<CalloutToken> {
        self.grpc_stream_here(&method)
    }

    fn grpc_send(&mut self, token: CalloutToken, message: Bytes, end_of_stream: bool) -> CallResult {
        self.grpc_send_here(token, message, end_of_stream)
    }

    fn grpc_cancel(&mut self, token: CalloutToken) -> CallResult {
        self.grpc_cancel_here(token)
    }

    fn grpc_close(&mut self, token: CalloutToken) -> CallResult {
        self.grpc_close_here(token)
    }

    fn begin_nested_callback(&mut self) -> Option<(ContextId, Callback)> {
        self.begin_nested()
    }

    fn end_nested_callback(&mut self) {
        self.end_nested();
    }

    fn register_queue(&mut self, name: Bytes) -> CallResult<QueueId> {
        Ok(self.register_queue_here(name))
    }

    fn resolve_queue(&mut self, vm_id: &[u8], name: &[u8]) -> CallResult<QueueId> {
        self.resolve_queue_here(vm_id, name)
    }

    fn enqueue(&mut self, queue: QueueId, data: Bytes) -> CallResult {
        self.enqueue_here(queue, data)
    }

    fn dequeue(&mut self, queue: QueueId) -> CallResult<Bytes> {
        self.dequeue_here(queue)
    }

    fn foreign_function(&mut self, name: &[u8], arguments: Bytes) -> CallResult<ForeignAnswer> {
        foreign::call(self, name, &arguments).ok_or(CallStatus::NotFound)
    }

    fn resolve_dns(&mut self, name: Bytes) -> CallResult<CalloutToken> {
        self.resolve_dns_here(&name)
    }
}
