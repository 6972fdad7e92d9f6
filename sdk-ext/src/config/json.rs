//! A JSON document as a tree in which no key was lost: duplicates are errors, order is kept.

use super::checks::ConfigErrors;
use super::{de, text};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A JSON value. A number without a fraction is whole, however it is written: JSON has one kind of number, and tools rewrite one
/// form into the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Unsigned(u64),
    Negative(i64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses a document; no text at all counts as `{}`.
    ///
    /// # Errors
    /// A syntax error with line and column, or every duplicate key.
    pub fn parse(text: &[u8]) -> Result<Json, ConfigErrors> {
        match text.trim_ascii() {
            b"" => Ok(Json::Object(Vec::new())),
            _ => text::parse(text),
        }
    }

    /// Reads a typed value; `pointer` is where this tree stands in the document.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn read<T: DeserializeOwned>(&self, pointer: &str) -> Result<T, ConfigErrors> {
        T::deserialize(de::Reader(self)).map_err(|error| error.at(pointer))
    }

    /// The value of this key of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(fields) => fields.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// `over` laid on `self`: objects field by field at every depth, anything else replaced.
    #[must_use]
    pub fn overlaid(&self, over: &Json) -> Json {
        let (Json::Object(base), Json::Object(over)) = (self, over) else {
            return over.clone();
        };
        let mut fields = base.clone();
        for (key, value) in over {
            match fields.iter_mut().find(|(name, _)| name == key) {
                Some((_, old)) => *old = old.overlaid(value),
                None => fields.push((key.clone(), value.clone())),
            }
        }
        Json::Object(fields)
    }
}

/// A part of a configuration that is read later, as another type.
impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(u64::try_from(value).map_or(Json::Negative(value), Json::Unsigned))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = object.next_entry()? {
            fields.push(field);
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Json, String> {
        Json::parse(text.as_bytes()).map_err(|errors| errors.to_string())
    }

    #[test]
    fn every_duplicate_key_is_named_at_any_depth() {
        assert_eq!(
            parse(r#"{"a": 1, "b": [{"c/d": 1, "c/d": 2}], "a": 3}"#),
            Err("/b/0/c~1d: expected one `c/d`, found a second\n/a: expected one `a`, found a second".into())
        );
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        for (text, message) in [
            ("{\"a\": }", "/: not JSON: expected value at line 1 column 7"),
            ("{} {}", "/: not JSON: trailing characters at line 1 column 4"),
            ("{\"a\": 1e999}", "/: not JSON: number out of range at line 1 column 12"),
        ] {
            assert_eq!(parse(text), Err(message.into()), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).unwrap_err().contains("recursion limit"));
        assert_eq!(parse(" \n"), Ok(Json::Object(vec![])));
    }

    #[test]
    fn a_number_without_a_fraction_is_whole_however_it_is_written() {
        assert_eq!(
            parse("[1, 1.0, 1e3, -2.0, 0.5, 1e22]"),
            Ok(Json::List(vec![
                Json::Unsigned(1),
                Json::Unsigned(1),
                Json::Unsigned(1000),
                Json::Negative(-2),
                Json::Float(0.5),
                Json::Float(1e22)
            ]))
        );
    }

    #[test]
    fn an_overlay_changes_fields_and_keeps_their_neighbours() {
        let base = parse(r#"{"a": {"x": 1, "y": [1]}, "b": 2}"#).unwrap();
        let over = parse(r#"{"a": {"y": [2, 3]}, "c": null}"#).unwrap();
        assert_eq!(Ok(base.overlaid(&over)), parse(r#"{"a": {"x": 1, "y": [2, 3]}, "b": 2, "c": null}"#));
    }
}
