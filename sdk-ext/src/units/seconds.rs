//! Durations in protobuf's JSON form, which is how Envoy's own configuration writes them.

use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};
use std::fmt;
use std::time::Duration;

/// Seconds with at most nine places and an `s`: `15s`, `0.25s`. Not negative. For a filter whose fields stand beside Envoy's own;
/// the others take [`DurationText`](super::DurationText).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtoDuration(pub Duration);

impl ProtoDuration {
    /// `None` for anything else, and beyond protobuf's 315 576 000 000 s.
    #[must_use]
    pub fn parse(text: &str) -> Option<ProtoDuration> {
        let number = text.strip_suffix('s')?;
        let (seconds, places) = match number.split_once('.') {
            Some((seconds, places)) if !places.is_empty() => (seconds, places),
            Some(_) => return None,
            None => (number, ""),
        };
        let digits = |text: &str, most| text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
        if seconds.is_empty() || !digits(seconds, 12) || !digits(places, 9) {
            return None;
        }
        let seconds = seconds.parse().ok().filter(|seconds| *seconds <= 315_576_000_000)?;
        let mut nanos: u32 = 0;
        for place in 0..9 {
            let digit = places.as_bytes().get(place).map_or(0, |byte| u32::from(byte.saturating_sub(b'0')));
            nanos = nanos.saturating_mul(10).saturating_add(digit);
        }
        Some(ProtoDuration(Duration::new(seconds, nanos)))
    }
}

/// With as many places as it takes.
impl fmt::Display for ProtoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:09}", self.0.as_secs(), self.0.subsec_nanos());
        write!(f, "{}s", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl<'de> Deserialize<'de> for ProtoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ProtoDuration, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = ProtoDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds such as \"15s\" or \"0.25s\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ProtoDuration, E> {
                ProtoDuration::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
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
    fn seconds_are_written_as_protobuf_writes_them() {
        for (text, nanos) in [
            ("0s", Some(0)),
            ("15s", Some(15_000_000_000)),
            ("0.25s", Some(250_000_000)),
            ("1.000000001s", Some(1_000_000_001)),
            ("315576000000s", Some(315_576_000_000_000_000_000)),
            ("315576000001s", None),
            ("1.0000000001s", None),
            ("", None),
            ("s", None),
            (".5s", None),
            ("1.s", None),
            ("-1s", None),
            ("+1s", None),
            ("1", None),
            ("1ms", None),
            ("1e3s", None),
            (" 1s", None),
        ] {
            assert_eq!(ProtoDuration::parse(text).map(|read| read.0.as_nanos()), nanos, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(seconds in 0..=315_576_000_000_u64, nanos in 0..1_000_000_000_u32) {
            let duration = ProtoDuration(Duration::new(seconds, nanos));
            prop_assert_eq!(ProtoDuration::parse(&duration.to_string()), Some(duration));
        }

        #[test]
        fn any_text_is_seconds_or_none(text in ".{0,24}") {
            let _ = ProtoDuration::parse(&text);
        }
    }
}
