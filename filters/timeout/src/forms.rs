//! How a time allowance is written in a header. Strict: no sign, no space, no decimals, no overflow.

use std::time::Duration;

/// `grpc-timeout`: one to eight digits and a unit of `H M S m u n` (gRPC PROTOCOL-HTTP2, "Timeout").
#[must_use]
pub fn grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.len() > 8 {
        return None;
    }
    let n = digits_of(digits)?;
    match unit {
        b'H' => Some(Duration::from_secs(n.checked_mul(3600)?)),
        b'M' => Some(Duration::from_secs(n.checked_mul(60)?)),
        b'S' => Some(Duration::from_secs(n)),
        b'm' => Some(Duration::from_millis(n)),
        b'u' => Some(Duration::from_micros(n)),
        b'n' => Some(Duration::from_nanos(n)),
        _ => None,
    }
}

/// Milliseconds as Envoy's `x-envoy-*-timeout-ms` headers carry them: decimal digits within 64 bits.
#[must_use]
pub fn millis(value: &[u8]) -> Option<Duration> {
    digits_of(value).map(Duration::from_millis)
}

/// At least one digit, nothing else. `str::parse` alone would take a sign.
fn digits_of(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `left` as a `grpc-timeout` in the finest unit that fits eight digits, rounded down, at least one nanosecond.
#[must_use]
pub fn grpc_timeout_text(left: Duration) -> String {
    let units = [
        (left.as_nanos(), 'n'),
        (left.as_micros(), 'u'),
        (left.as_millis(), 'm'),
        (u128::from(left.as_secs()), 'S'),
        (u128::from(left.as_secs() / 60), 'M'),
    ];
    let fitting = units.into_iter().find_map(|(count, unit)| {
        // Writing out 128 bits would put a second number formatter into the module.
        let count = u32::try_from(count).ok().filter(|count| *count < 100_000_000)?;
        Some((count, unit))
    });
    match fitting {
        Some((count, unit)) => format!("{}{unit}", count.max(1)),
        None => format!("{}H", (left.as_secs() / 3600).min(99_999_999)),
    }
}

/// `left` in whole milliseconds, rounded down, at least 1: Envoy reads 0 as "no limit".
#[must_use]
pub fn millis_text(left: Duration) -> String {
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_header_forms_that_envoy_tests_and_the_sign_it_lets_through() {
        for (value, nanos) in [
            ("", None),
            ("123", None),
            ("1", None),
            ("123F", None),
            ("0H", Some(0)),
            ("1H", Some(3_600_000_000_000)),
            ("1M", Some(60_000_000_000)),
            ("1S", Some(1_000_000_000)),
            ("12345678m", Some(12_345_678_000_000)),
            ("1000001u", Some(1_000_001_000)),
            ("12345678n", Some(12_345_678)),
            ("6666666666666H", None),
            ("99999999H", Some(359_999_996_400_000_000_000)),
            ("-1S", None),
            ("+1S", None),
            ("S", None),
            (" 1S", None),
            ("1 S", None),
            ("1.5S", None),
            ("1s", None),
            ("1S,2S", None),
        ] {
            assert_eq!(grpc_timeout(value.as_bytes()).map(|d| d.as_nanos()), nanos, "{value:?}");
        }
        assert_eq!(grpc_timeout(b"\xff\xfeS"), None);
    }

    #[test]
    fn milliseconds_are_digits_within_64_bits() {
        for (value, millis_) in [
            ("0", Some(0)),
            ("250", Some(250)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u128::from(u64::MAX))),
            ("18446744073709551616", None),
            ("", None),
            ("+5", None),
            ("-5", None),
            ("5 ", None),
            ("5ms", None),
            ("1,2", None),
            ("1e3", None),
        ] {
            assert_eq!(millis(value.as_bytes()).map(|d| d.as_millis()), millis_, "{value:?}");
        }
    }

    #[test]
    fn what_is_left_is_written_in_the_finest_unit_of_eight_digits() {
        for (left, text) in [
            (Duration::ZERO, "1n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_999), "100000u"),
            (Duration::from_secs(15), "15000000u"),
            (Duration::from_secs(86_400), "86400000m"),
            (Duration::from_secs(100_000_000), "1666666M"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(grpc_timeout_text(left), text);
        }
    }

    proptest! {
        #[test]
        fn a_written_grpc_timeout_is_read_back_and_is_never_longer(nanos in 1..u64::MAX) {
            let left = Duration::from_nanos(nanos);
            let read = grpc_timeout(grpc_timeout_text(left).as_bytes());
            prop_assert!(read.is_some_and(|read| read <= left && !read.is_zero()), "{read:?}");
        }

        #[test]
        fn no_bytes_make_the_parsers_panic(value in proptest::collection::vec(any::<u8>(), 0..24)) {
            let _ = (grpc_timeout(&value), millis(&value));
        }
    }
}
