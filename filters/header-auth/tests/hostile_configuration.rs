//! Configurations that nobody should write: refused with the place, never a panic.

use header_auth::config::Config;

#[test]
fn hostile_configurations_are_refused_with_their_place() {
    match wayside_sdk::config::hostile::check_whole::<Config>() {
        Ok(texts) => assert!(texts > 200, "{texts}"),
        Err(told) => panic!("{told}"),
    }
}
