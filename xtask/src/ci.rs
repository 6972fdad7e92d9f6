//! What CI runs, in the order that fails fastest. No release build of native code: the compiler inside the host alone
//! would double the time.

use crate::step::{Steps, cargo, must};
use anyhow::Context;
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
    steps.run("same bytes from another folder", crate::reproducible::run)?;
    steps.run("line coverage of the filters", coverage)?;
    steps.run("the filters' budget", || crate::bench::budget::run(&crate::bench::budget::Args::default()))?;
    crate::test::run_steps(steps, &[])
}

/// The layer, the filters and the layer's guests as modules are compiled, so without tests, held to what LINTS.md has filter
/// authors copy.
fn clippy_guests() -> anyhow::Result<()> {
    let clippy = || cargo(["clippy", "--target", Target::Wasip1.triple()]);
    let mut command = clippy();
    command.args(["--lib", "--package", "wayside-sdk"]);
    for package in crate::wasm::packages()? {
        command.args(["--package", &package]);
    }
    command.args(["--", "--deny", "warnings"]);
    for lint in guest_lints()? {
        command.args(["--deny", &format!("clippy::{lint}")]);
    }
    must(&mut command)?;
    must(clippy().args(["--examples", "--package", "wayside-sdk-guests", "--", "--deny", "warnings"]))
}

/// The names in the table of a package that has it as authors would.
fn guest_lints() -> anyhow::Result<Vec<String>> {
    let manifest = crate::root().join("sdk-ext/guests/Cargo.toml");
    let text = std::fs::read_to_string(&manifest).with_context(|| manifest.display().to_string())?;
    let manifest: toml::Table = toml::from_str(&text)?;
    let lints = manifest.get("lints").and_then(|lints| lints.get("clippy")?.as_table());
    let lints = lints.context("sdk-ext/guests/Cargo.toml has no [lints.clippy]")?;
    Ok(lints
        .iter()
        .filter(|(_, level)| level.as_str() == Some("deny"))
        .map(|(name, _)| name.clone())
        .collect())
}

/// Where LLVM's tools are missing the step says so and passes.
fn coverage() -> anyhow::Result<()> {
    if crate::coverage::is_possible()? {
        return crate::coverage::run();
    }
    eprintln!(
        "skipped: no llvm-tools beside rustc (`rustup component add llvm-tools`), so no line was counted"
    );
    Ok(())
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
