//! Configuration errors and the cursor that collects them.

use super::Quoted;
use crate::hostcalls::HostError;
use std::fmt;
use wayside_json::child;

/// One thing wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// RFC 6901; empty for the whole document.
    pub pointer: String,
    /// What was expected and what was found.
    pub message: String,
    /// The same without the value, where `message` holds one.
    discreet: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "{pointer}: {}", self.message)
    }
}

/// Errors listed of one configuration: each becomes a line in the proxy's log.
const MOST: usize = 20;

/// Bytes of a pointer or a message; both quote what was written.
const LONGEST: usize = 600;

/// Cut between characters.
fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

/// Everything that was found wrong, in the order of the document, up to 20 errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    #[must_use]
    pub fn one(pointer: impl Into<String>, message: impl fmt::Display) -> ConfigErrors {
        let mut errors = ConfigErrors::default();
        errors.push(pointer, message);
        errors
    }

    pub fn push(&mut self, pointer: impl Into<String>, message: impl fmt::Display) {
        self.push_told(pointer.into(), &message, None);
    }

    /// Not generic, so that it is in a module once; the same goes for the others of its kind.
    #[cold]
    #[inline(never)]
    pub(super) fn push_told(
        &mut self,
        pointer: String,
        message: &dyn fmt::Display,
        discreet: Option<String>,
    ) {
        let error = match self.0.len() {
            0..MOST => ConfigError {
                pointer: shortened(pointer),
                message: shortened(message.to_string()),
                discreet: discreet.map(shortened),
            },
            MOST => ConfigError {
                pointer: String::new(),
                message: "more is wrong than is listed here".to_owned(),
                discreet: None,
            },
            _ => return,
        };
        self.0.push(error);
    }

    /// Takes over errors of a part of the document that begins at `pointer`.
    pub(crate) fn absorb_below(&mut self, pointer: &str, errors: ConfigErrors) {
        for error in errors.0 {
            let at = [pointer, &error.pointer].concat();
            self.push_told(at, &error.message, error.discreet);
        }
    }

    /// For configurations in which a secret may stand in the wrong place: no error repeats a value any more. Names of
    /// fields stay.
    #[must_use]
    pub fn without_values(mut self) -> ConfigErrors {
        for error in &mut self.0 {
            if let Some(discreet) = error.discreet.take() {
                error.message = discreet;
            }
        }
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `value`, unless an error was collected.
    ///
    /// # Errors
    /// What was collected.
    pub fn or<T>(self, value: Option<T>) -> Result<T, ConfigErrors> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ if self.0.is_empty() => {
                Err(ConfigErrors::one("", "refused without a reason; this is a defect"))
            }
            _ => Err(self),
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<HostError> for ConfigErrors {
    fn from(error: HostError) -> ConfigErrors {
        ConfigErrors::one("", format_args!("the host refused a call: {error}"))
    }
}

/// Where a check stands in the document, and where it reports.
#[derive(Debug)]
pub struct Checks<'a> {
    pointer: String,
    errors: &'a mut ConfigErrors,
}

impl<'a> Checks<'a> {
    pub fn new(pointer: impl Into<String>, errors: &'a mut ConfigErrors) -> Checks<'a> {
        Checks { pointer: pointer.into(), errors }
    }

    /// One step down: a field's name or an index.
    #[inline(never)]
    pub fn at(&mut self, step: impl fmt::Display) -> Checks<'_> {
        self.at_named(&step)
    }

    #[inline(never)]
    fn at_named(&mut self, step: &dyn fmt::Display) -> Checks<'_> {
        Checks { pointer: child(&self.pointer, &step.to_string()), errors: self.errors }
    }

    /// Reports what is here. `found` describes it and holds nothing that an operator wrote: see
    /// [`refuse_value`](Self::refuse_value).
    pub fn refuse(&mut self, expected: impl fmt::Display, found: impl fmt::Display) {
        self.refuse_told(&expected, &found, None);
    }

    /// Reports the value here, and repeats it.
    pub fn refuse_value(&mut self, expected: impl fmt::Display, value: impl AsRef<str>) {
        self.refuse_shown(&expected, &Quoted(value.as_ref()));
    }

    #[cold]
    #[inline(never)]
    fn refuse_shown(&mut self, expected: &dyn fmt::Display, value: &dyn fmt::Display) {
        let discreet = format!("expected {expected}, found another value (not shown)");
        self.refuse_told(expected, value, Some(discreet));
    }

    /// Reports the value here in words that repeat it, and in words that do not.
    pub(crate) fn refuse_quoting(
        &mut self,
        (expected, found): (&dyn fmt::Display, &dyn fmt::Display),
        (expected_of_all, found_of_all): (&str, &dyn fmt::Display),
    ) {
        let discreet = format!("expected {expected_of_all}, found {found_of_all}");
        self.refuse_told(expected, found, Some(discreet));
    }

    #[cold]
    #[inline(never)]
    fn refuse_told(
        &mut self,
        expected: &dyn fmt::Display,
        found: &dyn fmt::Display,
        discreet: Option<String>,
    ) {
        self.errors.push_told(
            self.pointer.clone(),
            &format_args!("expected {expected}, found {found}"),
            discreet,
        );
    }

    /// Takes over errors that name their own places.
    pub fn absorb(&mut self, errors: ConfigErrors) {
        self.errors.absorb_below("", errors);
    }

    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_end_to_errors_and_to_each_of_them() {
        let mut errors = ConfigErrors::default();
        for n in 0..100 {
            errors.push(format!("/{n}"), "ж".repeat(1000));
        }
        assert_eq!(errors.iter().count(), 21);
        assert!(errors.iter().all(|error| error.message.len() < 610));
        assert!(errors.to_string().ends_with("/: more is wrong than is listed here"));
    }
}
