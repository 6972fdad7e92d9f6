//! Configurations that nobody should write: refused with the place, never a panic.

use timeout::config::Config;

#[test]
fn hostile_configurations_are_refused_with_their_place() {
    match wayside_sdk::config::hostile::check::<Config>() {
        Ok(texts) => assert!(texts > 200, "{texts}"),
        Err(told) => panic!("{told}"),
    }
}
