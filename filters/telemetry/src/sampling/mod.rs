//! Which requests become spans: decided when they come, by what their trace says, and once more when they are over, by how they ended.

use std::time::Duration;

use crate::observation::TailReason;
use crate::trace::threshold::{Randomness, Threshold};

/// How requests are chosen when they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// As the caller decided; by the ratio where nobody did.
    #[default]
    Parent,
    /// By the ratio, whatever the caller decided.
    Ratio,
    Always,
    Never,
    /// By the ratio, and `tracestate` says so: OpenTelemetry's consistent probability sampling.
    Consistent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    pub kind: Kind,
    /// `None`: none.
    pub threshold: Option<Threshold>,
}

/// What is known of a request's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What the caller decided, if it did.
    pub parent: Option<bool>,
    /// Whoever else decides does not count (B3).
    pub debug: bool,
    pub randomness: Randomness,
    /// With which probability it says it was sampled.
    pub th: Option<Threshold>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub sampled: bool,
    /// The `th` that goes on.
    pub th: Option<Threshold>,
}

impl Sampler {
    pub fn decide(&self, asked: Asked) -> Decision {
        let by_ratio = self.threshold.is_some_and(|threshold| threshold.keeps(asked.randomness));
        let sampled = asked.debug
            || match self.kind {
                Kind::Parent => asked.parent.unwrap_or(by_ratio),
                Kind::Ratio | Kind::Consistent => by_ratio,
                Kind::Always => true,
                Kind::Never => false,
            };
        // A threshold is the probability with which *this* decision was made: a caller's is true of the caller's decision only, and
        // where it does not agree with that, of none.
        let th = match self.kind {
            Kind::Consistent if by_ratio => self.threshold,
            Kind::Parent if asked.parent == Some(sampled) => {
                asked.th.filter(|th| th.keeps(asked.randomness) == sampled)
            }
            _ => None,
        };
        Decision { sampled, th }
    }
}

impl Decision {
    /// What is left of it where the limit of spans is reached.
    pub const fn limited(self) -> Decision {
        Decision { sampled: false, th: None }
    }
}

/// What is kept of requests that were not sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    pub errors: bool,
    pub slow: Option<Duration>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// `None`: nobody answered.
    pub status: Option<u16>,
    /// Of gRPC requests.
    pub grpc_status: Option<u64>,
    /// It broke off, on either side.
    pub reset: bool,
    pub duration: Duration,
}

impl Tail {
    /// Why it is kept, the first reason that holds.
    pub fn keeps(&self, ended: Ended) -> Option<TailReason> {
        // UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS.
        let grpc_failed = matches!(ended.grpc_status, Some(2 | 4 | 13 | 14 | 15));
        if self.errors && (ended.status.is_some_and(|status| status >= 500) || grpc_failed) {
            return Some(TailReason::Error);
        }
        if self.errors && (ended.reset || ended.status.is_none()) {
            return Some(TailReason::Reset);
        }
        self.slow.filter(|slow| ended.duration >= *slow).map(|_| TailReason::Slow)
    }
}

#[cfg(test)]
mod tests;
