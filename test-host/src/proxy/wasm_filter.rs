//! Where chain and VM meet: a filter's callback with what it may see before, and what its answer means after.

use bytes::Bytes;

use super::{
    ActiveContext, Proxy,
    core::{Core, Effect, Owner, PluginIndex},
    spec::FailurePolicy,
    streams::state::{FilterContext, StreamId},
};
use crate::{
    abi::{Callback, ContextId, GuestFault},
    message::HeaderMap,
    stream::{Action, FilterIndex, MessageState, Part, Path, Reply},
    trace::{FindingKind, What},
};

/// How a filter stands to a stream.
pub(super) struct Standing {
    pub(super) plugin: PluginIndex,
    /// Known to the guest.
    pub(super) context: Option<ContextId>,
    /// The stream began without this filter.
    pub(super) passed_by: bool,
    /// The VM that the stream began with has failed; a new one may be in its place.
    pub(super) lost: bool,
}

impl Core {
    /// `None`: the stream is gone.
    pub(super) fn standing(&self, id: StreamId, filter: FilterIndex) -> Option<Standing> {
        let stream = self.streams.get(&id)?;
        let (plugin, entry) = (*stream.chain.get(filter.0)?, stream.filters.get(filter.0)?);
        let vm = &self.vms[self.plugins[plugin.0].vm.0];
        let lost = vm.generation != entry.generation || vm.fault.is_some();
        Some(Standing { plugin, context: entry.context, passed_by: entry.passed_by, lost })
    }
}

/// What came of calling a guest.
pub(super) struct Answered {
    /// `None`: the module does not export the callback, or its VM is dead.
    pub(super) number: Option<u32>,
    /// It asked for a local reply: the stream stops, whatever it returned.
    stop: bool,
    pub(super) failed: bool,
}

impl Answered {
    /// A configuration callback said no.
    pub(super) fn refuses(&self) -> bool {
        self.number == Some(0)
    }
}

impl Proxy {
    /// Shows a part of a message to a filter. Says what the filter manager is to do.
    pub(super) fn call_filter(
        &mut self,
        id: StreamId,
        filter: FilterIndex,
        path: Path,
        part: Part,
    ) -> Action {
        let Some(standing) = self.core_mut().standing(id, filter).filter(|standing| !standing.passed_by)
        else {
            return Action::Continue;
        };
        let is_first = path == Path::Decode && matches!(part, Part::Headers { .. });
        let plugin = standing.plugin;
        let context = match standing.context {
            None if !is_first => return Action::Continue,
            _ if standing.lost => return self.pass_dead_vm(id, filter, path, part),
            Some(context) => context,
            None => match self.create_context(id, filter, &standing) {
                Some(context) => context,
                None => return self.pass_dead_vm(id, filter, path, part),
            },
        };
        if self.overflows(id, filter, path, part) {
            self.refuse_body(id, path);
            if path == Path::Encode {
                return Action::StopNoBuffer;
            }
        }
        let Some(callback) = self.show(id, filter, path, part) else {
            return Action::Continue;
        };
        let answered = self.call_guest(plugin, context, callback);
        if answered.failed {
            return self.pass_dead_vm(id, filter, path, part);
        }
        let action = self.action_of(plugin, part, &answered);
        self.hide(id, filter, path, part, action);
        if answered.number.is_some() {
            let what = What::Called { callback: callback.name(), action: Some(action) };
            self.core_mut().note(Some(Owner::Stream(id, filter)), what);
        }
        action
    }

    /// Puts new data behind that which a filter buffers. `true`: that is too much.
    fn overflows(&mut self, id: StreamId, filter: FilterIndex, path: Path, part: Part) -> bool {
        let Some(stream) = self.core_mut().streams.get_mut(&id) else {
            return false;
        };
        let buffers = stream.filters.get(filter.0).is_some_and(|context| context.view(path).buffering);
        matches!(part, Part::Data { .. }) && buffers && !stream.manager.buffer_chunk(path)
    }

