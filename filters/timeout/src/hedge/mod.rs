//! A second try beside a slow first one, for requests that may be sent twice: whichever answers first is the answer.
//!
//! Envoy's router hedges when a try's time is over and `x-envoy-hedge-on-per-try-timeout` says so, if the request may be retried at all: if
//! some retry condition is on, whichever, and a retry is left. With a condition under which it would have retried the second try's
//! failure, it waits for the first instead of handing that failure on: so it is [`CONDITIONS`] that are set. All seen in Envoy 1.40.

use crate::forms::whole_millis;
use crate::source::PER_TRY;
use crate::upstream::Edit;
use std::time::Duration;
use wayside_sdk::units::Ratio;
use wayside_sdk::{Name, name};

const HEDGE: Name = name!("x-envoy-hedge-on-per-try-timeout");
pub const MAX_RETRIES: Name = name!("x-envoy-max-retries");
pub const RETRY_ON: Name = name!("x-envoy-retry-on");
pub const RETRY_GRPC_ON: Name = name!("x-envoy-retry-grpc-on");

/// For HTTP and for gRPC. With one of its own, an answer by which the first try is still worth waiting for.
const CONDITIONS: [(Name, &str); 2] = [
    (RETRY_ON, "5xx"),
    (RETRY_GRPC_ON, "cancelled,deadline-exceeded,internal,resource-exhausted,unavailable"),
];

/// Of which requests a share is hedged, and how long their windows are.
pub const WINDOW: Duration = Duration::from_secs(10);

/// When and how much is hedged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub after: After,
    /// Only what retry-budget has granted a retry.
    pub granted_only: bool,
    /// Of a rule's requests at most this share.
    pub share: Ratio,
    /// Methods of gRPC that may be sent twice.
    pub grpc_methods: Vec<String>,
}

/// How long the first try is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Fixed(Duration),
    /// For as long as this share of requests takes, as the adaptive limit knows it.
    Quantile(Ratio),
}

/// What of a request decides whether it may be hedged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// It can be sent twice without harm.
    pub repeatable: bool,
    /// What `x-envoy-max-retries` says.
    pub granted: Option<u64>,
    /// Somebody has set conditions already.
    pub conditions: bool,
    pub grpc: bool,
    pub left: Option<Duration>,
    /// How long the first try is waited for; `None` while nobody knows how long is long.
    pub after: Option<Duration>,
}

/// What the router is told, if there is to be a second try; nothing where that could not help, or is not allowed.
#[must_use]
pub fn plan(settings: &Settings, asked: &Asked) -> Option<Vec<Edit>> {
    let after = asked.after.map(|after| whole_millis_above(after).max(1))?;
    let helps = asked.left.is_none_or(|left| after < whole_millis(left));
    let allowed = match asked.granted {
        Some(granted) => granted > 0,
        None => !settings.granted_only,
    };
    if !asked.repeatable || !helps || !allowed {
        return None;
    }
    let mut edits = vec![Edit::Set(HEDGE, "true".to_owned()), Edit::Set(PER_TRY, after.to_string())];
    if asked.granted.is_none() {
        edits.push(Edit::Set(MAX_RETRIES, "1".to_owned()));
    }
    if !asked.conditions {
        let [http, grpc] = CONDITIONS;
        let (name, conditions) = if asked.grpc { grpc } else { http };
        edits.push(Edit::Set(name, conditions.to_owned()));
    }
    Some(edits)
}

/// Rounded up: a second try is never sooner than said.
fn whole_millis_above(time: Duration) -> u64 {
    whole_millis(time.saturating_add(Duration::from_nanos(999_999)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        after: After::Fixed(Duration::from_millis(20)),
        granted_only: false,
        share: Ratio::from_ten_thousandths(500),
        grpc_methods: Vec::new(),
    };
    const ASKED: Asked = Asked {
        repeatable: true,
        granted: None,
        conditions: false,
        grpc: false,
        left: Some(Duration::from_secs(1)),
        after: Some(Duration::from_micros(11_200)),
    };

    fn planned(settings: &Settings, asked: &Asked) -> Vec<String> {
        let told = |edit: &Edit| match edit {
            Edit::Set(name, value) => format!("{}: {value}", name.as_str()),
            Edit::Remove(name) => format!("-{}", name.as_str()),
        };
        plan(settings, asked).iter().flatten().map(told).collect()
    }

    const HEDGED: &str = "x-envoy-hedge-on-per-try-timeout: true";
    const AFTER: &str = "x-envoy-upstream-rq-per-try-timeout-ms: 12";

    #[test]
    fn the_router_is_told_when_and_that_one_retry_is_allowed() {
        assert_eq!(
            planned(&SETTINGS, &ASKED),
            [HEDGED, AFTER, "x-envoy-max-retries: 1", "x-envoy-retry-on: 5xx"]
        );
        let grpc = planned(&SETTINGS, &Asked { grpc: true, ..ASKED });
        assert!(grpc[3].starts_with("x-envoy-retry-grpc-on: cancelled,"), "{grpc:?}");
        assert_eq!(planned(&SETTINGS, &Asked { left: None, ..ASKED }).len(), 4);
    }

    #[test]
    fn what_was_granted_is_not_exceeded_and_the_conditions_of_others_stay() {
        let granted =
            |granted| planned(&SETTINGS, &Asked { granted: Some(granted), conditions: true, ..ASKED });
        assert_eq!(granted(2), [HEDGED, AFTER]);
        assert_eq!(granted(1), [HEDGED, AFTER]);
        assert!(granted(0).is_empty());
        let strict = Settings { granted_only: true, ..SETTINGS };
        assert!(planned(&strict, &ASKED).is_empty(), "retry-budget does not stand before this filter");
        assert_eq!(planned(&strict, &Asked { granted: Some(1), ..ASKED }).len(), 3);
    }

    #[test]
    fn nothing_is_hedged_that_must_not_be_sent_twice_or_ends_before() {
        for asked in [
            Asked { repeatable: false, ..ASKED },
            Asked { after: None, ..ASKED },
            Asked { left: Some(Duration::from_micros(12_900)), ..ASKED },
        ] {
            assert!(planned(&SETTINGS, &asked).is_empty(), "{asked:?}");
        }
    }
}
