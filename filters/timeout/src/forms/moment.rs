//! A point in time as a header carries it: milliseconds since 1970, or the date and time of RFC 3339.

use std::time::Duration;
use wayside_sdk::units::digits;

/// Wall time since 1970-01-01T00:00:00Z; what lies before is 1970 itself, which is long past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    #[must_use]
    pub const fn at(since_epoch: Duration) -> Moment {
        Moment(since_epoch)
    }

    #[must_use]
    pub const fn since_epoch(self) -> Duration {
        self.0
    }
}

/// `x-request-deadline`: digits, or RFC 3339 section 5.6 with any offset and up to nine places of a second. A leap second is the one
/// after it.
#[must_use]
pub fn moment(value: &[u8]) -> Option<Moment> {
    let millis = digits(value).map(Duration::from_millis);
    millis.or_else(|| date_time(value)).map(Moment)
}

/// As milliseconds, rounded down.
#[must_use]
pub fn moment_text(moment: Moment) -> String {
    super::whole_millis(moment.0).to_string()
}

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

fn date_time(text: &[u8]) -> Option<Duration> {
    let (date, rest) = text.split_first_chunk::<19>()?;
    let [y3, y2, y1, y0, b'-', mo1, mo0, b'-', d1, d0, b'T' | b't', h1, h0, b':', mi1, mi0, b':', s1, s0] =
        *date
    else {
        return None;
    };
    let year = number(&[y3, y2, y1, y0], 0, 9999)?;
    let month = number(&[mo1, mo0], 1, 12)?;
    let day = number(&[d1, d0], 1, days_in(year, month))?;
    let hour = number(&[h1, h0], 0, 23)?;
    let minute = number(&[mi1, mi0], 0, 59)?;
    let second = number(&[s1, s0], 0, 60)?;
    let (fraction, zone) = fraction(rest)?;
    let offset = offset(zone)?;
    let sum = [
        days_since_epoch(year, month, day).wrapping_mul(DAY),
        hour.wrapping_mul(HOUR),
        minute.wrapping_mul(MINUTE),
        second,
        offset.wrapping_neg(),
    ];
    // All parts are small: nothing wraps.
    let seconds = sum.into_iter().fold(0, i64::wrapping_add);
    Some(u64::try_from(seconds).map_or(Duration::ZERO, |seconds| Duration::new(seconds, fraction)))
}

fn number(text: &[u8], least: i64, most: i64) -> Option<i64> {
    digits(text).and_then(|n| i64::try_from(n).ok()).filter(|n| (least..=most).contains(n))
}

/// Nanoseconds, and what follows them.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let Some((b'.', rest)) = text.split_first() else { return Some((0, text)) };
    let places = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits_, zone) = rest.split_at_checked(places)?;
    let scale = 10_u32.checked_pow(9_u32.checked_sub(u32::try_from(places).ok()?)?)?;
    let nanos = u32::try_from(digits(digits_)?).ok()?.checked_mul(scale)?;
    Some((nanos, zone))
}

/// Seconds that local time is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] => {
            let hours = number(&[h1, h0], 0, 23)?.wrapping_mul(HOUR);
            let ahead = hours.wrapping_add(number(&[m1, m0], 0, 59)?.wrapping_mul(MINUTE));
            Some(if sign == b'+' { ahead } else { ahead.wrapping_neg() })
        }
        _ => None,
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

const fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Of a year from 0 to 9999.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let before = year.wrapping_sub(1);
    let leap_days =
        before.div_euclid(4).wrapping_sub(before.div_euclid(100)).wrapping_add(before.div_euclid(400));
    let of_years = before.wrapping_mul(365).wrapping_add(leap_days).wrapping_sub(719_162);
    let of_months = (1..month).map(|month| days_in(year, month)).fold(0, i64::wrapping_add);
    of_years.wrapping_add(of_months).wrapping_add(day).wrapping_sub(1)
}
