//! What the router and the upstream are told of what is left, and which headers do not reach them.

use crate::config::Config;
use crate::deadline::{Assessment, Clocks};
use crate::forms::{self, Moment};
use crate::source::{
    CONNECT_TIMEOUT, Carried, ClientSources, Fate, GRPC_TIMEOUT, PER_TRY, REQUEST_DEADLINE, REQUEST_TIMEOUT,
    Said, Source, UPSTREAM, fate,
};
use std::time::Duration;
use wayside_sdk::Name;

/// One change to the request's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    Set(Name, String),
    Remove(Name),
}

impl Edit {
    fn name(&self) -> Name {
        match self {
            Edit::Set(name, _) | Edit::Remove(name) => *name,
        }
    }
}

/// What of a request decides that, besides its headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub clocks: Clocks,
    /// The router is not to end it: this filter does, or nobody.
    pub lasting: bool,
    /// Retries it may have, as `x-envoy-max-retries` says.
    pub granted: u64,
}

/// Of each control header one of these: it is set to what is left, it is taken away, or a trusted sender's stays that nobody reads here.
#[must_use]
pub fn edits(config: &Config, carried: &Carried<'_>, assessment: &Assessment, sent: Sent) -> Vec<Edit> {
    let left = assessment.left;
    let router = left.filter(|_| !sent.lasting);
    let mut edits = vec![Edit::Set(UPSTREAM, router.map_or_else(|| "0".to_owned(), forms::millis_text))];
    if let Some(per_try) = per_try(config, carried, left, sent.granted) {
        edits.push(Edit::Set(PER_TRY, forms::millis_text(per_try)));
    }
    for (source, name) in TOLD {
        if config.propagate.contains(source)
            && carried.speaks.has(source)
            && let Some(left) = left
            && let Some(text) = text(source, left, received(config, carried, source), sent.clocks)
        {
            edits.push(Edit::Set(name, text));
        }
    }
    for (source, name, _) in &carried.values {
        let limits = &config.limits;
        let stays = match source {
            // The router writes its own, and reads the other.
            Source::Expected | Source::PerTry => false,
            source => fate(limits.client_sources, limits.sources, carried, *source) == Fate::Left,
        };
        if !stays && !edits.iter().any(|edit| edit.name() == *name) {
            edits.push(Edit::Remove(*name));
        }
    }
    edits
}

pub(crate) const TOLD: [(Source, Name); 4] = [
    (Source::Grpc, GRPC_TIMEOUT),
    (Source::Connect, CONNECT_TIMEOUT),
    (Source::RequestTimeout, REQUEST_TIMEOUT),
    (Source::RequestDeadline, REQUEST_DEADLINE),
];

/// Never more than was received. `None` where the header's form has nothing so small.
pub(crate) fn text(source: Source, left: Duration, received: Option<Said>, clocks: Clocks) -> Option<String> {
    let left = match received {
        Some(Said::Allowance(received)) => left.min(received),
        _ => left,
    };
    match source {
        Source::Grpc => Some(forms::grpc_timeout_text(left)),
        Source::Connect => Some(forms::connect_timeout_text(left)),
        Source::RequestTimeout => match left.as_secs() {
            0 => None,
            seconds => Some(seconds.min(9_999_999).to_string()),
        },
        Source::RequestDeadline => {
            let end = Moment::at(clocks.wall.since_epoch().saturating_add(left));
            Some(forms::moment_text(match received {
                Some(Said::Moment(received)) => end.min(received),
                _ => end,
            }))
        }
        _ => None,
    }
}

/// The least that a sender who counts has written.
fn received(config: &Config, carried: &Carried<'_>, source: Source) -> Option<Said> {
    let limits = &config.limits;
    if fate(limits.client_sources, limits.sources, carried, source) == Fate::Refused {
        return None;
    }
    let values = carried.values.iter().filter(|(of, ..)| *of == source);
    let said =
        values.flat_map(|(.., value)| value.split(|byte| *byte == b',')).filter_map(|v| source.parse(v));
    said.reduce(|one, other| match (one, other) {
        (Said::Allowance(one), Said::Allowance(other)) => Said::Allowance(one.min(other)),
        (Said::Moment(one), Said::Moment(other)) => Said::Moment(one.min(other)),
        (one, _) => one,
    })
}

/// The rule's, or an equal part of what is left for each try that may come; less if a trusted caller asks for less. Nothing from which
/// the router would see no difference: it compares whole milliseconds.
fn per_try(config: &Config, carried: &Carried<'_>, left: Option<Duration>, granted: u64) -> Option<Duration> {
    let equal_part = || {
        let tries = u32::try_from(granted).unwrap_or(u32::MAX).saturating_add(1);
        Some(left.filter(|_| granted > 0)?.checked_div(tries)?.max(config.min_per_try))
    };
    let own = config.per_try.or_else(equal_part);
    let believed = carried.trusted && config.limits.client_sources != ClientSources::Ignore;
    let asked = carried.values.iter().filter(|(source, ..)| believed && *source == Source::PerTry);
    let asked = asked.filter_map(|(.., value)| forms::millis(value)).filter(|asked| !asked.is_zero()).min();
    let per_try = [own, asked].into_iter().flatten().min()?;
    let shorter = left.is_none_or(|left| per_try.as_millis() < left.as_millis());
    shorter.then_some(per_try)
}

#[cfg(test)]
mod tests;
