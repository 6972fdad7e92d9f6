//! Consistent probability sampling in numbers: OpenTelemetry's "TraceState: Probability Sampling", sections "Rejection Threshold" and
//! "Algorithms".

use crate::trace::hex;

/// 2^56: so many values randomness has.
const ALL: u64 = 1 << 56;
const DIGITS: u32 = 14;

/// How many of 2^56 traces are dropped: less than all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u64);

/// What of a trace id, or of `rv`, decides: 56 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Randomness(u64);

impl Threshold {
    /// Nothing is dropped.
    pub const ALWAYS: Threshold = Threshold(0);

    /// For a probability of `kept` in `of`, with so many significant hexadecimal digits (1 to 13, of which 12 are used at most, as in the
    /// published algorithm), rounded to the nearest. `None` for a probability of zero or more than one, and below 2^-56.
    pub fn of(kept: u64, of: u64, precision: u32) -> Option<Threshold> {
        let (kept, of) = (u128::from(kept), u128::from(of));
        if kept == 0 || kept > of || kept.checked_shl(56)? < of {
            return None;
        }
        if kept == of {
            return Some(Threshold::ALWAYS);
        }
        // Digits `f` ahead say nothing: a quarter of the exponent, as `frexp` counts it, is added to the precision.
        let mut halvings = 0_u32;
        while kept.checked_shl(halvings.checked_add(1)?)? <= of {
            halvings = halvings.checked_add(1)?;
        }
        // A power of two is the one number whose exponent `frexp` counts one higher.
        let exponent = if kept.checked_shl(halvings)? == of { halvings.checked_sub(1)? } else { halvings };
        let precision = precision.checked_add(exponent.checked_div(4)?)?.clamp(1, 12);
        let units = 1_u128.checked_shl(precision.checked_mul(4)?)?;
        let rejected = of.checked_sub(kept)?.checked_mul(units)?;
        let rounded = rejected.checked_mul(2)?.checked_add(of)?.checked_div(of.checked_mul(2)?)?;
        let digits = rounded.min(units.checked_sub(1)?);
        let shift = DIGITS.checked_sub(precision)?.checked_mul(4)?;
        u64::try_from(digits.checked_shl(shift)?).ok().map(Threshold)
    }

    /// The value of `th`: 1 to 14 lower-case digits, zeros behind them left out.
    pub fn parse(text: &[u8]) -> Option<Threshold> {
        if !(1..=14).contains(&text.len()) {
            return None;
        }
        let mut digits = [b'0'; 14];
        digits.iter_mut().zip(text).for_each(|(digit, given)| *digit = *given);
        number(&digits).map(Threshold)
    }

    /// As `th` is written.
    pub fn to_text(self) -> Vec<u8> {
        let mut text = Vec::with_capacity(14);
        let [_, bytes @ ..] = self.0.to_be_bytes();
        hex::push(&mut text, &bytes);
        while let [_, .., b'0'] = text.as_slice() {
            text.pop();
        }
        text
    }

    /// Whether a trace of this randomness is kept.
    pub const fn keeps(self, randomness: Randomness) -> bool {
        randomness.0 >= self.0
    }

    /// The probability that a trace is kept: so many of 2^56.
    pub const fn kept_of_all(self) -> u64 {
        ALL.saturating_sub(self.0)
    }

    /// How many requests one that is kept stands for.
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    pub const fn adjusted_count(self) -> f64 {
        ALL as f64 / self.kept_of_all() as f64
    }
}

impl Randomness {
    /// The value of `rv`: exactly 14 lower-case digits.
    pub fn parse(text: &[u8]) -> Option<Randomness> {
        text.try_into().ok().and_then(number).map(Randomness)
    }

    /// The last seven bytes of a trace id: W3C Trace Context Level 2, 3.2.2.3.1.
    pub const fn of_trace(trace_id: [u8; 16]) -> Randomness {
        let [_, _, _, _, _, _, _, _, _, a, b, c, d, e, f, g] = trace_id;
        Randomness(u64::from_be_bytes([0, a, b, c, d, e, f, g]))
    }
}

fn number(digits: &[u8; 14]) -> Option<u64> {
    let [a, b, c, d, e, f, g] = hex::decode::<7>(digits)?;
    Some(u64::from_be_bytes([0, a, b, c, d, e, f, g]))
}

#[cfg(test)]
mod tests;
