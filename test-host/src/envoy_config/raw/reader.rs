//! Readers of the tree. They take fields as Envoy does (protobuf JSON: either spelling of a name, numbers in quotes,
//! null as absent), collect every error instead of stopping at the first, and report what nobody asked for.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::{
    super::{
        duration::parse_duration,
        finding::{ConfigError, Place, Position, Unsupported, Weight},
    },
    Node, Value,
};

/// What has been found in one file so far.
#[derive(Debug)]
pub(in super::super) struct Findings {
    file: Arc<PathBuf>,
    errors: RefCell<Vec<ConfigError>>,
    unsupported: RefCell<Vec<Unsupported>>,
}

impl Findings {
    pub(in super::super) fn new(file: PathBuf) -> Self {
        Self { file: Arc::new(file), errors: RefCell::default(), unsupported: RefCell::default() }
    }

    pub(in super::super) fn place(&self, position: Option<Position>, path: &str) -> Place {
        Place { file: Arc::clone(&self.file), position, path: path.to_owned() }
    }

    pub(in super::super) fn error(
        &self,
        position: Option<Position>,
        path: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        let place = self.place(position, path);
        self.errors.borrow_mut().push(ConfigError { place, found: found.into(), expected: expected.into() });
    }

    pub(in super::super) fn has_errors(&self) -> bool {
        !self.errors.borrow().is_empty()
    }

    fn unsupported(&self, place: Place, reason: impl Into<String>, weight: Weight) {
        self.unsupported.borrow_mut().push(Unsupported { place, reason: reason.into(), weight });
    }

    pub(in super::super) fn into_parts(self) -> (Vec<ConfigError>, Vec<Unsupported>) {
        let mut unsupported = self.unsupported.into_inner();
        unsupported.sort_by(|a, b| a.place.cmp(&b.place));
        (self.errors.into_inner(), unsupported)
    }
}

/// A value and the way to it.
#[derive(Clone, Debug)]
pub(in super::super) struct Cursor<'a> {
    node: &'a Node,
    path: String,
    findings: &'a Findings,
}

impl<'a> Cursor<'a> {
    pub(in super::super) fn root(node: &'a Node, findings: &'a Findings) -> Self {
        Self { node, path: String::new(), findings }
    }

    pub(in super::super) fn value(&self) -> &'a Value {
        &self.node.value
    }

    pub(in super::super) fn findings(&self) -> &'a Findings {
        self.findings
    }

    pub(in super::super) fn place(&self) -> Place {
        self.findings.place(Some(self.node.at), &self.path)
    }

    pub(in super::super) fn error(&self, found: impl Into<String>, expected: impl Into<String>) {
        self.findings.error(Some(self.node.at), &self.path, found, expected);
    }

    /// Records that the value is of another kind than wanted.
    pub(in super::super) fn wrong(&self, expected: impl Into<String>) {
        self.error(describe(&self.node.value), expected);
    }

    pub(in super::super) fn not_emulated(&self, reason: impl Into<String>) {
        self.findings.unsupported(self.place(), reason, Weight::MayMatter);
    }

    pub(in super::super) fn harmless(&self, reason: impl Into<String>) {
        self.findings.unsupported(self.place(), reason, Weight::Harmless);
    }

    pub(in super::super) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Bool(_) | Value::Number(_) => {
                self.wrong("text (in quotes: without them Envoy, too, reads something else)");
                None
            }
            _ => {
                self.wrong("text");
                None
            }
        }
    }

    pub(in super::super) fn bool(&self) -> Option<bool> {
        match &self.node.value {
            Value::Bool(flag) => Some(*flag),
            Value::Text(text) if text == "true" => Some(true),
            Value::Text(text) if text == "false" => Some(false),
            _ => {
                self.wrong("true or false");
                None
            }
        }
    }

    /// A whole number of the wanted type; in quotes it is one too.
    pub(in super::super) fn integer<T: TryFrom<i64>>(&self, expected: &str) -> Option<T> {
        let number = match &self.node.value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::Text(text) => text.parse().ok().or_else(|| whole(text.parse().ok()?)),
            _ => None,
        };
        let number = number.and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.wrong(expected);
        }
        number
    }

    pub(in super::super) fn duration(&self) -> Option<Duration> {
        let duration = match &self.node.value {
            Value::Text(text) => parse_duration(text),
            _ => None,
        };
        if duration.is_none() {
            self.wrong("a duration in seconds such as \"1.5s\"");
        }
        duration
    }

    /// One of an enum's names (case does not matter) or numbers.
    pub(in super::super) fn choice<T: Copy>(&self, choices: &[(&str, i64, T)]) -> Option<T> {
        let chosen = choices.iter().find(|(name, number, _)| match &self.node.value {
            Value::Text(text) => text.eq_ignore_ascii_case(name),
            Value::Number(found) => found.as_i64() == Some(*number),
            _ => false,
        });
        if chosen.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, ..)| *name).collect();
            self.wrong(format!("one of {}", names.join(", ")));
        }
        chosen.map(|(.., value)| *value)
    }

    pub(in super::super) fn list(&self) -> Vec<Cursor<'a>> {
        let Value::List(items) = &self.node.value else {
            self.wrong("a list");
            return Vec::new();
        };
        let at = |index: usize| format!("{}[{index}]", self.path);
        items
            .iter()
            .enumerate()
            .map(|(index, node)| Cursor { node, path: at(index), findings: self.findings })
            .collect()
    }

    /// The entries of a map whose keys are data, not field names.
    pub(in super::super) fn entries(&self) -> Vec<(&'a str, Cursor<'a>)> {
        let Value::Map(entries) = &self.node.value else {
            self.wrong("a map");
            return Vec::new();
        };
        entries.iter().map(|(key, node)| (key.as_str(), self.child(key, node))).collect()
    }

    /// The fields of a message.
    pub(in super::super) fn fields(&self) -> Option<Fields<'a>> {
        let Value::Map(entries) = &self.node.value else {
            self.wrong("an object");
            return None;
        };
        let entries = entries.iter().map(|(key, node)| (key.as_str(), node, Cell::new(false))).collect();
        let fields = Fields { cursor: self.clone(), entries };
        fields.refuse_two_spellings();
        Some(fields)
    }

    /// The value as it would stand in a `google.protobuf.Value`.
    pub(in super::super) fn json(&self) -> serde_json::Value {
        to_json(self.node)
    }

    /// The value as a `google.protobuf.Struct`.
    pub(in super::super) fn json_object(&self) -> serde_json::Map<String, serde_json::Value> {
        match self.json() {
            serde_json::Value::Object(fields) => fields,
            _ => {
                self.wrong("an object");
                serde_json::Map::new()
            }
        }
    }

    fn child(&self, key: &str, node: &'a Node) -> Cursor<'a> {
        let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-@".contains(&b));
        let path = match (self.path.is_empty(), plain) {
            (true, true) => key.to_owned(),
            (false, true) => format!("{}.{key}", self.path),
            (_, false) => format!("{}[{key:?}]", self.path),
        };
        Cursor { node, path, findings: self.findings }
    }
}

