//! What was right in a version stays right, and means the same.

use crate::documents::{files, kept, root};
use serde_json::Value;
use std::fs;
use wayside_schemas::FILTERS;

#[test]
fn every_configuration_kept_of_version_1_is_still_read() {
    for filter in FILTERS {
        let schema = serde_json::from_str(&(filter.schema)()).expect("a document");
        let validator = jsonschema::draft202012::new(&schema).expect("a schema");
        let kept = kept(filter.name);
        assert!(kept.len() >= 2, "{}: only {} are kept", filter.name, kept.len());
        for (name, document) in kept {
            assert!(validator.is_valid(&document), "{name} does not fit the schema any more");
            let read = (filter.read)(document.to_string().as_bytes());
            assert!(read.is_ok(), "{name}: {}", read.expect_err("refused"));
        }
    }
}

/// A module that is older than its configuration says so, and which version it reads.
#[test]
fn what_comes_from_the_future_is_refused_in_clear_words() {
    for filter in FILTERS {
        let cases = files(&root().join("schemas/versions/future").join(filter.name));
        let documents: Vec<_> =
            cases.iter().filter(|path| path.extension().is_some_and(|it| it == "json")).collect();
        assert_eq!(documents.len(), 2, "{}: a newer version, and a newer field", filter.name);
        for path in documents {
            let refused =
                (filter.read)(&fs::read(path).expect("a file")).expect_err("from the future").to_string();
            let expected = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
            assert_eq!(refused.trim_end(), expected.trim_end(), "{}", path.display());
        }
    }
}

/// The rule of README.md, applied to the schema as it was when version 1 was first described.
#[test]
fn a_version_only_ever_takes_more() {
    for filter in FILTERS {
        let path = root().join("schemas/versions/1").join(format!("{}.schema.json", filter.name));
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let then: Value = serde_json::from_slice(&text).expect("a document");
        let now: Value = serde_json::from_str(&(filter.schema)()).expect("a document");
        let mut broken = Vec::new();
        compare(&Pair { then: &then, now: &now }, &then, &now, "", &mut broken);
        assert!(broken.is_empty(), "{}:\n{}", filter.name, broken.join("\n"));
    }
}

struct Pair<'a> {
    then: &'a Value,
    now: &'a Value,
}

/// What a schema says of a value, whether it stands elsewhere or may be left out.
fn resolved<'a>(root: &'a Value, value: &'a Value) -> &'a Value {
    let null = serde_json::json!({"type": "null"});
    let value = match value.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([some, none]) if *none == null => some,
        _ => value,
    };
    let target =
        value.get("$ref").and_then(Value::as_str).and_then(|at| root.pointer(at.trim_start_matches('#')));
    target.unwrap_or(value)
}

/// An object may have got fields: without them everything is as it was.
fn is_kept(then: &Value, now: Option<&Value>) -> bool {
    match (then, now) {
        (Value::Object(then), Some(Value::Object(now))) => {
            then.iter().all(|(name, value)| is_kept(value, now.get(name)))
        }
        (then, now) => now == Some(then),
    }
}

