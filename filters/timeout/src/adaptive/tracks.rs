//! Which track a request has, and how workers exchange what they know: one record in shared data for each rule and cluster.

use super::Settings;
use super::record::Record;
use super::track::Track;
use crate::forms::whole_millis;
use crate::metrics::Metrics;
use std::cell::RefCell;
use std::rc::Rc;
use wayside_sdk::shared::{self, SharedError, Update};
use wayside_sdk::{Monotonic, Shared, log};

/// Tracks of one VM's plugin: the host never frees a record. Requests beyond have the rule's own timeout.
const MOST: usize = 256;

/// Rounds of a compare-and-swap. Who loses them all tries again a second later, and has lost nothing.
const TRIES: u8 = 4;

/// The rule of configurations that routes bring along: two of them may differ, and must not share a record.
const INLINE: &str = "route-metadata";

#[derive(Debug)]
pub(crate) struct Tracks {
    root_id: Vec<u8>,
    known: RefCell<Vec<Rc<Tracked>>>,
}

/// Latencies of one rule's requests to one cluster.
#[derive(Debug)]
pub(crate) struct Tracked {
    rule: Box<str>,
    cluster: Box<[u8]>,
    settings: Rc<Settings>,
    pub(crate) track: RefCell<Track>,
    record: Shared<Record>,
}

impl Tracks {
    pub(crate) fn new(root_id: Vec<u8>) -> Tracks {
        Tracks { root_id, known: RefCell::default() }
    }

    /// `None` beyond the limit.
    pub(crate) fn of(&self, rule: &str, cluster: &[u8], settings: &Rc<Settings>) -> Option<Rc<Tracked>> {
        let mut known = self.known.borrow_mut();
        let is_it = |tracked: &&Rc<Tracked>| {
            *tracked.cluster == *cluster && *tracked.rule == *rule && tracked.settings == *settings
        };
        if let Some(tracked) = known.iter().find(is_it) {
            return Some(tracked.clone());
        }
        if known.len() >= MOST {
            return None;
        }
        let hash = settings.fingerprint();
        let tracked = Rc::new(Tracked {
            rule: rule.into(),
            cluster: cluster.into(),
            settings: settings.clone(),
            track: RefCell::new(Track::new(settings.clone())),
            record: Shared::new(self.key(rule, cluster, hash), hash),
        });
        known.push(tracked.clone());
        Some(tracked)
    }

    /// Parts are separated by NUL, which no name of Envoy's holds.
    fn key(&self, rule: &str, cluster: &[u8], hash: u64) -> Vec<u8> {
        let hash = hash.to_le_bytes();
        let differs: &[u8] = if rule == INLINE { &hash } else { b"" };
        [&b"wayside.timeout"[..], &self.root_id, rule.as_bytes(), cluster, differs].join(&0)
    }
}

impl Tracked {
    /// Once a second: two hostcalls, of which one returns bytes.
    pub(crate) fn exchange(&self, now: Monotonic, metrics: &Metrics) {
        let mut track = self.track.borrow_mut();
        let stale = track.forget_stale(now);
        if stale > 0 {
            metrics.adaptive.add(&self.rule, [b"stale"], stale);
        }
        if !track.is_due(now) {
            return;
        }
        let merged = self.record.update(TRIES, |stored| {
            let record = track.merged(stored, now);
            Update::Write(record.clone(), record)
        });
        match merged {
            Ok(merged) => {
                track.exchanged(&merged.value, now);
                metrics.limit.record(&self.rule, [], whole_millis(track.estimate().limit));
            }
            Err(SharedError::Contended(_)) => {
                metrics.adaptive.inc(&self.rule, [b"contended"]);
                track.postponed(now);
            }
            Err(SharedError::Host(error)) => {
                log!(Error, "timeout: latencies are not exchanged: {error}");
                track.postponed(now);
            }
        }
    }
}

impl Settings {
    /// What a record must have been made with to be read.
    fn fingerprint(&self) -> u64 {
        let numbers = [self.quantile.numerator(), self.headroom.numerator(), self.min_samples];
        let times = [self.floor, self.ceiling, self.window].map(whole_millis);
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
        let bytes: Vec<u8> = bytes.chain(times.iter().flat_map(|time| time.to_le_bytes())).collect();
        shared::fingerprint(&bytes)
    }
}
