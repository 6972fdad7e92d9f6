//! Small things as people write them in YAML: durations, header lines, what is known of TLS.

mod tls;

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

pub(crate) use self::tls::{WrittenTls, security};
use crate::message::HeaderMap;

/// `250ms`, `2s`, `1.5s`, `100us`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct DurationText(pub(crate) Duration);

impl TryFrom<String> for DurationText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refused = || format!("found {text:?}, expected a duration such as 250ms, 1.5s or 100us");
        let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(refused)?;
        let (number, unit) = text.split_at(split);
        let number: f64 = number.trim().parse().map_err(|_| refused())?;
        let unit = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            _ => return Err(refused()),
        };
        Duration::try_from_secs_f64(number * unit).map(DurationText).map_err(|_| refused())
    }
}

/// `name: value`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct HeaderLine {
    pub(crate) name: Bytes,
    pub(crate) value: Bytes,
}

/// The map of these lines, in their order.
pub(crate) fn header_map(lines: &[HeaderLine]) -> HeaderMap {
    lines.iter().map(|line| (line.name.clone(), line.value.clone())).collect()
}

impl TryFrom<String> for HeaderLine {
    type Error = String;

    fn try_from(line: String) -> Result<Self, String> {
        let from = usize::from(line.starts_with(':'));
        let colon = line.get(from..).and_then(|rest| rest.find(':')).map(|at| at + from);
        let (name, value) = colon
            .map(|at| line.split_at(at))
            .ok_or_else(|| format!("found {line:?}, expected name: value"))?;
        let value = value.get(1..).unwrap_or_default();
        let name = Bytes::from(name.trim().to_ascii_lowercase());
        Ok(HeaderLine { name, value: unescaped(value.strip_prefix(' ').unwrap_or(value))? })
    }
}

/// `\xNN` and `\\`.
pub(crate) fn unescaped(text: &str) -> Result<Bytes, String> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest {
            [b'\\', after @ ..] => {
                out.push(b'\\');
                rest = after;
            }
            [b'x', high, low, after @ ..] => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap_or_default();
                out.push(
                    u8::from_str_radix(digits, 16)
                        .map_err(|_| format!("\\x{digits}: expected two hex digits"))?,
                );
                rest = after;
            }
            _ => return Err(format!("a lone backslash in {text:?}: expected \\xNN or \\\\")),
        }
    }
    Ok(out.into())
}
