//! What others do, as small as it can be said.

use std::{collections::BTreeSet, time::Duration};

use super::mesh::Policy;

/// Every retry that a caller would make, or none.
pub(super) struct Always(pub(super) bool);

impl Policy for Always {
    fn arrives(&mut self, _: usize, _: Duration) {}

    fn may_retry(&mut self, _: usize, _: Duration) -> bool {
        self.0
    }

    fn ends(&mut self, _: usize, _: Duration, _: u8, _: bool) {}
}

/// Envoy's `retry_budget`: so many retries at once, of the requests at once.
pub(super) struct Concurrency {
    percent: usize,
    least: usize,
    requests: usize,
    retrying: BTreeSet<usize>,
}

impl Concurrency {
    pub(super) fn new(percent: usize, least: usize) -> Concurrency {
        Concurrency { percent, least, requests: 0, retrying: BTreeSet::new() }
    }
}

impl Policy for Concurrency {
    fn arrives(&mut self, _: usize, _: Duration) {
        self.requests += 1;
    }

    fn may_retry(&mut self, request: usize, _: Duration) -> bool {
        // Its own last retry is over.
        self.retrying.remove(&request);
        let most = (self.requests * self.percent / 100).max(self.least);
        let may = self.retrying.len() < most;
        if may {
            self.retrying.insert(request);
        }
        may
    }

    fn ends(&mut self, request: usize, _: Duration, _: u8, _: bool) {
        self.requests -= 1;
        self.retrying.remove(&request);
    }
}

/// gRPC's throttle (A6): a failure costs a token, a success brings a part of one; retries only above half.
pub(super) struct Throttle {
    thousandths: u32,
    most: u32,
    gain: u32,
}

impl Throttle {
    pub(super) fn new(tokens: u32, gain_thousandths: u32) -> Throttle {
        Throttle { thousandths: tokens * 1000, most: tokens * 1000, gain: gain_thousandths }
    }
}

impl Policy for Throttle {
    fn arrives(&mut self, _: usize, _: Duration) {}

    fn may_retry(&mut self, _: usize, _: Duration) -> bool {
        self.thousandths = self.thousandths.saturating_sub(1000);
        self.thousandths > self.most / 2
    }

    fn ends(&mut self, _: usize, _: Duration, _: u8, answered: bool) {
        if answered {
            self.thousandths = (self.thousandths + self.gain).min(self.most);
        }
    }
}

/// The AWS SDKs' quota: a retry costs, its success gives that back, and a first try's success a little.
pub(super) struct Quota {
    left: u32,
    most: u32,
    cost: u32,
}

impl Quota {
    pub(super) fn new(most: u32, cost: u32) -> Quota {
        Quota { left: most, most, cost }
    }
}

impl Policy for Quota {
    fn arrives(&mut self, _: usize, _: Duration) {}

    fn may_retry(&mut self, _: usize, _: Duration) -> bool {
        let left = self.left.checked_sub(self.cost);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    fn ends(&mut self, _: usize, _: Duration, retries: u8, answered: bool) {
        if answered {
            let back = if retries > 0 { self.cost } else { 1 };
            self.left = (self.left + back).min(self.most);
        }
    }
}
