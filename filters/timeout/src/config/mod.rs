//! The filter's configuration: fields as written, then values that cannot be wrong.

mod adaptive;
mod raw;

pub use raw::RawConfig;

use crate::deadline::Limits;
use crate::hedge::After;
use crate::rejects::Cap;
use crate::source::{ClientSources, LONGEST, Source, Sources};
use crate::streaming::Streaming;
use crate::watch::Phases;
use raw::{OnBadHeader, RawClientSources, RawPhases, RawSource, RawStreaming, RawTold};
use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::config::Quoted;
use wayside_sdk::policy::{Trust, is_grpc_method};
use wayside_sdk::units::{DurationText, Ratio};
use wayside_sdk::{Checked, Checks};

/// Configuration of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub limits: Limits,
    pub trust: Trust,
    /// For each try; otherwise what is left is parted equally.
    pub per_try: Option<Duration>,
    /// The least such part.
    pub min_per_try: Duration,
    /// How many may be refused at once; `None`: all.
    pub rejects: Option<Cap>,
    pub reject_bad_headers: bool,
    pub phases: Phases,
    /// How often expired requests are looked for; `None` leaves enforcement to the router.
    pub tick: Option<Duration>,
    /// Whether an answer that has begun is broken off at the deadline.
    pub hard: bool,
    pub streaming: Rc<Streaming>,
    /// In which headers the upstream is told what is left.
    pub propagate: Sources,
    /// How the limit follows latencies; `None`: it is `timeout`.
    pub adaptive: Option<Rc<crate::adaptive::Settings>>,
    pub hedge: Option<Rc<crate::hedge::Settings>>,
}

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Says what is out of its bounds.
struct Bounds<'a, 'b>(&'a mut Checks<'b>);

impl Bounds<'_, '_> {
    #[inline(never)]
    fn check(&mut self, field: &str, found: Duration, right: bool, expected: &str) -> bool {
        if !right {
            self.0.at(field).refuse(expected, DurationText(found));
        }
        right
    }
}

impl Checked for Config {
    type Raw = RawConfig;

    fn check(raw: RawConfig, at: &mut Checks<'_>) -> Option<Config> {
        let right = durations(&raw, at);
        let phases = phases(&raw.phases, &mut at.at("phases"));
        let streaming = streaming(raw.streaming, &mut at.at("streaming"));
        let (adaptive, hedge) = (&raw.adaptive, raw.hedge);
        let adapts = adaptive.is_some();
        let hedge = hedge.map(|hedge| adaptive::hedge(hedge, adapts, raw.timeout.0, &mut at.at("hedge")));
        let slow = hedge.iter().flatten().find_map(|hedge| match hedge.after {
            After::Quantile(slow) => Some(slow),
            After::Fixed(_) => None,
        });
        let adaptive = adaptive.as_ref().map(|raw_adaptive| {
            adaptive::adaptive(raw_adaptive, raw.timeout.0, slow, &mut at.at("adaptive"))
        });
        if raw.max_reject_fraction.numerator() > Ratio::DENOMINATOR {
            at.at("max_reject_fraction").refuse("0 to 1", raw.max_reject_fraction);
            return None;
        }
        if !right {
            return None;
        }
        Some(Config {
            limits: Limits {
                timeout: raw.timeout.0,
                hop_margin: raw.hop_margin.0,
                min_budget: raw.min_budget.0,
                client_sources: match raw.client_sources {
                    RawClientSources::Trusted => ClientSources::Trusted,
                    RawClientSources::CapOnly => ClientSources::CapOnly,
                    RawClientSources::Ignore => ClientSources::Ignore,
                },
                sources: raw.sources.iter().fold(Sources::default(), read),
                skew: raw.skew.0,
            },
            trust: raw.trust,
            per_try: raw.per_try.map(|per_try| per_try.0),
            min_per_try: raw.min_per_try.0,
            rejects: Cap::new(raw.max_reject_fraction, raw.reject_window.0),
            reject_bad_headers: raw.on_bad_header == OnBadHeader::Reject,
            phases: phases?,
            tick: (!raw.tick.0.is_zero()).then_some(raw.tick.0),
            hard: raw.hard_response_deadline,
            streaming: Rc::new(streaming?),
            propagate: raw.propagate.iter().fold(Sources::default(), told),
            // What was refused was told; nothing is made of it.
            adaptive: match adaptive {
                Some(settings) => Some(Rc::new(settings?)),
                None => None,
            },
            hedge: match hedge {
                Some(settings) => Some(Rc::new(settings?)),
                None => None,
            },
        })
    }
}

