//! What must not be read in a log.

use serde::{Deserialize, Deserializer};
use std::fmt;
use subtle::ConstantTimeEq as _;

/// A secret: it has a value and prints `[redacted]`, so that no log record, no error and no `{:?}` of what holds it shows it.
///
/// It is read from a configuration like the value itself. There is no `==`: what somebody shows is compared by [`matches`](Redacted::matches), in constant time.
#[derive(Clone, Copy, Default)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    pub const fn new(secret: T) -> Redacted<T> {
        Redacted(secret)
    }

    /// The secret itself. What is made of it is no secret to the compiler any more.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: AsRef<[u8]>> Redacted<T> {
    /// Whether these are its bytes. How long that takes tells nobody which of them differ; whether there are as many, it does.
    pub fn matches(&self, shown: &[u8]) -> bool {
        self.0.as_ref().ct_eq(shown).into()
    }
}

impl<T> From<T> for Redacted<T> {
    fn from(secret: T) -> Redacted<T> {
        Redacted(secret)
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// An error names the place and the type, and what it found there: keep the type one that any text has.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Redacted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Redacted<T>, D::Error> {
        T::deserialize(deserializer).map(Redacted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Config {
        #[expect(dead_code, reason = "it is printed")]
        user: String,
        key: Redacted<String>,
        keys: Vec<Redacted<String>>,
    }

    #[test]
    fn nothing_that_prints_shows_it() {
        let config: Config =
            serde_json::from_str(r#"{"user": "me", "key": "s3cret", "keys": ["s3cret"]}"#).unwrap();
        for text in [
            format!("{config:?}"),
            format!("{config:#?}"),
            config.key.to_string(),
            format!("{:>40}", config.key),
        ] {
            assert!(!text.contains("s3cret") && text.contains("[redacted]"), "{text}");
        }
        assert_eq!(config.key.expose(), "s3cret");
        for (shown, same) in
            [("s3cret", true), ("s3creT", false), ("s3cre", false), ("s3cret ", false), ("", false)]
        {
            assert_eq!(config.key.matches(shown.as_bytes()), same, "{shown}");
        }
        assert_eq!(config.keys.into_iter().map(Redacted::into_inner).collect::<String>(), "s3cret");
    }
}
