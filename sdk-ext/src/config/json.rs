//! A JSON document as a tree in which no key was lost: duplicates are errors, order is kept.

use super::checks::{ConfigErrors, child};
use super::de;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor,
};
use std::cell::RefCell;
use std::fmt;

/// A JSON value. Numbers are kept in the widest form serde_json gives.
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
        if text.trim_ascii().is_empty() {
            return Ok(Json::Object(Vec::new()));
        }
        let refused = RefCell::new(ConfigErrors::default());
        let mut parser = serde_json::Deserializer::from_slice(text);
        let seed = Seed { pointer: String::new(), refused: &refused };
        let syntax = |error: serde_json::Error| {
            let binary = text.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace());
            let hint = if binary { STRUCT_HINT } else { "" };
            ConfigErrors::one("", format_args!("not JSON: {error}{hint}"))
        };
        let tree = seed.deserialize(&mut parser).map_err(syntax)?;
        parser.end().map_err(syntax)?;
        refused.into_inner().or(Some(tree))
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

/// Of one object. Each is compared with those before it, so that duplicates are found.
const MOST_FIELDS: usize = 1000;

/// Envoy's documentation says that a `Struct` arrives as JSON; Envoy 1.40 sends its protobuf bytes.
const STRUCT_HINT: &str = "; Envoy hands over a google.protobuf.Struct as protobuf bytes, \
    so write the JSON into a google.protobuf.StringValue";

/// Builds the tree and remembers where it is, so that what JSON lets through and we do not can be named.
struct Seed<'a> {
    pointer: String,
    refused: &'a RefCell<ConfigErrors>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
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

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Json, E> {
        Ok(u64::try_from(value).map_or(Json::Negative(value), Json::Unsigned))
    }

    /// `1e3` and `2.0` are whole numbers: JSON has one kind of number, and tools rewrite one form into the other.
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() != 0.0 || value.abs() > EXACT {
            return Ok(Json::Float(value));
        }
        #[expect(clippy::cast_possible_truncation, reason = "a whole number within 2^53")]
        self.visit_i64(value as i64)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut items: Vec<Json> = Vec::new();
        loop {
            let pointer = child(&self.pointer, &items.len().to_string());
            match list.next_element_seed(Seed { pointer, refused: self.refused })? {
                Some(item) => items.push(item),
                None => return Ok(Json::List(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let mut fields: Vec<(String, Json)> = Vec::new();
        while let Some(key) = object.next_key::<String>()? {
            let pointer = child(&self.pointer, &key);
            let wrong = if fields.len() >= MOST_FIELDS {
                Some(format!("expected at most {MOST_FIELDS} fields in an object, found one more"))
            } else if fields.iter().any(|(name, _)| *name == key) {
                Some(format!("expected one `{key}`, found a second"))
            } else {
                None
            };
            let keep = wrong.is_none();
            if let Some(message) = wrong {
                self.refused.borrow_mut().push(pointer.clone(), message);
            }
            let value = object.next_value_seed(Seed { pointer, refused: self.refused })?;
            // What was refused only has to be read to its end.
            if keep {
                fields.push((key, value));
            }
        }
        Ok(Json::Object(fields))
    }
}

/// A part of a configuration that is read later, as another type.
impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        let refused = RefCell::new(ConfigErrors::default());
        let tree = Seed { pointer: String::new(), refused: &refused }.deserialize(deserializer)?;
        let refused = refused.into_inner();
        if refused.is_empty() { Ok(tree) } else { Err(serde::de::Error::custom(refused)) }
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
            ("{\"a\": 1e999}", "/: not JSON: number out of range at line 1 column 11"),
        ] {
            assert_eq!(parse(text), Err(message.into()), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).unwrap_err().contains("recursion limit"));
        assert_eq!(parse(" \n"), Ok(Json::Object(vec![])));
    }

    #[test]
    fn a_number_without_a_fraction_is_whole_however_it_is_written() {
        assert_eq!(
            parse("[1, 1.0, 1e3, -2.0, 0.5, 1e300]"),
            Ok(Json::List(vec![
                Json::Unsigned(1),
                Json::Unsigned(1),
                Json::Unsigned(1000),
                Json::Negative(-2),
                Json::Float(0.5),
                Json::Float(1e300)
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
