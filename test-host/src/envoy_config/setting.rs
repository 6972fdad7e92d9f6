//! `--set FILTER.json-pointer=VALUE`: one value changed in a plugin's JSON configuration before it is loaded.

use std::{fmt, str::FromStr};

use serde_json::Value;

use crate::proxy::spec::{PluginConfiguration, PluginSpec, ProxySpec};

/// A change of one value. `timeout./defaults/timeout="2s"`
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The filter's name in `http_filters`, or the plugin's own name.
    pub filter: String,
    /// RFC 6901; empty: the whole configuration.
    pub pointer: String,
    pub value: Value,
}

/// Why a [`Setting`] cannot be read or applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("{0:?} is not of the form FILTER./json/pointer=VALUE")]
    Form(String),
    #[error("the value {text:?} of {setting} is not JSON ({cause}); text is written in quotes: \"{text}\"")]
    Value { setting: String, text: String, cause: String },
    #[error("{setting}: no filter or plugin has that name; there are: {known}")]
    NoSuchFilter { setting: String, known: String },
    #[error("{setting}: {place}: the configuration of {filter} is not JSON text, found {found}")]
    NotJson { setting: String, place: String, filter: String, found: String },
    #[error("{setting}: {place}: the configuration of {filter} has nothing at {pointer:?}; {there}")]
    NoSuchPlace { setting: String, place: String, filter: String, pointer: String, there: String },
}

impl FromStr for Setting {
    type Err = SettingError;

    /// The pointer starts at the first `./` and ends at the first `=` after it.
    fn from_str(text: &str) -> Result<Self, SettingError> {
        let form = || SettingError::Form(text.to_owned());
        let (filter, rest) = match text.split_once("./") {
            Some((filter, rest)) => (filter, format!("/{rest}")),
            None => {
                text.split_once(".=").map(|(filter, rest)| (filter, format!("={rest}"))).ok_or_else(form)?
            }
        };
        let (pointer, value) = rest.split_once('=').ok_or_else(form)?;
        if filter.is_empty() {
            return Err(form());
        }
        let parsed = serde_json::from_str(value).map_err(|cause| SettingError::Value {
            setting: format!("{filter}.{pointer}"),
            text: value.to_owned(),
            cause: cause.to_string(),
        })?;
        Ok(Setting { filter: filter.to_owned(), pointer: pointer.to_owned(), value: parsed })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}={}", self.filter, self.pointer, self.value)
    }
}

impl Setting {
    /// Changes every plugin of that name; says how many there were. Nothing is changed where an error is returned.
    ///
    /// # Errors
    /// No plugin has the name; its configuration is not JSON; there is nothing at the pointer. A setting changes what
    /// is there and adds nothing, so that a mistyped name cannot pass for a change.
    pub fn apply(&self, spec: &mut ProxySpec) -> Result<usize, SettingError> {
        let mut edited = Vec::new();
        for plugin in spec.plugins().filter(|plugin| self.names(plugin)) {
            edited.push(self.edit(plugin)?);
        }
        if edited.is_empty() {
            let mut known: Vec<_> = spec.plugins().map(|plugin| plugin.filter_name.as_str()).collect();
            known.dedup();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(SettingError::NoSuchFilter { setting: self.to_string(), known });
        }
        let count = edited.len();
        for (plugin, text) in spec.plugins_mut().filter(|plugin| self.names(plugin)).zip(edited) {
            plugin.configuration = PluginConfiguration::Raw(text.into());
        }
        Ok(count)
    }

    fn names(&self, plugin: &PluginSpec) -> bool {
        plugin.filter_name == self.filter || plugin.name == self.filter
    }

    fn edit(&self, plugin: &PluginSpec) -> Result<Vec<u8>, SettingError> {
        let not_json = |found: String| SettingError::NotJson {
            setting: self.to_string(),
            place: plugin.origin.clone(),
            filter: plugin.filter_name.clone(),
            found,
        };
        let mut document: Value = match &plugin.configuration {
            PluginConfiguration::Absent => return Err(not_json("no configuration".to_owned())),
            PluginConfiguration::Protobuf { type_name, .. } => {
                return Err(not_json(format!("a {type_name}")));
            }
            PluginConfiguration::Raw(bytes) => {
                serde_json::from_slice(bytes).map_err(|cause| not_json(cause.to_string()))?
            }
        };
        let Some(place) = document.pointer_mut(&self.pointer) else {
            return Err(self.nothing_there(plugin, &document));
        };
        *place = self.value.clone();
        Ok(document.to_string().into_bytes())
    }

    /// Names the deepest part of the pointer that exists, and what is there.
    fn nothing_there(&self, plugin: &PluginSpec, document: &Value) -> SettingError {
        let mut parent = self.pointer.as_str();
        let found = loop {
            parent = parent.rsplit_once('/').map_or("", |(parent, _)| parent);
            match document.pointer(parent) {
                Some(found) => break found,
                None if parent.is_empty() => break document,
                None => {}
            }
        };
        let siblings = match found {
            Value::Object(fields) if fields.is_empty() => "no fields".to_owned(),
            Value::Object(fields) => fields.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
            Value::Array(items) => format!("{} items", items.len()),
            _ => "no parts".to_owned(),
        };
        SettingError::NoSuchPlace {
            setting: self.to_string(),
            place: plugin.origin.clone(),
            filter: plugin.filter_name.clone(),
            pointer: self.pointer.clone(),
            there: format!("{parent:?} has {siblings}"),
        }
    }
}
