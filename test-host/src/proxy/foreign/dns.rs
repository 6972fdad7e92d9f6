//! `envoy_resolve_dns`: an address resolves to itself, at once; no name resolves, for there is no network here.
//!
//! Envoy `source/extensions/common/wasm/wasm.cc` (`resolve_dns`) and `context.cc` (`Context::onResolveDns`).

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    abi::{CallResult, Callback, CalloutToken},
    proxy::{
        ActiveContext, Proxy,
        core::{Due, PluginIndex},
        nested::{Nested, Shown},
    },
    trace::FindingKind,
};

impl ActiveContext {
    /// Where Envoy needs to ask nobody, it tells the guest before the hostcall has returned.
    pub(in crate::proxy) fn resolve_dns_here(&mut self, name: &[u8]) -> CallResult<CalloutToken> {
        let contexts = &mut self.core.vms[self.vm.0];
        contexts.next_dns += 1;
        // The first is 2.
        let (token, generation) = (contexts.next_dns + 1, contexts.generation);
        let name = String::from_utf8_lossy(name).into_owned();
        if let Some(address) = known(&name) {
            self.nested.push_back(Nested::Resolved { token, result: encode(&[address]) });
        } else if name.parse::<SocketAddr>().is_ok() {
            self.nested.push_back(Nested::Resolved { token, result: Bytes::new() });
        } else {
            let text = format!("{name:?} is not resolved: this host has no network; it counts as unknown");
            self.finding(FindingKind::UnansweredCallout, text);
            let due =
                Due::Resolved { plugin: self.effective_plugin(), generation, token, result: encode(&[]) };
            self.core.due.push((Duration::ZERO, due));
        }
        Ok(CalloutToken(token))
    }
}

fn known(name: &str) -> Option<IpAddr> {
    if name == "localhost" {
        return Some(Ipv6Addr::LOCALHOST.into());
    }
    name.parse().ok()
}

/// How many; the seconds that each holds; each with its port, 0, and a NUL behind it.
fn encode(addresses: &[IpAddr]) -> Bytes {
    let mut out = u32::try_from(addresses.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    for _ in addresses {
        out.extend(0u32.to_le_bytes());
    }
    for address in addresses {
        out.extend(SocketAddr::new(*address, 0).to_string().into_bytes());
        out.push(0);
    }
    out.into()
}

impl Proxy {
    pub(in crate::proxy) fn resolved(
        &mut self,
        plugin: PluginIndex,
        generation: u32,
        token: u32,
        result: Bytes,
    ) {
        if self.fault_of(plugin).is_some() || self.generation_of(plugin) != generation {
            return;
        }
        let root = self.core_mut().plugins[plugin.0].root;
        let size = u32::try_from(result.len()).unwrap_or(u32::MAX);
        let show = |active: &mut ActiveContext| active.shown = Shown::call_data(result);
        self.call_guest_showing(show, plugin, root, Callback::ResolveDns { token, size });
    }
}
