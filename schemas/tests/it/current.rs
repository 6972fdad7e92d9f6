//! `filters/*/config.schema.json` is what the code says; `cargo xtask schema --write` writes it.

use crate::documents::root;
use std::fs;
use wayside_schemas::FILTERS;

#[test]
fn the_committed_schemas_are_what_the_code_says() {
    for filter in FILTERS {
        let path = root().join("filters").join(filter.name).join("config.schema.json");
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == (filter.schema)(),
            "{} is not current: cargo xtask schema --write",
            path.display()
        );
    }
}

#[test]
fn each_schema_is_one_by_the_rules_of_its_draft() {
    for filter in FILTERS {
        let schema = serde_json::from_str(&(filter.schema)()).expect("a document");
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{}: {error}", filter.name));
    }
}
