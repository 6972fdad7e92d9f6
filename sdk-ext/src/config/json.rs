//! A configuration's text as a tree, and typed values from the tree.

use serde::de::DeserializeOwned;
use wayside_json::{Json, Limits, Refused};

use super::checks::ConfigErrors;
use super::de;

/// What a configuration may be.
const LIMITS: Limits = Limits { depth: 127, fields: 1000 };

/// Envoy's documentation says that a `Struct` arrives as JSON; Envoy 1.40 sends its protobuf bytes.
const STRUCT_HINT: &str = "; Envoy hands over a google.protobuf.Struct as protobuf bytes, \
    so write the JSON into a google.protobuf.StringValue";

/// Parses a document; no text at all counts as `{}`.
///
/// # Errors
/// A syntax error with line and column, or every duplicate key.
pub fn document(text: &[u8]) -> Result<Json, ConfigErrors> {
    match text.trim_ascii() {
        b"" => Ok(Json::Object(Vec::new())),
        _ => wayside_json::parse(text, LIMITS).map_err(|refused| told(text, refused)),
    }
}

#[cold]
fn told(text: &[u8], refused: Refused) -> ConfigErrors {
    let mut errors = ConfigErrors::default();
    match refused {
        Refused::Syntax { what, line, column } => {
            let binary = text.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace());
            let hint = if binary { STRUCT_HINT } else { "" };
            errors.push("", format_args!("not JSON: {what} at line {line} column {column}{hint}"));
        }
        Refused::Fields(unwanted) => {
            for field in unwanted {
                errors.push(field.pointer, field.message);
            }
        }
    }
    errors
}

/// Reads a typed value; `pointer` is where this tree stands in the document.
///
/// # Errors
/// The first field that does not fit.
pub fn read<T: DeserializeOwned>(json: &Json, pointer: &str) -> Result<T, ConfigErrors> {
    T::deserialize(de::Reader(json)).map_err(|error| error.at(pointer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Json, String> {
        document(text.as_bytes()).map_err(|errors| errors.to_string())
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
}
