//! Header names that cannot be wrong: checked at compile time, or once when the configuration is read.

use serde::de::{self, Deserialize, Deserializer, Unexpected};
use std::fmt;

/// A header name known when the filter is compiled; made by [`name!`](crate::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name(&'static str);

impl Name {
    /// Use [`name!`](crate::name), which forces the check to compile time.
    #[doc(hidden)]
    #[must_use]
    pub const fn checked(text: &'static str) -> Name {
        assert!(is_name(text.as_bytes()), "a header name is lower case and holds only token characters");
        Name(text)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// A header name checked by the compiler: lower case, token characters of RFC 9110 section 5.6.2, or a pseudo-header.
///
/// ```
/// const REQUEST_ID: wayside_sdk::Name = wayside_sdk::name!("x-request-id");
/// ```
/// ```compile_fail
/// const WRONG: wayside_sdk::Name = wayside_sdk::name!("X Request");
/// ```
#[macro_export]
macro_rules! name {
    ($text:literal) => {
        const { $crate::Name::checked($text) }
    };
}

/// A header name from the configuration, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnedName(Box<str>);

impl OwnedName {
    /// Upper case letters are folded; anything that is no token character, and pseudo-headers, give `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<OwnedName> {
        let lower = text.to_ascii_lowercase();
        let usable = is_name(lower.as_bytes()) && !lower.starts_with(':') && lower.len() <= 256;
        usable.then(|| OwnedName(lower.into_boxed_str()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A header name as it stands somewhere, in lower case: nothing is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameRef<'a>(&'a [u8]);

impl<'a> NameRef<'a> {
    /// Anything that is no token character, a capital letter, and pseudo-headers, give `None`.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<NameRef<'a>> {
        let usable =
            !text.is_empty() && text.len() <= 256 && text.iter().all(|byte| is_token_by_table(*byte));
        usable.then_some(NameRef(text))
    }
}

impl<'a> From<&'a OwnedName> for NameRef<'a> {
    fn from(name: &'a OwnedName) -> NameRef<'a> {
        NameRef(name.0.as_bytes())
    }
}

impl<'de> Deserialize<'de> for OwnedName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OwnedName, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        OwnedName::parse(&text).ok_or_else(|| {
            de::Error::invalid_value(Unexpected::Str(&text), &"a header name such as x-request-id")
        })
    }
}

impl fmt::Display for OwnedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Either kind of header name. Implemented here only.
pub trait AsName: sealed::Sealed {
    #[doc(hidden)]
    fn as_name(&self) -> &[u8];
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Name {}
    impl Sealed for &super::OwnedName {}
    impl Sealed for super::NameRef<'_> {}
}

impl AsName for Name {
    fn as_name(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl AsName for &OwnedName {
    fn as_name(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl AsName for NameRef<'_> {
    fn as_name(&self) -> &[u8] {
        self.0
    }
}

const fn is_name(name: &[u8]) -> bool {
    let Some((first, rest)) = name.split_first() else {
        return false;
    };
    let mut rest = if *first == b':' {
        rest
    } else if is_token(*first) {
        if rest.is_empty() {
            return true;
        }
        rest
    } else {
        return false;
    };
    if rest.is_empty() {
        return false;
    }
    while let Some((byte, tail)) = rest.split_first() {
        if !is_token(*byte) {
            return false;
        }
        rest = tail;
    }
    true
}

const TOKENS: [bool; 256] = {
    let mut table = [false; 256];
    let (mut rest, mut byte) = (table.as_mut_slice(), 0_u8);
    while let Some((first, others)) = rest.split_first_mut() {
        *first = is_token(byte);
        (rest, byte) = (others, byte.wrapping_add(1));
    }
    table
};

/// For names of requests: a load, where the `match` is a dozen comparisons.
fn is_token_by_table(byte: u8) -> bool {
    matches!(TOKENS.get(usize::from(byte)), Some(true))
}

const fn is_token(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-'
        | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_the_configuration_are_lower_case_tokens() {
        for (text, name) in [
            ("X-Key", Some("x-key")),
            ("a", Some("a")),
            ("", None),
            (":path", None),
            (":", None),
            ("x key", None),
            ("x-ключ", None),
            ("x\r\n", None),
        ] {
            assert_eq!(OwnedName::parse(text).as_ref().map(OwnedName::as_str), name, "{text:?}");
            let lower = name.filter(|name| *name == text);
            assert_eq!(
                NameRef::parse(text.as_bytes()).map(|name| name.0),
                lower.map(str::as_bytes),
                "{text:?}"
            );
        }
    }
}
