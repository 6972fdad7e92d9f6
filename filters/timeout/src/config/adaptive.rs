//! The sections `adaptive` and `hedge`, which are `null` unless an operator asks for them.

use super::raw::{RawAdaptive, RawBudget, RawHedge};
use super::{HOUR, MILLI, SECOND, is_grpc_method};
use crate::{adaptive, hedge};
use std::time::Duration;
use wayside_sdk::Checks;
use wayside_sdk::units::{DurationText, Ratio};

/// A quantile below says more of the usual than of the slow.
const LEAST_QUANTILE: u32 = 5_000;
/// What is waited for before a second try: a share of five in a hundred comes after it.
const LEAST_HEDGED: u32 = 9_500;
const ONE: u32 = Ratio::DENOMINATOR;

/// Says what is out of its bounds.
fn check(right: bool, at: &mut Checks<'_>, expected: &str, found: impl std::fmt::Display) -> bool {
    if !right {
        at.refuse(expected, found);
    }
    right
}

/// `slow` is the quantile after which requests are hedged.
pub(super) fn adaptive(
    raw: &RawAdaptive,
    timeout: Duration,
    slow: Option<Ratio>,
    at: &mut Checks<'_>,
) -> Option<adaptive::Settings> {
    let within = |ratio: Ratio, bounds: std::ops::Range<u32>| bounds.contains(&ratio.numerator());
    let (floor, window) = (raw.floor.0, raw.window.0);
    let fraction = raw.min_budget_fraction;
    let right = [
        check(
            within(raw.quantile, LEAST_QUANTILE..ONE),
            &mut at.at("quantile"),
            "from 0.5 and less than 1",
            raw.quantile,
        ),
        check(within(raw.headroom, ONE..100 * ONE + 1), &mut at.at("headroom"), "1 to 100", raw.headroom),
        check(
            floor >= MILLI && floor <= timeout,
            &mut at.at("floor"),
            "from 1ms to `timeout`",
            DurationText(floor),
        ),
        check(
            (10..=1_000_000).contains(&raw.min_samples),
            &mut at.at("min_samples"),
            "10 to 1000000",
            raw.min_samples,
        ),
        check((SECOND..=HOUR).contains(&window), &mut at.at("window"), "1s to 1h", DurationText(window)),
        fraction.is_none_or(|fraction| {
            check(within(fraction, 0..ONE + 1), &mut at.at("min_budget_fraction"), "0 to 1", fraction)
        }),
    ];
    right.iter().all(|right| *right).then_some(adaptive::Settings {
        quantile: raw.quantile,
        headroom: raw.headroom,
        floor,
        ceiling: timeout,
        min_samples: raw.min_samples,
        window,
        min_budget: fraction,
        slow,
    })
}

/// Both of a pair that excludes itself, or neither of one of which there must be one.
pub(super) fn hedge(
    raw: RawHedge,
    adapts: bool,
    timeout: Duration,
    at: &mut Checks<'_>,
) -> Option<hedge::Settings> {
    let delay = raw.delay.map(|delay| delay.0);
    let quantile = raw.quantile.unwrap_or(Ratio::from_ten_thousandths(LEAST_HEDGED));
    let share = raw.ratio.unwrap_or(Ratio::from_ten_thousandths(ONE - LEAST_HEDGED));
    let granted_only = raw.budget == Some(RawBudget::RetryBudget);
    let methods = super::all_are(
        &raw.grpc_idempotent_methods,
        &mut at.at("grpc_idempotent_methods"),
        is_grpc_method,
        super::GRPC_METHOD,
    );
    let right = [
        delay.is_none_or(|delay| {
            let fits = delay >= MILLI && delay < timeout;
            check(fits, &mut at.at("delay"), "from 1ms and less than `timeout`", DurationText(delay))
        }),
        check(
            (LEAST_HEDGED..ONE).contains(&quantile.numerator()),
            &mut at.at("quantile"),
            "from 0.95 and less than 1",
            quantile,
        ),
        check((1..=ONE / 2).contains(&share.numerator()), &mut at.at("ratio"), "0.0001 to 0.5", share),
        check(
            delay.is_some() || adapts,
            &mut at.at("delay"),
            "a delay, or a section `adaptive` that tells one",
            "neither",
        ),
        check(
            delay.is_none() || raw.quantile.is_none(),
            &mut at.at("quantile"),
            "no quantile beside `delay`",
            quantile,
        ),
        check(
            granted_only || raw.ratio.is_some(),
            &mut at.at("ratio"),
            "a ratio, or `budget`: `retry_budget`",
            "neither",
        ),
    ];
    let after = delay.map_or(hedge::After::Quantile(quantile), hedge::After::Fixed);
    (methods && right.iter().all(|right| *right)).then_some(hedge::Settings {
        after,
        granted_only,
        share,
        grpc_methods: raw.grpc_idempotent_methods,
    })
}
