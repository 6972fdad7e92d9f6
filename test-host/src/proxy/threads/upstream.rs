//! Chains of upstream filters: whose they are, and their plugins on each worker.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{
        Proxy,
        core::{Core, PluginIndex},
    },
    start::MAIN,
};
use crate::trace::{FilterNumber, Thread};

/// What has a chain of upstream filters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum UpstreamOf {
    Cluster(String),
    /// The router of a listener, by its place.
    Router(usize),
}

impl UpstreamOf {
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, UpstreamOf::Cluster(_))
    }
}

/// From the router on.
#[derive(Debug)]
pub(crate) struct UpstreamChain {
    pub(super) filters: Vec<FilterNumber>,
    plugins: BTreeMap<Thread, Arc<[PluginIndex]>>,
}

impl UpstreamChain {
    pub(super) fn of(filters: Vec<FilterNumber>) -> Self {
        UpstreamChain { filters, plugins: BTreeMap::new() }
    }
}

impl Proxy {
    /// Starts those chains on every worker.
    pub(super) fn start_upstream_on_workers(&mut self, which: impl Fn(&UpstreamOf) -> bool) {
        let chains = &self.core_mut().upstream_chains;
        let wanted: Vec<_> = chains
            .iter()
            .filter(|(of, _)| which(of))
            .map(|(of, chain)| (of.clone(), chain.filters.clone()))
            .collect();
        for nth in MAIN + 1..self.threads.len() {
            let thread = self.threads[nth].thread;
            for (of, filters) in &wanted {
                let plugins = filters.iter().map(|filter| self.plugin_on(nth, *filter)).collect();
                if let Some(chain) = self.core_mut().upstream_chains.get_mut(of) {
                    chain.plugins.insert(thread, plugins);
                }
            }
        }
    }
}

impl Core {
    /// The chain of an attempt on a worker, and the number of its first filter; `None`: there is none but the codec. A cluster's
    /// own stands in the place of the router's (`source/common/router/upstream_request.cc`).
    pub(in crate::proxy) fn upstream_chain(
        &self,
        cluster: &str,
        listener: usize,
        thread: Thread,
    ) -> Option<(Arc<[PluginIndex]>, usize)> {
        let chains = &self.upstream_chains;
        if chains.is_empty() {
            return None;
        }
        let of_cluster = chains.get(&UpstreamOf::Cluster(cluster.to_owned()));
        let chain = of_cluster.or_else(|| chains.get(&UpstreamOf::Router(listener)))?;
        let first = chain.filters.first()?.0;
        Some((Arc::clone(chain.plugins.get(&thread)?), first))
    }
}
