//! Sizes in bytes.

use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};
use std::fmt;

/// A number of bytes; in a configuration a whole number, or a text with a unit as Kubernetes and Gateway API write it: `64Ki` is
/// 65 536, `64k` is 64 000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 8] = [
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
];

impl ByteSize {
    /// `^[0-9]{1,20}(Ki|Mi|Gi|Ti|k|M|G|T)?$`, below 2^64; anything else is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<ByteSize> {
        let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
        let (digits, bytes) = unit.unwrap_or((text, 1));
        if !(1..=20).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        digits.parse::<u64>().ok()?.checked_mul(bytes).map(ByteSize)
    }
}

/// In the greatest unit that needs no fraction: `64Ki`, `64k`, `65537`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, bytes): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*bytes);
        match UNITS.iter().find(whole) {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0.checked_div(*bytes).unwrap_or(0)),
            None => write!(f, "{}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or one with a unit such as \"64Ki\"")
            }

            fn visit_u64<E>(self, value: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(value))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                ByteSize::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, read};
    use proptest::prelude::*;

    #[test]
    fn sizes_are_numbers_or_have_a_unit() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("65536", Some(65_536)),
            ("\"65536\"", Some(65_536)),
            ("\"64Ki\"", Some(65_536)),
            ("\"64k\"", Some(64_000)),
            ("\"2Gi\"", Some(2_147_483_648)),
            ("\"16777215Ti\"", Some(18_446_742_974_197_923_840)),
            ("\"16777216Ti\"", None),
            ("\"18446744073709551616\"", None),
            ("\"64K\"", None),
            ("\"64KiB\"", None),
            ("\"64 Ki\"", None),
            ("\"Ki\"", None),
            ("\"1.5Mi\"", None),
            ("\"\"", None),
            ("\"+1\"", None),
            ("-1", None),
            ("1.5", None),
            ("null", None),
        ] {
            let read = read::<ByteSize>(&document(text.as_bytes()).unwrap(), "").ok();
            assert_eq!(read, bytes.map(ByteSize), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(number in any::<u64>(), unit in 0..9_usize) {
            let bytes = UNITS.get(unit).map_or(1, |(_, bytes)| *bytes);
            let size = ByteSize(number / bytes * bytes);
            prop_assert_eq!(ByteSize::parse(&size.to_string()), Some(size));
        }

        #[test]
        fn any_text_is_a_size_or_none(text in ".{0,24}") {
            let _ = ByteSize::parse(&text);
        }
    }
}
