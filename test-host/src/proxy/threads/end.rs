//! How root contexts end: asked first, and parked where they say no.

use super::super::{
    Proxy,
    core::{Owner, PluginIndex},
};
use crate::abi::Callback;

impl Proxy {
    /// The process ends: workers first, then the main thread; on each the plugin that was started last goes first. Nobody waits
    /// for a root that is not done.
    pub(in crate::proxy) fn shut_down(&mut self) {
        let (main, workers) = (0..1.min(self.threads.len()), 1..self.threads.len());
        for nth in workers.chain(main) {
            let plugins: Vec<PluginIndex> =
                self.threads[nth].plugins.iter().rev().map(|(.., plugin)| *plugin).collect();
            for plugin in plugins {
                self.end_root(plugin);
            }
        }
    }

    /// `on_done`; then `on_delete`, unless the root wants to go on until it calls `proxy_done`.
    pub(in crate::proxy) fn end_root(&mut self, plugin: PluginIndex) {
        let root = self.core_mut().plugins[plugin.0].root;
        let answered = self.call_guest(plugin, root, Callback::Done);
        // A root that this one has released goes first.
        self.apply_effects();
        if answered.refuses() {
            self.core_mut().plugins[plugin.0].parked = true;
        } else {
            self.delete_root(plugin);
            self.apply_effects();
        }
    }

    pub(in crate::proxy) fn delete_root(&mut self, plugin: PluginIndex) {
        let core = self.core_mut();
        let (root, vm) = (core.plugins[plugin.0].root, core.plugins[plugin.0].vm);
        self.call_guest(plugin, root, Callback::Delete);
        let core = self.core_mut();
        core.arm_tick(plugin, None);
        let contexts = &mut core.vms[vm.0].contexts;
        if contexts.get(&root) == Some(&Owner::Root(plugin)) {
            contexts.remove(&root);
        }
    }
}
