//! What an upstream says about retries, in headers or trailers. Bytes as they came.

use crate::http_date;
use crate::safety::number;
use std::time::Duration;
use wayside_sdk::{Only, Wall};

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    #[default]
    Nothing,
    /// This request must not be retried.
    NoRetry,
    /// Nobody retries for so long.
    Wait(Duration),
}

/// `grpc-retry-pushback-ms`: a signed 32-bit number without unnecessary leading zeros. One that is negative or cannot be read asks for no
/// retry (gRPC proposal A6, "Pushback"), and so do two of them.
#[must_use]
pub fn grpc(value: Only<'_>) -> Asked {
    let digits = match value {
        Only::Missing => return Asked::Nothing,
        Only::Many => return Asked::NoRetry,
        Only::One(digits) => digits,
    };
    let millis = number(digits).filter(|_| digits == b"0" || !digits.starts_with(b"0"));
    match millis.filter(|millis| i32::try_from(*millis).is_ok()) {
        Some(millis) => Asked::Wait(Duration::from_millis(millis)),
        None => Asked::NoRetry,
    }
}

/// `retry-after`: seconds, or a date (RFC 9110 section 10.2.3). One that cannot be read, and two of them, say nothing.
#[must_use]
pub fn retry_after(value: Only<'_>, now: impl FnOnce() -> Option<Wall>) -> Asked {
    let Only::One(value) = value else {
        return Asked::Nothing;
    };
    if let Some(seconds) = number(value) {
        return Asked::Wait(Duration::from_secs(seconds));
    }
    // Only a date starts with a letter: nobody else needs to know the time of day.
    if !value.first().is_some_and(u8::is_ascii_uppercase) {
        return Asked::Nothing;
    }
    let Some(now) = now() else {
        return Asked::Nothing;
    };
    match http_date::parse(value, now) {
        Some(when) => Asked::Wait(when.since_epoch().saturating_sub(now.since_epoch())),
        None => Asked::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Asked {
        Asked::Wait(Duration::from_millis(count))
    }

    #[test]
    fn rb_5_grpc_pushback_is_a_plain_signed_number_or_asks_for_no_retry() {
        for (value, asked) in [
            (&b"0"[..], millis(0)),
            (b"1000", millis(1000)),
            (b"2147483647", millis(2_147_483_647)),
            (b"2147483648", Asked::NoRetry),
            (b"99999999999999999999", Asked::NoRetry),
            (b"-1", Asked::NoRetry),
            (b"-0", Asked::NoRetry),
            (b"abc", Asked::NoRetry),
            (b"", Asked::NoRetry),
            (b"+1", Asked::NoRetry),
            (b"1.5", Asked::NoRetry),
            (b" 1", Asked::NoRetry),
            (b"00", Asked::NoRetry),
            (b"007", Asked::NoRetry),
            (b"01000", Asked::NoRetry),
            (b"\xff", Asked::NoRetry),
        ] {
            assert_eq!(grpc(Only::One(value)), asked, "{}", value.escape_ascii());
        }
        assert_eq!(grpc(Only::Missing), Asked::Nothing);
        assert_eq!(grpc(Only::Many), Asked::NoRetry);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = || Some(Wall::at(Duration::from_secs(784_111_777)));
        for (value, asked) in [
            (&b"0"[..], millis(0)),
            (b"120", millis(120_000)),
            (b"00120", millis(120_000)),
            (b"99999999999999999999", Asked::Wait(Duration::from_secs(u64::MAX))),
            (b"Sun, 06 Nov 1994 08:49:47 GMT", millis(10_000)),
            (b"Sunday, 06-Nov-94 08:49:47 GMT", millis(10_000)),
            (b"Sun Nov  6 08:49:47 1994", millis(10_000)),
            (b"Sun, 06 Nov 1994 08:49:27 GMT", millis(0)),
            (b"-1", Asked::Nothing),
            (b"1.5", Asked::Nothing),
            (b"", Asked::Nothing),
            (b"1 ", Asked::Nothing),
            (b"Soon", Asked::Nothing),
            (b"\xff", Asked::Nothing),
        ] {
            assert_eq!(retry_after(Only::One(value), now), asked, "{}", value.escape_ascii());
        }
        assert_eq!(retry_after(Only::Missing, now), Asked::Nothing);
        assert_eq!(retry_after(Only::Many, now), Asked::Nothing);
        assert_eq!(retry_after(Only::One(b"Sun, 06 Nov 1994 08:49:47 GMT"), || None), Asked::Nothing);
    }
}
