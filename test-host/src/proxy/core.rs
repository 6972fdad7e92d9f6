//! All of a proxy that its guests can see: lent to a VM for the length of one callback.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use super::{
    callouts::AnsweredCallout,
    foreign::ForeignData,
    grpc::{GrpcCalls, GrpcEvent, GrpcId, Told},
    metrics::Metrics,
    numbered::Numbered,
    queues::{Consumer, Queues},
    shared_data::SharedData,
    spec::{FailurePolicy, PluginSpec, ProxySpec},
    streams::Streams,
    streams::router_timeouts::RouteTimeout,
    streams::state::{StreamId, StreamState},
    streams::timers::StreamTimer,
    tcp::{ConnectionId, TcpState},
    threads::{Listeners, PluginKey, UpstreamChain, UpstreamOf},
};
use crate::{
    abi::{ContextId, GuestFault, LocalReply, LogLevel, QueueId},
    clock::Rng,
    stream::{FilterIndex, Path},
    trace::{Entry, FilterNumber, FindingKind, Ledger, Thread, Trace, TraceLevel, Usage, What},
    upstream::Services,
};

/// The number of a plugin on a thread, that is of a root context, within its proxy. Equal filters of a VM share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PluginIndex(pub(crate) usize);

/// A VM's number within its proxy. Numbers are not used again: a VM in the place of a dead one has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct VmIndex(pub(crate) usize);

/// What a callback asked for, carried out after it returned: a guest is never entered twice at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Resume {
        stream: StreamId,
        filter: FilterIndex,
        path: Path,
    },
    Reply {
        stream: StreamId,
        filter: FilterIndex,
        reply: LocalReply,
    },
    Close {
        stream: StreamId,
        filter: FilterIndex,
    },
    ContinueConnection {
        connection: ConnectionId,
        filter: FilterIndex,
    },
    CloseConnection {
        connection: ConnectionId,
    },
    /// A parked root is done.
    DeleteRoot {
        plugin: PluginIndex,
    },
    /// The end of a gRPC call that came within the hostcall that began it.
    TellGrpc {
        plugin: PluginIndex,
        id: GrpcId,
        told: Told,
    },
}

impl Effect {
    pub(crate) fn stream(&self) -> Option<StreamId> {
        match self {
            Effect::Resume { stream, .. } | Effect::Reply { stream, .. } | Effect::Close { stream, .. } => {
                Some(*stream)
            }
            Effect::DeleteRoot { .. }
            | Effect::TellGrpc { .. }
            | Effect::ContinueConnection { .. }
            | Effect::CloseConnection { .. } => None,
        }
    }
}

/// Something that will happen to this proxy by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The n-th arming of a plugin's tick: an older one is void.
    Tick {
        plugin: PluginIndex,
        arming: u64,
    },
    /// `generation`: of the plugin that asked. In a new VM it gets no answer.
    CalloutAnswer {
        plugin: PluginIndex,
        generation: u32,
        token: u32,
        answer: Box<AnsweredCallout>,
    },
    Grpc {
        id: GrpcId,
        event: GrpcEvent,
    },
    /// Something has come into a shared queue.
    QueueReady {
        consumer: Consumer,
        queue: QueueId,
    },
    /// A name that a guest asked for is resolved, or is not.
    Resolved {
        plugin: PluginIndex,
        generation: u32,
        token: u32,
        result: Bytes,
    },
    /// The recorded client went away without an answer.
    ClientLeaves {
        stream: StreamId,
    },
    /// What an attempt meets.
    UpstreamAnswer {
        stream: StreamId,
    },
    /// A further attempt begins.
    NextAttempt {
        stream: StreamId,
    },
    /// The time of listeners that a new configuration replaced is over.
    Drained {
        listeners: Listeners,
    },
    /// It breaks off in the middle of its answer.
    UpstreamBreaks {
        stream: StreamId,
    },
    /// An end of a TCP connection does something.
    TcpStep {
        connection: ConnectionId,
        step: usize,
    },
    RouteTimeout {
        stream: StreamId,
        of: RouteTimeout,
    },
    StreamTimer {
        stream: StreamId,
        timer: StreamTimer,
    },
}

impl Due {
    /// The stream that it happens to.
    pub(crate) fn stream(&self) -> Option<StreamId> {
        match self {
            Due::ClientLeaves { stream }
            | Due::UpstreamAnswer { stream }
            | Due::NextAttempt { stream }
            | Due::UpstreamBreaks { stream }
            | Due::RouteTimeout { stream, .. }
            | Due::StreamTimer { stream, .. } => Some(*stream),
            Due::Tick { .. }
            | Due::CalloutAnswer { .. }
            | Due::Grpc { .. }
            | Due::QueueReady { .. }
            | Due::Resolved { .. }
            | Due::Drained { .. }
            | Due::TcpStep { .. } => None,
        }
    }

    /// It matters only to streams that wait, and is no reason to go on without them.
    pub(crate) fn is_background(&self) -> bool {
        matches!(
            self,
            Due::Tick { .. }
                | Due::ClientLeaves { .. }
                | Due::Drained { .. }
                | Due::StreamTimer { .. }
                | Due::RouteTimeout { .. }
        )
    }
}

