//! TCP: network filters in front of a `tcp_proxy`, as Envoy's `source/common/network/filter_manager_impl.cc` runs them.
//!
//! A connection can be followed from top to bottom here: [`Proxy::begin_connection`] asks the filters whether it may go on and
//! connects; every step of its ends is [`Proxy::tcp_step`]; [`Proxy::read`] and [`Proxy::write`] take what waits through the
//! filters; [`Proxy::close_connection`] is its end. Seen on Envoy 1.40: the tcp_proxy reads nothing from the client before it
//! has a connection, what a filter stops at stays in the buffer and comes again with what follows, and an end of both sides
//! closes the connection, whatever the filters say.

mod hostcalls;
mod state;

pub(crate) use state::{ConnectionId, NetworkFilter, TcpState};
pub use state::{TcpEnd, TcpOutcome};

use std::time::Duration;

use super::{
    Proxy,
    core::{Due, Owner, PluginIndex},
    spec::FailurePolicy,
};
use crate::{
    abi::Callback,
    message::{Peer, RecordedConnection, TcpEvent},
    stream::{Action, FilterIndex},
    trace::{FindingKind, What},
};

/// `UH` and `UF` of `response.flags`.
const NO_HEALTHY_UPSTREAM: u64 = 1 << 1;
const CONNECTION_FAILURE: u64 = 1 << 5;

impl Proxy {
    /// Brings in a recorded connection. `number` tells it apart from the others of this proxy. Where no listener takes it,
    /// that is found on the proxy.
    pub(crate) fn begin_connection(
        &mut self,
        number: usize,
        recorded: RecordedConnection,
        now: Duration,
        wall: Duration,
    ) {
        self.tell_time(now, wall);
        let core = self.core_mut();
        let takes = |name: &str| recorded.listener.as_deref().is_none_or(|wanted| wanted == name);
        let mut current = core.current_listeners.tcp.iter().copied();
        let listener = current
            .find(|place| core.spec.tcp_listeners.get(*place).is_some_and(|listener| takes(&listener.name)));
        let Some(listener) = listener else {
            let text = format!("connection {number}: no listener proxies TCP for it");
            return core.found(None, FindingKind::NotRecorded, text);
        };
        core.running = core.worker_for_connection(&recorded);
        let place = core.chain_of(core.spec.listeners.len() + listener);
        for plugin in place.1.iter() {
            self.reload_if_due(*plugin);
        }
        let core = self.core_mut();
        let id = ConnectionId(number);
        for (step, taken) in recorded.steps.iter().enumerate() {
            core.due.push((taken.at, Due::TcpStep { connection: id, step }));
        }
        let mut state = TcpState::new(recorded, listener, place, core.now);
        for (plugin, filter) in state.chain.iter().zip(&mut state.filters) {
            let plugin = &core.plugins[plugin.0];
            let open = matches!(plugin.spec.failure_policy, FailurePolicy::Open | FailurePolicy::LegacyOpen);
            filter.generation = core.vms[plugin.vm.0].generation;
            filter.passed_by = plugin.left_out || open && core.vms[plugin.vm.0].fault.is_some();
        }
        core.connections.insert(id, state);
        self.read(id, 0);
        self.apply_effects();
        self.run_ready();
    }

    /// One end did something.
    pub(super) fn tcp_step(&mut self, id: ConnectionId, step: usize) {
        let Some(state) = self.connection(id) else { return };
        let Some(taken) = state.recorded.steps.get(step).cloned() else { return };
        match taken.from {
            Peer::Client if taken.event == TcpEvent::Reset => {
                return self.close_connection(id, TcpEnd::Remote);
            }
            Peer::Client => state.downstream.unread.push_back(taken.event),
            Peer::Server => state.upstream.unread.push_back(taken.event),
        }
        self.go_on_reading(id);
    }

    /// Takes what the ends sent, in their order. The upstream's answers wait for as long as a filter holds back what the client
    /// sent before them.
    fn go_on_reading(&mut self, id: ConnectionId) {
        while let Some(state) = self.connection(id).filter(|state| state.connected) {
            if let Some(event) = state.downstream.unread.pop_front() {
                self.client_did(id, event);
            } else if state.downstream.buffer.is_empty()
                && let Some(event) = state.upstream.unread.pop_front()
            {
                self.server_did(id, event);
            } else {
                return;
            }
        }
    }

    fn client_did(&mut self, id: ConnectionId, event: TcpEvent) {
        let Some(state) = self.connection(id) else { return };
        match event {
            TcpEvent::Data(data) => state.downstream.buffer.extend_from_slice(&data),
            TcpEvent::End => state.downstream.ended = true,
            TcpEvent::Reset => return self.close_connection(id, TcpEnd::Remote),
        }
        state.bytes_received = state.bytes_received.saturating_add(state.downstream.buffer.len() as u64);
        self.read(id, 0);
        let over =
            self.connection(id).is_some_and(|state| state.downstream.ended && state.upstream.end_forwarded);
        if over {
            return self.close_connection(id, TcpEnd::Remote);
        }
        self.close_if_upstream_is_done(id);
    }