    /// Lets the filter see the part; the callback to make, with the sizes the guest is told.
    fn show(&mut self, id: StreamId, filter: FilterIndex, path: Path, part: Part) -> Option<Callback> {
        let core = self.core_mut();
        let requested = core.streams.get(&id).and_then(|stream| core.request_headers(stream));
        let requested = requested.map_or(0, HeaderMap::len) as u32;
        let stream = core.streams.get_mut(&id)?;
        let context = stream.filters.get_mut(filter.0)?;
        let message = stream.manager.message_mut(path);
        let count = |map: &Option<HeaderMap>| map.as_ref().map_or(0, HeaderMap::len) as u32;
        Some(match (path, part) {
            (Path::Decode, Part::Headers { end_of_stream }) => {
                context.request.headers = true;
                context.end_of_stream = end_of_stream;
                Callback::RequestHeaders { count: requested, end_of_stream }
            }
            (Path::Encode, Part::Headers { end_of_stream }) => {
                context.response.headers = true;
                context.end_of_stream = end_of_stream;
                Callback::ResponseHeaders { count: count(&message.headers), end_of_stream }
            }
            (_, Part::Data { end_of_stream }) => show_data(context, message, path, end_of_stream),
            (Path::Decode, Part::Trailers) => {
                context.request.trailers = true;
                Callback::RequestTrailers { count: count(&message.trailers) }
            }
            (Path::Encode, Part::Trailers) => {
                context.response.trailers = true;
                Callback::ResponseTrailers { count: count(&message.trailers) }
            }
        })
    }

    /// Takes from the filter's sight what it let go.
    fn hide(&mut self, id: StreamId, filter: FilterIndex, path: Path, part: Part, action: Action) {
        let Some(stream) = self.core_mut().streams.get_mut(&id) else {
            return;
        };
        let Some(context) = stream.filters.get_mut(filter.0) else {
            return;
        };
        let view = context.view_mut(path);
        if let Part::Data { end_of_stream } = part {
            view.buffering = action == Action::StopAndBuffer;
            view.dangling =
                end_of_stream && matches!(action, Action::StopAndWatermark | Action::StopNoBuffer);
        }
        if action != Action::Continue {
            return;
        }
        // Headers held by an earlier stop stay in sight although they go on with the body (seen on Envoy 1.40).
        match part {
            Part::Headers { .. } => view.headers = false,
            Part::Data { .. } => view.body = false,
            Part::Trailers => view.trailers = false,
        }
    }

    fn action_of(&mut self, plugin: PluginIndex, part: Part, answered: &Answered) -> Action {
        let allow_stop = self.core_mut().plugins[plugin.0].spec.allow_on_headers_stop_iteration;
        let number = answered.number.unwrap_or(0);
        match part {
            _ if answered.stop => stopped(part),
            Part::Headers { .. } => match number {
                0 | 2 => Action::Continue,
                1 if allow_stop => Action::StopIteration,
                3 => Action::StopAllAndBuffer,
                _ => Action::StopAllAndWatermark,
            },
            Part::Data { .. } => match number {
                0 => Action::Continue,
                1 => Action::StopAndBuffer,
                2 => Action::StopAndWatermark,
                _ => Action::StopNoBuffer,
            },
            Part::Trailers if number == 0 => Action::Continue,
            Part::Trailers => Action::StopIteration,
        }
    }

