//! What a VM may call and be called with, where its configuration restricts it.

use std::{collections::BTreeSet, sync::Arc};

/// Full names of hostcalls and callbacks (`proxy_log`, `proxy_on_tick`, `fd_write`). By default everything is allowed.
///
/// Source: Envoy `api/envoy/extensions/wasm/v3/wasm.proto` (`CapabilityRestrictionConfig`), proxy-wasm-cpp-host `src/wasm.cc`
/// (`registerCallbacks`, `getFunctions`): the allocator, the start functions and what Envoy or Emscripten add to the ABI are
/// never restricted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(Option<Arc<BTreeSet<String>>>);

impl Capabilities {
    /// Only these. An empty set restricts nothing, as in Envoy.
    pub fn only(allowed: BTreeSet<String>) -> Self {
        Capabilities((!allowed.is_empty()).then(|| Arc::new(allowed)))
    }

    /// Whether a list decides about this import or callback.
    pub(crate) fn restricts(name: &str) -> bool {
        !name.starts_with("envoy_") && !["pthread_equal", "emscripten_notify_memory_growth"].contains(&name)
    }

    pub(crate) fn allow(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|allowed| allowed.contains(name) || !Capabilities::restricts(name))
    }
}
