//! From fields as written to a configuration, or to everything that is wrong with them.

use super::presets::{self, Numbers};
use super::raw::{Preset, RawBudget, RawConfig, RawCosts, RawPushback};
use super::{Config, InboundRetry, Pushback, Scope};
use crate::budget::{Kind, Limits, Quota, Throttle};
use crate::conditions::Conditions;
use std::time::Duration;
use wayside_sdk::config::Quoted;
use wayside_sdk::policy::{Slices, is_grpc_method};
use wayside_sdk::units::{DurationText, Ratio};
use wayside_sdk::{Checked, Checks, OwnedName};

const HOUR: Duration = Duration::from_secs(3600);

impl Checked for Config {
    type Raw = RawConfig;

    fn check(raw: RawConfig, at: &mut Checks<'_>) -> Option<Config> {
        let fits = presets::check(&raw, at);
        let (scope, kind) = check_budget(&raw, &mut at.at("budget"));
        let pushback = check_pushback(&raw.pushback, &mut at.at("pushback"));
        let exhausted_status = whole(raw.exhausted_status, 503, (400, 599), &mut at.at("exhausted_status"));
        let per = raw.per_request;
        let mut at = at.at("per_request");
        let max_retries = whole(per.max_retries, 2, (0, 10), &mut at.at("max_retries"));
        let conditions = check_conditions(&per.retry_on, &mut at.at("retry_on"));
        let status_codes =
            check_status_codes(&per.retriable_status_codes, &mut at.at("retriable_status_codes"));
        let methods = check_methods(&per.grpc_idempotent_methods, &mut at.at("grpc_idempotent_methods"));
        let per_try = span(per.per_try_timeout, MILLISECOND, HOUR, &mut at.at("per_try_timeout"));
        let min_time = span(per.min_time_for_retry, Duration::ZERO, HOUR, &mut at.at("min_time_for_retry"));
        (methods && fits).then_some(())?;
        let per_try = per_try?;
        Some(Config {
            scope: scope?,
            kind: kind?,
            deposit_on: raw.budget.deposit_on.unwrap_or(Numbers::of(raw.preset).deposit_on),
            enforcement: raw.enforcement,
            max_retries: u8::try_from(max_retries?).ok()?,
            conditions: conditions?,
            status_codes: status_codes?,
            idempotent_only: per.idempotent_only,
            grpc_idempotent_methods: per.grpc_idempotent_methods,
            per_try_timeout: per_try,
            min_time_for_retry: min_time?.or(per_try).unwrap_or_default(),
            inbound_retry: raw.inbound_retry.unwrap_or(InboundRetry::Deny),
            pushback: pushback?,
            exhausted_status: u16::try_from(exhausted_status?).ok()?,
            exhausted_header: raw.exhausted_header,
            trust: raw.trust,
        })
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);

/// A number within a range, or what it is without one.
fn whole(given: Option<u64>, without: u64, (least, most): (u64, u64), at: &mut Checks<'_>) -> Option<u64> {
    let number = given.unwrap_or(without);
    let fits = (least..=most).contains(&number);
    if !fits {
        at.refuse(format_args!("{least} to {most}"), number);
    }
    fits.then_some(number)
}

/// A duration within a range, if one is given.
#[expect(clippy::option_option, reason = "refused, not given, given")]
fn span(
    given: Option<DurationText>,
    least: Duration,
    most: Duration,
    at: &mut Checks<'_>,
) -> Option<Option<Duration>> {
    let Some(text) = given else { return Some(None) };
    let fits = (least..=most).contains(&text.0);
    if !fits {
        at.refuse(format_args!("{} to {}", DurationText(least), DurationText(most)), text);
    }
    fits.then_some(Some(text.0))
}

fn check_pushback(raw: &RawPushback, at: &mut Checks<'_>) -> Option<Pushback> {
    let most = Duration::from_secs(600);
    let max_hold = span(raw.max_hold, Duration::ZERO, most, &mut at.at("max_hold"))?;
    Some(Pushback {
        grpc: raw.grpc,
        retry_after: raw.retry_after,
        max_hold: max_hold.unwrap_or(Duration::from_secs(30)),
        propagate: raw.propagate,
    })
}

fn check_budget(raw: &RawConfig, at: &mut Checks<'_>) -> (Option<Scope>, Option<Kind>) {
    let scope = check_scope(raw.budget.scope.as_deref(), &mut at.at("scope"));
    let kind = match raw.preset {
        Some(Preset::Grpc) => check_throttle(&raw.budget, at).map(Kind::Throttle),
        Some(Preset::Aws) => check_quota(&raw.budget, at).map(Kind::Quota),
        _ => check_limits(&raw.budget, &Numbers::of(raw.preset), at).map(Kind::Window),
    };
    (scope, kind)
}

fn check_scope(text: Option<&str>, at: &mut Checks<'_>) -> Option<Scope> {
    let scope = match text {
        None | Some("cluster") => Some(Scope::Cluster),
        Some("route") => Some(Scope::Route),
        Some("virtual_host") => Some(Scope::VirtualHost),
        Some("global") => Some(Scope::Global),
        Some(text) => text.strip_prefix("header:").and_then(OwnedName::parse).map(Scope::Header),
    };
    if scope.is_none() {
        let expected = "`cluster`, `route`, `virtual_host`, `global` or `header:` and a header's name";
        at.refuse_value(expected, text.unwrap_or_default());
    }
    scope
}

fn check_throttle(raw: &RawBudget, at: &mut Checks<'_>) -> Option<Throttle> {
    let max_tokens = whole(raw.max_tokens, 10, (1, 1000), &mut at.at("max_tokens"));
    let ratio = raw.token_ratio.unwrap_or(Ratio::from_ten_thousandths(1_000));
    let thousandths = thousandths(ratio, 1, 1_000_000, &mut at.at("token_ratio"));
    Some(Throttle { max_tokens: u16::try_from(max_tokens?).ok()?, token_ratio: thousandths? })
}

fn check_quota(raw: &RawBudget, at: &mut Checks<'_>) -> Option<Quota> {
    let capacity = whole(raw.capacity, 500, (0, 1_000_000), &mut at.at("capacity"))?;
    Some(match raw.costs {
        None | Some(RawCosts::Classic) => Quota::classic(u32::try_from(capacity).ok()?),
        Some(RawCosts::Of2026) => Quota::of_2026(u32::try_from(capacity).ok()?),
    })
}

fn check_limits(raw: &RawBudget, numbers: &Numbers, at: &mut Checks<'_>) -> Option<Limits> {
    let ratio = raw.retry_ratio.unwrap_or(numbers.ratio);
    let ratio = Some(ratio).filter(|ratio| *ratio <= Ratio::from_ten_thousandths(100_000));
    if let (None, Some(found)) = (ratio, raw.retry_ratio) {
        at.at("retry_ratio").refuse("0 to 10", found);
    }
    let window = span(raw.window, Duration::from_secs(1), HOUR, &mut at.at("window"))?;
    let window = window.unwrap_or(Duration::from_secs(10));
    let count = u8::try_from(whole(raw.slots, 10, (2, 60), &mut at.at("slots"))?).ok()?;
    let length = window.checked_div(u32::from(count)).unwrap_or(window);
    if length < Duration::from_millis(10) {
        at.at("window").refuse("at least 10ms a slot", DurationText(window));
    }
    let rate = raw.min_retries_per_second.unwrap_or(numbers.rate);
    let rate = thousandths(rate, 0, 100_000_000, &mut at.at("min_retries_per_second"));
    // Three seconds of the rate, at least one retry; but no rate is no floor.
    let default_burst = |rate: u32| {
        if rate == 0 { 0 } else { rate.saturating_mul(3).max(1000) }
    };
    let burst = match raw.burst {
        None => rate.map(default_burst),
        given => whole(given, 0, (0, 1_000_000), &mut at.at("burst"))
            .and_then(|burst| u32::try_from(burst.saturating_mul(1000)).ok()),
    };
    Some(Limits {
        ratio: ratio?,
        slots: Slices::sliding(window, count)?,
        floor_style: raw.floor_style.unwrap_or(numbers.floor_style),
        floor_rate: rate?,
        floor_burst: burst?,
    })
}

fn thousandths(number: Ratio, least: u32, most: u32, at: &mut Checks<'_>) -> Option<u32> {
    let count = number.numerator() / 10;
    let exact = number.numerator().is_multiple_of(10) && (least..=most).contains(&count);
    if !exact {
        let [least, most] = [least, most].map(|it| Ratio::from_ten_thousandths(it.saturating_mul(10)));
        at.refuse(format_args!("{least} to {most} with at most three places"), number);
    }
    exact.then_some(count)
}
fn check_conditions(names: &[String], at: &mut Checks<'_>) -> Option<Conditions> {
    match Conditions::parse(names) {
        Ok(conditions) => Some(conditions),
        Err(index) => {
            let found = names.get(index).map_or("", String::as_str);
            at.at(index).refuse("one of Envoy's retry conditions", Quoted(found));
            None
        }
    }
}

fn check_status_codes(codes: &[u64], at: &mut Checks<'_>) -> Option<String> {
    let mut list = String::new();
    for (index, code) in codes.iter().enumerate() {
        if !(100..600).contains(code) {
            at.at(index).refuse("100 to 599", code);
            return None;
        }
        if index > 0 {
            list.push(',');
        }
        list.push_str(&code.to_string());
    }
    Some(list)
}

fn check_methods(methods: &[String], at: &mut Checks<'_>) -> bool {
    let wrong = methods.iter().position(|method| !is_grpc_method(method));
    if let Some(index) = wrong {
        let found = methods.get(index).map_or("", String::as_str);
        at.at(index).refuse("a gRPC method such as /package.Service/Method", Quoted(found));
    }
    wrong.is_none()
}
