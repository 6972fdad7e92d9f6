//! What CI runs, in the order that fails fastest. No release build of native code: the compiler inside the host alone
//! would double the time.

use crate::step::{Steps, cargo, must};
use std::process::{Command, Stdio};
use wayside::build::Target;

/// Runs all steps and prints how long each took.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut steps = Steps::default();
    let done = run_steps(&mut steps);
    steps.print_timings();
    done
}

fn run_steps(steps: &mut Steps) -> anyhow::Result<()> {
    steps.run("formatting", || must(&mut cargo(["fmt", "--all", "--check"])))?;
    steps.run("tidy", crate::tidy::run)?;
    steps.run("licences and sources", deny)?;
    // First: the builds of guests install a missing target, which clippy for that target needs.
    steps.run("filters for wasm32-wasip1", || crate::wasm::install(Target::Wasip1))?;
    steps.run("clippy for guests", clippy_guests)?;
    steps.run("clippy", || {
        must(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
    })?;
    steps.run("documentation", || {
        let mut command = cargo(["doc", "--workspace", "--no-deps", "--document-private-items"]);
        must(command.env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    steps.run("the filters' budget", || crate::bench::budget::run(&crate::bench::budget::Args::default()))?;
    crate::test::run_steps(steps, &[])
}

fn clippy_guests() -> anyhow::Result<()> {
    let mut command = cargo(["clippy", "--lib", "--target", Target::Wasip1.triple()]);
    for package in crate::wasm::packages()? {
        command.args(["--package", &package]);
    }
    must(command.args(["--", "--deny", "warnings"]))
}

/// `cargo deny` is not part of a Rust installation; where it is missing the step says so and passes.
fn deny() -> anyhow::Result<()> {
    let installed =
        Command::new("cargo-deny").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !installed.is_ok_and(|status| status.success()) {
        eprintln!(
            "skipped: cargo-deny is not installed (`cargo install cargo-deny`), so deny.toml was not checked"
        );
        return Ok(());
    }
    // Not the advisories: they change while nothing here does, and would need a network.
    must(&mut cargo(["deny", "--workspace", "check", "licenses", "bans", "sources"]))
}
