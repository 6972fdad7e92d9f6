//! Every folder of `scenarios/`, through the module built from this source.

#[test]
fn every_scenario_tells_the_story_it_always_told() {
    match wayside::scenario::check_this_crate() {
        Ok(scenarios) => assert!(scenarios > 0),
        Err(told) => panic!("{told}"),
    }
}
