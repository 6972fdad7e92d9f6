//! What a collector's answer means for the batch it is about: OTLP's specification, "OTLP/HTTP Response".

use std::time::{Duration, SystemTime};

use wayside_json::{Json, Limits};

use crate::request::Signal;
use crate::write::Encoding;

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    Came {
        status: u16,
        /// The first `retry-after`
        retry_after: Option<&'a [u8]>,
        body: &'a [u8],
    },
    /// It was longer than anybody reads.
    TooLong,
    /// It was not sent, or its answer never came, or broke off.
    None,
}

/// What becomes of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken, but for so many; nothing is sent again.
    Taken { rejected: u64 },
    /// Never to be sent again.
    Refused,
    /// To be sent again, after this time if one was asked for.
    Later(Option<Duration>),
}

/// An answer is a number and a sentence.
const LIMITS: Limits = Limits { depth: 8, fields: 32 };

impl Answer<'_> {
    /// `now` is the wall time, since the epoch: a date in `retry-after` is one of that clock.
    ///
    /// A success whose body cannot be read was a success: the specification leaves the rest to the status.
    #[must_use]
    pub fn verdict(&self, signal: Signal, encoding: Encoding, now: Duration) -> Verdict {
        match *self {
            Answer::Came { status: 200..=299, body, .. } => {
                let rejected = match encoding {
                    Encoding::Protobuf => rejected_of_protobuf(body),
                    Encoding::Json => rejected_of_json(signal, body),
                };
                Verdict::Taken { rejected: rejected.unwrap_or(0) }
            }
            Answer::Came { status: 429 | 502 | 503 | 504, retry_after, .. } => {
                Verdict::Later(retry_after.and_then(|value| read_retry_after(value, now)))
            }
            Answer::Came { .. } | Answer::TooLong => Verdict::Refused,
            Answer::None => Verdict::Later(None),
        }
    }
}

/// Seconds, or a date in any of HTTP's three forms (RFC 9110, 10.2.3); `None` for what is neither.
fn read_retry_after(value: &[u8], now: Duration) -> Option<Duration> {
    let value = value.trim_ascii();
    if value.is_empty() {
        return None;
    }
    let text = std::str::from_utf8(value).ok()?;
    if value.iter().all(u8::is_ascii_digit) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(date.saturating_sub(now))
}

/// `Export…ServiceResponse { partial_success = 1 { rejected = 1 } }`, the same numbers for all signals. Negative is nonsense.
fn rejected_of_protobuf(body: &[u8]) -> Option<u64> {
    let mut rejected = 0;
    let mut rest = body;
    while let Some((number, field)) = next(&mut rest) {
        let (1, Wire::Delimited(mut partial)) = (number, field) else { continue };
        while let Some((number, field)) = next(&mut partial) {
            if let (1, Wire::Varint(value)) = (number, field) {
                rejected = value;
            }
        }
    }
    i64::try_from(rejected).ok()?.try_into().ok()
}

enum Wire<'a> {
    Varint(u64),
    Delimited(&'a [u8]),
    Other,
}

/// Takes the next field. `None` at the end, and where the bytes are no protobuf.
fn next<'a>(message: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let key = varint(message)?;
    let mut skip = |len| {
        let (bytes, rest) = message.split_at_checked(len)?;
        *message = rest;
        Some(bytes)
    };
    let field = match key & 7 {
        0 => Wire::Varint(varint(message)?),
        1 => skip(8).map(|_| Wire::Other)?,
        2 => {
            let len = varint(message)?.try_into().ok()?;
            let (bytes, rest) = message.split_at_checked(len)?;
            *message = rest;
            Wire::Delimited(bytes)
        }
        5 => skip(4).map(|_| Wire::Other)?,
        _ => return None,
    };
    Some((key >> 3, field))
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// 64-bit numbers are text in protobuf's JSON; readers take plain ones too.
fn rejected_of_json(signal: Signal, body: &[u8]) -> Option<u64> {
    let document = wayside_json::parse(body, LIMITS).ok()?;
    match document.get("partialSuccess")?.get(signal.rejected())? {
        Json::Unsigned(number) => Some(*number),
        Json::Text(digits) => digits.parse().ok(),
        _ => None,
    }
}
