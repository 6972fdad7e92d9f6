//! Configurations at hand: examples, those of all scenarios, and the ones kept for ever.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// The files of a folder below this package, by their names; none if it is missing.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

pub(crate) fn kept(filter: &str) -> Vec<(String, Value)> {
    let folder = root().join("schemas/versions/1").join(filter);
    let read = |path: PathBuf| (path.display().to_string(), json(&path));
    files(&folder).into_iter().map(read).collect()
}

/// The one that gives every field.
pub(crate) fn full(filter: &str) -> Value {
    json(&root().join("schemas/versions/1").join(filter).join("full.json"))
}

fn json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every configuration that a scenario gives this filter.
pub(crate) fn of_scenarios(filter: &str) -> Vec<(String, Value)> {
    let module = filter.replace('-', "_");
    let mut found =
        vec![("example.json".to_owned(), json(&root().join("filters").join(filter).join("example.json")))];
    for scenario in files(&root().join("filters").join(filter).join("scenarios")) {
        let path = scenario.join("scenario.yaml");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let yaml: Value = serde_saphyr::from_str(&text).expect("YAML");
        collect(&yaml, &module, &mut |config| found.push((path.display().to_string(), config.clone())));
    }
    found
}

/// Objects with this module's name and a configuration, wherever they stand.
fn collect(value: &Value, module: &str, found: &mut impl FnMut(&Value)) {
    if let (Some(name), Some(config)) = (value.get("module"), value.get("config"))
        && name.as_str() == Some(module)
        && config.is_object()
    {
        found(config);
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, module, found)),
        Value::Object(fields) => fields.values().for_each(|item| collect(item, module, found)),
        _ => {}
    }
}
