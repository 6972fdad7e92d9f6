//! The configuration of several filters: an object with a section for each, by its name. What has no section is off.

use super::Chain;
use crate::config::{ConfigErrors, Configuration, Json, below, listed};

/// What was read of the sections.
pub struct Sections<C: Chain>(C::Configs);

impl<C: Chain> Sections<C> {
    pub(super) fn into_parts(self) -> C::Configs {
        self.0
    }
}

impl<C: Chain> std::fmt::Debug for Sections<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sections")
    }
}

impl<C: Chain> Configuration for Sections<C> {
    fn from_json(json: &Json) -> Result<Sections<C>, ConfigErrors> {
        let mut names = Vec::new();
        C::names(&mut names);
        let sections = match json {
            Json::Object(sections) if !sections.is_empty() => sections,
            _ => {
                let expected =
                    format!("expected an object with a section for one of {} at least", listed(&names));
                return Err(ConfigErrors::one("", expected));
            }
        };
        let mut errors = ConfigErrors::default();
        for (name, _) in sections {
            if !names.contains(&name.as_str()) {
                let message = format!("unknown section `{name}`, expected one of {}", listed(&names));
                errors.push(below("", name), message);
            }
        }
        let configs = C::read(sections, &mut errors);
        errors.or(Some(Sections(configs)))
    }
}

/// Takes over what was found wrong in a section, with its place in the whole.
pub(super) fn told_below(section: &str, found: ConfigErrors, errors: &mut ConfigErrors) {
    errors.absorb_below(&below("", section), found);
}
