//! A limit that all VMs of a proxy keep together.

use wayside_sdk::policy::{Gcra, Limit};
use wayside_sdk::shared::{Update, fingerprint};
use wayside_sdk::{Host, Monotonic, Shared};

use crate::metrics::Metrics;

#[derive(Debug)]
pub(super) struct SharedLimit {
    limit: Limit,
    spent: Shared<Gcra>,
}

/// Rounds against other workers before one gives up.
const TRIES: u8 = 64;

impl SharedLimit {
    /// Another limit is another record: two filters with different ones do not count together.
    pub(super) fn new(name: &str, limit: Limit) -> SharedLimit {
        let key = format!("{name}.{}", limit.burst());
        SharedLimit { limit, spent: Shared::new(&key, fingerprint(key.as_bytes())) }
    }

    /// Takes one, if there is one. Without clock or shared data there is none: a span less is better than a flood. Three hostcalls, of
    /// which one returns bytes.
    pub(super) fn allows(&self, now: Host<Monotonic>, metrics: &Metrics) -> bool {
        let taken = now.map_err(Into::into).and_then(|now| {
            self.spent.update(TRIES, |spent| {
                let mut spent = spent.unwrap_or_default();
                match spent.take(&self.limit, now, 1).is_allowed() {
                    true => Update::Write(spent, true),
                    false => Update::Keep(false),
                }
            })
        });
        match taken {
            Ok(taken) => taken.value,
            Err(error) => {
                metrics.failed(format_args!("a span was left out, its limit cannot be read: {error}"));
                false
            }
        }
    }
}
