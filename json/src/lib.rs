//! JSON (RFC 8259) in which nothing is lost: a key that stands twice is an error, and depth and fields have limits that the reader sets.
//! Configurations are read with it, and tokens of strangers.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod text;

pub use text::parse;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What a document may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of lists and objects in each other
    pub depth: usize,
    /// Of one object. Each is compared with those before it, so that duplicates are found.
    pub fields: usize,
}

/// Why a text was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    Syntax {
        what: &'static str,
        line: usize,
        column: usize,
    },
    /// JSON, but with these fields too many, the first [`MOST_NAMED`] of them
    Fields(Vec<Unwanted>),
}

/// A field that stands twice in its object, or above its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwanted {
    /// RFC 6901
    pub pointer: String,
    pub message: String,
}

/// Fields that are told of one document.
pub const MOST_NAMED: usize = 21;

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

/// The pointer of a child, escaped as RFC 6901 section 3 says.
#[must_use]
pub fn child(pointer: &str, step: &str) -> String {
    let mut child = pointer.as_bytes().to_vec();
    child.push(b'/');
    for byte in step.as_bytes() {
        match byte {
            b'~' => child.extend_from_slice(b"~0"),
            b'/' => child.extend_from_slice(b"~1"),
            byte => child.push(*byte),
        }
    }
    String::from_utf8(child).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Json, Refused> {
        super::parse(text.as_bytes(), Limits { depth: 8, fields: 3 })
    }

    #[test]
    fn limits_are_what_the_reader_sets() {
        assert!(parse("[[[[[[[[]]]]]]]]").is_ok());
        let refused = parse("[[[[[[[[[]]]]]]]]]");
        assert_eq!(refused, Err(Refused::Syntax { what: "recursion limit exceeded", line: 1, column: 9 }));
        assert!(parse(r#"{"a": 1, "b": 2, "c": 3}"#).is_ok());
        let message = "expected at most 3 fields in an object, found one more".to_owned();
        let one = Unwanted { pointer: "/d".to_owned(), message };
        assert_eq!(parse(r#"{"a": 1, "b": 2, "c": 3, "d": 4}"#), Err(Refused::Fields(vec![one])));
    }

    #[test]
    fn of_a_million_duplicates_the_first_are_named() {
        let text = format!("{{{}\"a\": 1}}", "\"a\": 1,".repeat(1000));
        let Err(Refused::Fields(named)) = parse(&text) else { panic!("duplicates") };
        assert_eq!(named.len(), MOST_NAMED);
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
