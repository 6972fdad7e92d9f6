//! `FIDELITY.md`, made from the behaviours: what guests called in the host, in which callback, and what they were answered,
//! each with a behaviour that shows it and that the real Envoy did the same.

mod hostcalls;
mod probes;
mod tables;

use std::{collections::BTreeSet, path::Path};

use crate::parity::behaviours::{RUNS, Ran};

/// Hostcalls that no behaviour calls yet, or that the host only links. Once this is empty, it stays empty.
const MISSING: &[&str] = &[
    "proxy_get_log_level",
    "proxy_get_configuration",
    "proxy_get_current_time_nanoseconds",
    "proxy_continue_request",
    "proxy_continue_response",
    "proxy_clear_route_cache",
    "proxy_record_metric",
    "pthread_equal",
    "emscripten_notify_memory_growth",
    "fd_write",
    "fd_read",
    "fd_seek",
    "fd_close",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "args_get",
    "args_sizes_get",
    "clock_time_get",
    "clock_res_get",
    "fd_advise",
    "fd_allocate",
    "fd_datasync",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_pwrite",
    "fd_prestat_get",
    "fd_prestat_dir_name",
    "fd_readdir",
    "fd_renumber",
    "fd_sync",
    "fd_tell",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
    "random_get",
    "sched_yield",
    "poll_oneoff",
    "proc_exit",
];

/// Where everything must pass (`cargo xtask test`, CI), what is stale fails; elsewhere it is told.
fn check(what: &str, wrong: &str) {
    if wrong.is_empty() {
        return;
    }
    let strict = std::env::var_os("WAYSIDE_REQUIRE_ENVOY").is_some_and(|value| value == "1");
    assert!(!strict, "{what}\n{wrong}");
    crate::parity::say(&format!("{what} (cargo xtask test fails of it)"));
}

#[test]
fn the_table_of_fidelity_is_what_the_behaviours_show() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../FIDELITY.md");
    let document = tables::document(&RUNS);
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
        std::fs::write(&path, &document).expect("the file is ours");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let difference = wayside::parity::difference(&written, &document).unwrap_or_default();
    check("FIDELITY.md is stale: UPDATE_EXPECT=1 cargo test -p wayside --test it fidelity", &difference);
}

#[test]
fn every_hostcall_of_envoy_is_emulated_and_shown() {
    let missing: BTreeSet<&str> = hostcalls::missing(&RUNS).into_iter().collect();
    let known: BTreeSet<&str> = MISSING.iter().copied().collect();
    let new: Vec<&str> = missing.difference(&known).copied().collect();
    assert!(new.is_empty(), "hostcalls without a behaviour, or only linked: {}", new.join(", "));
    let found: Vec<&str> = known.difference(&missing).copied().collect();
    check("hostcalls are shown that MISSING has", &found.join(", "));
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
}