/// Who a context id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Root(PluginIndex),
    Stream(StreamId, FilterIndex),
    Connection(ConnectionId, FilterIndex),
}

/// A filter of the configuration. On each thread it has a plugin.
#[derive(Debug)]
pub(crate) struct FilterEntry {
    pub(crate) spec: Arc<PluginSpec>,
    pub(crate) listener: String,
    /// It is an access logger.
    pub(crate) is_logger: bool,
    /// The number of its base VM.
    pub(crate) base: usize,
    pub(crate) key: PluginKey,
}

/// A plugin on one thread.
#[derive(Debug)]
pub(crate) struct PluginState {
    pub(crate) spec: Arc<PluginSpec>,
    /// The first of the filters that share it.
    pub(crate) filter: FilterNumber,
    pub(crate) vm: VmIndex,
    pub(crate) loaded_at: Duration,
    /// It did not start on this thread: streams do without it.
    pub(crate) left_out: bool,
    /// It answered `on_done` with no: it stays until it calls `proxy_done`.
    pub(crate) parked: bool,
    pub(crate) root: ContextId,
    pub(crate) tick: Option<Duration>,
    pub(crate) armings: u64,
    /// Sticky code, and the message that exists only during the callback (`get_status`).
    pub(crate) callout_code: u32,
    pub(crate) usage: Usage,
}

