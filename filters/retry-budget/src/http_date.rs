//! The three forms of an HTTP date (RFC 9110 section 5.6.7): as it is written, of RFC 850, and of C's asctime.

use std::time::Duration;
use wayside_sdk::Wall;

/// A form, with a letter for each place: weekday, day (and its first place, which may be a space), month, year, hour, minute, second.
/// Other characters stand for themselves.
const IMF: &[u8] = b"www, dd nnn yyyy hh:mm:ss GMT";
const RFC_850: &[u8] = b", dd-nnn-yy hh:mm:ss GMT";
const ASCTIME: &[u8] = b"www nnn _d hh:mm:ss yyyy";

const WEEKDAYS: [&[u8]; 7] =
    [b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday", b"Sunday"];
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

const DAY: u64 = 86_400;

/// Days from the first of the year 0.
const BEFORE_1970: u64 = 719_528;

/// `None` for what is none of the forms or no date. Whether the weekday is the date's is not looked at. `now` is for the century of RFC 850:
/// a date that seems more than 50 years ahead is of the one before. What lies before 1970 is taken for the first second of it.
#[must_use]
pub fn parse(text: &[u8], now: Wall) -> Option<Wall> {
    let full = WEEKDAYS.iter().find_map(|weekday| text.strip_prefix(*weekday));
    let seconds = match full {
        Some(rest) => {
            let read = Fields::read(rest, RFC_850)?;
            let this = Fields::year_at(now);
            let year = this.saturating_sub(this % 100).saturating_add(read.year);
            let year = if year > this.saturating_add(50) { year.saturating_sub(100) } else { year };
            Fields { year, ..read }.seconds()?
        }
        None => {
            let read = Fields::read(text, IMF).or_else(|| Fields::read(text, ASCTIME))?;
            WEEKDAYS.iter().find(|weekday| weekday.get(..3) == text.get(..3))?;
            read.seconds()?
        }
    };
    Some(Wall::at(Duration::from_secs(seconds)))
}

#[derive(Clone, Copy, Default)]
struct Fields {
    year: u64,
    /// From 1.
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Fields {
    fn read(text: &[u8], form: &[u8]) -> Option<Fields> {
        let mut fields = Fields::default();
        if text.len() != form.len() {
            return None;
        }
        for (place, (letter, byte)) in form.iter().zip(text).enumerate() {
            let field = match letter {
                b'w' => continue,
                b'n' => {
                    // The place of its first letter says it all.
                    if fields.month == 0 {
                        let name = text.get(place..place.saturating_add(3))?;
                        let index = MONTHS.iter().position(|month| *month == name)?;
                        fields.month = u64::try_from(index).ok()?.saturating_add(1);
                    }
                    continue;
                }
                b'_' if *byte == b' ' => continue,
                b'_' | b'd' => &mut fields.day,
                b'y' => &mut fields.year,
                b'h' => &mut fields.hour,
                b'm' => &mut fields.minute,
                b's' => &mut fields.second,
                other if other == byte => continue,
                _ => return None,
            };
            let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
            *field = field.saturating_mul(10).saturating_add(u64::from(digit));
        }
        Some(fields)
    }

    /// A leap second is the second after it.
    fn seconds(self) -> Option<u64> {
        let length = length_of(self.year, self.month);
        if !(1..=length).contains(&self.day) || self.hour > 23 || self.minute > 59 || self.second > 60 {
            return None;
        }
        let days = days_before(self.year, self.month).saturating_add(self.day.saturating_sub(1));
        let time = self
            .hour
            .saturating_mul(3600)
            .saturating_add(self.minute.saturating_mul(60))
            .saturating_add(self.second);
        Some(match days.checked_sub(BEFORE_1970) {
            Some(days) => days.saturating_mul(DAY).saturating_add(time),
            None => 0,
        })
    }

    fn year_at(now: Wall) -> u64 {
        let days = now.since_epoch().as_secs().checked_div(DAY).unwrap_or(0).saturating_add(BEFORE_1970);
        // Never too late, and too early by one at most.
        let year = days.saturating_mul(400).checked_div(146_097).unwrap_or(0);
        [year.saturating_add(1), year].into_iter().find(|year| days_before(*year, 1) <= days).unwrap_or(0)
    }
}

/// Days from the first of the year 0 to the first of this month.
fn days_before(year: u64, month: u64) -> u64 {
    let last = year.saturating_sub(1);
    let leaps = match year {
        0 => 0,
        _ => (last / 4).saturating_sub(last / 100).saturating_add(last / 400).saturating_add(1),
    };
    let months = (1..month).fold(0_u64, |days, month| days.saturating_add(length_of(year, month)));
    year.saturating_mul(365).saturating_add(leaps).saturating_add(months)
}

fn length_of(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28_u64.saturating_add(u64::from(leap)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Wall = Wall::at(Duration::from_secs(1_790_000_000));

    fn seconds(text: &str) -> Option<u64> {
        parse(text.as_bytes(), NOW).map(|wall| wall.since_epoch().as_secs())
    }

    #[test]
    fn the_three_forms_of_rfc_9110_are_one_moment() {
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(seconds(text), Some(784_111_777), "{text}");
        }
        assert_eq!(seconds("Sun Nov 16 08:49:37 1994"), Some(784_975_777));
    }

    #[test]
    fn dates_are_counted_as_the_calendar_has_them() {
        for (text, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:01 GMT", Some(1)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", Some(0)),
            ("Mon, 01 Jan 0001 00:00:00 GMT", Some(0)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_800)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Mon, 29 Feb 2100 00:00:00 GMT", None),
            ("Thu, 29 Feb 2001 00:00:00 GMT", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("Sun, 31 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:60:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:61 GMT", None),
            ("Sun, 06 nov 1994 08:49:37 GMT", None),
            ("sun, 06 Nov 1994 08:49:37 GMT", None),
            ("Abc, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT ", None),
            ("Sun, 6 Nov 1994 08:49:37 GMT", None),
            ("Sunday, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06-Nov-94 08:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    /// `NOW` is in September 2026.
    #[test]
    fn two_digits_are_a_year_at_most_50_ahead() {
        assert_eq!(seconds("Sunday, 06-Nov-76 08:49:37 GMT"), seconds("Fri, 06 Nov 2076 08:49:37 GMT"));
        assert_eq!(seconds("Sunday, 06-Nov-77 08:49:37 GMT"), seconds("Sun, 06 Nov 1977 08:49:37 GMT"));
        assert_eq!(seconds("Friday, 06-Nov-26 08:49:37 GMT"), seconds("Fri, 06 Nov 2026 08:49:37 GMT"));
    }

    proptest! {
        /// Counted day by day from 1970 on.
        #[test]
        fn every_day_is_where_counting_finds_it(days in 0..40_000_u64, second in 0..86_400_u64) {
            let (mut year, mut month, mut day) = (1970, 1, 1);
            for _ in 0..days {
                day += 1;
                if day > length_of(year, month) {
                    (month, day) = (month + 1, 1);
                }
                if month > 12 {
                    (year, month) = (year + 1, 1);
                }
            }
            let name = std::str::from_utf8(MONTHS[usize::try_from(month - 1).unwrap()]).unwrap();
            let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
            let expected = Some(days * DAY + second);
            prop_assert_eq!(seconds(&format!("Mon, {day:02} {name} {year} {time} GMT")), expected);
            prop_assert_eq!(seconds(&format!("Mon {name} {day:2} {time} {year}")), expected);
        }

        #[test]
        fn any_bytes_are_a_date_or_none(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            cut in 0..30_usize,
            now: u64,
        ) {
            let now = Wall::at(Duration::from_secs(now));
            let _ = parse(&bytes, now);
            let mut text = b"Sunday, 06-Nov-94 08:49:37 GMT".to_vec();
            text.splice(cut.min(30).., bytes);
            let _ = parse(&text, now);
        }
    }
}