    /// A filter whose VM is dead: passed by where the policy says so, else a 503, once for the stream.
    fn pass_dead_vm(&mut self, id: StreamId, filter: FilterIndex, path: Path, part: Part) -> Action {
        let Some(plugin) = self.plugin_of(id, filter) else {
            return Action::Continue;
        };
        if self.core_mut().plugins[plugin.0].spec.failure_policy == FailurePolicy::LegacyOpen {
            return Action::Continue;
        }
        let Some(stream) = self.core_mut().streams.get_mut(&id) else {
            return Action::Continue;
        };
        let context = &mut stream.filters[filter.0];
        if !std::mem::replace(&mut context.failure_replied, true) {
            self.set_details(id, b"wasm_fail_stream");
            let headers = HeaderMap::new();
            self.drop_effects_behind_failure(id, filter, path);
            self.reply(id, Reply { status: 503, headers, body: Bytes::new(), grpc_status: Some(14) });
            return stopped(part);
        }
        Action::Continue
    }

    /// What a callback asked for before it trapped comes behind the 503 in Envoy too, and some of it is then asked of a
    /// stream that is gone (seen on Envoy 1.40; with `fail_open` there is no 503, and all of it is carried out).
    fn drop_effects_behind_failure(&mut self, id: StreamId, filter: FilterIndex, path: Path) {
        let core = self.core_mut();
        let deadly = |effect: &Effect| match effect {
            Effect::Close { stream, .. } => *stream == id,
            Effect::Reply { stream, .. } => *stream == id && path == Path::Encode,
            _ => false,
        };
        let before = core.effects.len();
        core.effects.retain(|effect| !deadly(effect));
        if core.effects.len() < before {
            let text = "asked for a reply or a reset, and then trapped: Envoy carries it out on a stream that its own 503 has \
                        ended, and crashes";
            core.found(Some(Owner::Stream(id, filter)), FindingKind::WouldCrashEnvoy, text);
        }
    }

    /// Creates the filter's context for the stream, unless it is there. `None`: the stream does without the filter, or its
    /// VM is dead.
    pub(super) fn create_context(
        &mut self,
        id: StreamId,
        filter: FilterIndex,
        standing: &Standing,
    ) -> Option<ContextId> {
        if standing.lost || standing.passed_by {
            return None;
        }
        if standing.context.is_some() {
            return standing.context;
        }
        let core = self.core_mut();
        let root = core.plugins[standing.plugin.0].root;
        let entry = core.streams.get_mut(&id)?.filters.get_mut(filter.0)?;
        let (_, context) = entry.reserved?;
        entry.context = Some(context);
        let callback = Callback::ContextCreate { parent: root.0 };
        let answered = self.call_guest(standing.plugin, context, callback);
        (!answered.failed).then_some(context)
    }

    /// Calls a guest with the proxy lent to it. Fuel is counted; a fault kills the VM and is noted.
    pub(super) fn call_guest(
        &mut self,
        plugin: PluginIndex,
        context: ContextId,
        callback: Callback,
    ) -> Answered {
        let index = self.core_mut().plugins[plugin.0].vm;
        let failed = Answered { number: None, stop: false, failed: true };
        let Some(vm) = self.vms[index.0].vm.as_mut() else { return failed };
        let Some(mut lent) = self.lent.take() else { return failed };
        lent.core.running = lent.core.vms[index.0].thread;
        lent.begin(plugin, context, callback.name());
        let (active, answer) = vm.call(lent, context, callback);
        let fuel = vm.fuel_used();
        let active = self.lent.insert(active);
        let (stop, told) = (active.stop, active.broken);
        if fuel.is_some() {
            let owner = active.core.owner(plugin, context);
            active.core.usage(owner, plugin).burn(fuel);
        }
        let filter = active.core.plugins[plugin.0].filter;
        if let Some(ledger) = &mut active.core.ledger
            && answer != Ok(None)
        {
            ledger.ran(filter, callback.name(), std::mem::take(&mut active.made));
        }
        match answer {
            Ok(number) => {
                if let (Some(ledger), Some(_)) = (&mut active.core.ledger, number) {
                    ledger.callbacks.insert(callback.name());
                }
                Answered { number, stop, failed: false }
            }
            Err(fault) => {
                // It may have been in the middle of a nested callback.
                active.hide();
                self.vm_failed(plugin, context, fault, told);
                Answered { number: None, stop, failed: true }
            }
        }
    }

