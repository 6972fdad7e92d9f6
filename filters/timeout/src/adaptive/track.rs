//! What one worker adds to a record, and what it goes by between two looks at it. No clock, no host.

use super::record::{Counts, Estimate, Record};
use super::{CUT, Settings, millis, times};
use crate::share::{Share, Taken};
use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::Monotonic;

/// How often the workers exchange what they know.
const EXCHANGE: Duration = Duration::from_secs(1);

/// This worker's part of a rule's requests to a cluster.
#[derive(Debug)]
pub struct Track {
    settings: Rc<Settings>,
    estimate: Estimate,
    /// Counted since the last exchange.
    fresh: Counts,
    /// When that was, or was tried.
    exchanged: Monotonic,
    /// Of this worker's own requests, those that the adaptive limit ended or may end yet.
    cut: Rc<Share>,
}

/// What a request is given.
#[derive(Debug)]
pub enum Given {
    /// No more than the adaptive limit. Should that end it, what was taken for it is to be spent.
    Limited(Duration, Taken),
    /// The limit would be tighter, and would end too many if it were wrong.
    Spared,
    /// The limit is no tighter than what it has anyway.
    Ceiling,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was answered after this time, and not with a failure.
    Answered(Duration),
    /// Its time was over before. It would have taken longer: how much, nobody knows.
    TimedOut,
    /// A failure, or a client that left: neither says how long an answer takes.
    Neither,
}

impl Track {
    #[must_use]
    pub fn new(settings: Rc<Settings>) -> Track {
        let estimate = Estimate { limit: settings.ceiling, target: None, median: None, slow: None };
        let (fresh, exchanged) = (Counts::new(), Monotonic::default());
        let cut = Rc::new(Share::new(CUT, settings.window));
        Track { settings, estimate, fresh, exchanged, cut }
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    #[must_use]
    pub fn estimate(&self) -> &Estimate {
        &self.estimate
    }

    /// What a request is given whose callers allow this much.
    #[must_use]
    pub fn give(&self, callers: Option<Duration>, now: Monotonic) -> Given {
        let limit = self.estimate.limit;
        if limit >= self.settings.ceiling || callers.is_some_and(|callers| callers <= limit) {
            return Given::Ceiling;
        }
        self.cut.take(now).map_or(Given::Spared, |taken| Given::Limited(limit, taken))
    }

    /// Whether what becomes of a request whose callers allow this much tells of the cluster. One that they give less time than a
    /// slow answer takes tells of them.
    #[must_use]
    pub fn learns_from(&self, callers: Option<Duration>) -> bool {
        callers.is_none_or(|callers| self.estimate.target.is_none_or(|target| callers >= target))
    }

    /// A request is over; `cut` when the adaptive limit ended it. One whose time was over counts as if it had taken all the time that the
    /// operator allows: how much more it would have taken nobody knows, and so no estimate is ever lower for what a limit ended.
    pub fn learn(&mut self, end: End, cut: bool, now: Monotonic) {
        let took = match end {
            End::Answered(took) => took.min(self.settings.ceiling),
            End::TimedOut => self.settings.ceiling,
            End::Neither => return,
        };
        self.cut.count(now);
        self.fresh.values.record(millis(took));
        self.fresh.cut = self.fresh.cut.saturating_add(u32::from(cut));
    }

    /// Whether it is time to exchange what is known.
    #[must_use]
    pub fn is_due(&self, now: Monotonic) -> bool {
        self.exchanged == Monotonic::default() || now.since(self.exchanged) >= EXCHANGE
    }

    /// How much a request must have left not to be refused at once, if that follows the median. Never more than half of what the
    /// operator allows: nothing would be learnt any more from requests that are all refused.
    #[must_use]
    pub fn min_budget(&self) -> Option<Duration> {
        let share = times(self.estimate.median?, self.settings.min_budget?);
        Some(share.min(self.settings.ceiling.checked_div(2)?))
    }

    /// How many requests were counted so long ago that they say nothing of now; they are forgotten.
    pub fn forget_stale(&mut self, now: Monotonic) -> u32 {
        let stale =
            now.since(self.exchanged) > self.settings.window && self.exchanged != Monotonic::default();
        let lost = if stale { u32::try_from(self.fresh.total()).unwrap_or(u32::MAX) } else { 0 };
        if stale {
            self.fresh.clear();
        }
        lost
    }

    /// What the shared record becomes.
    #[must_use]
    pub fn merged(&self, stored: Option<Record>, now: Monotonic) -> Record {
        let mut record = stored.unwrap_or_else(|| Record::new(&self.settings, now));
        record.merge(&self.settings, &self.fresh, now);
        record
    }

    /// It was written: what was counted is in it.
    pub fn exchanged(&mut self, record: &Record, now: Monotonic) {
        self.estimate = record.estimate(&self.settings, now);
        self.fresh.clear();
        self.exchanged = now;
    }

    /// It was not written. What was counted is kept for the next time.
    pub fn postponed(&mut self, now: Monotonic) {
        self.exchanged = now;
    }
}
