//! Who is believed when a request carries a control header, such as a deadline or an attempt count.

use serde::Deserialize;

/// Configured as `"internal"`, `"always"` or `"never"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Requests that Envoy marked `x-envoy-internal: true`. Envoy strips or sets that header itself, but without
    /// `use_remote_address` it may call outside traffic internal.
    #[default]
    Internal,
    Always,
    Never,
}

impl Trust {
    /// Whether a control header on this request counts. `x_envoy_internal` are all values of that header: two of them
    /// are somebody's attempt at something, so they do not make a request internal.
    pub fn allows<'a>(self, x_envoy_internal: impl IntoIterator<Item = &'a [u8]>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Internal => {
                let mut values = x_envoy_internal.into_iter();
                matches!((values.next(), values.next()), (Some(b"true"), None))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_needs_exactly_one_true() {
        let table: &[(&[&[u8]], bool)] = &[
            (&[b"true"], true),
            (&[], false),
            (&[b"false"], false),
            (&[b"TRUE"], false),
            (&[b"true", b"true"], false),
            (&[b"\xff"], false),
        ];
        for (values, allowed) in table {
            assert_eq!(Trust::Internal.allows(values.iter().copied()), *allowed, "{values:?}");
        }
    }

    #[test]
    fn always_and_never_do_not_look() {
        assert!(Trust::Always.allows([]));
        assert!(!Trust::Never.allows([b"true".as_slice()]));
    }

    #[test]
    fn only_the_three_words_are_read() {
        assert_eq!(serde_json::from_str::<Trust>("\"never\"").unwrap(), Trust::Never);
        let error = serde_json::from_str::<Trust>("\"Always\"").unwrap_err().to_string();
        assert!(error.contains("`internal`, `always`, `never`"), "{error}");
    }
}