    /// As [`Self::call_guest`]; `show` puts before the guest what it may see in this callback alone.
    pub(super) fn call_guest_showing(
        &mut self,
        show: impl FnOnce(&mut ActiveContext),
        plugin: PluginIndex,
        context: ContextId,
        callback: Callback,
    ) -> Answered {
        if let Some(lent) = &mut self.lent {
            show(lent);
        }
        let answered = self.call_guest(plugin, context, callback);
        if let Some(lent) = &mut self.lent {
            lent.hide();
        }
        answered
    }

    /// `told`: the fault is noted already, at the place where it happened.
    fn vm_failed(&mut self, plugin: PluginIndex, context: ContextId, fault: GuestFault, told: bool) {
        let core = self.core_mut();
        let owner = core.owner(plugin, context);
        let vm = core.plugins[plugin.0].vm;
        match fault {
            GuestFault::EnvoyCrash { .. } => {
                core.found(owner, FindingKind::WouldCrashEnvoy, fault.to_string());
            }
            GuestFault::Endless { callback, .. } | GuestFault::OutOfFuel { callback, .. } => {
                let text = format!(
                    "{callback} on context {} does not return: Envoy's worker is blocked for ever, with every connection it has; \
                     here the VM counts as dead",
                    context.0
                );
                core.found(owner, FindingKind::WouldHangEnvoy, text);
            }
            _ => {}
        }
        if !told {
            core.note(owner, What::Fault { reason: fault.to_string() });
        }
        core.vms[vm.0].fault = Some(fault);
        // What the callback asked for before it broke is carried out after the 503, and so mostly finds the stream answered.
        self.vms[vm.0].vm = None;
    }

    pub(super) fn tick(&mut self, plugin: PluginIndex, arming: u64) {
        let state = &self.core_mut().plugins[plugin.0];
        if state.armings != arming || state.tick.is_none() {
            return;
        }
        let root = state.root;
        let answered = self.call_guest(plugin, root, Callback::Tick);
        let state = &self.core_mut().plugins[plugin.0];
        // Envoy arms the next tick once the callback is over.
        if !answered.failed && state.armings == arming {
            let period = state.tick;
            self.core_mut().arm_tick(plugin, period);
        }
    }

    pub(super) fn plugin_of(&mut self, id: StreamId, filter: FilterIndex) -> Option<PluginIndex> {
        self.core_mut().streams.get(&id)?.chain.get(filter.0).copied()
    }

    pub(super) fn generation_of(&mut self, plugin: PluginIndex) -> u32 {
        let core = self.core_mut();
        core.vms[core.plugins[plugin.0].vm.0].generation
    }

    pub(super) fn fault_of(&mut self, plugin: PluginIndex) -> Option<&GuestFault> {
        let core = self.core_mut();
        core.vms[core.plugins[plugin.0].vm.0].fault.as_ref()
    }
}

/// While buffering, the guest is shown all that waits, with the new data behind it.
fn show_data(
    context: &mut FilterContext,
    message: &mut MessageState,
    path: Path,
    end_of_stream: bool,
) -> Callback {
    let view = context.view_mut(path);
    view.body = true;
    view.dangling = false;
    let shown = if view.buffering { message.waiting() } else { message.chunk() };
    let size = shown.map_or(0, Bytes::len) as u32;
    context.end_of_stream = end_of_stream;
    match path {
        Path::Decode => Callback::RequestBody { size, end_of_stream },
        Path::Encode => Callback::ResponseBody { size, end_of_stream },
    }
}

fn stopped(part: Part) -> Action {
    match part {
        Part::Headers { .. } => Action::StopAllAndWatermark,
        Part::Data { .. } => Action::StopNoBuffer,
        Part::Trailers => Action::StopIteration,
    }
}
