//! Which deadline a request has, and whether it can still be met. No clock, no headers, no host.

use crate::source::{Carried, ClientSources, Fate, Said, Source, Sources, fate, left_until};
use std::time::Duration;
use wayside_sdk::{Monotonic, Wall};

/// What the operator allows; cannot hold a `hop_margin` or `min_budget` that eats the whole `timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub timeout: Duration,
    /// Taken off every allowance for the way to here and on.
    pub hop_margin: Duration,
    /// Less than this is refused at once.
    pub min_budget: Duration,
    pub client_sources: ClientSources,
    pub sources: Sources,
    /// How far another host's clock may be off.
    pub skew: Duration,
}

/// Something to be counted about a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It cannot be read, or names a moment out of reach; it is not passed on.
    Bad(Source),
    /// Its sender may not set it; it is not passed on.
    Untrusted(Source),
    /// It asked for more than the rule allows.
    Clamped(Source),
}

/// The moment for which a request is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    pub now: Monotonic,
    /// Looked at only where a header names a point in time.
    pub wall: Wall,
}

/// The deadline of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    pub at: Monotonic,
    /// What is left; `None` where neither rule nor caller sets a limit.
    pub left: Option<Duration>,
    /// The same by the callers alone: what holds for a stream that the rule's `timeout` is not for.
    pub callers: Option<Duration>,
    /// The allowance that decided; the rule's when several agree.
    pub tightest: Source,
    pub findings: Vec<Finding>,
}

/// What becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// Nothing was left when it came.
    Expired,
    /// Something was left, but less than `min_budget`.
    TooLittle,
}

/// The earliest of all accepted allowances, each counted from now, the arrival of the request.
///
/// The smallest of a repeated header wins. Envoy joins repeated ones with a comma, so a comma parts values here too. Without
/// `ceiling` the callers alone decide.
#[must_use]
pub fn assess(
    limits: &Limits,
    ceiling: Option<Duration>,
    carried: &Carried<'_>,
    clocks: Clocks,
) -> Assessment {
    let mut findings = Vec::new();
    let mut least: Option<(Duration, Source)> = None;
    for (source, _, value) in &carried.values {
        match fate(limits.client_sources, limits.sources, carried, *source) {
            Fate::Left => continue,
            Fate::Refused => {
                findings.push(Finding::Untrusted(*source));
                continue;
            }
            Fate::Read => {}
        }
        for value in value.split(|byte| *byte == b',') {
            let Some(allowance) = allowance(*source, value, limits, clocks.wall) else {
                findings.push(Finding::Bad(*source));
                continue;
            };
            if ceiling.is_some_and(|ceiling| allowance > ceiling) {
                findings.push(Finding::Clamped(*source));
            }
            if least.is_none_or(|(least, _)| allowance < least) {
                least = Some((allowance, *source));
            }
        }
    }
    let (tightest, allowed) = match (least, ceiling) {
        (Some((least, source)), Some(ceiling)) if least < ceiling => (source, Some(least)),
        (_, Some(ceiling)) => (Source::Rule, Some(ceiling)),
        (Some((least, source)), None) => (source, Some(least)),
        (None, None) => (Source::Rule, None),
    };
    let here = |allowed: Duration| allowed.saturating_sub(limits.hop_margin);
    Assessment {
        at: clocks.now,
        left: allowed.map(here),
        callers: least.map(|(least, _)| here(least)),
        tightest,
        findings,
    }
}

fn allowance(source: Source, value: &[u8], limits: &Limits, wall: Wall) -> Option<Duration> {
    match source.parse(value)? {
        Said::Allowance(allowance) => Some(allowance),
        Said::Moment(moment) => left_until(moment, wall, limits.skew),
    }
}

impl Assessment {
    #[must_use]
    pub fn verdict(&self, limits: &Limits) -> Verdict {
        match self.left {
            Some(Duration::ZERO) => Verdict::Expired,
            Some(left) if left < limits.min_budget => Verdict::TooLittle,
            _ => Verdict::Pass,
        }
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Monotonic> {
        self.left.map(|left| self.at.plus(left))
    }

    /// The deadline of a stream that the rule's `timeout` is not for.
    #[must_use]
    pub fn callers_deadline(&self) -> Option<Monotonic> {
        self.callers.map(|left| self.at.plus(left))
    }

    /// The first header that could not be read.
    #[must_use]
    pub fn bad_header(&self) -> Option<Source> {
        self.findings.iter().find_map(|finding| match finding {
            Finding::Bad(source) => Some(*source),
            Finding::Untrusted(_) | Finding::Clamped(_) => None,
        })
    }
}

#[cfg(test)]
mod tests;
