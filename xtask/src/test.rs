//! Everything that must pass, with the real Envoy.

use crate::step::{Steps, cargo, must};
use wayside::build::Target;

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
    steps.run("filters for wasm32-unknown-unknown", || {
        crate::wasm::install(Target::Unknown)
    })?;
    steps.run("tests", || {
        let mut command = cargo(["test"]);
        if !more
            .iter()
            .any(|argument| argument == "-p" || argument.starts_with("--package"))
        {
            command.arg("--workspace");
        }
        // With this set, a comparison that cannot run fails instead of being skipped.
        command
            .args(more)
            .env("ENVOY_BIN", &envoy)
            .env("WAYSIDE_REQUIRE_ENVOY", "1");
        must(&mut command)
    })
}
