//! What Envoy refuses to load, the replay refuses too, for the same reason.

use std::{path::Path, sync::Arc};

use wayside::{
    abi::LogLevel,
    clock::{Rng, Seed},
    envoy_config,
    proxy::{Proxy, ProxyOptions, StartError},
    upstream::Services,
    vm::{Limits, Modules},
};

use super::{
    bootstrap::Bootstrap,
    envoy::{self, validate},
};

/// What no filter knows.
const MISSPELT: &str = "tiemout";

#[tokio::test]
async fn the_example_loads_in_envoy_and_in_the_replay() {
    let Some(binary) = envoy::binary() else { return };
    let folder = tempfile::tempdir().expect("a folder for the configuration");
    let config = Bootstrap::of_example().write(folder.path(), "example.json");
    let output = validate(&binary, &config).await.expect("Envoy runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    start(&config).unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn envoy_and_the_replay_refuse_a_field_they_do_not_know_and_name_it_alike() {
    let Some(binary) = envoy::binary() else { return };
    let folder = tempfile::tempdir().expect("a folder for the configurations");
    let example = Bootstrap::of_example();
    let filters = example.filters();
    assert_eq!(filters.len(), 4);
    for filter in filters {
        let mut bootstrap = Bootstrap::of_example();
        bootstrap.misspell(&filter, MISSPELT);
        let config = bootstrap.write(folder.path(), &format!("{filter}.json"));
        let output = validate(&binary, &config).await.expect("Envoy runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "Envoy takes {filter} with a field it does not know");
        let reason = wasm_log(&said).unwrap_or_else(|| panic!("{filter} does not say why:\n{said}"));
        assert!(reason.contains(MISSPELT), "{filter} does not name the field: {reason}");
        let refused = start(&config).expect_err("the replay takes what Envoy refuses");
        assert!(matches!(refused, StartError::Refused { .. }), "{refused}");
        let replayed = refused.to_string();
        assert!(replayed.contains(&reason), "{filter}\n  Envoy:  {reason}\n  replay: {replayed}");
        assert!(replayed.contains(&format!("filter {filter}")), "{replayed}");
    }
}

/// What a filter wrote to Envoy's log: `… wasm log <name> <root id> <vm id>: <text>`
fn wasm_log(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("] wasm log ")?;
    let (_, text) = rest.split_once(": ")?;
    text.lines().next().map(str::to_owned)
}

fn start(config: &Path) -> Result<Proxy, StartError> {
    let loaded = envoy_config::load(config).unwrap_or_else(|errors| panic!("{errors}"));
    let options = ProxyOptions {
        workers: std::num::NonZeroU32::MIN,
        limits: Limits::default(),
        log_level: LogLevel::Info,
        rng: Rng::new(Seed::default(), 0),
        services: Services::default(),
        epoch: std::time::Duration::ZERO,
        ledger: false,
    };
    Proxy::start(Arc::new(Modules::new()), Arc::new(loaded.spec), options)
}
