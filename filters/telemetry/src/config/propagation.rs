//! What becomes of trace headers.

use serde::Deserialize;
use wayside_sdk::Checks;
use wayside_sdk::config::Quoted;
use wayside_sdk::policy::Trust;

use crate::propagation::{Baggage, Format, OnAbsent, OnInvalid, Propagation, Role, Untrusted};
use crate::trace::{baggage, tracestate};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPropagation {
    mode: Option<RawMode>,
    extract: Option<Vec<RawFormat>>,
    inject: Option<Vec<RawFormat>>,
    on_invalid: RawOnInvalid,
    absent: Option<RawOnAbsent>,
    trust: Trust,
    untrusted: RawUntrusted,
    baggage: Option<RawBaggage>,
    tracestate_key: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum RawMode {
    Pass,
    Trace,
    Observe,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum RawFormat {
    Tracecontext,
    B3,
    B3multi,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum RawOnInvalid {
    Pass,
    #[default]
    Restart,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawOnAbsent {
    Pass,
    Start,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum RawUntrusted {
    #[default]
    Continue,
    Restart,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawBaggage {
    allow: Option<Vec<String>>,
}

/// Names in `baggage.allow`.
const MOST_ALLOWED: usize = 64;

pub(super) fn check(raw: RawPropagation, takes_part: bool, at: &mut Checks<'_>) -> Option<Propagation> {
    let is_hop = takes_part || raw.extract.is_some() || raw.inject.is_some();
    let role = match raw.mode {
        Some(RawMode::Pass) => Role::Pass,
        Some(RawMode::Trace) => Role::Trace,
        Some(RawMode::Observe) => Role::Observe,
        None if is_hop => Role::Trace,
        None => Role::Pass,
    };
    if matches!(raw.mode, Some(RawMode::Pass | RawMode::Observe)) {
        for (field, given) in [("extract", raw.extract.is_some()), ("inject", raw.inject.is_some())] {
            if given {
                at.at(field).refuse("nothing with this `mode`", "a list");
            }
        }
    }
    let extract = formats(raw.extract.as_deref(), &mut at.at("extract"));
    let inject = formats(raw.inject.as_deref(), &mut at.at("inject"));
    if let Some(key) =
        raw.tracestate_key.as_deref().filter(|key| !tracestate::is_key(key.as_bytes()) || *key == "ot")
    {
        at.at("tracestate_key").refuse("a key of tracestate that is not `ot`", Quoted(key));
    }
    let untrusted = match raw.untrusted {
        RawUntrusted::Continue => Untrusted::Continue,
        RawUntrusted::Restart => Untrusted::Restart,
    };
    let baggage = baggage_policy(raw.baggage, role, untrusted, &mut at.at("baggage"));
    let on_absent = match (raw.absent, role) {
        (Some(RawOnAbsent::Pass), _) | (None, Role::Pass | Role::Observe) => OnAbsent::Pass,
        (Some(RawOnAbsent::Start), _) | (None, Role::Trace) => OnAbsent::Start,
    };
    let on_invalid = match raw.on_invalid {
        RawOnInvalid::Pass => OnInvalid::Pass,
        RawOnInvalid::Restart => OnInvalid::Restart,
    };
    let (trust, tracestate_key) = (raw.trust, raw.tracestate_key);
    Some(Propagation {
        role,
        extract,
        inject,
        on_invalid,
        on_absent,
        trust,
        untrusted,
        baggage,
        tracestate_key,
    })
}

fn formats(raw: Option<&[RawFormat]>, at: &mut Checks<'_>) -> Vec<Format> {
    let Some(raw) = raw else { return vec![Format::TraceContext] };
    if raw.is_empty() {
        at.refuse("one format or more", "none");
    }
    for (index, format) in raw.iter().enumerate() {
        if raw.iter().take(index).any(|other| other == format) {
            at.at(index).refuse("each format once", "one that stands there twice");
        }
    }
    let format = |raw: &RawFormat| match raw {
        RawFormat::Tracecontext => Format::TraceContext,
        RawFormat::B3 => Format::B3,
        RawFormat::B3multi => Format::B3Multi,
    };
    raw.iter().map(format).collect()
}

fn baggage_policy(raw: Option<RawBaggage>, role: Role, untrusted: Untrusted, at: &mut Checks<'_>) -> Baggage {
    let given = raw.is_some();
    let allow = raw.and_then(|raw| raw.allow);
    let keys = allow.as_deref().unwrap_or_default();
    if keys.len() > MOST_ALLOWED {
        at.at("allow").refuse(format_args!("at most {MOST_ALLOWED} keys"), keys.len());
    }
    for (index, key) in keys.iter().enumerate().filter(|(_, key)| !baggage::is_token(key.as_bytes())) {
        at.at("allow").at(index).refuse("a key of baggage", Quoted(key));
    }
    match (role, untrusted, allow) {
        // At a boundary nothing passes that is not named.
        (_, Untrusted::Restart, allow) => Baggage::Checked { allow: Some(allow.unwrap_or_default()) },
        (_, _, Some(allow)) => Baggage::Checked { allow: Some(allow) },
        (Role::Trace, _, None) => Baggage::Checked { allow: None },
        (_, _, None) if given => Baggage::Checked { allow: None },
        (_, _, None) => Baggage::Untouched,
    }
}
