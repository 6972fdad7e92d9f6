//! How a time allowance is written in a header. Strict: no sign, no space, no decimals, no overflow.

mod moment;
#[cfg(test)]
mod tests;

pub use moment::{Moment, moment, moment_text};

use std::time::Duration;
use wayside_sdk::units::digits;

/// Of at most so many digits.
fn short(text: &[u8], most: usize) -> Option<u64> {
    if text.len() > most { None } else { digits(text) }
}

/// `grpc-timeout`: one to eight digits and a unit of `H M S m u n` (gRPC PROTOCOL-HTTP2, "Timeout").
#[must_use]
pub fn grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, text) = value.split_last()?;
    let n = short(text, 8)?;
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

/// `connect-timeout-ms`: at most ten digits (Connect protocol reference, "Timeout-Milliseconds").
#[must_use]
pub fn connect_timeout(value: &[u8]) -> Option<Duration> {
    short(value, 10).map(Duration::from_millis)
}

/// `request-timeout`: seconds, at most seven digits (draft-loreto-http-timeout-00).
#[must_use]
pub fn request_timeout(value: &[u8]) -> Option<Duration> {
    short(value, 7).map(Duration::from_secs)
}

/// Milliseconds as Envoy's `x-envoy-*-timeout-ms` headers carry them: decimal digits within 64 bits.
#[must_use]
pub fn millis(value: &[u8]) -> Option<Duration> {
    digits(value).map(Duration::from_millis)
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
    whole_millis(left).max(1).to_string()
}

/// The same in ten digits.
#[must_use]
pub fn connect_timeout_text(left: Duration) -> String {
    whole_millis(left).clamp(1, 9_999_999_999).to_string()
}

/// Rounded down; saturated at 584 million years.
#[must_use]
pub fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
