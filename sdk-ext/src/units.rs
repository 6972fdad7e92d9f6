//! Durations, ratios and sizes as operators write them, exact.

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

/// A decimal of at most four places, not negative, held as ten-thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(u32);

impl Ratio {
    /// What the numerator counts.
    pub const DENOMINATOR: u32 = 10_000;

    #[must_use]
    pub const fn from_ten_thousandths(numerator: u32) -> Ratio {
        Ratio(numerator)
    }

    /// The exact decimal, `None` when it is negative, no number, above 429 496 or has more than four places.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Ratio> {
        let scaled = (value * f64::from(Ratio::DENOMINATOR)).round();
        if !(0.0..=f64::from(u32::MAX)).contains(&scaled) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number within u32"
        )]
        let numerator = scaled as u32;
        // Dividing gives the double nearest to the decimal, which is what a text of four places was read as.
        let exact =
            (f64::from(numerator) / f64::from(Ratio::DENOMINATOR)).to_bits() == (value + 0.0).to_bits();
        exact.then_some(Ratio(numerator))
    }

    /// Ten-thousandths.
    #[must_use]
    pub const fn numerator(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / Ratio::DENOMINATOR, self.0 % Ratio::DENOMINATOR);
        let text = format!("{whole}.{part:04}");
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ratio, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Ratio;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal from 0 with at most four places")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Ratio, E> {
                let scaled =
                    value.checked_mul(u64::from(Ratio::DENOMINATOR)).and_then(|n| u32::try_from(n).ok());
                scaled.map(Ratio).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Ratio, E> {
                Ratio::from_f64(value).ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// A number of bytes; in a configuration a whole number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn every_ratio_of_four_places_is_exact_and_finer_ones_are_refused() {
        for numerator in 0..=100_000_u32 {
            let text = Ratio(numerator).to_string();
            let value: f64 = text.parse().unwrap();
            assert_eq!(Ratio::from_f64(value), Some(Ratio(numerator)), "{text}");
        }
        for wrong in [0.00001, 0.20001, 1.23456, -0.1, f64::NAN, f64::INFINITY, 1e9] {
            assert_eq!(Ratio::from_f64(wrong), None, "{wrong}");
        }
    }
}
