//! `google.protobuf.Duration` in JSON: seconds with up to nine decimals and an `s`.

use std::time::Duration;

/// Protobuf's largest: about 10 000 years.
const MAX_SECONDS: u64 = 315_576_000_000;

/// `None`: not such a duration, or a negative one, which Envoy refuses wherever this is used.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds = whole.parse().ok().filter(|seconds| *seconds <= MAX_SECONDS)?;
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_envoy_accepts_is_a_duration() {
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_duration("0s"), Some(Duration::ZERO));
        assert_eq!(parse_duration("0.000000001s"), Some(Duration::from_nanos(1)));
        for refused in [
            "5",
            "5ms",
            "-5s",
            ".5s",
            "1.s",
            "+1s",
            "1.1234567891s",
            "s",
            "1S",
            "1e1s",
            "315576000001s",
            "٣s",
        ] {
            assert_eq!(parse_duration(refused), None, "{refused}");
        }
    }
}
