//! Structured fields (RFC 9651) by the library `sfv`, and the two in which a server tells of its limits
//! (draft-ietf-httpapi-ratelimit-headers, from its 8th version on). Behind the feature `sfv`; what is not called weighs nothing.

pub use sfv;

use super::buckets::Limit;
use sfv::{Integer, KeyRef, ListEntry, ListSerializer, Parser, StringRef};
use std::time::Duration;

/// One of `RateLimit-Policy`: so many requests in a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaPolicy<'a> {
    pub name: &'a str,
    pub quota: u64,
    pub window: Option<Duration>,
}

/// One of `RateLimit`: what is left of a policy's quota now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceLimit<Name> {
    pub name: Name,
    pub remaining: u64,
    /// Until the quota is whole again.
    pub reset: Option<Duration>,
}

impl<'a> QuotaPolicy<'a> {
    /// A bucket as a policy: its burst, in the time that fills it.
    #[must_use]
    pub fn of(name: &'a str, limit: &Limit) -> QuotaPolicy<'a> {
        QuotaPolicy { name, quota: u64::from(limit.burst()), window: Some(limit.refill()) }
    }
}

/// The value of `RateLimit-Policy`: `"burst";q=100;w=60`. `None` without policies, or with a name beyond printable ASCII.
#[must_use]
pub fn rate_limit_policy(policies: &[QuotaPolicy<'_>]) -> Option<String> {
    let (quota, window) = (KeyRef::constant("q"), KeyRef::constant("w"));
    let all = policies.iter().map(|policy| (policy.name, policy.quota, policy.window));
    list(all, quota, window)
}

/// The value of `RateLimit`: `"burst";r=50;t=30`. `None` without limits, or with a name beyond printable ASCII.
#[must_use]
pub fn rate_limit(limits: &[ServiceLimit<&str>]) -> Option<String> {
    let (remaining, reset) = (KeyRef::constant("r"), KeyRef::constant("t"));
    list(limits.iter().map(|limit| (limit.name, limit.remaining, limit.reset)), remaining, reset)
}

fn list<'a>(
    entries: impl Iterator<Item = (&'a str, u64, Option<Duration>)>,
    count: &KeyRef,
    time: &KeyRef,
) -> Option<String> {
    let mut list = ListSerializer::new();
    for (name, number, duration) in entries {
        let entry = list.bare_item(StringRef::from_str(name).ok()?).parameter(count, integer(number));
        if let Some(duration) = duration {
            let _ = entry.parameter(time, integer(seconds(duration)));
        }
    }
    list.finish()
}

/// Rounded up: who waits so long does not come too early.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// A structured field has fifteen digits.
fn integer(number: u64) -> Integer {
    Integer::try_from(number).unwrap_or(Integer::MAX)
}

/// Reads `RateLimit` as an upstream sent it; its lines joined by commas. `None` for what is no list, or where an entry is not a name
/// with a number `r` that is not negative; parameters that are not known are passed over.
#[must_use]
pub fn read_rate_limit(value: &[u8]) -> Option<Vec<ServiceLimit<String>>> {
    let list: sfv::List = Parser::new(value).parse().ok()?;
    let read = |entry: ListEntry| {
        let ListEntry::Item(item) = entry else { return None };
        let number = |key: &str| match item.params.get(key) {
            Some(value) => value.as_integer().and_then(|number| u64::try_from(number).ok()).map(Some),
            None => Some(None),
        };
        Some(ServiceLimit {
            name: item.bare_item.as_string()?.as_str().to_owned(),
            remaining: number("r")??,
            reset: number("t")?.map(Duration::from_secs),
        })
    };
    list.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_are_told_as_the_draft_writes_them() {
        let minute = Some(Duration::from_secs(60));
        let policies = [
            QuotaPolicy { name: "burst", quota: 100, window: minute },
            QuotaPolicy { name: "daily", quota: 1000, window: None },
        ];
        assert_eq!(rate_limit_policy(&policies).unwrap(), r#""burst";q=100;w=60, "daily";q=1000"#);
        let limit = Limit::new(10, Duration::from_secs(1), 25).unwrap();
        assert_eq!(rate_limit_policy(&[QuotaPolicy::of("a\"b", &limit)]).unwrap(), r#""a\"b";q=25;w=3"#);
        let left = |remaining, reset| [ServiceLimit { name: "burst", remaining, reset }];
        let almost = Some(Duration::from_millis(29_001));
        assert_eq!(rate_limit(&left(50, almost)).unwrap(), r#""burst";r=50;t=30"#);
        assert_eq!(rate_limit(&left(u64::MAX, None)).unwrap(), r#""burst";r=999999999999999"#);
        assert_eq!(
            (rate_limit(&[]), rate_limit_policy(&[QuotaPolicy { name: "é", quota: 1, window: None }])),
            (None, None)
        );
    }

    #[test]
    fn what_is_no_limit_is_none() {
        for wrong in [
            "burst;r=1",
            r#""a";r=-1"#,
            r#""a""#,
            r#""a";r=1.5"#,
            r#"("a");r=1"#,
            r#""a";r=1,"#,
            r#""a";r=1;t=x"#,
            "\"é\";r=1",
        ] {
            assert_eq!(read_rate_limit(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(read_rate_limit(b""), Some(vec![]));
        let read = read_rate_limit(br#"  "a";r=1;pk=:YQ==:;t=5 , "b";r=0"#).unwrap();
        assert_eq!(read[0].reset, Some(Duration::from_secs(5)));
        assert_eq!((read[1].name.as_str(), read[1].remaining, read[1].reset), ("b", 0, None));
    }

    proptest! {
        #[test]
        fn what_is_told_is_read_again(
            limits in proptest::collection::vec(("[ -~]{0,12}", 0..1_000_000_000_000_000_u64, proptest::option::of(0..1_000_000_u64)), 1..6),
        ) {
            let limits: Vec<_> = limits
                .into_iter()
                .map(|(name, remaining, reset)| ServiceLimit { name, remaining, reset: reset.map(Duration::from_secs) })
                .collect();
            let told: Vec<_> = limits
                .iter()
                .map(|limit| ServiceLimit { name: limit.name.as_str(), remaining: limit.remaining, reset: limit.reset })
                .collect();
            prop_assert_eq!(read_rate_limit(rate_limit(&told).unwrap().as_bytes()), Some(limits.clone()));
        }

        #[test]
        fn any_bytes_are_limits_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_rate_limit(&bytes);
        }
    }
}
