//! Durations, ratios and sizes as operators write them, exact.

mod ratio;
mod seconds;
mod size;

pub use ratio::{Percent, Ratio};
pub use seconds::ProtoDuration;
pub use size::ByteSize;

use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};
use std::fmt;
use std::time::Duration;

/// A duration in the form of Gateway API's GEP-2257: one to four of `1h`, `2m`, `3s`, `4ms` in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationText(pub Duration);

impl DurationText {
    /// `^([0-9]{1,5}(h|m|s|ms)){1,4}$`; anything else is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<DurationText> {
        let (mut rest, mut total) = (text, Duration::ZERO);
        for _ in 0..4 {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at_checked(digits).filter(|_| (1..=5).contains(&digits))?;
            let number: u64 = number.parse().ok()?;
            let (unit, tail) = Self::unit(tail)?;
            total = total.checked_add(unit.checked_mul(u32::try_from(number).ok()?)?)?;
            if tail.is_empty() {
                return Some(DurationText(total));
            }
            rest = tail;
        }
        None
    }

    fn unit(text: &str) -> Option<(Duration, &str)> {
        [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
            .into_iter()
            .find_map(|(unit, millis)| Some((Duration::from_millis(millis), text.strip_prefix(unit)?)))
    }
}

/// A number as headers carry it: at least one digit, nothing else, within 64 bits. `str::parse` alone would take a sign.
#[must_use]
pub fn digits(text: &[u8]) -> Option<u64> {
    let number = |sum: u64, byte: &u8| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(byte & 0xf)),
        _ => None,
    };
    if text.is_empty() { None } else { text.iter().try_fold(0, number) }
}

/// As an operator would write it, in whole milliseconds: `1m30s`, `0s`.
impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let parts = [
            (seconds / 3600, "h"),
            (seconds / 60 % 60, "m"),
            (seconds % 60, "s"),
            (u64::from(self.0.subsec_millis()), "ms"),
        ];
        if self.0.as_millis() == 0 {
            return f.write_str("0s");
        }
        parts.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, unit)| write!(f, "{count}{unit}"))
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DurationText, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = DurationText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"250ms\" or \"1m30s\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<DurationText, E> {
                DurationText::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_is_digits_within_64_bits() {
        for (text, number) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("+5", None),
            ("-5", None),
            (" 5", None),
            ("5 ", None),
            ("1.5", None),
            ("1e3", None),
            ("1,2", None),
            ("\u{665}", None),
        ] {
            assert_eq!(digits(text.as_bytes()), number, "{text:?}");
        }
    }

    #[test]
    fn durations_follow_gep_2257() {
        for (text, millis) in [
            ("0s", Some(0)),
            ("250ms", Some(250)),
            ("1h2m3s4ms", Some(3_723_004)),
            ("1m1m", Some(120_000)),
            ("99999h", Some(359_996_400_000)),
            ("", None),
            ("1", None),
            ("s", None),
            ("1.5s", None),
            ("-1s", None),
            (" 1s", None),
            ("1s ", None),
            ("123456s", None),
            ("1us", None),
            ("1h1h1h1h1h", None),
            ("1S", None),
        ] {
            let parsed = DurationText::parse(text);
            assert_eq!(parsed.map(|d| d.0.as_millis()), millis, "{text}");
            if let Some(duration) = parsed.filter(|duration| duration.0 < Duration::from_secs(3_600_000)) {
                assert_eq!(DurationText::parse(&duration.to_string()), Some(duration), "{duration}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_duration_of_whole_milliseconds_is_read_as_it_was_shown(millis in 0..360_000_000_000_u64) {
            let duration = DurationText(Duration::from_millis(millis));
            prop_assert_eq!(DurationText::parse(&duration.to_string()), Some(duration));
        }

        /// Against arithmetic on the pieces of what the expression of GEP-2257 takes apart.
        #[test]
        fn a_duration_is_the_sum_of_its_parts(
            parts in proptest::collection::vec((0..99_999_u64, prop_oneof![Just(("h", 3_600_000)), Just(("m", 60_000)), Just(("s", 1_000)), Just(("ms", 1))]), 1..6),
        ) {
            let text: String = parts.iter().map(|(count, (unit, _))| format!("{count}{unit}")).collect();
            let millis: u64 = parts.iter().map(|(count, (_, millis))| count * millis).sum();
            let expected = (parts.len() <= 4).then(|| DurationText(Duration::from_millis(millis)));
            prop_assert_eq!(DurationText::parse(&text), expected);
        }

        #[test]
        fn any_text_is_a_duration_or_none(text in ".{0,24}") {
            let _ = DurationText::parse(&text);
        }
    }
}
