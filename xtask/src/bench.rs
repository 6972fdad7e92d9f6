//! What things cost: times as ratios in one run, and counts that are exact.

use crate::step::{cargo, must};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// The host against a bare wasmtime loop, with an optimised build
    Host {
        /// For the benchmark: --rounds, --exchanges, --only, --json, --gate
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        more: Vec<String>,
    },
    /// Instructions and hostcalls of the filters' requests, against budget.toml
    Budget(crate::budget::Args),
}

pub(crate) fn run(bench: &Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Host { more } => {
            must(cargo(["bench", "--quiet", "--package", "wayside", "--bench", "host", "--"]).args(more))
        }
        Bench::Budget(args) => crate::budget::run(args),
    }
}