    fn server_did(&mut self, id: ConnectionId, event: TcpEvent) {
        let Some(state) = self.connection(id) else { return };
        match event {
            TcpEvent::Data(data) => state.upstream.buffer.extend_from_slice(&data),
            TcpEvent::End => state.upstream.ended = true,
            TcpEvent::Reset => return self.close_connection(id, TcpEnd::Local),
        }
        self.write(id);
        self.close_if_upstream_is_done(id);
    }

    /// Once both ends of the upstream's connection are done, the tcp_proxy closes the client's.
    fn close_if_upstream_is_done(&mut self, id: ConnectionId) {
        let done = |state: &mut TcpState| state.upstream.ended && state.downstream.end_forwarded;
        if self.connection(id).is_some_and(done) {
            self.close_connection(id, TcpEnd::Local);
        }
    }

    /// Shows what waits to the filters from this one on, and has the tcp_proxy send it, unless one of them stops it.
    fn read(&mut self, id: ConnectionId, from: usize) {
        let filters = self.connection(id).map_or(0, |state| state.chain.len());
        for filter in (from..filters).map(FilterIndex) {
            let Some(state) = self.connection(id) else { return };
            if !std::mem::replace(&mut state.filters[filter.0].initialized, true)
                && self.ask(id, filter, |_| Some(Callback::NewConnection)).stops(self, id)
            {
                return;
            }
            let asked = self.ask(id, filter, |state| {
                let (size, end_of_stream) = (state.downstream.buffer.len(), state.downstream.ended);
                if size == 0 && !end_of_stream {
                    return None;
                }
                state.filters[filter.0].sees_downstream = true;
                Some(Callback::DownstreamData { size: told(size), end_of_stream })
            });
            if asked == Asked::Continue
                && let Some(state) = self.connection(id)
            {
                state.filters[filter.0].sees_downstream = false;
            }
            if asked.stops(self, id) {
                return;
            }
        }
        match self.connection(id) {
            Some(state) if state.connected => state.send_upstream(),
            Some(_) => self.connect(id),
            None => {}
        }
    }

    /// Shows what came from the upstream to the filters, the last first, and sends it to the client, unless one of them stops
    /// it.
    fn write(&mut self, id: ConnectionId) {
        let filters = self.connection(id).map_or(0, |state| state.chain.len());
        for filter in (0..filters).rev().map(FilterIndex) {
            let Some(state) = self.connection(id) else { return };
            let (size, end_of_stream) = (state.upstream.buffer.len(), state.upstream.ended);
            let asked = self.ask(id, filter, |state| {
                state.filters[filter.0].sees_upstream = true;
                Some(Callback::UpstreamData { size: told(size), end_of_stream })
            });
            if asked == Asked::Continue
                && let Some(state) = self.connection(id)
            {
                state.filters[filter.0].sees_upstream = false;
            }
            if end_of_stream && self.connection(id).is_some() {
                // Envoy tells of it here, since it does not watch the upstream's connection.
                self.tell(id, filter, Callback::UpstreamConnectionClose { by: 0 });
                self.apply_effects();
            }
            if asked.stops(self, id) {
                return;
            }
        }
        if let Some(state) = self.connection(id) {
            state.send_downstream();
        }
    }

    fn connect(&mut self, id: ConnectionId) {
        let core = self.core_mut();
        let spec = std::sync::Arc::clone(&core.spec);
        let Some(state) = core.connections.get_mut(&id) else { return };
        let cluster =
            spec.tcp_listeners.get(state.listener).and_then(|listener| spec.clusters.get(&listener.cluster));
        if !cluster.is_some_and(|cluster| cluster.endpoints.iter().any(|endpoint| endpoint.healthy)) {
            state.response_flags |= NO_HEALTHY_UPSTREAM;
            return self.close_connection(id, TcpEnd::Local);
        }
        if state.recorded.refused {
            state.response_flags |= CONNECTION_FAILURE;
            return self.close_connection(id, TcpEnd::Local);
        }
        state.connected = true;
        self.go_on_reading(id);
    }

    /// `continue_stream(downstream)`: what waits goes on behind the filter.
    pub(super) fn continue_reading(&mut self, id: ConnectionId, filter: FilterIndex) {
        self.read(id, filter.0 + 1);
        self.close_if_upstream_is_done(id);
        self.go_on_reading(id);
    }

