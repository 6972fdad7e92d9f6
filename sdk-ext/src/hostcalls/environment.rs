//! The VM's environment variables: `vm_config.environment_variables`, where secrets are that no configuration should hold.

use crate::hostcalls::{self, Host};
use crate::log::Redacted;

/// All of them, as they are when they are asked for.
#[derive(Clone, Debug, Default)]
pub struct Environment(Vec<(Vec<u8>, Redacted<Vec<u8>>)>);

impl Environment {
    /// The VM's. Two hostcalls, of which one returns bytes: for configuration, not for requests.
    ///
    /// # Errors
    /// What the host answered.
    pub fn of_vm() -> Host<Environment> {
        hostcalls::environment().map(|text| Environment::parse(&text))
    }

    /// Of these names and values: for tests and tools.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Environment {
        let owned = |(name, value): (&[u8], &[u8])| (name.to_vec(), Redacted::new(value.to_vec()));
        Environment(pairs.into_iter().map(owned).collect())
    }

    /// `NAME=value`, each ended by a NUL, as WASI has it.
    fn parse(text: &[u8]) -> Environment {
        let entries = text.split(|byte| *byte == 0);
        let pairs = entries.filter_map(|entry| {
            let equals = entry.iter().position(|byte| *byte == b'=')?;
            let (name, value) = entry.split_at_checked(equals)?;
            Some((name, value.get(1..).unwrap_or_default()))
        });
        Environment::from_pairs(pairs)
    }

    /// The value of the variable of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Redacted<Vec<u8>>> {
        self.0.iter().find(|(known, _)| known == name.as_bytes()).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_by_their_whole_name_and_may_hold_anything_but_a_nul() {
        let environment = Environment::parse(b"A=1\0PEPPER=a=b\xff\0EMPTY=\0no equals sign\0");
        let value = |name| environment.get(name).map(|value| value.expose().clone());
        assert_eq!(value("PEPPER"), Some(b"a=b\xff".to_vec()));
        assert_eq!(value("EMPTY"), Some(Vec::new()));
        for name in ["PEPPE", "PEPPERS", "", "no equals sign"] {
            assert_eq!(value(name), None, "{name}");
        }
        assert!(!format!("{environment:?}").contains("255"), "{environment:?}");
    }

    #[test]
    fn without_a_host_there_is_no_environment() {
        assert!(Environment::of_vm().is_err());
    }
}
