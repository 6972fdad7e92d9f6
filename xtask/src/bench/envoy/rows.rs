//! What is measured: chains of filters, and how requests come to them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{auth, modules::Modules};

/// How requests come, and where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    /// Over HTTP/2, answered by Envoy itself.
    Direct,
    /// Over HTTP/1.1 to an upstream: what most users run.
    Proxied,
}

impl Setup {
    pub(super) const ALL: [Setup; 2] = [Setup::Direct, Setup::Proxied];

    /// The listener without filters.
    pub(super) fn base(self) -> &'static str {
        match self {
            Setup::Direct => "no filter",
            Setup::Proxied => "no filter, proxied",
        }
    }
}

/// A filter of a chain.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    Wasm {
        module: PathBuf,
        /// Its plugin configuration.
        configuration: String,
    },
    /// One of Envoy's own, as its `typed_config`.
    Native(Value),
}

/// A listener, its name, and its chain.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) setup: Setup,
    pub(super) chain: Vec<Stage>,
    /// How often the chain stands in its listener: of eight equal filters the average is told, with an eighth of the noise.
    pub(super) copies: usize,
    /// What its requests carry beside what all carry; so do those without the filters that it is compared with.
    pub(super) headers: Vec<String>,
}

impl Row {
    /// Of all its modules.
    pub(super) fn bytes(&self) -> anyhow::Result<u64> {
        let modules = self.chain.iter().filter_map(Stage::module);
        modules.map(|module| Ok(std::fs::metadata(module)?.len())).sum()
    }
}

impl Stage {
    fn module(&self) -> Option<&Path> {
        match self {
            Stage::Wasm { module, .. } => Some(module),
            Stage::Native(_) => None,
        }
    }
}

/// The four jobs, in the order of a chain.
pub(super) const FILTERS: [&str; 4] = ["header-auth", "timeout", "retry-budget", "telemetry"];
pub(super) const EIGHT: usize = 8;

/// The module a filter is shipped in, and its section of the bundle's configuration.
fn file(filter: &str) -> String {
    filter.replace('-', "_")
}

/// What lets the shipped filters do the sketches' jobs, and all else that they always do. Where they stand one behind the other, the key
/// must stay in the request for the next.
pub(super) fn configuration(filter: &str, copies: usize) -> Value {
    match filter {
        "header-auth" => json!({
            "version": 1,
            "providers": { "partners": {
                "kind": "api_key",
                "hide": copies == 1,
                "sources": [{ "header": "x-api-key" }],
                "keys": [{ "id": "shop", "sha256": "e86a353b002a4a51227d1f1070ab96f208c204625894e2de82d8499957f7c7d7" }],
            } },
            "defaults": { "require": { "any": ["partners"] } },
        }),
        "timeout" => json!({ "version": 1, "defaults": { "timeout": "2s" } }),
        _ => json!({ "version": 1 }),
    }
}

/// What an Envoy is started with: each module once.
pub(super) fn starts(modules: &Modules) -> Vec<Row> {
    let has_module = |row: &Row| row.chain.iter().all(|stage| stage.module().is_some());
    let mut rows: Vec<Row> = all(modules)
        .into_iter()
        .filter(|row| row.setup == Setup::Direct && row.chain.len() == 1 && has_module(row))
        .collect();
    for row in &mut rows {
        row.copies = 1;
        row.name = row.name.trim_end_matches(&format!(" ×{EIGHT}")).to_owned();
    }
    let mut seen = std::collections::BTreeSet::new();
    rows.retain(|row| seen.insert(row.name.clone()));
    rows.extend(all(modules).into_iter().filter(|row| row.setup == Setup::Direct && row.chain.len() > 1));
    rows
}

/// Rows whose modules there are.
pub(super) fn all(modules: &Modules) -> Vec<Row> {
    let stage = |name: &str, configuration: String| {
        modules.get(name).map(|module| Stage::Wasm { module: module.clone(), configuration })
    };
    let ours = |filter: &str, copies| stage(&file(filter), configuration(filter, copies).to_string());
    let sketch = |name: &str| stage(&format!("sketch/{name}"), String::new());
    let bundle = |copies| {
        let sections = FILTERS.iter().map(|filter| (file(filter), configuration(filter, copies))).collect();
        stage("wayside_bundle", Value::Object(sections).to_string())
    };
    let mut rows = Vec::new();
    let mut add = |name: &str, setup, copies, chain: Option<Vec<Stage>>| {
        rows.extend(chain.map(|chain| Row {
            name: name.to_owned(),
            setup,
            chain,
            copies,
            headers: Vec::new(),
        }));
    };
    let one = |stage: Option<Stage>| stage.map(|stage| vec![stage]);

    for copies in [1, EIGHT] {
        let row = |what: &str| if copies == 1 { what.to_owned() } else { format!("{what} ×{copies}") };
        add(&row("noop, SDK"), Setup::Direct, copies, one(sketch("noop")));
        add(&row("noop, SDK stripped"), Setup::Direct, copies, one(sketch("noop-stripped")));
        add(&row("noop, ours"), Setup::Direct, copies, one(stage("noop", "{}".to_owned())));
        add(&row("four in one, sketch"), Setup::Direct, copies, one(sketch("fused")));
        add(&row("four in one, ours"), Setup::Direct, copies, one(bundle(copies)));
    }
    for filter in FILTERS {
        add(&format!("{filter}, sketch ×{EIGHT}"), Setup::Direct, EIGHT, one(sketch(filter)));
        add(&format!("{filter}, ours ×{EIGHT}"), Setup::Direct, EIGHT, one(ours(filter, EIGHT)));
    }
    for (setup, proxied) in [(Setup::Direct, ""), (Setup::Proxied, ", proxied")] {
        let chain = |of: &dyn Fn(&str) -> Option<Stage>| FILTERS.iter().map(|filter| of(filter)).collect();
        add(&format!("chain of four, sketches{proxied}"), setup, 1, chain(&sketch));
        add(&format!("chain of four, ours{proxied}"), setup, 1, chain(&|filter| ours(filter, 1)));
    }
    add("four in one, sketch, proxied", Setup::Proxied, 1, one(sketch("fused")));
    add("four in one, ours, proxied", Setup::Proxied, 1, one(bundle(1)));
    rows.extend(auth::rows(modules));
    rows
}