    /// The end: filter by filter `on_downstream_connection_close`, and then `on_done`, `on_log`, `on_delete`.
    pub(super) fn close_connection(&mut self, id: ConnectionId, end: TcpEnd) {
        let Some(state) = self.connection(id) else { return };
        state.end = Some(end);
        let filters = state.chain.len();
        for filter in (0..filters).map(FilterIndex) {
            if self.context_of_connection(id, filter).is_none() {
                continue;
            }
            let last = [
                Callback::DownstreamConnectionClose { by: end.number() },
                Callback::Done,
                Callback::Log,
                Callback::Delete,
            ];
            for callback in last {
                self.tell(id, filter, callback);
                self.apply_effects();
            }
            self.forget(id, filter);
        }
        let core = self.core_mut();
        if let Some(state) = core.connections.remove(&id) {
            let listener = core.spec.tcp_listeners.get(state.listener);
            let listener = listener.map(|listener| listener.name.clone()).unwrap_or_default();
            let outcome = TcpOutcome::of(id, state, listener, core.now);
            self.finished_connections.push(outcome);
        }
    }

    /// A connection that is still open.
    fn connection(&mut self, id: ConnectionId) -> Option<&mut TcpState> {
        self.core_mut().connections.get_mut(&id).filter(|state| state.end.is_none())
    }

    fn context_of_connection(
        &mut self,
        id: ConnectionId,
        filter: FilterIndex,
    ) -> Option<(PluginIndex, crate::abi::ContextId)> {
        let core = self.core_mut();
        let state = core.connections.get(&id)?;
        let (plugin, filter) = (*state.chain.get(filter.0)?, state.filters.get(filter.0)?);
        let vm = &core.vms[core.plugins[plugin.0].vm.0];
        let is_alive = vm.generation == filter.generation && vm.fault.is_none();
        is_alive.then_some((plugin, filter.context?))
    }

    fn forget(&mut self, id: ConnectionId, filter: FilterIndex) {
        let Some((plugin, context)) = self.context_of_connection(id, filter) else { return };
        let core = self.core_mut();
        let vm = core.plugins[plugin.0].vm;
        core.vms[vm.0].contexts.remove(&context);
    }

    /// Calls a filter whose answer does not matter.
    fn tell(&mut self, id: ConnectionId, filter: FilterIndex, callback: Callback) {
        if let Some((plugin, context)) = self.context_of_connection(id, filter) {
            self.call_guest(plugin, context, callback);
        }
    }

    /// Calls a filter, if there is something to call it with, and carries out what it asked for.
    fn ask(
        &mut self,
        id: ConnectionId,
        filter: FilterIndex,
        callback: impl FnOnce(&mut TcpState) -> Option<Callback>,
    ) -> Asked {
        let Some(state) = self.connection(id) else { return Asked::Stop };
        let Some(callback) = callback(state) else { return Asked::Continue };
        let (plugin, passed_by) = (state.chain[filter.0], state.filters[filter.0].passed_by);
        if passed_by {
            return Asked::Continue;
        }
        if callback == Callback::NewConnection {
            self.create_network_context(id, filter, plugin);
        }
        let Some((plugin, context)) = self.context_of_connection(id, filter) else {
            return self.without_vm(plugin);
        };
        let answered = self.call_guest(plugin, context, callback);
        if answered.failed {
            return self.without_vm(plugin);
        }
        let stops = answered.number.is_some_and(|number| number == 1);
        if answered.number.is_some() {
            let action = if stops { Action::StopIteration } else { Action::Continue };
            let what = What::Called { callback: callback.name(), action: Some(action) };
            self.core_mut().note(Some(Owner::Connection(id, filter)), what);
        }
        self.apply_effects();
        if stops { Asked::Stop } else { Asked::Continue }
    }

    fn create_network_context(&mut self, id: ConnectionId, filter: FilterIndex, plugin: PluginIndex) {
        let core = self.core_mut();
        let (vm, root) = (core.plugins[plugin.0].vm, core.plugins[plugin.0].root);
        if core.vms[vm.0].fault.is_some() {
            return;
        }
        let context = core.vms[vm.0].create(Owner::Connection(id, filter));
        if let Some(state) = core.connections.get_mut(&id) {
            state.filters[filter.0].context = Some(context);
        }
        self.call_guest(plugin, context, Callback::ContextCreate { parent: root.0 });
        self.apply_effects();
    }

    /// A dead VM closes the connection, unless the deprecated `fail_open` says that traffic goes on.
    fn without_vm(&mut self, plugin: PluginIndex) -> Asked {
        let policy = self.core_mut().plugins[plugin.0].spec.failure_policy;
        if policy == FailurePolicy::LegacyOpen { Asked::Continue } else { Asked::Close }
    }

    /// Ends what is open when nothing more can happen.
    pub(super) fn close_open_connections(&mut self) {
        let open: Vec<ConnectionId> = self.core_mut().connections.keys().copied().collect();
        for id in open {
            self.close_connection(id, TcpEnd::Open);
        }
    }
}

/// What a filter said of going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Continue,
    Stop,
    /// Its VM is dead.
    Close,
}

impl Asked {
    /// Whether the iteration ends here; also where the callback has closed the connection.
    fn stops(self, proxy: &mut Proxy, id: ConnectionId) -> bool {
        if self == Asked::Close {
            proxy.close_connection(id, TcpEnd::Local);
        }
        self != Asked::Continue || proxy.connection(id).is_none()
    }
}

fn told(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
