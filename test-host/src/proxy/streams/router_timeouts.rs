//! How long the router waits for an upstream, and what it tells it of that (`source/common/router/router.cc`,
//! `FilterUtility::finalTimeout` and `setTimeoutHeaders`).

use std::time::Duration;

use bytes::Bytes;

use crate::message::HeaderMap;

/// Which of them has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteTimeout {
    /// Of all attempts together.
    Global,
    PerTry,
    /// Of the attempt as a stream.
    StreamDuration,
}

/// The timeouts of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) struct Timeouts {
    /// For all attempts together; `None` waits for ever.
    pub(in crate::proxy) global: Option<Duration>,
    /// What `x-envoy-expected-rq-timeout-ms` says to the upstream; `None`: nothing.
    pub(in crate::proxy) told: Option<Duration>,
    /// For each attempt; shorter than the global one.
    pub(in crate::proxy) per_try: Option<Duration>,
    /// From an attempt's headers to its end.
    pub(in crate::proxy) stream_duration: Option<Duration>,
    /// `x-envoy-upstream-rq-timeout-alt-response` is there.
    pub(in crate::proxy) alternative_response: bool,
    /// An attempt that takes too long goes on, with another beside it.
    pub(in crate::proxy) hedges: bool,
}

impl Timeouts {
    /// What the headers ask for stands in the place of the route's; 0 is none.
    pub(in crate::proxy) fn of(
        headers: &HeaderMap,
        route: Option<Duration>,
        per_try: Option<Duration>,
        hedges: bool,
    ) -> Self {
        let set = |timeout: &Duration| !timeout.is_zero();
        let [asked, asked_per_try, asked_stream, hedge, alternative] = first_values(headers);
        let global = asked.and_then(millis).or(route).filter(set);
        let per_try = asked_per_try.and_then(millis).or(per_try).filter(set);
        let per_try = per_try.filter(|per_try| global.is_none_or(|global| *per_try < global));
        let hedges = hedge.map_or(hedges, |value| &value[..] == b"true");
        let told = if hedges { global } else { per_try.or(global) };
        let stream_duration = asked_stream.and_then(millis).filter(set);
        let alternative_response = alternative.is_some();
        Timeouts { global, told, per_try, stream_duration, alternative_response, hedges }
    }

    /// What the upstream is told in an attempt that begins so long after the end of the request.
    pub(in crate::proxy) fn told_after(&self, elapsed: Duration) -> Option<Duration> {
        const LEAST: Duration = Duration::from_millis(1);
        let told = self.told?;
        Some(match self.global {
            None => told,
            Some(global) => told.min(global.saturating_sub(elapsed)).max(LEAST),
        })
    }
}

const READ: [&[u8]; 5] = [
    b"x-envoy-upstream-rq-timeout-ms",
    b"x-envoy-upstream-rq-per-try-timeout-ms",
    b"x-envoy-upstream-stream-duration-ms",
    b"x-envoy-hedge-on-per-try-timeout",
    b"x-envoy-upstream-rq-timeout-alt-response",
];

/// The first value of each of [`READ`]. Most requests have none of them, which one pass shows.
fn first_values(headers: &HeaderMap) -> [Option<&Bytes>; READ.len()] {
    let mut values = [None; READ.len()];
    for header in headers.iter().filter(|header| header.name.starts_with(b"x-envoy-")) {
        if let Some(at) = READ.iter().position(|name| *name == header.name) {
            values[at].get_or_insert(&header.value);
        }
    }
    values
}

/// What is no number, or more than 2⁶³ − 1, is ignored.
fn millis(value: &Bytes) -> Option<Duration> {
    let millis: u64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    i64::try_from(millis).is_ok().then(|| Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The route's timeouts are 15 s, and 2 s for a try. In milliseconds; 0: none.
    fn timeouts(asked: &[(&'static str, &'static str)]) -> [u128; 2] {
        let headers = asked.iter().copied().collect();
        let Timeouts { global, told, .. } =
            Timeouts::of(&headers, Some(Duration::from_secs(15)), Some(Duration::from_secs(2)), false);
        [global, told].map(|timeout| timeout.map_or(0, |timeout| timeout.as_millis()))
    }

    #[test]
    fn headers_stand_in_the_place_of_the_route() {
        const GLOBAL: &str = "x-envoy-upstream-rq-timeout-ms";
        const PER_TRY: &str = "x-envoy-upstream-rq-per-try-timeout-ms";
        assert_eq!(timeouts(&[]), [15_000, 2_000]);
        assert_eq!(timeouts(&[(GLOBAL, "3000")]), [3_000, 2_000]);
        assert_eq!(timeouts(&[(GLOBAL, "+3000")]), [3_000, 2_000]);
        assert_eq!(timeouts(&[(GLOBAL, "0")]), [0, 2_000]);
        assert_eq!(timeouts(&[(GLOBAL, "0"), (PER_TRY, "0")]), [0, 0]);
        for ignored in ["soon", "", "-5", "1.5", "1,2", "9223372036854775808", "99999999999999999999"] {
            assert_eq!(timeouts(&[(GLOBAL, ignored), (PER_TRY, ignored)]), [15_000, 2_000], "{ignored}");
        }
    }

    #[test]
    fn a_try_is_told_its_own_time_unless_that_is_longer_or_another_try_hedges_it() {
        const PER_TRY: &str = "x-envoy-upstream-rq-per-try-timeout-ms";
        assert_eq!(timeouts(&[(PER_TRY, "900")]), [15_000, 900]);
        assert_eq!(timeouts(&[(PER_TRY, "15000")]), [15_000, 15_000]);
        let hedge = |value| timeouts(&[("x-envoy-hedge-on-per-try-timeout", value)]);
        assert_eq!(hedge("true"), [15_000, 15_000]);
        assert_eq!(hedge("yes"), [15_000, 2_000]);
    }
}