fn durations(raw: &RawConfig, at: &mut Checks<'_>) -> bool {
    let DurationText(timeout) = raw.timeout;
    let DurationText(tick) = raw.tick;
    let mut bounds = Bounds(at);
    let enforces = raw.hard_response_deadline || raw.phases.any();
    let per_try = raw.per_try.map_or(MILLI, |per_try| per_try.0);
    let checks = [
        ("timeout", timeout, (MILLI..=LONGEST).contains(&timeout), "1ms to 24h"),
        (
            "per_try",
            per_try,
            per_try >= MILLI && (raw.per_try.is_none() || per_try < timeout),
            "from 1ms and less than `timeout`",
        ),
        ("min_per_try", raw.min_per_try.0, (MILLI..=LONGEST).contains(&raw.min_per_try.0), "1ms to 24h"),
        ("hop_margin", raw.hop_margin.0, raw.hop_margin.0 < timeout, "less than `timeout`"),
        ("min_budget", raw.min_budget.0, raw.min_budget.0 < timeout, "less than `timeout`"),
        ("reject_window", raw.reject_window.0, (SECOND..=HOUR).contains(&raw.reject_window.0), "1s to 1h"),
        ("skew", raw.skew.0, raw.skew.0 <= HOUR, "at most 1h"),
        ("tick", tick, tick.is_zero() || (MILLI..=SECOND).contains(&tick), "0ms, or 1ms to 1s"),
        (
            "tick",
            tick,
            !(tick.is_zero() && enforces),
            "1ms to 1s, which `phases` and `hard_response_deadline` need",
        ),
    ];
    let mut right = true;
    for (field, found, holds, expected) in checks {
        right &= bounds.check(field, found, holds, expected);
    }
    right
}

impl RawPhases {
    fn all(&self) -> [(&'static str, Option<DurationText>); 5] {
        [
            ("request_headers_to_body_end", self.request_headers_to_body_end),
            ("request_idle", self.request_idle),
            ("first_byte", self.first_byte),
            ("response_idle", self.response_idle),
            ("total", self.total),
        ]
    }

    fn any(&self) -> bool {
        self.all().iter().any(|(_, limit)| limit.is_some())
    }
}

fn phases(raw: &RawPhases, at: &mut Checks<'_>) -> Option<Phases> {
    let (mut bounds, mut right) = (Bounds(at), true);
    for (field, limit) in raw.all() {
        if let Some(DurationText(limit)) = limit {
            right &= bounds.check(field, limit, (MILLI..=LONGEST).contains(&limit), "1ms to 24h");
        }
    }
    let limit = |text: Option<DurationText>| text.map(|text| text.0);
    right.then(|| Phases {
        upload: limit(raw.request_headers_to_body_end),
        request_idle: limit(raw.request_idle),
        first_byte: limit(raw.first_byte),
        response_idle: limit(raw.response_idle),
        total: limit(raw.total),
    })
}

fn streaming(raw: RawStreaming, at: &mut Checks<'_>) -> Option<Streaming> {
    let types = all_are(
        &raw.content_types,
        &mut at.at("content_types"),
        is_media_type,
        "a media type such as text/event-stream",
    );
    let methods = all_are(&raw.grpc_methods, &mut at.at("grpc_methods"), is_grpc_method, GRPC_METHOD);
    (types && methods)
        .then_some(Streaming { content_types: raw.content_types, grpc_methods: raw.grpc_methods })
}

const GRPC_METHOD: &str = "a gRPC method such as /package.Service/Method";

/// Each request is compared with all of them.
const MOST_LISTED: usize = 1000;

fn all_are(texts: &[String], at: &mut Checks<'_>, is: fn(&str) -> bool, expected: &str) -> bool {
    if texts.len() > MOST_LISTED {
        at.refuse("at most 1000 entries", texts.len());
        return false;
    }
    let mut right = true;
    for (index, text) in texts.iter().enumerate().filter(|(_, text)| !is(text)) {
        at.at(index).refuse(expected, Quoted(text));
        right = false;
    }
    right
}

/// `type/subtype` of tokens (RFC 9110 section 8.3.1), without parameters.
fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    text.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

fn read(sources: Sources, source: &RawSource) -> Sources {
    match source {
        RawSource::Grpc => sources.with(Source::Grpc),
        RawSource::Connect => sources.with(Source::Connect),
        RawSource::Envoy => sources.with(Source::Expected).with(Source::Upstream),
        RawSource::RequestTimeout => sources.with(Source::RequestTimeout),
        RawSource::XRequestDeadline => sources.with(Source::RequestDeadline),
    }
}

fn told(sources: Sources, header: &RawTold) -> Sources {
    sources.with(match header {
        RawTold::Grpc => Source::Grpc,
        RawTold::Connect => Source::Connect,
        RawTold::RequestTimeout => Source::RequestTimeout,
        RawTold::XRequestDeadline => Source::RequestDeadline,
    })
}

#[cfg(test)]
mod tests;