impl PluginState {
    pub(crate) fn new(spec: Arc<PluginSpec>, filter: FilterNumber, vm: VmIndex) -> Self {
        PluginState {
            spec,
            filter,
            vm,
            loaded_at: Duration::ZERO,
            left_out: false,
            parked: false,
            root: ContextId(0),
            tick: None,
            armings: 0,
            callout_code: 0,
            usage: Usage::default(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct VmContexts {
    /// No other VM of the proxy has it: what was begun in one that is gone is told from what another began.
    pub(crate) generation: u32,
    pub(crate) thread: Thread,
    pub(crate) vm_id: String,
    pub(crate) contexts: Numbered<ContextId, Owner>,
    pub(crate) next_context: u32,
    pub(crate) next_callout: u32,
    pub(crate) next_grpc_call: u32,
    pub(crate) next_grpc_stream: u32,
    pub(crate) next_dns: u32,
    /// What foreign functions keep for each root.
    pub(crate) foreign: BTreeMap<ContextId, ForeignData>,
    pub(crate) fault: Option<GuestFault>,
}

impl VmContexts {
    pub(crate) fn new(generation: u32, thread: Thread, vm_id: String) -> Self {
        VmContexts {
            generation,
            thread,
            vm_id,
            contexts: Numbered::default(),
            next_context: 0,
            next_callout: 0,
            next_grpc_call: 0,
            next_grpc_stream: 0,
            next_dns: 0,
            foreign: BTreeMap::new(),
            fault: None,
        }
    }

    pub(crate) fn create(&mut self, owner: Owner) -> ContextId {
        self.next_context += 1;
        let id = ContextId(self.next_context);
        self.contexts.insert(id, owner);
        id
    }
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) spec: Arc<ProxySpec>,
    pub(crate) now: Duration,
    pub(crate) wall: Duration,
    /// The thread whose turn it is.
    pub(crate) running: Thread,
    pub(crate) log_level: LogLevel,
    /// What guests draw from.
    pub(crate) rng: Rng,
    /// What the proxy itself draws from.
    pub(crate) chance: Rng,
    /// Which worker gets a connection follows from this.
    pub(crate) scheduling: u64,
    pub(crate) filters: Vec<FilterEntry>,
    /// The filters of each listener, in the order of `chains`.
    pub(crate) chain_filters: Vec<Vec<FilterNumber>>,
    /// The filters that run once for each attempt of the router.
    pub(crate) upstream_chains: BTreeMap<UpstreamOf, UpstreamChain>,
    /// Requests that are being tried again, by cluster.
    pub(crate) retrying: BTreeMap<String, u32>,
    /// Connections that attempts behind upstream filters have left open, by worker and cluster.
    pub(crate) idle_upstream: BTreeMap<(Thread, String), u32>,
    /// All others are draining, or gone.
    pub(crate) current_listeners: Listeners,
    pub(crate) plugins: Vec<PluginState>,
    /// The filter chain of each listener, on each worker; behind those of HTTP, those of TCP.
    pub(crate) chains: Vec<Vec<Arc<[PluginIndex]>>>,
    pub(crate) vms: Vec<VmContexts>,
    pub(crate) streams: Streams,
    pub(crate) connections: BTreeMap<ConnectionId, TcpState>,
    pub(crate) shared_data: SharedData,
    pub(crate) queues: Queues,
    pub(crate) grpc: GrpcCalls,
    pub(crate) metrics: Metrics,
    /// Envoy's own counters of plugins: `wasm.<plugin>.vm_reload_success` and the like.
    pub(crate) stats: BTreeMap<String, u64>,
    pub(crate) services: Services,
    pub(crate) effects: VecDeque<Effect>,
    /// What to wake this proxy for, as delays from now; the event loop collects it.
    pub(crate) due: Vec<(Duration, Due)>,
    /// What happened outside any stream.
    pub(crate) trace: Trace,
    /// What guests called, where it is asked for.
    pub(crate) ledger: Option<Ledger>,
    pub(crate) trace_level: TraceLevel,
    /// Entries written to any trace.
    pub(crate) noted: u64,
    /// Imports that were called and are only linked, and how often.
    pub(crate) unimplemented: BTreeMap<&'static str, u64>,
}

impl Core {
    pub(crate) fn next_order(&mut self) -> u64 {
        self.noted += 1;
        self.noted
    }

    /// Notes what happened, on the stream it happened to or on the proxy.
    pub(crate) fn note(&mut self, owner: Option<Owner>, what: What) {
        if !self.trace_level.keeps(&what) {
            return;
        }
        let (at, order) = (self.now, self.next_order());
        if let Some(Owner::Stream(id, filter)) = owner
            && let Some(first) = self.streams.get(&id).map(|stream| stream.first_filter)
            && let Some(stream) = self.streams.get_mut(&id.downstream())
        {
            let filter = Some(FilterNumber(first + filter.0));
            return stream.trace.push(Entry { at, order, thread: stream.thread, filter, what });
        }
        if let Some(Owner::Connection(id, filter)) = owner
            && let Some(state) = self.connections.get_mut(&id)
        {
            let filter = Some(FilterNumber(state.first_filter + filter.0));
            return state.trace.push(Entry { at, order, thread: state.thread, filter, what });
        }
        let (thread, filter) = match owner {
            Some(Owner::Root(plugin)) => {
                let state = &self.plugins[plugin.0];
                let thread = self.vms.get(state.vm.0).map_or(self.running, |vm| vm.thread);
                (thread, Some(state.filter))
            }
            Some(Owner::Stream(..) | Owner::Connection(..)) | None => (self.running, None),
        };
        self.trace.push(Entry { at, order, thread, filter, what });
    }

    /// Whether everything is kept; where not, nothing need be put together for it.
    pub(crate) fn traces(&self) -> bool {
        self.trace_level == TraceLevel::On
    }

    /// Notes something a filter's author should know.
    pub(crate) fn found(&mut self, owner: Option<Owner>, kind: FindingKind, text: impl Into<String>) {
        self.note(owner, What::Finding { kind, text: text.into() });
    }

    /// A new stream does without a filter whose VM has failed, where its policy is `FAIL_OPEN`. Otherwise the stream has an id
    /// there from now on, although the guest hears of it later.
    pub(crate) fn enter_filter(&mut self, id: StreamId, stream: &mut StreamState, at: usize) {
        let (Some(plugin), Some(filter)) = (stream.chain.get(at), stream.filters.get_mut(at)) else {
            return;
        };
        let state = &self.plugins[plugin.0];
        let open = matches!(state.spec.failure_policy, FailurePolicy::Open | FailurePolicy::LegacyOpen);
        let vm = &mut self.vms[state.vm.0];
        filter.generation = vm.generation;
        filter.passed_by = state.left_out || (open && vm.fault.is_some());
        if !filter.passed_by && vm.fault.is_none() {
            filter.reserved = Some((state.vm, vm.create(Owner::Stream(id, FilterIndex(at)))));
        }
    }

    /// Who a context of a plugin's VM stands for.
    pub(crate) fn owner(&self, plugin: PluginIndex, context: ContextId) -> Option<Owner> {
        self.vms[self.plugins[plugin.0].vm.0].contexts.get(&context).copied()
    }

    pub(crate) fn note_proxy(&mut self, stream: StreamId, what: What) {
        if !self.trace_level.keeps(&what) {
            return;
        }
        let (at, order) = (self.now, self.next_order());
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.trace.push(Entry { at, order, thread: stream.thread, filter: None, what });
        }
    }

    /// Counts against the stream, or against the plugin where no stream is concerned.
    pub(crate) fn usage(&mut self, owner: Option<Owner>, plugin: PluginIndex) -> &mut Usage {
        let usage = match owner {
            Some(Owner::Stream(id, filter)) => {
                let filters = self.streams.get_mut(&id).map(|stream| &mut stream.filters);
                filters.and_then(|filters| filters.get_mut(filter.0)).map(|filter| &mut filter.usage)
            }
            Some(Owner::Connection(id, filter)) => {
                let filters = self.connections.get_mut(&id).map(|state| &mut state.filters);
                filters.and_then(|filters| filters.get_mut(filter.0)).map(|filter| &mut filter.usage)
            }
            Some(Owner::Root(_)) | None => None,
        };
        usage.unwrap_or(&mut self.plugins[plugin.0].usage)
    }

    /// (Re)arms a plugin's tick, or disarms it. What was armed before is void.
    pub(crate) fn arm_tick(&mut self, plugin: PluginIndex, period: Option<Duration>) {
        let state = &mut self.plugins[plugin.0];
        state.tick = period;
        state.armings += 1;
        if let Some(period) = period {
            self.due.push((period, Due::Tick { plugin, arming: state.armings }));
        }
    }
}
