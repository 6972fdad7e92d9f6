//! A new configuration for a running proxy: a listener update, as Envoy 1.40 was seen to carry it out.

use std::{sync::Arc, time::Duration};

use super::{
    super::{
        Proxy,
        core::{Core, Due, PluginIndex},
        spec::ProxySpec,
        streams::state::{End, StreamId},
    },
    PluginKey, StartError,
    start::MAIN,
};
use crate::trace::FindingKind;

impl Proxy {
    /// New streams have the new filters at once; those in flight, and the old roots, have until the listeners are drained. A
    /// configuration that is refused changes nothing. Plugins equal to those that run go on as they are.
    pub(crate) fn change(&mut self, spec: &ProxySpec, drain: Duration, now: Duration, wall: Duration) {
        self.tell_time(now, wall);
        let filters = match self.try_all(spec) {
            Ok(filters) => filters,
            Err(error) => return self.reject(error),
        };
        let core = self.core_mut();
        let old = core.current_listeners..core.spec.listeners.len();
        let old_end = old.end;
        core.current_listeners = old_end;
        let mut merged = (*core.spec).clone();
        merged.listeners.extend(spec.listeners.iter().cloned());
        merged.clusters.extend(spec.clusters.iter().map(|(name, cluster)| (name.clone(), cluster.clone())));
        core.spec = Arc::new(merged);
        // Chains of TCP stand behind those of HTTP, and stay as they are.
        let http = filters.get(..spec.listeners.len()).unwrap_or(&filters);
        self.start_on_workers(old_end, http);
        self.core_mut().due.push((drain, Due::Drained { listeners: old }));
        self.apply_effects();
    }

    fn reject(&mut self, error: StartError) {
        let text = format!("the new configuration is rejected, the old one stays in force: {error}");
        if let StartError::Refused { entries, .. } = error {
            // The start of a proxy would have ended with them.
            self.core_mut().trace.entries = entries.into();
        }
        self.core_mut().found(None, FindingKind::ConfigurationRejected, text);
    }

    /// Listeners are gone: their streams are cut off, and roots that no other listener uses end.
    pub(in crate::proxy) fn drained(&mut self, listeners: std::ops::Range<usize>) {
        let streams = &self.core_mut().streams;
        let of_them =
            |id: &&StreamId| streams.get(id).is_some_and(|stream| listeners.contains(&stream.listener));
        let left: Vec<StreamId> = streams.keys().filter(of_them).copied().collect();
        for id in left {
            self.end_stream(id, End::Reset);
        }
        let core = self.core_mut();
        let used = core.keys_in_use();
        for nth in MAIN..self.threads.len() {
            let plugins = std::mem::take(&mut self.threads[nth].plugins);
            let (stay, go): (Vec<_>, Vec<_>) = plugins
                .into_iter()
                .partition(|(base, key, _)| used.iter().any(|(b, k)| b == base && k == key));
            self.threads[nth].plugins = stay;
            for (.., plugin) in go.into_iter().rev() {
                self.end_root(plugin);
                self.drop_unused_vm(nth, plugin);
            }
        }
    }

    /// A VM without roots is gone, and a root that is parked in it with it.
    fn drop_unused_vm(&mut self, nth: usize, plugin: PluginIndex) {
        let others: Vec<PluginIndex> = self.threads[nth].plugins.iter().map(|(.., other)| *other).collect();
        let core = self.core_mut();
        let vm = core.plugins[plugin.0].vm;
        if !others.iter().any(|other| core.plugins[other.0].vm == vm) {
            self.drop_vm(vm);
        }
    }
}

impl Core {
    /// Of the filters of all listeners that are not draining.
    fn keys_in_use(&self) -> Vec<(usize, PluginKey)> {
        let current = self.chain_filters.iter().skip(self.current_listeners).flatten();
        let filters = current.filter_map(|filter| self.filters.get(filter.0));
        filters.map(|filter| (filter.base, filter.key.clone())).collect()
    }
}
