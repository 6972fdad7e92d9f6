//! Everything that must pass, with the real Envoy.

use crate::step::{Steps, cargo, must};
use anyhow::{Context, bail};
use std::path::Path;
use wayside::build::Target;

/// Where the comparison with the real Envoy leaves what it came to.
const SUMMARY: &str = "target/parity.txt";

/// What to hand on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For `cargo test`: package choice, test names, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo: Vec<String>,
}

/// Sets up what the tests need, then runs them all.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    run_steps(&mut steps, &args.cargo)?;
    steps.print_timings();
    Ok(())
}

/// The same, as part of a longer command.
pub(crate) fn run_steps(steps: &mut Steps, more: &[String]) -> anyhow::Result<()> {
    let envoy = steps.run("the real Envoy", crate::envoy::envoy_binary)?;
    steps.run("filters for wasm32-unknown-unknown", || crate::wasm::install(Target::Unknown))?;
    let summary = crate::root().join(SUMMARY);
    // What another run left there must not pass for this one's.
    if summary.exists() {
        std::fs::remove_file(&summary).with_context(|| format!("cannot delete {}", summary.display()))?;
    }
    if let Some(folder) = summary.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    steps.run("tests", || {
        let mut command = cargo(["test"]);
        if !more.iter().any(|argument| argument == "-p" || argument.starts_with("--package")) {
            command.arg("--workspace");
        }
        // With this set, a comparison that cannot run fails instead of being skipped.
        command
            .args(more)
            .env("ENVOY_BIN", &envoy)
            .env("WAYSIDE_REQUIRE_ENVOY", "1")
            .env("WAYSIDE_PARITY_SUMMARY", &summary);
        must(&mut command)
    })?;
    show_comparison(&summary, more.is_empty())
}

/// The comparison with the real Envoy, at the end of the output; where all tests were asked for, it must have run.
fn show_comparison(summary: &Path, must_be_there: bool) -> anyhow::Result<()> {
    match std::fs::read_to_string(summary) {
        Ok(text) => println!("\nthe host against the real Envoy\n{text}"),
        Err(_) if must_be_there => {
            bail!("the comparison with the real Envoy did not run: no {}", summary.display())
        }
        Err(_) => {}
    }
    Ok(())
}
