//! Shares, as a decimal or of a hundred.

use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};
use std::fmt;

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

/// A share of a hundred with at most two places, from 0 to 100, as Envoy (`value: 12.5`) and Gateway API (`percent: 20`) write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(Ratio);

impl Percent {
    /// `None` above 100, below 0, or with more than two places.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Percent> {
        let whole = Ratio::from_f64(value)?;
        let share = whole.0.checked_div(100).filter(|_| whole.0.is_multiple_of(100))?;
        (share <= Ratio::DENOMINATOR).then_some(Percent(Ratio(share)))
    }

    /// `20` is 0.2.
    #[must_use]
    pub const fn share(self) -> Ratio {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", Ratio(self.0.0.saturating_mul(100)))
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Percent, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Percent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0 to 100 with at most two places")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Percent, E> {
                let share = u32::try_from(value).ok().filter(|percent| *percent <= 100);
                let share = share.map(|percent| Percent(Ratio(percent.saturating_mul(100))));
                share.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Percent, E> {
                Percent::from_f64(value).ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, read};

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

    #[test]
    fn a_percentage_is_a_share_of_two_places_more() {
        for hundredths in 0..=10_000_u32 {
            let text = Ratio(hundredths * 100).to_string();
            let read: Percent = read(&document(text.as_bytes()).unwrap(), "").unwrap();
            assert_eq!((read.share(), read.to_string()), (Ratio(hundredths), format!("{text}%")));
        }
        for wrong in ["101", "100.01", "12.345", "-1", "\"20\"", "1e300"] {
            assert!(read::<Percent>(&document(wrong.as_bytes()).unwrap(), "").is_err(), "{wrong}");
        }
    }
}
