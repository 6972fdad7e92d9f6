//! `FAIL_RELOAD`: a plugin whose VM has died gets a new one, with a back-off (`envoy-abi` 4.7).

use std::{sync::Arc, time::Duration};

use super::super::{
    Proxy,
    core::{Core, Owner, PluginIndex},
    spec::FailurePolicy,
    streams::state::{StreamId, StreamState},
};
use crate::trace::FindingKind;

impl Proxy {
    /// Gives a new stream its place in each filter of its chain.
    pub(in crate::proxy) fn enter_chain(&mut self, id: StreamId, stream: &mut StreamState) {
        for (at, plugin) in Arc::clone(&stream.chain).iter().enumerate().take(stream.filters.len()) {
            self.reload_if_due(*plugin);
            self.core_mut().enter_filter(id, stream, at);
        }
    }

    /// Asked for each filter of a new stream. Envoy draws the interval anew each time, and counts it from the last load, be that
    /// the first one.
    pub(in crate::proxy) fn reload_if_due(&mut self, plugin: PluginIndex) {
        if self.is_reload_due(plugin) {
            let name = self.core_mut().plugins[plugin.0].spec.name.clone();
            self.reload(plugin, &name);
        }
    }

    /// Whether a dead VM's time to be reloaded has come; that it has not is counted.
    pub(in crate::proxy) fn is_reload_due(&mut self, plugin: PluginIndex) -> bool {
        let core = self.core_mut();
        let state = &core.plugins[plugin.0];
        let (now, loaded_at) = (core.now, state.loaded_at);
        let FailurePolicy::Reload { base_interval } = state.spec.failure_policy else {
            return false;
        };
        if core.vms[state.vm.0].fault.is_none() {
            return false;
        }
        let name = state.spec.name.clone();
        let due = now.saturating_sub(loaded_at) >= core.jittered(base_interval);
        if !due {
            core.count_stat(&name, "vm_reload_backoff");
        }
        due
    }

    /// The new VM is the thread's own, without a canary; plugins that shared the dead one come to it as they are due.
    fn reload(&mut self, plugin: PluginIndex, name: &str) {
        let Some((nth, base)) = self.place_of(plugin) else {
            return;
        };
        let core = self.core_mut();
        let state = &mut core.plugins[plugin.0];
        let (vm, root) = (state.vm, state.root);
        state.callout_code = 0;
        core.arm_tick(plugin, None);
        let started = self.start_on(nth, base, plugin);
        let core = self.core_mut();
        core.plugins[plugin.0].loaded_at = core.now;
        match started {
            Ok(()) => {
                core.count_stat(name, "vm_reload_success");
                core.found(Some(Owner::Root(plugin)), FindingKind::VmReloaded, "VM reloaded");
            }
            Err(fault) => {
                let text = format!("VM not reloaded: {fault}");
                core.found(Some(Owner::Root(plugin)), FindingKind::VmReloaded, text);
                core.count_stat(name, "vm_reload_failure");
                core.arm_tick(plugin, None);
                // The dead one stays in force.
                let state = &mut core.plugins[plugin.0];
                (state.vm, state.root) = (vm, root);
            }
        }
    }

    /// The thread on which a plugin runs, and its base VM.
    fn place_of(&self, plugin: PluginIndex) -> Option<(usize, usize)> {
        self.threads.iter().enumerate().find_map(|(nth, thread)| {
            let (base, ..) = thread.plugins.iter().find(|(.., known)| *known == plugin)?;
            Some((nth, *base))
        })
    }
}

impl Core {
    /// One to one and a half times an interval.
    fn jittered(&mut self, base: Duration) -> Duration {
        let millis = u64::try_from(base.as_millis()).unwrap_or(u64::MAX);
        let more = match millis / 2 {
            0 => 0,
            half => self.chance.number() % half,
        };
        Duration::from_millis(millis.saturating_add(more))
    }
}
