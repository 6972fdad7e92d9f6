//! Points in time as operators write them in a configuration: RFC 3339, in UTC.

use std::fmt;
use std::time::Duration;

/// Wall time since 1970-01-01T00:00:00Z. Handed in by whoever has a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub Duration);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATimestamp;

impl fmt::Display for NotATimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a time from 1970 on in UTC, such as \"2027-01-01T00:00:00Z\"")
    }
}

impl Timestamp {
    /// Reads `YYYY-MM-DDThh:mm:ssZ`, the one form of RFC 3339 that says the same everywhere: no other zone, no
    /// fractions, no leap seconds.
    ///
    /// # Errors
    /// Any other form, a day its month does not have, a year before 1970.
    pub fn parse(text: &str) -> Result<Self, NotATimestamp> {
        let [y3, y2, y1, y0, b'-', mo1, mo0, b'-', d1, d0, b'T', h1, h0, b':', mi1, mi0, b':', s1, s0, b'Z'] =
            text.as_bytes()
        else {
            return Err(NotATimestamp);
        };
        let year = number(&[*y3, *y2, *y1, *y0]).filter(|year| *year >= 1970).ok_or(NotATimestamp)?;
        let month = number(&[*mo1, *mo0]).filter(|month| (1..=12).contains(month)).ok_or(NotATimestamp)?;
        let last = days_in_month(year, month);
        let day = number(&[*d1, *d0]).filter(|day| (1..=last).contains(day)).ok_or(NotATimestamp)?;
        let hour = number(&[*h1, *h0]).filter(|hour| *hour < 24).ok_or(NotATimestamp)?;
        let minute = number(&[*mi1, *mi0]).filter(|minute| *minute < 60).ok_or(NotATimestamp)?;
        let second = number(&[*s1, *s0]).filter(|second| *second < 60).ok_or(NotATimestamp)?;
        let days = days_before_year(year)
            .saturating_add((1..month).map(|earlier| days_in_month(year, earlier)).sum::<u64>())
            .saturating_add(day.saturating_sub(1));
        let seconds = days
            .saturating_mul(86_400)
            .saturating_add(hour.saturating_mul(3_600))
            .saturating_add(minute.saturating_mul(60))
            .saturating_add(second);
        Ok(Self(Duration::from_secs(seconds)))
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit & 0x0F))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first of January of `year`.
fn days_before_year(year: u64) -> u64 {
    (1970..year).map(|earlier| if is_leap(earlier) { 366 } else { 365 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_come_out_in_seconds() {
        let table = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:34:56Z", 951_827_696),
            ("2027-01-01T00:00:00Z", 1_798_761_600),
            ("2038-01-19T03:14:08Z", 1 << 31),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ];
        for (text, seconds) in table {
            assert_eq!(Timestamp::parse(text), Ok(Timestamp(Duration::from_secs(seconds))), "{text}");
        }
    }

    #[test]
    fn everything_but_the_one_form_is_refused() {
        for text in [
            "",
            "2027-01-01",
            "2027-01-01T00:00:00",
            "2027-01-01T00:00:00z",
            "2027-01-01t00:00:00Z",
            "2027-01-01 00:00:00Z",
            "2027-01-01T00:00:00+00:00",
            "2027-01-01T00:00:00.0Z",
            "2027-01-01T00:00:00Z ",
            "2027-13-01T00:00:00Z",
            "2027-00-01T00:00:00Z",
            "2027-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2027-04-31T00:00:00Z",
            "2027-01-00T00:00:00Z",
            "2027-01-01T24:00:00Z",
            "2027-01-01T00:60:00Z",
            "2027-06-30T23:59:60Z",
            "1969-12-31T23:59:59Z",
            "+027-01-01T00:00:00Z",
            "２027-01-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text), Err(NotATimestamp), "{text}");
        }
    }
}
