//! What a scalar without quotes means. YAML files follow Envoy's loader (yaml-cpp's conversions, tried in this order:
//! boolean, integer, text), checked against Envoy 1.40: `1.5` is the text "1.5", `010` is 8, `yes` is true.

use serde_json::Number;

use super::{Syntax, Value};

/// Integers beyond this are text to Envoy: a double could not hold them.
const MAX_EXACT: u64 = 1 << 53;

/// `Err` with what was found: JSON knows no such token.
pub(super) fn resolve_plain(text: &str, syntax: Syntax) -> Result<Value, String> {
    match syntax {
        Syntax::Yaml => Ok(resolve_yaml(text)),
        Syntax::Json => resolve_json(text),
    }
}

fn resolve_yaml(text: &str) -> Value {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    if let Some(flag) = yaml_bool(text) {
        return Value::Bool(flag);
    }
    match yaml_integer(text) {
        Some(number) if number.unsigned_abs() <= MAX_EXACT => Value::Number(number.into()),
        _ => Value::Text(text.to_owned()),
    }
}

/// `true`, `TRUE` or `True`, never `tRUE`.
fn yaml_bool(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let rest = text.get(1..)?;
    let one_case = text == lower || rest == &lower[1..] || text == text.to_ascii_uppercase();
    match lower.as_str() {
        "true" | "yes" | "y" | "on" if one_case => Some(true),
        "false" | "no" | "n" | "off" if one_case => Some(false),
        _ => None,
    }
}

/// Decimal, `0x` hexadecimal or `0` octal, with a sign.
fn yaml_integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hexadecimal) => (hexadecimal, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    if !digits.starts_with(|first: char| first.is_ascii_hexdigit()) {
        return None;
    }
    let magnitude = i64::from_str_radix(digits, radix).ok()?;
    if negative { magnitude.checked_neg() } else { Some(magnitude) }
}

fn resolve_json(text: &str) -> Result<Value, String> {
    match text {
        "null" => Ok(Value::Null),
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        // serde_json holds the grammar of numbers; its Number keeps integers exact.
        _ => serde_json::from_str::<Number>(text)
            .map(Value::Number)
            .map_err(|_| format!("{text:?} without quotes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_envoy_1_40_makes_of_them() {
        // Left: as written in a Struct; right: as Envoy's config_dump shows it.
        for (written, shown) in [
            ("1.5", Value::Text("1.5".into())),
            ("1e3", Value::Text("1e3".into())),
            ("0x10", Value::Number(16.into())),
            ("010", Value::Number(8.into())),
            (".inf", Value::Text(".inf".into())),
            ("9007199254740993", Value::Text("9007199254740993".into())),
            ("+3", Value::Number(3.into())),
            ("-3", Value::Number((-3).into())),
            ("0", Value::Number(0.into())),
            ("1_000", Value::Text("1_000".into())),
            ("0o17", Value::Text("0o17".into())),
            ("Null", Value::Null),
            ("yes", Value::Bool(true)),
            ("Y", Value::Bool(true)),
            ("True", Value::Bool(true)),
            ("tRUE", Value::Text("tRUE".into())),
            ("OFF", Value::Bool(false)),
            ("2020-01-01", Value::Text("2020-01-01".into())),
            ("é", Value::Text("é".into())),
        ] {
            assert_eq!(resolve_plain(written, Syntax::Yaml), Ok(shown), "{written}");
        }
    }
}
