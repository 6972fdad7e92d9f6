//! Lines of the access log.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;
use wayside_otlp::{Attribute, Value, line};

#[test]
fn a_line_is_one_object_with_names_and_plain_values() {
    let line = line(&[
        Attribute::new("http.request.method", Value::Text(b"GET")),
        Attribute::new("http.response.status_code", Value::Int(200)),
        Attribute::new("duration_ms", Value::Thousandths(12_345)),
        Attribute::new("trace_id", Value::Id(&[0xab; 4])),
        Attribute::new("sampled", Value::Bool(false)),
        Attribute::new("http.request.header.accept", Value::Texts(&[b"a", b"b"])),
    ]);
    assert_eq!(
        String::from_utf8(line).unwrap(),
        r#"{"http.request.method":"GET","http.response.status_code":200,"duration_ms":12.345,"trace_id":"abababab","sampled":false,"http.request.header.accept":["a","b"]}"#
    );
}

#[test]
fn nothing_in_a_value_can_end_a_line_or_move_a_cursor() {
    let evil = "a\r\nb\u{0}\u{1b}[2J\u{7f}\u{85}\u{9b}\u{2028}\"\\}".as_bytes();
    let line = line(&[Attribute::new("x", Value::Text(&[evil, b"\xff\xc0"].concat()))]);
    let text = String::from_utf8(line).unwrap();
    assert!(!text.chars().any(|character| character.is_control() || character == '\u{2028}'), "{text:?}");
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["x"], json!("a\r\nb\u{0}\u{1b}[2J\u{7f}\u{85}\u{9b}\u{2028}\"\\}\\xff\\xc0"));
}

#[test]
fn a_value_is_cut_at_256_bytes_and_no_character_is_halved() {
    for (text, kept) in [
        ("a".repeat(256), 256),
        ("a".repeat(257), 256),
        (format!("{}é", "a".repeat(255)), 255),
        (format!("{}é", "a".repeat(254)), 256),
        (format!("{}€", "a".repeat(254)), 254),
        (format!("{}😀", "a".repeat(253)), 253),
        (format!("{}😀", "a".repeat(252)), 256),
        (format!("{}€€", "a".repeat(255)), 255),
    ] {
        let line = line(&[Attribute::new("x", Value::Text(text.as_bytes()))]);
        let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(read["x"].as_str().unwrap().len(), kept);
    }
}

proptest! {
    #[test]
    fn whatever_bytes_come_a_line_is_one_line_of_json(key in vec(any::<u8>(), 0..20), value in vec(any::<u8>(), 0..400)) {
        let attribute = Attribute { key: &key, value: Value::Text(&value) };
        let text = String::from_utf8(line(&[attribute])).unwrap();
        prop_assert!(!text.chars().any(char::is_control));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}