fn compare(roots: &Pair<'_>, then: &Value, now: &Value, at: &str, broken: &mut Vec<String>) {
    if then.get("default").is_some_and(|then| !is_kept(then, now.get("default"))) {
        broken.push(format!("{at}: another default"));
    }
    let (then, now) = (resolved(roots.then, then), resolved(roots.now, now));
    let fields =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    let (known, known_now) = (fields(then, "properties"), fields(now, "properties"));
    for (name, property) in &known {
        match known_now.get(name) {
            Some(property_now) => compare(roots, property, property_now, &format!("{at}/{name}"), broken),
            None => broken.push(format!("{at}/{name}: gone")),
        }
    }
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    for name in list(now, "required") {
        if !list(then, "required").contains(&name) {
            broken.push(format!("{at}/{name}: required now"));
        }
    }
    for key in ["anyOf", "oneOf"] {
        let (choices, choices_now) = (list(then, key), list(now, key));
        for choice in choices {
            let holds = |other: &&Value| {
                let mut differences = Vec::new();
                compare(roots, &choice, other, at, &mut differences);
                differences.is_empty()
            };
            if !choices_now.iter().any(|other| holds(&other)) {
                broken.push(format!("{at}: no choice {choice} any more"));
            }
        }
    }
    if !list(now, "enum").is_empty()
        && list(then, "enum").iter().any(|word| !list(now, "enum").contains(word))
    {
        broken.push(format!("{at}: a name fewer"));
    }
    for key in ["type", "const", "pattern", "uniqueItems"] {
        let (told, told_now) = (then.get(key), now.get(key));
        let kinds = |value: Option<&Value>| match value {
            Some(Value::Array(kinds)) => kinds.clone(),
            other => other.cloned().into_iter().collect(),
        };
        if told_now.is_some() && !kinds(told).iter().all(|kind| kinds(told_now).contains(kind))
            || told.is_none() && told_now.is_some()
        {
            broken.push(format!("{at}: `{key}` was {told:?}, is {told_now:?}"));
        }
    }
    compare_bounds(then, now, at, broken);
    for key in ["items", "additionalProperties"] {
        if let (Some(then), Some(now)) = (then.get(key), now.get(key)) {
            compare(roots, then, now, &format!("{at}/*"), broken);
        }
    }
}

fn compare_bounds(then: &Value, now: &Value, at: &str, broken: &mut Vec<String>) {
    for (key, upwards) in [
        ("minimum", false),
        ("minLength", false),
        ("minItems", false),
        ("maximum", true),
        ("maxLength", true),
        ("maxItems", true),
    ] {
        let bound = |value: &Value| value.get(key).and_then(Value::as_f64);
        let narrower = match (bound(then), bound(now)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(then), Some(now)) if upwards => now < then,
            (Some(then), Some(now)) => now > then,
        };
        if narrower {
            broken.push(format!("{at}: a narrower `{key}`"));
        }
    }
}

/// The comparison sees what the rule forbids.
#[test]
fn what_a_version_may_not_do_is_found() {
    let then = serde_json::json!({"type": "object", "properties": {
        "a": {"type": "integer", "maximum": 10, "default": 1}, "b": {"enum": ["x", "y"]}, "c": {"oneOf": [{"const": "m"}, {"const": "n"}]}}});
    let broken = |now: Value| {
        let mut broken = Vec::new();
        compare(&Pair { then: &then, now: &now }, &then, &now, "", &mut broken);
        broken
    };
    assert_eq!(broken(then.clone()), Vec::<String>::new());
    let change = |at: &str, new: Value| {
        let mut now = then.clone();
        *now.pointer_mut(at).expect("a place") = new;
        broken(now)
    };
    assert_eq!(change("/properties/a/maximum", 20.into()), Vec::<String>::new());
    assert_eq!(change("/properties/a/maximum", 9.into()), ["/a: a narrower `maximum`"]);
    assert_eq!(change("/properties/a/default", 2.into()), ["/a: another default"]);
    let then_default = serde_json::json!({"default": {"a": 1, "b": {"c": 2}}});
    let defaults = |now: Value| {
        let (mut broken, now) = (Vec::new(), serde_json::json!({"default": now}));
        compare(&Pair { then: &then_default, now: &now }, &then_default, &now, "", &mut broken);
        broken
    };
    assert_eq!(defaults(serde_json::json!({"a": 1, "b": {"c": 2, "d": 3}, "e": 4})), Vec::<String>::new());
    assert_eq!(defaults(serde_json::json!({"a": 1, "b": {"c": 3}})), [": another default"]);
    assert_eq!(defaults(serde_json::json!({"a": 1})), [": another default"]);
    assert_eq!(change("/properties/b/enum", serde_json::json!(["x", "z", "y"])), Vec::<String>::new());
    assert_eq!(change("/properties/b/enum", serde_json::json!(["x"])), ["/b: a name fewer"]);
    assert_eq!(change("/properties/a/type", "string".into()).len(), 1);
    assert_eq!(change("/properties/c/oneOf", serde_json::json!([{"const": "m"}])).len(), 1);
    let mut now = then.clone();
    now["properties"].as_object_mut().expect("an object").remove("a");
    now["required"] = serde_json::json!(["b"]);
    assert_eq!(broken(now), ["/a: gone", "/\"b\": required now"]);
}
