//! All of a proxy that its guests can see: lent to a VM for the length of one callback.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    callouts::AnsweredCallout,
    metrics::Metrics,
    router_timeouts::RouteTimeout,
    shared_data::SharedData,
    spec::{FailurePolicy, PluginSpec, ProxySpec},
    stream_state::{StreamId, StreamState},
    stream_timers::StreamTimer,
};
use crate::{
    abi::{ContextId, GuestFault, HttpCallout, LocalReply, LogLevel},
    clock::Rng,
    stream::{FilterIndex, Path},
    trace::{Entry, FindingKind, Ledger, PluginIndex, Trace, Usage, What},
    upstream::Services,
};

/// A VM's number within its proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct VmIndex(pub(crate) usize);

/// What a callback asked for, carried out after it returned: a guest is never entered twice at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Resume { stream: StreamId, filter: FilterIndex, path: Path },
    Reply { stream: StreamId, filter: FilterIndex, reply: LocalReply },
    Close { stream: StreamId, filter: FilterIndex },
}

impl Effect {
    pub(crate) fn stream(&self) -> StreamId {
        match self {
            Effect::Resume { stream, .. } | Effect::Reply { stream, .. } | Effect::Close { stream, .. } => {
                *stream
            }
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
    /// `generation`: of the VM that asked. A new one in its place gets no answer.
    CalloutAnswer {
        plugin: PluginIndex,
        generation: u32,
        token: u32,
        answer: AnsweredCallout,
    },
    /// The recorded client went away without an answer.
    ClientLeaves {
        stream: StreamId,
    },
    UpstreamAnswer {
        stream: StreamId,
    },
    /// It breaks off in the middle of its answer.
    UpstreamBreaks {
        stream: StreamId,
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
    /// It matters only to streams that wait, and is no reason to go on without them.
    pub(crate) fn is_background(&self) -> bool {
        matches!(
            self,
            Due::Tick { .. } | Due::ClientLeaves { .. } | Due::StreamTimer { .. } | Due::RouteTimeout { .. }
        )
    }
}

/// Who a context id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Root(PluginIndex),
    Stream(StreamId, FilterIndex),
}

#[derive(Debug)]
pub(crate) struct PluginState {
    pub(crate) spec: Arc<PluginSpec>,
    pub(crate) vm: VmIndex,
    pub(crate) root: ContextId,
    pub(crate) tick: Option<Duration>,
    pub(crate) armings: u64,
    /// Sticky code, and the message that exists only during the callback (`get_status`).
    pub(crate) callout_code: u32,
    pub(crate) usage: Usage,
}

#[derive(Debug, Default)]
pub(crate) struct VmContexts {
    pub(crate) vm_id: String,
    pub(crate) contexts: BTreeMap<ContextId, Owner>,
    pub(crate) next_context: u32,
    pub(crate) next_callout: u32,
    pub(crate) fault: Option<GuestFault>,
    /// How often the VM has been made again.
    pub(crate) generation: u32,
}

impl VmContexts {
    /// Those of a new VM in the place of this one.
    pub(crate) fn renewed(&mut self) -> Self {
        VmContexts {
            vm_id: std::mem::take(&mut self.vm_id),
            generation: self.generation + 1,
            ..VmContexts::default()
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
    pub(crate) log_level: LogLevel,
    pub(crate) rng: Rng,
    pub(crate) plugins: Vec<PluginState>,
    /// The filter chain of each listener.
    pub(crate) chains: Vec<Arc<[PluginIndex]>>,
    pub(crate) vms: Vec<VmContexts>,
    pub(crate) streams: BTreeMap<StreamId, StreamState>,
    pub(crate) shared_data: SharedData,
    pub(crate) metrics: Metrics,
    pub(crate) services: Services,
    pub(crate) effects: VecDeque<Effect>,
    /// What to wake this proxy for, as delays from now; the event loop collects it.
    pub(crate) due: Vec<(Duration, Due)>,
    /// What happened outside any stream.
    pub(crate) trace: Trace,
    /// What guests called, where it is asked for.
    pub(crate) ledger: Option<Ledger>,
    /// Entries written to any trace.
    pub(crate) noted: u64,
    /// Imports that were called and are only linked, and how often.
    pub(crate) unimplemented: BTreeMap<&'static str, u64>,
}

impl Core {
    fn next_order(&mut self) -> u64 {
        self.noted += 1;
        self.noted
    }

    /// Notes what happened, on the stream it happened to or on the proxy.
    pub(crate) fn note(&mut self, owner: Option<Owner>, what: What) {
        let (at, order) = (self.now, self.next_order());
        match owner {
            Some(Owner::Stream(id, filter)) if self.streams.contains_key(&id) => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    let plugin = stream.chain.get(filter.0).copied();
                    stream.trace.push(Entry { at, order, plugin, what });
                }
            }
            Some(Owner::Root(plugin)) => {
                self.trace.push(Entry { at, order, plugin: Some(plugin), what });
            }
            _ => self.trace.push(Entry { at, order, plugin: None, what }),
        }
    }

    /// Notes something a filter's author should know.
    pub(crate) fn found(&mut self, owner: Option<Owner>, kind: FindingKind, text: impl Into<String>) {
        self.note(owner, What::Finding { kind, text: text.into() });
    }

    /// A new stream does without the filters whose VM has failed, where their policy is `FAIL_OPEN`.
    pub(crate) fn pass_by_failed_open(&self, stream: &mut StreamState) {
        for (plugin, filter) in stream.chain.iter().zip(&mut stream.filters) {
            let state = &self.plugins[plugin.0];
            let open = matches!(state.spec.failure_policy, FailurePolicy::Open | FailurePolicy::LegacyOpen);
            filter.generation = self.vms[state.vm.0].generation;
            filter.passed_by = open && self.vms[state.vm.0].fault.is_some();
        }
    }

    /// Who a context of a plugin's VM stands for.
    pub(crate) fn owner(&self, plugin: PluginIndex, context: ContextId) -> Option<Owner> {
        self.vms[self.plugins[plugin.0].vm.0].contexts.get(&context).copied()
    }

    pub(crate) fn note_proxy(&mut self, stream: StreamId, what: What) {
        let (at, order) = (self.now, self.next_order());
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.trace.push(Entry { at, order, plugin: None, what });
        }
    }

    /// Counts against the stream, or against the plugin where no stream is concerned.
    pub(crate) fn usage(&mut self, owner: Option<Owner>, plugin: PluginIndex) -> &mut Usage {
        if let Some(Owner::Stream(id, filter)) = owner
            && self.streams.contains_key(&id)
            && let Some(stream) = self.streams.get_mut(&id)
        {
            return &mut stream.filters[filter.0].usage;
        }
        &mut self.plugins[plugin.0].usage
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

    /// Starts a callout: asks its script, and has the answer come when it is due.
    pub(crate) fn call_out(
        &mut self,
        plugin: PluginIndex,
        token: u32,
        callout: HttpCallout,
        cluster: &str,
    ) -> bool {
        let answer = self.services.answer(cluster, &callout);
        let Some((after, answer)) = super::callouts::outcome(answer, &callout) else {
            return false;
        };
        if let Some(after) = after {
            let generation = self.vms[self.plugins[plugin.0].vm.0].generation;
            self.due.push((after, Due::CalloutAnswer { plugin, generation, token, answer }));
        }
        true
    }
}
