//! Which requests become spans.

use std::time::Duration;

use serde::Deserialize;
use wayside_sdk::Checks;
use wayside_sdk::policy::Limit;
use wayside_sdk::units::{DurationText, Ratio};

use crate::sampling::{Kind, Sampler, Tail};
use crate::trace::threshold::Threshold;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    pub sampler: Sampler,
    /// Of requests that are sampled when they come; `None`: as many as there are
    pub limit: Option<Limit>,
    pub tail: Option<TailSampling>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailSampling {
    pub tail: Tail,
    pub limit: Limit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSampling {
    kind: RawKind,
    ratio: Ratio,
    precision: u32,
    rate_limit_per_second: Option<u32>,
    tail: Option<RawTail>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    #[default]
    Parent,
    Ratio,
    Always,
    Never,
    Consistent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawTail {
    errors: bool,
    slow: Option<DurationText>,
    max_per_second: u32,
}

impl Default for RawSampling {
    fn default() -> Self {
        Self {
            kind: RawKind::Parent,
            ratio: Ratio::from_ten_thousandths(100),
            precision: 4,
            rate_limit_per_second: None,
            tail: None,
        }
    }
}

impl Default for RawTail {
    fn default() -> Self {
        Self { errors: true, slow: None, max_per_second: 100 }
    }
}

const MOST_PER_SECOND: u32 = 1_000_000;
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn check(raw: RawSampling, at: &mut Checks<'_>) -> Option<Sampling> {
    if raw.ratio.numerator() > Ratio::DENOMINATOR {
        at.at("ratio").refuse("0 to 1", raw.ratio);
    }
    if !(1..=13).contains(&raw.precision) {
        at.at("precision").refuse("1 to 13", raw.precision);
    }
    let limit = raw.rate_limit_per_second.map(|rate| per_second(rate, &mut at.at("rate_limit_per_second")));
    let tail = raw.tail.map(|tail| check_tail(&tail, &mut at.at("tail")));
    let kind = match raw.kind {
        RawKind::Parent => Kind::Parent,
        RawKind::Ratio => Kind::Ratio,
        RawKind::Always => Kind::Always,
        RawKind::Never => Kind::Never,
        RawKind::Consistent => Kind::Consistent,
    };
    let threshold = Threshold::of(raw.ratio.numerator().into(), Ratio::DENOMINATOR.into(), raw.precision);
    // What was refused was told; nothing is made of it.
    Some(Sampling {
        sampler: Sampler { kind, threshold },
        limit: match limit {
            Some(limit) => Some(limit?),
            None => None,
        },
        tail: match tail {
            Some(tail) => Some(tail?),
            None => None,
        },
    })
}

/// So many a second, and as many at once.
fn per_second(rate: u32, at: &mut Checks<'_>) -> Option<Limit> {
    if rate > MOST_PER_SECOND || rate == 0 {
        at.refuse(format_args!("1 to {MOST_PER_SECOND}"), rate);
        return None;
    }
    Limit::new(rate, Duration::from_secs(1), rate)
}

fn check_tail(raw: &RawTail, at: &mut Checks<'_>) -> Option<TailSampling> {
    let slow = raw.slow.map(|slow| slow.0);
    if let Some(slow) = slow.filter(|slow| slow.is_zero() || *slow > HOUR) {
        at.at("slow").refuse("1ms to 1h", DurationText(slow));
    }
    let limit = per_second(raw.max_per_second, &mut at.at("max_per_second"))?;
    Some(TailSampling { tail: Tail { errors: raw.errors, slow }, limit })
}
