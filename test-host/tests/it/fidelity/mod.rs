//! `FIDELITY.md`, made from the behaviours: what guests called in the host, in which callback, and what they were answered,
//! each with a behaviour that shows it and that the real Envoy did the same.

mod hostcalls;
mod probes;
mod tables;

use std::{collections::BTreeSet, path::Path};

use wayside::vm::import_table::IMPORTS;

use crate::behaviours::{RUNS, Ran};

/// Hostcalls that no behaviour calls yet, or that the host only links. Once this is empty, it stays empty.
const MISSING: &[&str] = &[];

#[test]
fn the_table_of_fidelity_is_what_the_behaviours_show() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../FIDELITY.md");
    expect_test::expect_file![path].assert_eq(&tables::document(&RUNS));
}

#[test]
fn every_hostcall_of_envoy_is_emulated_and_shown() {
    let missing: BTreeSet<&str> = hostcalls::missing(&RUNS).into_iter().collect();
    assert_eq!(missing, MISSING.iter().copied().collect(), "hostcalls without a behaviour, or only linked");
}

#[test]
fn every_probe_calls_what_it_stands_for() {
    let calls = |ran: &Ran, hostcall: &str| ran.ledger.answers.keys().any(|(name, _)| *name == hostcall);
    let wrong = probes::PROBES.iter().filter(|(hostcall, topic, _)| {
        let known = MISSING.contains(hostcall);
        !known && !RUNS.iter().any(|ran| ran.topic == *topic && calls(ran, hostcall))
    });
    let wrong: Vec<_> =
        wrong.map(|(hostcall, topic, _)| format!("{topic}.yaml does not call {hostcall}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What the build has checked already, in words: as many probes as names.
    let names: BTreeSet<&str> = IMPORTS.iter().map(|import| import.name).collect();
    assert_eq!(probes::PROBES.len(), names.len());
}
