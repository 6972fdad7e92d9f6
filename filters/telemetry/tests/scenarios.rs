//! Every folder of `scenarios/`, through the module built from this source, and through this source as Rust.

#[test]
fn every_scenario_tells_the_story_it_always_told() {
    match wayside::scenario::check_this_crate() {
        Ok(scenarios) => assert!(scenarios > 0),
        Err(told) => panic!("{told}"),
    }
}

/// In seconds, for a debugger and for coverage: no module is built.
#[test]
fn as_rust_every_scenario_tells_the_same_story() {
    match wayside::scenario::check_this_crate_as_rust("telemetry", telemetry::wayside_vm) {
        Ok(scenarios) => assert!(scenarios > 0),
        Err(told) => panic!("{told}"),
    }
}

#[test]
fn as_module_and_as_rust_every_scenario_is_the_same() {
    match wayside::scenario::check_engines_of_this_crate(telemetry::wayside_vm) {
        Ok(scenarios) => assert!(scenarios > 0),
        Err(told) => panic!("{told}"),
    }
}
