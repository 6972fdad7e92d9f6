//! Access loggers: guests that hear of a stream when it has ended, in `on_log` of their root context, and of nothing else.

use std::sync::Arc;

use crate::{
    abi::Callback,
    proxy::{
        ActiveContext, Proxy,
        streams::state::{FilterContext, StreamId},
    },
    trace::FindingKind,
};

impl Proxy {
    /// `on_log` of every access logger of the stream's listener, in the order of the configuration.
    pub(in crate::proxy) fn tell_loggers(&mut self, id: StreamId) {
        let Some(stream) = self.core_mut().streams.get(&id) else { return };
        let filters = stream.filters.len();
        if stream.chain.len() == filters {
            return;
        }
        for plugin in Arc::clone(&stream.chain).iter().skip(filters) {
            if self.is_reload_due(*plugin) {
                let text =
                    "the VM of an access logger is due to be reloaded when a stream ends: this crashes Envoy";
                self.core_mut().found(None, FindingKind::WouldCrashEnvoy, text);
                continue;
            }
            let state = &self.core_mut().plugins[plugin.0];
            let (root, left_out) = (state.root, state.left_out);
            if left_out {
                continue;
            }
            let seen = FilterContext { logging: true, ..FilterContext::default() };
            let show = |active: &mut ActiveContext| active.logged = Some((id, seen));
            self.call_guest_showing(show, *plugin, root, Callback::Log);
            self.apply_effects();
        }
    }
}
