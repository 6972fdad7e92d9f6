//! One request and the latencies of its cluster: what it is given because of them, and what is learnt from it; and its second try.

use super::{Kind, Timeout};
use crate::adaptive::track::{End, Given};
use crate::adaptive::tracks::Tracked;
use crate::config::Config;
use crate::deadline::Assessment;
use crate::hedge::{self, After, Asked, MAX_RETRIES, RETRY_GRPC_ON, RETRY_ON};
use crate::share::{Share, Taken};
use crate::streaming::Lasts;
use crate::upstream::Edit;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::policy::retries::{self, Facts};
use wayside_sdk::units::{Ratio, digits};
use wayside_sdk::{HeaderBlock, Host, Monotonic, Stream, name, property};

/// A request whose cluster's latencies are known, or are to be.
#[derive(Debug)]
pub(super) struct Followed {
    tracked: Rc<Tracked>,
    learns: bool,
    /// The adaptive limit, where it is what ends the request.
    limited: RefCell<Option<(Duration, Taken)>>,
    /// Whether it was answered, and not with a failure.
    good: Cell<bool>,
}

/// Shares of rules; those beyond are not hedged.
const MOST: usize = 1024;

/// The shares of rules that may be hedged.
#[derive(Debug, Default)]
pub(super) struct Hedges(RefCell<Vec<OfRule>>);

type OfRule = (Box<str>, Ratio, Rc<Share>);

impl Hedges {
    fn of(&self, rule: &str, share: Ratio) -> Option<Rc<Share>> {
        let mut known = self.0.borrow_mut();
        if let Some((.., found)) = known.iter().find(|(of, with, _)| **of == *rule && *with == share) {
            return Some(found.clone());
        }
        let new = Rc::new(Share::new(share, hedge::WINDOW));
        (known.len() < MOST).then(|| {
            known.push((rule.into(), share, new.clone()));
            new
        })
    }
}

impl Timeout {
    /// Three hostcalls at most, of which two return bytes; two of them once a second.
    pub(super) fn follow(
        &self,
        config: &Config,
        rule: &str,
        kind: Kind,
        assessment: &Assessment,
        stream: &Stream,
    ) -> Host<Option<Followed>> {
        let Some(settings) = config.adaptive.as_ref().filter(|_| kind.lasts == Lasts::No) else {
            return Ok(None);
        };
        let cluster = stream.get(&property::CLUSTER_NAME)?.unwrap_or_default();
        let Some(tracked) = self.tracks.of(rule, &cluster, settings) else {
            self.metrics.adaptive.inc(rule, [b"full"]);
            return Ok(None);
        };
        tracked.exchange(assessment.at, &self.metrics);
        let track = tracked.track.borrow();
        let limited = match track.give(assessment.callers, assessment.at) {
            Given::Limited(limit, taken) => Some((limit, taken)),
            Given::Spared => {
                self.metrics.adaptive.inc(rule, [b"spared"]);
                None
            }
            Given::Ceiling => None,
        };
        let learns = track.learns_from(assessment.callers);
        drop(track);
        Ok(Some(Followed { tracked, learns, limited: RefCell::new(limited), good: Cell::new(false) }))
    }

    /// What has the router try a second time, where that may help and is within the share.
    pub(super) fn hedge(
        &self,
        config: &Config,
        rule: &str,
        kind: Kind,
        (headers, assessment): (&HeaderBlock, &Assessment),
        followed: Option<&Followed>,
    ) -> Option<(Vec<Edit>, Taken)> {
        let settings = config.hedge.as_ref().filter(|_| kind.lasts == Lasts::No)?;
        let share = self.hedges.of(rule, settings.share)?;
        share.count(assessment.at);
        let facts = Facts {
            method: headers.method(),
            path: headers.path(),
            grpc: kind.speaks.grpc,
            idempotency_key: headers.all(name!("idempotency-key")).any(|key| !key.is_empty()),
            tunnel: false,
        };
        let set = |name| headers.first(name).is_some();
        let plan = hedge::plan(
            settings,
            &Asked {
                repeatable: retries::may_be_repeated(&facts, true, &settings.grpc_methods),
                granted: headers.all(MAX_RETRIES).map(|granted| digits(granted).unwrap_or(0)).min(),
                conditions: set(RETRY_ON) || set(RETRY_GRPC_ON),
                grpc: kind.speaks.grpc,
                left: assessment.left,
                after: match settings.after {
                    After::Fixed(delay) => Some(delay),
                    After::Quantile(_) => followed.and_then(|f| f.tracked.track.borrow().estimate().slow),
                },
            },
        )?;
        Some((plan, share.take(assessment.at)?))
    }
}

/// How a request ended, as its stream knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    pub(super) now: Monotonic,
    pub(super) took: Duration,
    /// What it was allowed to take.
    pub(super) allowed: Option<Duration>,
    /// The deadline ended it.
    pub(super) enforced: bool,
    /// The answer has come to its end.
    pub(super) complete: bool,
}

impl Followed {
    /// How long the request may take, if the adaptive limit is what limits it.
    pub(super) fn limit(&self) -> Option<Duration> {
        self.limited.borrow().as_ref().map(|(limit, _)| *limit)
    }

    pub(super) fn min_budget(&self) -> Option<Duration> {
        self.tracked.track.borrow().min_budget()
    }

    /// The head of the answer has come.
    pub(super) fn answered(&self, headers: &HeaderBlock) {
        let number = |value: Option<&[u8]>| value.and_then(digits);
        let grpc_status = number(headers.first(name!("grpc-status")));
        self.good.set(retries::is_success(headers.status().map(u64::from), grpc_status));
    }

    /// It is over, after having been upstream.
    pub(super) fn over(&self, rule: &str, plugin: &Timeout, over: Over) {
        let Over { now, took, .. } = over;
        let end = match over {
            Over { enforced: true, .. } => End::TimedOut,
            Over { complete: true, .. } if self.good.get() => End::Answered(took),
            // The router breaks an answer off without a word.
            Over { allowed: Some(allowed), complete: false, .. } if took >= allowed => End::TimedOut,
            _ => End::Neither,
        };
        let limited = self.limited.take();
        // In shadow mode nothing is ended: what would have been is known all the same.
        let cut = limited.filter(|(limit, _)| end == End::TimedOut || (took > *limit && end != End::Neither));
        let is_cut = cut.is_some();
        if let Some((_, taken)) = cut {
            taken.spend();
            plugin.metrics.adaptive.inc(rule, [b"cut"]);
        }
        if self.learns {
            self.tracked.track.borrow_mut().learn(end, is_cut, now);
        }
        self.tracked.exchange(now, &plugin.metrics);
    }
}
