//! A new configuration for a running proxy: a listener update, as Envoy 1.40 was seen to carry it out.

use std::{fmt::Debug, sync::Arc, time::Duration};

use super::{
    super::{
        Proxy, TcpEnd,
        core::{Core, Due, PluginIndex},
        spec::{ListenerSpec, ProxySpec, TcpListenerSpec},
        streams::state::{End, StreamId},
        tcp::ConnectionId,
    },
    PluginKey, StartError, UpstreamOf,
    start::MAIN,
};
use crate::trace::{FindingKind, What};

/// Places of listeners in the specification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listeners {
    pub(crate) http: Vec<usize>,
    pub(crate) tcp: Vec<usize>,
}

impl Listeners {
    /// All of a specification.
    pub(in crate::proxy) fn of(spec: &ProxySpec) -> Self {
        Listeners { http: (0..spec.listeners.len()).collect(), tcp: (0..spec.tcp_listeners.len()).collect() }
    }

    fn is_empty(&self) -> bool {
        self.http.is_empty() && self.tcp.is_empty()
    }
}

impl Proxy {
    /// New streams and connections have the new filters at once; those in flight, and the old roots, have until the listeners are
    /// drained. A configuration that is refused changes nothing. Listeners that are as before are not touched, and plugins equal to
    /// those that run go on as they are.
    pub(crate) fn change(&mut self, spec: &ProxySpec, drain: Duration, now: Duration, wall: Duration) {
        self.tell_time(now, wall);
        let (kept, new) = self.core_mut().compare(spec);
        let places = self.core_mut().spec.listeners.len();
        let filters = match self.try_all(&new, places) {
            Ok(filters) => filters,
            Err(error) => return self.reject(error),
        };
        let core = self.core_mut();
        let (http, tcp) = (core.spec.listeners.len(), core.spec.tcp_listeners.len());
        let mut merged = (*core.spec).clone();
        merged.listeners.extend(new.listeners.iter().cloned());
        merged.tcp_listeners.extend(new.tcp_listeners.iter().cloned());
        merged.clusters.extend(new.clusters);
        let current = Listeners {
            http: kept.http.into_iter().chain(http..merged.listeners.len()).collect(),
            tcp: kept.tcp.into_iter().chain(tcp..merged.tcp_listeners.len()).collect(),
        };
        core.spec = Arc::new(merged);
        let old = std::mem::replace(&mut core.current_listeners, current);
        let drained = core.no_longer_current(&old);
        core.tell_change(&spec.name, &drained, drain);
        // Chains of TCP stand behind those of HTTP.
        let (of_http, of_tcp) = filters.split_at(new.listeners.len().min(filters.len()));
        self.start_upstream_on_workers(UpstreamOf::is_cluster);
        self.start_on_workers(http, of_http);
        self.start_upstream_on_workers(|of| !of.is_cluster());
        let end = self.core_mut().chain_filters.len();
        self.start_on_workers(end, of_tcp);
        if !drained.is_empty() {
            self.core_mut().due.push((drain, Due::Drained { listeners: drained }));
        }
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

    /// Listeners are gone: their streams and connections are cut off, and roots that no other listener uses end.
    pub(in crate::proxy) fn drained(&mut self, listeners: &Listeners) {
        let streams = &self.core_mut().streams;
        let of_them =
            |id: &&StreamId| streams.get(id).is_some_and(|stream| listeners.http.contains(&stream.listener));
        let left: Vec<StreamId> = streams.keys().filter(of_them).copied().collect();
        for id in left {
            self.end_stream(id, End::Reset);
        }
        let connections = self.core_mut().connections.iter();
        let left: Vec<ConnectionId> = connections
            .filter(|(_, state)| listeners.tcp.contains(&state.listener))
            .map(|(id, _)| *id)
            .collect();
        for id in left {
            self.close_connection(id, TcpEnd::Local);
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
    /// The listeners in force that a new configuration has too, and the configuration without them. Envoy compares listeners
    /// by their names and all they say.
    fn compare(&self, spec: &ProxySpec) -> (Listeners, ProxySpec) {
        let mut new = spec.clone();
        let mut kept = Listeners::default();
        for place in &self.current_listeners.http {
            let Some(old) = self.spec.listeners.get(*place).map(placeless) else { continue };
            let before = new.listeners.len();
            new.listeners.retain(|listener| !alike(&placeless(listener), &old));
            if new.listeners.len() < before {
                kept.http.push(*place);
            }
        }
        for place in &self.current_listeners.tcp {
            let Some(old) = self.spec.tcp_listeners.get(*place).map(placeless_tcp) else { continue };
            let before = new.tcp_listeners.len();
            new.tcp_listeners.retain(|listener| !alike(&placeless_tcp(listener), &old));
            if new.tcp_listeners.len() < before {
                kept.tcp.push(*place);
            }
        }
        (kept, new)
    }

    fn no_longer_current(&self, old: &Listeners) -> Listeners {
        let gone = |old: &[usize], current: &[usize]| {
            old.iter().filter(|place| !current.contains(place)).copied().collect()
        };
        let current = &self.current_listeners;
        Listeners { http: gone(&old.http, &current.http), tcp: gone(&old.tcp, &current.tcp) }
    }

    /// For the report: what is in force from now on, and what ends.
    fn tell_change(&mut self, configuration: &str, drained: &Listeners, drain: Duration) {
        let http = drained.http.iter().filter_map(|place| self.spec.listeners.get(*place));
        let tcp = drained.tcp.iter().filter_map(|place| self.spec.tcp_listeners.get(*place));
        let names: Vec<&str> =
            http.map(|listener| &listener.name[..]).chain(tcp.map(|listener| &listener.name[..])).collect();
        let drained = match &names[..] {
            [] => "no listener changes".to_owned(),
            names => format!("{} drained for {} ms", names.join(", "), drain.as_millis()),
        };
        let text = format!("configuration {configuration} is in force; {drained}");
        self.note(None, What::Reconfigured { text });
    }

    /// The places of their chains among all.
    pub(super) fn current_chains(&self) -> Vec<usize> {
        let current = &self.current_listeners;
        let tcp = current.tcp.iter().map(|place| self.spec.listeners.len() + place);
        current.http.iter().copied().chain(tcp).collect()
    }

    /// Of the filters of all listeners that are not draining.
    fn keys_in_use(&self) -> Vec<(usize, PluginKey)> {
        let current = self.current_listeners.http.clone();
        let upstream = self.upstream_chains.iter().filter(|(of, _)| match of {
            UpstreamOf::Cluster(_) => true,
            UpstreamOf::Router(place) => current.contains(place),
        });
        let upstream = upstream.flat_map(|(_, chain)| &chain.filters);
        let places = self.current_chains().into_iter();
        let filters = places.filter_map(|place| self.chain_filters.get(place)).flatten().chain(upstream);
        let filters = filters.filter_map(|filter| self.filters.get(filter.0));
        filters.map(|filter| (filter.base, filter.key.clone())).collect()
    }
}

/// Whether two listeners say the same. Not all that they say can be compared as it is (patterns), but all of it is shown.
fn alike<T: Debug>(one: &T, other: &T) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

/// Without the places in files, which are no part of a configuration.
fn placeless(listener: &ListenerSpec) -> ListenerSpec {
    let mut listener = listener.clone();
    for plugin in listener.http.http_filters.plugins_mut() {
        plugin.origin.clear();
    }
    listener
}

/// As [`placeless`].
fn placeless_tcp(listener: &TcpListenerSpec) -> TcpListenerSpec {
    let mut listener = listener.clone();
    for plugin in &mut listener.filters {
        plugin.origin.clear();
    }
    listener
}
