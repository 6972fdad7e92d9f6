//! `FIDELITY.md`, made from the behaviours: what guests called in the host, in which callback, and what they were answered,
//! each with a behaviour that shows it and that the real Envoy did the same.

mod hostcalls;
mod probes;
mod tables;

use std::{collections::BTreeSet, path::Path};

use crate::parity::behaviours::{RUNS, Ran};

#[test]
fn the_table_of_fidelity_is_what_the_behaviours_show() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../FIDELITY.md");
    let document = tables::document(&RUNS);
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
        std::fs::write(&path, &document).expect("the file is ours");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let difference = wayside::parity::difference(&written, &document).unwrap_or_default();
    let stale = "FIDELITY.md is stale: UPDATE_EXPECT=1 cargo test -p wayside --test it fidelity";
    assert!(difference.is_empty(), "{stale}\n{difference}");
}

#[test]
fn every_hostcall_of_envoy_is_emulated_and_shown() {
    let missing: BTreeSet<&str> = hostcalls::missing(&RUNS).into_iter().collect();
    assert!(missing.is_empty(), "hostcalls without a behaviour, or only linked: {missing:?}");
}

#[test]
fn every_probe_calls_what_it_stands_for() {
    let calls = |ran: &Ran, hostcall: &str| ran.ledger.answers.keys().any(|(name, _)| *name == hostcall);
    let wrong = probes::PROBES
        .iter()
        .filter(|(hostcall, topic, _)| !RUNS.iter().any(|ran| ran.topic == *topic && calls(ran, hostcall)));
    let wrong: Vec<_> =
        wrong.map(|(hostcall, topic, _)| format!("{topic}.yaml does not call {hostcall}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
