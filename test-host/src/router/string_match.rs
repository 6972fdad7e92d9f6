//! How a header or a query parameter is compared (envoy/type/matcher/v3/string.proto).

/// A comparison of one value. Values are bytes: header values need not be UTF-8.
#[derive(Clone, Debug)]
pub struct StringMatch {
    pub pattern: Pattern,
    /// ASCII case is ignored. Has no effect on a regular expression, as in Envoy.
    pub ignore_case: bool,
}

#[derive(Clone, Debug)]
pub enum Pattern {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    /// The whole value must match.
    Regex(FullMatch),
}

/// A regular expression that must match from the first byte to the last.
#[derive(Clone, Debug)]
pub struct FullMatch(regex::bytes::Regex);

impl FullMatch {
    /// # Errors
    /// The expression is not one of the linear-time syntax that RE2 and the `regex` crate share.
    pub fn new(expression: &str) -> Result<Self, regex::Error> {
        // Compiled alone first, so that an unbalanced `)` cannot close the group added around it.
        regex::bytes::Regex::new(expression)?;
        regex::bytes::Regex::new(&format!("^(?:{expression})$")).map(FullMatch)
    }

    pub fn is_match(&self, value: &[u8]) -> bool {
        self.0.is_match(value)
    }
}

impl StringMatch {
    pub fn exact(value: impl Into<String>) -> Self {
        Self { pattern: Pattern::Exact(value.into()), ignore_case: false }
    }

    pub fn is_match(&self, value: &[u8]) -> bool {
        let same = |a: &[u8], b: &[u8]| {
            if self.ignore_case { a.eq_ignore_ascii_case(b) } else { a == b }
        };
        match &self.pattern {
            Pattern::Exact(wanted) => same(value, wanted.as_bytes()),
            Pattern::Prefix(wanted) => value.get(..wanted.len()).is_some_and(|v| same(v, wanted.as_bytes())),
            Pattern::Suffix(wanted) => value
                .len()
                .checked_sub(wanted.len())
                .and_then(|start| value.get(start..))
                .is_some_and(|v| same(v, wanted.as_bytes())),
            Pattern::Contains(wanted) if wanted.is_empty() => true,
            Pattern::Contains(wanted) => value.windows(wanted.len()).any(|v| same(v, wanted.as_bytes())),
            Pattern::Regex(regex) => regex.is_match(value),
        }
    }
}
