//! What is measured: chains of filters, and how requests come to them.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::modules::Modules;

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

/// A Wasm filter of a chain.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) module: PathBuf,
    /// Its plugin configuration.
    pub(super) configuration: String,
}

/// A listener, its name, and its chain.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) setup: Setup,
    pub(super) chain: Vec<Stage>,
    /// How often the chain stands in its listener: of eight equal filters the average is told, with an eighth of the noise.
    pub(super) copies: usize,
}

/// The four jobs, in the order of a chain.
pub(super) const FILTERS: [&str; 4] = ["header-auth", "timeout", "retry-budget", "telemetry"];
pub(super) const EIGHT: usize = 8;

/// The module a filter is shipped in.
fn file(filter: &str) -> String {
    filter.replace('-', "_")
}

/// What lets the shipped filters do the sketches' jobs, and all else that they always do.
fn configuration(filter: &str) -> Value {
    match filter {
        "header-auth" => json!({
            "version": 1,
            "providers": { "partners": {
                "kind": "api_key",
                "sources": [{ "header": "x-api-key" }],
                "keys": [{ "id": "shop", "sha256": "e86a353b002a4a51227d1f1070ab96f208c204625894e2de82d8499957f7c7d7" }],
            } },
            "defaults": { "require": { "any": ["partners"] } },
        }),
        "timeout" => json!({ "version": 1, "defaults": { "timeout": "2s" } }),
        _ => json!({ "version": 1 }),
    }
}

/// Rows whose modules there are.
pub(super) fn all(modules: &Modules) -> Vec<Row> {
    let stage = |name: &str, configuration: String| {
        modules.get(name).map(|module| Stage { module: module.clone(), configuration })
    };
    let ours = |filter: &str| stage(&file(filter), configuration(filter).to_string());
    let sketch = |name: &str| stage(&format!("sketch/{name}"), String::new());
    let bundle = || {
        let sections = FILTERS.iter().map(|filter| ((*filter).to_owned(), configuration(filter))).collect();
        stage("wayside", Value::Object(sections).to_string())
    };
    let mut rows = Vec::new();
    let mut add = |name: &str, setup, copies, chain: Option<Vec<Stage>>| {
        rows.extend(chain.map(|chain| Row { name: name.to_owned(), setup, chain, copies }));
    };
    let one = |stage: Option<Stage>| stage.map(|stage| vec![stage]);

    for copies in [1, EIGHT] {
        let row = |what: &str| if copies == 1 { what.to_owned() } else { format!("{what} ×{copies}") };
        add(&row("noop, SDK"), Setup::Direct, copies, one(sketch("noop")));
        add(&row("noop, SDK stripped"), Setup::Direct, copies, one(sketch("noop-stripped")));
        add(&row("noop, ours"), Setup::Direct, copies, one(stage("noop", "{}".to_owned())));
        add(&row("four in one, sketch"), Setup::Direct, copies, one(sketch("fused")));
        add(&row("four in one, ours"), Setup::Direct, copies, one(bundle()));
    }
    // header-auth takes the key away: a second one behind it would refuse what the first let through.
    for (filter, copies) in
        [("header-auth", 1), ("timeout", EIGHT), ("retry-budget", EIGHT), ("telemetry", EIGHT)]
    {
        let times = if copies == 1 { String::new() } else { format!(" ×{copies}") };
        add(&format!("{filter}, sketch{times}"), Setup::Direct, copies, one(sketch(filter)));
        add(&format!("{filter}, ours{times}"), Setup::Direct, copies, one(ours(filter)));
    }
    for (setup, proxied) in [(Setup::Direct, ""), (Setup::Proxied, ", proxied")] {
        let chain = |of: &dyn Fn(&str) -> Option<Stage>| FILTERS.iter().map(|filter| of(filter)).collect();
        add(&format!("chain of four, sketches{proxied}"), setup, 1, chain(&sketch));
        add(&format!("chain of four, ours{proxied}"), setup, 1, chain(&ours));
    }
    add("four in one, sketch, proxied", Setup::Proxied, 1, one(sketch("fused")));
    add("four in one, ours, proxied", Setup::Proxied, 1, one(bundle()));
    rows
}
