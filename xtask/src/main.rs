//! This workspace's own commands. `cargo xtask` lists them; CI runs what you run.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

mod bench;
mod ci;
mod coverage;
mod demo;
mod envoy;
mod record;
mod reproducible;
mod schema;
mod stats_tags;
mod step;
mod test;
mod tidy;
mod wasm;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The workspace's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build the four filters, replay the bundled recording through them, print the report
    Demo,
    /// Everything that must pass, comparisons with the real Envoy included
    Test(test::Args),
    /// Build the filters into dist/
    Wasm(wasm::Args),
    /// What CI runs: formatting, lints, builds, documentation, tests
    Ci,
    /// What things cost: the host's speed as ratios in one run, the filters' requests counted
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Which lines of the filters their tests run as Rust; an error below 90 %
    Coverage,
    /// Build the filters from a copy of the sources in another folder; an error where a byte differs
    Reproducible,
    /// What a filter may be configured with, as JSON Schema
    Schema(schema::Args),
    /// The house rules no compiler knows
    Tidy,
    /// Put the real Envoy's binary under target/ (`ENVOY_BIN` overrides)
    Envoy,
    /// Record the bundled traffic anew with real Envoys
    Record,
    /// Print what Envoy's bootstrap needs so that the filters' labels are labels in Prometheus
    StatsTags,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Task::Demo => demo::run(),
        Task::Test(args) => test::run(&args),
        Task::Wasm(args) => wasm::run(&args),
        Task::Bench(bench) => bench::run(&bench),
        Task::Ci => ci::run(),
        Task::Coverage => coverage::run(),
        Task::Reproducible => reproducible::run(),
        Task::Schema(args) => schema::run(&args),
        Task::Tidy => tidy::run(),
        Task::Envoy => envoy::run(),
        Task::Record => record::run(),
        Task::StatsTags => stats_tags::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root folder. Cargo says at run time where this package lies; two checkouts may share one target folder.
fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&here);
    here.parent().unwrap_or(here).to_owned()
}
