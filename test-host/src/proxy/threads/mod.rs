//! The threads of a proxy: on each, the main one and the workers, a VM of its own for every VM key, and in it a root context
//! for every plugin key. Nothing here runs at the same time: threads take turns by virtual time.

mod change;
mod end;
mod identity;
mod one;
mod reload;
mod start;
mod upstream;

pub(crate) use self::one::One;
pub use self::start::{ProxyOptions, StartError};
pub(crate) use self::{
    change::Listeners,
    identity::PluginKey,
    upstream::{UpstreamChain, UpstreamOf},
};
pub(super) use self::{
    identity::BaseVm,
    one::OfOnes,
    start::{LoadedVm, ThreadVms},
};

use std::sync::Arc;

use super::core::{Core, PluginIndex};
use crate::{
    message::{Exchange, RecordedConnection},
    trace::{FilterNumber, Thread},
};

impl Core {
    /// The worker that takes an exchange's connection. As in Envoy one connection stays with one worker; which one that is,
    /// the seed decides.
    pub(crate) fn worker_for(&self, exchange: &Exchange) -> Thread {
        if self.chains.len() < 2 {
            return Thread::Worker(0);
        }
        match exchange.connection.remote {
            Some(client) => self.worker_of(&format!("{client}")),
            None => self.worker_of(&format!("{}", exchange.id)),
        }
    }

    /// As [`Self::worker_for`], of TCP.
    pub(crate) fn worker_for_connection(&self, recorded: &RecordedConnection) -> Thread {
        match recorded.connection.remote {
            Some(client) => self.worker_of(&client.to_string()),
            None => self.worker_of(&recorded.name()),
        }
    }

    /// As [`Self::worker_for`], by a name of the connection.
    fn worker_of(&self, connection: &str) -> Thread {
        if self.chains.len() < 2 {
            return Thread::Worker(0);
        }
        let mut mixed = self.scheduling;
        for byte in connection.bytes() {
            mixed = scrambled(mixed ^ u64::from(byte));
        }
        Thread::Worker((mixed % self.chains.len() as u64) as u32)
    }

    /// On the running worker, a listener's chain and the number of its first filter.
    pub(super) fn chain_of(&self, listener: usize) -> (Thread, Arc<[PluginIndex]>, usize) {
        let worker = match self.running {
            Thread::Worker(number) => number as usize,
            Thread::Main | Thread::Canary => 0,
        };
        let chain = self.chains.get(worker).and_then(|chains| chains.get(listener)).map(Arc::clone);
        let is_logger = |filter: &&FilterNumber| self.filters[filter.0].is_logger;
        let mut filters = self.chain_filters.get(listener).into_iter().flatten().skip_while(is_logger);
        let first = filters.next().map_or(0, |filter| filter.0);
        (self.running, chain.unwrap_or_default(), first)
    }

    pub(super) fn count_stat(&mut self, plugin: &str, stat: &str) {
        *self.stats.entry(format!("wasm.{plugin}.{stat}")).or_default() += 1;
    }
}

/// The finaliser of SplitMix64: every bit of the input reaches every bit of the result.
fn scrambled(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
