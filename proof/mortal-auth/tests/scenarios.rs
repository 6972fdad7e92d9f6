//! AU-15 in the host: what becomes of requests whose VM dies.

#[test]
fn every_scenario_tells_the_story_it_always_told() {
    match wayside::scenario::check_this_crate() {
        Ok(scenarios) => assert!(scenarios > 0),
        Err(told) => panic!("{told}"),
    }
}
