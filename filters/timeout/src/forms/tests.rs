//! TO-1: the forms that Envoy's `test/common/grpc/common_test.cc` reads and writes, and what it lets through; TO-9: points in time.

use super::*;
use proptest::prelude::*;

#[test]
fn to_1_the_forms_of_grpc_timeout_that_envoy_tests_and_the_sign_it_lets_through() {
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
        let _ = (grpc_timeout(&value), millis(&value), connect_timeout(&value), request_timeout(&value), moment(&value));
    }
}

/// Envoy rounds up to milliseconds, this filter keeps what was written.
#[test]
fn to_1_read_as_envoy_does_and_rounded_up_to_its_milliseconds() {
    let rounded_up = |value: &[u8]| grpc_timeout(value).map(|time| time.as_nanos().div_ceil(1_000_000));
    for (value, millis) in [
        ("0H", 0),
        ("1H", 3_600_000),
        ("1M", 60_000),
        ("1S", 1000),
        ("12345678m", 12_345_678),
        ("1000001u", 1001),
        ("12345678n", 13),
    ] {
        assert_eq!(rounded_up(value.as_bytes()), Some(millis), "{value}");
    }
}

/// `ToGrpcTimeout` of the same file: Envoy writes milliseconds and coarser, this filter finer units where they fit.
#[test]
fn to_1_written_as_envoy_does_or_finer() {
    for (millis, envoy, ours) in [
        (1, "1m", "1000000n"),
        (100_000_000, "100000S", "100000S"),
        (100_000_000_000, "1666666M", "1666666M"),
        (9_000_000_000_000, "2500000H", "2500000H"),
        (360_000_000_000_000, "99999999H", "99999999H"),
        (u64::MAX, "99999999H", "99999999H"),
    ] {
        let left = Duration::from_millis(millis);
        assert_eq!(grpc_timeout_text(left), ours);
        let envoys = grpc_timeout(envoy.as_bytes()).unwrap();
        let read = grpc_timeout(ours.as_bytes()).unwrap();
        assert!(envoys <= left && envoys <= read && read <= left, "{millis}");
    }
}

#[test]
fn connect_and_request_timeouts_have_ten_and_seven_digits() {
    for (value, connect, request) in [
        ("0", Some(0), Some(0)),
        ("5000", Some(5000), Some(5_000_000)),
        ("9999999", Some(9_999_999), Some(9_999_999_000)),
        ("10000000", Some(10_000_000), None),
        ("9999999999", Some(9_999_999_999), None),
        ("10000000000", None, None),
        ("00000000001", None, None),
        ("", None, None),
        ("-1", None, None),
        ("+1", None, None),
        ("1 ", None, None),
        ("1.0", None, None),
        ("1m", None, None),
        ("1,2", None, None),
    ] {
        let millis = |time: Option<Duration>| time.map(|time| time.as_millis());
        assert_eq!(millis(connect_timeout(value.as_bytes())), connect, "{value:?}");
        assert_eq!(millis(request_timeout(value.as_bytes())), request, "{value:?}");
    }
    assert_eq!(connect_timeout_text(Duration::from_micros(10)), "1");
    assert_eq!(connect_timeout_text(Duration::MAX), "9999999999");
}

#[test]
fn to_9_a_point_in_time_is_milliseconds_or_rfc_3339() {
    let read = |text: &str| moment(text.as_bytes()).map(|moment| moment.since_epoch().as_millis());
    for (text, millis) in [
        ("0", Some(0)),
        ("1700000000123", Some(1_700_000_000_123)),
        ("18446744073709551615", Some(u128::from(u64::MAX))),
        ("18446744073709551616", None),
        ("1970-01-01T00:00:00Z", Some(0)),
        // The examples of RFC 3339 section 5.8.
        ("1985-04-12T23:20:50.52Z", Some(482_196_050_520)),
        ("1996-12-19T16:39:57-08:00", Some(851_042_397_000)),
        ("1990-12-31T23:59:60Z", Some(662_688_000_000)),
        ("1990-12-31T15:59:60-08:00", Some(662_688_000_000)),
        ("1937-01-01T12:00:27.87+00:20", Some(0)),
        ("2000-02-29t12:34:56z", Some(951_827_696_000)),
        ("2038-01-19T03:14:08.999999999-00:00", Some((1 << 31) * 1000 + 999)),
        ("9999-12-31T23:59:59Z", Some(253_402_300_799_000)),
        ("0000-01-01T00:00:00Z", Some(0)),
        ("1970-01-01T00:30:00+01:00", Some(0)),
        ("", None),
        ("-1", None),
        ("+1700000000123", None),
        ("1700000000.5", None),
        ("1.7e12", None),
        ("2026-02-29T00:00:00Z", None),
        ("1900-02-29T00:00:00Z", None),
        ("2026-13-01T00:00:00Z", None),
        ("2026-00-01T00:00:00Z", None),
        ("2026-01-00T00:00:00Z", None),
        ("2026-04-31T00:00:00Z", None),
        ("2026-01-01T24:00:00Z", None),
        ("2026-01-01T00:60:00Z", None),
        ("2026-01-01T00:00:61Z", None),
        ("2026-01-01 00:00:00Z", None),
        ("2026-01-01T00:00:00", None),
        ("2026-01-01T00:00:00.Z", None),
        ("2026-01-01T00:00:00.1234567890Z", None),
        ("2026-01-01T00:00:00,5Z", None),
        ("2026-01-01T00:00:00+24:00", None),
        ("2026-01-01T00:00:00+0100", None),
        ("2026-01-01T00:00:00+01", None),
        ("2026-01-01T00:00Z", None),
        ("26-01-01T00:00:00Z", None),
        ("2026-1-1T00:00:00Z", None),
        ("2026-01-01T00:00:00Zulu", None),
        (" 2026-01-01T00:00:00Z", None),
        ("2026-01-+1T00:00:00Z", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None),
    ] {
        assert_eq!(read(text), millis, "{text:?}");
    }
    assert_eq!(moment(b"\xff\xfe"), None);
    assert_eq!(moment_text(Moment::at(Duration::from_micros(1_999))), "1");
}

/// Days counted one by one, as a calendar on the wall would.
#[test]
fn to_9_every_day_from_1970_to_2399_follows_the_one_before() {
    let (mut expected, mut days) = (0_u64, 0);
    for year in 1970..2400_u64 {
        let leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
        for (month, length) in
            (1..).zip([31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
        {
            for day in 1..=length {
                let text = format!("{year}-{month:02}-{day:02}T00:00:00Z");
                assert_eq!(
                    moment(text.as_bytes()),
                    Some(Moment::at(Duration::from_secs(expected))),
                    "{text}"
                );
                expected += 86_400;
                days += 1;
            }
            let beyond = format!("{year}-{month:02}-{:02}T00:00:00Z", length + 1);
            assert_eq!(moment(beyond.as_bytes()), None, "{beyond}");
        }
    }
    assert_eq!(days, 157_054);
}
