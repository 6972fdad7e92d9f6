//! Where a place of a document is described in its schema.

use serde_json::Value;
use std::collections::BTreeSet;

/// The schemas, as pointers into the whole one, that describe what stands at `pointer` of a document.
pub(crate) fn describing(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let mut here = unfolded(schema, String::new());
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        here = here.iter().flat_map(|at| below(schema, at, &step)).collect();
    }
    here
}

/// A schema and all that it refers to or chooses from.
fn unfolded(schema: &Value, at: String) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let Some(value) = schema.pointer(&at) else { return all };
    if let Some(target) = value.get("$ref").and_then(Value::as_str) {
        all.extend(unfolded(schema, target.trim_start_matches('#').to_owned()));
    }
    for choice in ["anyOf", "oneOf"] {
        let count = value.get(choice).and_then(Value::as_array).map_or(0, Vec::len);
        (0..count).for_each(|index| all.extend(unfolded(schema, format!("{at}/{choice}/{index}"))));
    }
    all.insert(at);
    all
}

fn below(schema: &Value, at: &str, step: &str) -> BTreeSet<String> {
    let named = format!("{at}/properties/{}", step.replace('~', "~0").replace('/', "~1"));
    let candidates = [named, format!("{at}/items"), format!("{at}/additionalProperties")];
    let found =
        candidates.into_iter().find(|candidate| schema.pointer(candidate).is_some_and(Value::is_object));
    found.map(|found| unfolded(schema, found)).unwrap_or_default()
}

/// The names that the schema knows in the object at `pointer`; `None` where any name will do.
pub(crate) fn names(schema: &Value, pointer: &str) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for at in describing(schema, pointer) {
        let value = schema.pointer(&at)?;
        if value.get("additionalProperties").is_some_and(Value::is_object) {
            return None;
        }
        if let Some(properties) = value.get("properties").and_then(Value::as_object) {
            names.extend(properties.keys().cloned());
        }
    }
    Some(names)
}

/// Every property in the schema, as a pointer into it.
pub(crate) fn properties(schema: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    walk(schema, String::new(), &mut |at, value| {
        if let Some(properties) = value.get("properties").and_then(Value::as_object) {
            all.extend(properties.keys().map(|name| format!("{at}/properties/{name}")));
        }
    });
    all
}

/// Shows every value of a document with its pointer.
pub(crate) fn walk(value: &Value, at: String, show: &mut impl FnMut(&str, &Value)) {
    show(&at, value);
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| walk(item, format!("{at}/{index}"), show));
        }
        Value::Object(fields) => fields.iter().for_each(|(name, item)| {
            walk(item, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), show);
        }),
        _ => {}
    }
}