/// A message's fields. Those nobody asked for are reported as not emulated when this is dropped.
#[derive(Debug)]
pub(in super::super) struct Fields<'a> {
    cursor: Cursor<'a>,
    entries: Vec<(&'a str, &'a Node, Cell<bool>)>,
}

impl<'a> Fields<'a> {
    /// Where the message itself stands.
    pub(in super::super) fn cursor(&self) -> &Cursor<'a> {
        &self.cursor
    }

    /// A field by its name in the protobuf file; the lowerCamelCase form is found too. Null is absent.
    pub(in super::super) fn get(&self, name: &str) -> Option<Cursor<'a>> {
        let (key, node, taken) = self.entries.iter().find(|(key, ..)| same_field(key, name))?;
        taken.set(true);
        (node.value != Value::Null).then(|| self.cursor.child(key, node))
    }

    pub(in super::super) fn required(&self, name: &str, expected: &str) -> Option<Cursor<'a>> {
        let field = self.get(name);
        if field.is_none() {
            self.cursor.error(format!("no {name}"), expected);
        }
        field
    }

    pub(in super::super) fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.text()
    }

    pub(in super::super) fn owned_text(&self, name: &str) -> String {
        self.text(name).unwrap_or_default().to_owned()
    }

    pub(in super::super) fn bool(&self, name: &str) -> Option<bool> {
        self.get(name)?.bool()
    }

    pub(in super::super) fn list(&self, name: &str) -> Vec<Cursor<'a>> {
        self.get(name).map(|field| field.list()).unwrap_or_default()
    }

    /// At most one of these fields may be set.
    pub(in super::super) fn one_of(&self, names: &[&'static str]) -> Option<(&'static str, Cursor<'a>)> {
        let mut set = names.iter().filter_map(|name| Some((*name, self.get(name)?)));
        let first = set.next();
        if let (Some((one, _)), Some((other, field))) = (&first, set.next()) {
            field.error(format!("both {one} and {other}"), "one of them");
        }
        first
    }

    /// The field is known and has no counterpart here.
    pub(in super::super) fn not_emulated(&self, name: &str, reason: &str) {
        if let Some(field) = self.get(name) {
            field.not_emulated(reason);
        }
    }

    /// The field is known and cannot change what a replay shows.
    pub(in super::super) fn harmless(&self, name: &str, reason: &str) {
        if let Some(field) = self.get(name) {
            field.harmless(reason);
        }
    }

    fn refuse_two_spellings(&self) {
        let mut seen = HashMap::new();
        for (key, node, _) in &self.entries {
            if let Some(other) = seen.insert(snake_case(key), key) {
                self.cursor.child(key, node).error(format!("both {other} and {key}"), "a field once");
            }
        }
    }
}

impl Drop for Fields<'_> {
    fn drop(&mut self) {
        for (key, node, taken) in &self.entries {
            if !taken.get() {
                self.cursor.child(key, node).not_emulated("not emulated");
            }
        }
    }
}

fn same_field(key: &str, name: &str) -> bool {
    key == name || snake_case(key) == name
}

fn snake_case(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 4);
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// For messages: the kind, and the value where it is short.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => format!("{flag}"),
        Value::Number(number) => format!("the number {number}"),
        Value::Text(text) if text.chars().count() <= 60 => format!("the text {text:?}"),
        Value::Text(text) => format!("a text of {} bytes", text.len()),
        Value::List(items) => format!("a list of {}", items.len()),
        Value::Map(entries) => match entries.first() {
            Some((key, _)) => format!("an object (with {key:?})"),
            None => "an empty object".to_owned(),
        },
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

fn to_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(flag) => serde_json::Value::Bool(*flag),
        Value::Number(number) => serde_json::Value::Number(number.clone()),
        Value::Text(text) => serde_json::Value::String(text.clone()),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => entries.iter().map(|(key, node)| (key.clone(), to_json(node))).collect(),
    }
}
