//! This workspace's own commands: `cargo xtask <command>`.

mod envoy;
mod record;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Puts the real Envoy under the target folder and prints where it is.
    Envoy,
    /// Records the bundled traffic anew with a real Envoy.
    Record,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Envoy => envoy::run(),
        Command::Record => record::run(),
    }
}
